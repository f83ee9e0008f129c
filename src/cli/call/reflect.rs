//! What a server says of itself over gRPC server reflection.
//!
//! Version 1 is asked first; a server that does not know it is asked once more in v1alpha. The two
//! versions have the same messages on the wire and differ only in the path, so that one set of types
//! serves both. Each question has a stream of its own: a server may leave out of a stream the files
//! that it has already sent in it.

use std::collections::{BTreeMap, BTreeSet};

use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use prost_types::FileDescriptorProto;
use tonic::{Code, Request, Status, client::Grpc, metadata::MetadataMap, transport::Channel};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_request::MessageRequest as Question,
    server_reflection_response::MessageResponse as Answer,
};

use super::MAX_ANSWER_BYTES;

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReflectError {
    /// Neither version is there.
    #[error("the server offers no reflection (neither v1 nor v1alpha)")]
    NotOffered,
    /// The server does not know what was asked for.
    #[error("the server does not know `{0}`")]
    NotFound(String),
    /// The server refused, or the connection broke.
    #[error("reflection failed: {0}")]
    Refused(#[from] Status),
    /// The answer makes no sense.
    #[error("the server's reflection answers {0}")]
    Malformed(&'static str),
}

/// The reflection service of one server.
pub(crate) struct Reflection {
    grpc: Grpc<Channel>,
    headers: MetadataMap,
    path: &'static str,
    /// The files already fetched: services share most of what they import.
    files: BTreeMap<String, FileDescriptorProto>,
}

impl Reflection {
    /// Asks over `channel`, with `headers` in each request.
    pub(crate) fn new(channel: Channel, headers: MetadataMap) -> Self {
        Self {
            grpc: Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES),
            headers,
            path: V1,
            files: BTreeMap::new(),
        }
    }

    /// Full names of the services, sorted.
    pub(crate) async fn services(&mut self) -> Result<BTreeSet<String>, ReflectError> {
        match self.ask(Question::ListServices("*".to_owned())).await? {
            Answer::ListServicesResponse(list) => Ok(list
                .service
                .into_iter()
                .map(|service| service.name)
                .collect()),
            _ => Err(ReflectError::Malformed(
                "a list of services with something else",
            )),
        }
    }

    /// The descriptor of one service, with the files that its messages need.
    pub(crate) async fn service(&mut self, name: &str) -> Result<ServiceDescriptor, ReflectError> {
        let mut needed = BTreeMap::new();
        self.closure(name, &mut needed).await?;
        together(needed)?
            .get_service_by_name(name)
            .ok_or_else(|| ReflectError::NotFound(name.to_owned()))
    }

    /// Everything that the server describes. Services that it lists without a descriptor are left out.
    pub(crate) async fn pool(&mut self) -> Result<DescriptorPool, ReflectError> {
        let mut needed = BTreeMap::new();
        for service in self.services().await? {
            match self.closure(&service, &mut needed).await {
                Ok(()) | Err(ReflectError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        together(needed)
    }

    /// The files of a symbol, with all that they import.
    async fn closure(
        &mut self,
        symbol: &str,
        needed: &mut BTreeMap<String, FileDescriptorProto>,
    ) -> Result<(), ReflectError> {
        let symbol = Question::FileContainingSymbol(symbol.to_owned());
        let mut wanted = self.fetch(symbol).await?;
        while let Some(name) = wanted.pop() {
            if needed.contains_key(&name) {
                continue;
            }
            let file = self.file(&name).await?;
            wanted.extend(file.dependency.iter().cloned());
            needed.insert(name, file);
        }
        Ok(())
    }

    async fn file(&mut self, name: &str) -> Result<FileDescriptorProto, ReflectError> {
        if let Some(file) = self.files.get(name) {
            return Ok(file.clone());
        }
        match self.fetch(Question::FileByFilename(name.to_owned())).await {
            Ok(_) => (self.files.get(name).cloned())
                .ok_or(ReflectError::Malformed("a file name with another file")),
            Err(ReflectError::NotFound(missing)) => {
                well_known(name).ok_or(ReflectError::NotFound(missing))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for files, keeps them and says their names.
    async fn fetch(&mut self, question: Question) -> Result<Vec<String>, ReflectError> {
        let Answer::FileDescriptorResponse(answer) = self.ask(question).await? else {
            return Err(ReflectError::Malformed("a file with something else"));
        };
        let mut names = Vec::new();
        for bytes in answer.file_descriptor_proto {
            let file = FileDescriptorProto::decode(bytes.as_slice())
                .map_err(|_| ReflectError::Malformed("a file that is no descriptor"))?;
            names.push(file.name().to_owned());
            self.files.insert(file.name().to_owned(), file);
        }
        Ok(names)
    }

    async fn ask(&mut self, question: Question) -> Result<Answer, ReflectError> {
        let answer = match self.ask_at(self.path, question.clone()).await {
            Err(status) if status.code() == Code::Unimplemented && self.path == V1 => {
                self.path = V1ALPHA;
                self.ask_at(V1ALPHA, question.clone()).await
            }
            answer => answer,
        };
        match answer {
            Ok(Some(Answer::ErrorResponse(error))) => match Code::from(error.error_code) {
                Code::NotFound => Err(ReflectError::NotFound(subject(question))),
                code => Err(Status::new(code, error.error_message).into()),
            },
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(ReflectError::Malformed("nothing")),
            Err(status) => Err(match status.code() {
                Code::Unimplemented => ReflectError::NotOffered,
                Code::NotFound => ReflectError::NotFound(subject(question)),
                _ => status.into(),
            }),
        }
    }

    async fn ask_at(
        &mut self,
        path: &'static str,
        question: Question,
    ) -> Result<Option<Answer>, Status> {
        self.grpc
            .ready()
            .await
            .map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(tokio_stream::once(ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        }));
        *request.metadata_mut() = self.headers.clone();
        let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
        let path = PathAndQuery::from_static(path);
        let mut answers = self
            .grpc
            .streaming(request, path, codec)
            .await?
            .into_inner();
        let answer = answers.message().await?;
        Ok(answer.and_then(|answer| answer.message_response))
    }
}

fn together(files: BTreeMap<String, FileDescriptorProto>) -> Result<DescriptorPool, ReflectError> {
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(files.into_values())
        .map_err(|_| ReflectError::Malformed("descriptors that do not fit together"))?;
    Ok(pool)
}

fn subject(question: Question) -> String {
    match question {
        Question::FileByFilename(name)
        | Question::FileContainingSymbol(name)
        | Question::ListServices(name)
        | Question::AllExtensionNumbersOfType(name) => name,
        Question::FileContainingExtension(extension) => extension.containing_type,
    }
}

/// `google/protobuf/*.proto`, which some servers import and do not serve.
fn well_known(file: &str) -> Option<FileDescriptorProto> {
    let file = DescriptorPool::global().get_file_by_name(file)?;
    Some(file.file_descriptor_proto().clone())
}
