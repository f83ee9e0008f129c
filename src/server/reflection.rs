//! Server reflection, v1 and v1alpha, which are the same on the wire.
//!
//! tonic-reflection serves no extensions, and ends the stream with the first name that it does not know. Here every question
//! has an answer, which may be an error, and the next one is read once it is taken: what a stream makes the gateway hold is
//! one file. What is told is the contract with its options, health, reflection itself, and the types of the error details, so
//! that grpcurl shows them in words.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool, FileDescriptor};
use prost_types::FileDescriptorSet;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb::{v1, v1alpha};

use self::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
    server_reflection_request::MessageRequest as Question,
    server_reflection_response::MessageResponse as Answer,
};
use crate::proto;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Reflection, in either version.
#[derive(Debug, Clone)]
pub struct Reflection(DescriptorPool);

impl Reflection {
    /// Of all services of the program.
    ///
    /// # Errors
    ///
    /// If descriptors that are part of the program do not fit together.
    pub fn new() -> Result<Self, DescriptorError> {
        let mut pool = proto::descriptors().clone();
        for encoded in [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            v1::FILE_DESCRIPTOR_SET,
            v1alpha::FILE_DESCRIPTOR_SET,
            tonic_types::pb::FILE_DESCRIPTOR_SET,
        ] {
            let set = FileDescriptorSet::decode(encoded).unwrap_or_default();
            let mut files = set.file;
            // The contract brings some of Google's with it.
            files.retain(|file| pool.get_file_by_name(file.name()).is_none());
            pool.add_file_descriptor_protos(files)?;
        }
        Ok(Self(pool))
    }

    fn answer(&self, asked: ServerReflectionRequest) -> ServerReflectionResponse {
        let answer = self.look_up(asked.message_request.as_ref());
        ServerReflectionResponse {
            valid_host: asked.host.clone(),
            original_request: Some(asked),
            message_response: Some(answer.unwrap_or_else(|(code, why)| {
                Answer::ErrorResponse(ErrorResponse {
                    error_code: code.into(),
                    error_message: why.to_owned(),
                })
            })),
        }
    }

    fn look_up(&self, question: Option<&Question>) -> Result<Answer, (Code, &'static str)> {
        let pool = &self.0;
        let unknown = (Code::NotFound, "there is none of that name");
        let file = match question {
            None => return Err((Code::InvalidArgument, "message_request is required")),
            Some(Question::ListServices(_)) => {
                let service = pool.services().map(|service| ServiceResponse {
                    name: service.full_name().to_owned(),
                });
                let service = service.collect();
                return Ok(Answer::ListServicesResponse(ListServiceResponse {
                    service,
                }));
            }
            Some(Question::AllExtensionNumbersOfType(name)) => {
                let message = pool.get_message_by_name(name).ok_or(unknown)?;
                let numbers = message.extensions();
                let numbers = numbers.map(|extension| extension.number().cast_signed());
                return Ok(Answer::AllExtensionNumbersResponse(
                    ExtensionNumberResponse {
                        base_type_name: name.clone(),
                        extension_number: numbers.collect(),
                    },
                ));
            }
            Some(Question::FileContainingExtension(extension)) => {
                let message = pool.get_message_by_name(&extension.containing_type);
                let number = extension.extension_number.cast_unsigned();
                let extension = message.and_then(|message| message.get_extension(number));
                extension.map(|extension| extension.parent_file())
            }
            Some(Question::FileByFilename(name)) => pool.get_file_by_name(name),
            Some(Question::FileContainingSymbol(name)) => file_of(pool, name),
        };
        Ok(Answer::FileDescriptorResponse(FileDescriptorResponse {
            file_descriptor_proto: vec![file.ok_or(unknown)?.encode_to_vec()],
        }))
    }
}

/// The file in which a name is defined: a type, a service, an extension, or a member of one.
fn file_of(pool: &DescriptorPool, name: &str) -> Option<FileDescriptor> {
    type_file(pool, name).or_else(|| {
        let (parent, member) = name.rsplit_once('.')?;
        let has_member = pool.get_message_by_name(parent).is_some_and(|message| {
            message.get_field_by_name(member).is_some()
                || message.oneofs().any(|oneof| oneof.name() == member)
        }) || pool
            .get_service_by_name(parent)
            .is_some_and(|service| service.methods().any(|method| method.name() == member))
            || pool
                .get_enum_by_name(parent)
                .is_some_and(|known| known.get_value_by_name(member).is_some());
        if has_member {
            return type_file(pool, parent);
        }
        // The values of an enum are its siblings.
        let mut enums = pool.all_enums();
        let of_value = enums.find(|known| known.values().any(|value| value.full_name() == name));
        of_value.map(|known| known.parent_file())
    })
}

fn type_file(pool: &DescriptorPool, name: &str) -> Option<FileDescriptor> {
    let message = pool.get_message_by_name(name).map(|m| m.parent_file());
    message
        .or_else(|| Some(pool.get_service_by_name(name)?.parent_file()))
        .or_else(|| Some(pool.get_enum_by_name(name)?.parent_file()))
        .or_else(|| Some(pool.get_extension_by_name(name)?.parent_file()))
}

#[tonic::async_trait]
impl v1::server_reflection_server::ServerReflection for Reflection {
    type ServerReflectionInfoStream = Answers<ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let reflection = self.clone();
        let questions = request.into_inner();
        let answers = questions.map(move |asked| Ok(reflection.answer(asked?)));
        Ok(Response::new(Box::pin(answers)))
    }
}

#[tonic::async_trait]
impl v1alpha::server_reflection_server::ServerReflection for Reflection {
    type ServerReflectionInfoStream = Answers<v1alpha::ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<v1alpha::ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let reflection = self.clone();
        let questions = request.into_inner();
        let answers = questions.map(move |asked| {
            let answer = reflection.answer(same_on_the_wire(&asked?)?);
            same_on_the_wire(&answer)
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

fn same_on_the_wire<T: Message + Default>(message: &impl Message) -> Result<T, Status> {
    T::decode(message.encode_to_vec().as_slice())
        .map_err(|_| Status::internal("v1 and v1alpha differ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of the file, or the code of the error.
    fn ask(question: Question) -> Result<String, i32> {
        let asked = ServerReflectionRequest {
            host: "gateway.test".to_owned(),
            message_request: Some(question),
        };
        let reflection = Reflection::new().unwrap();
        let answered = reflection.answer(asked.clone());
        assert_eq!(answered.original_request, Some(asked.clone()));
        // As v1alpha has it.
        let alpha: v1alpha::ServerReflectionResponse = same_on_the_wire(&answered).unwrap();
        let back: ServerReflectionResponse = same_on_the_wire(&alpha).unwrap();
        assert_eq!(back, answered);
        match answered.message_response.unwrap() {
            Answer::FileDescriptorResponse(files) => {
                let file = &files.file_descriptor_proto[0];
                let file = prost_types::FileDescriptorProto::decode(file.as_slice()).unwrap();
                Ok(file.name().to_owned())
            }
            Answer::ListServicesResponse(list) => {
                let names: Vec<_> = list.service.into_iter().map(|named| named.name).collect();
                Ok(names.join(" "))
            }
            Answer::AllExtensionNumbersResponse(numbers) => {
                Ok(format!("{:?}", numbers.extension_number))
            }
            Answer::ErrorResponse(error) => Err(error.error_code),
        }
    }

    #[test]
    fn every_name_of_the_contract_has_its_file_and_an_unknown_one_has_an_error_for_answer() {
        let symbol = |name: &str| ask(Question::FileContainingSymbol(name.to_owned()));
        let file = |name: &str| Ok(format!("idgw/{name}.proto"));
        for (name, expected) in [
            (
                "idgw.identity.v1.IdentityService",
                file("identity/v1/identity_service"),
            ),
            (
                "idgw.identity.v1.IdentityService.CheckCurp",
                file("identity/v1/identity_service"),
            ),
            ("idgw.identity.v1.CurpRecord", file("identity/v1/curp")),
            ("idgw.identity.v1.CurpRecord.curp", file("identity/v1/curp")),
            ("idgw.identity.v1.CurpStatus", file("identity/v1/curp")),
            ("idgw.identity.v1.CURP_STATUS_RCN", file("identity/v1/curp")),
            ("idgw.gateway.v1.policy", file("gateway/v1/policy")),
            ("idgw.identity.v1.IdentityService.Nothing", Err(5)),
            ("identity.v1.IdentityService", Err(5)),
            ("", Err(5)),
            (".", Err(5)),
        ] {
            assert_eq!(symbol(name), expected, "{name}");
        }
        for name in [
            "google.rpc.ErrorInfo",
            "google.protobuf.Value.kind",
            "grpc.health.v1.Health.Watch",
            "grpc.reflection.v1alpha.ServerReflection",
        ] {
            assert!(symbol(name).is_ok(), "{name}");
        }
        let by_name = |name: &str| ask(Question::FileByFilename(name.to_owned()));
        assert_eq!(
            by_name("idgw/gateway/v1/policy.proto"),
            file("gateway/v1/policy")
        );
        assert_eq!(by_name("policy.proto"), Err(5));
        let services = ask(Question::ListServices(String::new())).unwrap();
        for service in [
            "idgw.person.v1.PersonService",
            "grpc.reflection.v1.ServerReflection",
        ] {
            assert!(services.contains(service), "{services}");
        }
    }

    #[test]
    fn extensions_are_found_by_their_number_and_listed_and_the_options_that_use_them_are_there() {
        let options = "google.protobuf.MethodOptions";
        let policy = proto::descriptors().get_extension_by_name("idgw.gateway.v1.policy");
        let number = policy.unwrap().number().cast_signed();
        for (containing_type, extension_number, expected) in [
            (
                options,
                number,
                Ok("idgw/gateway/v1/policy.proto".to_owned()),
            ),
            (options, number + 1, Err(5)),
            (options, -1, Err(5)),
            ("google.protobuf.FileOptions", number, Err(5)),
            ("nothing", number, Err(5)),
        ] {
            let found = ask(Question::FileContainingExtension(v1::ExtensionRequest {
                containing_type: containing_type.to_owned(),
                extension_number,
            }));
            assert_eq!(found, expected, "{containing_type} {extension_number}");
        }
        let all = |name: &str| ask(Question::AllExtensionNumbersOfType(name.to_owned()));
        assert_eq!(all(options), Ok(format!("[{number}]")));
        assert_eq!(all("idgw.identity.v1.CurpRecord"), Ok("[]".to_owned()));
        assert_eq!(all("nothing"), Err(5));

        let pool = Reflection::new().unwrap().0;
        let service = file_of(&pool, "idgw.identity.v1.IdentityService").unwrap();
        let kept = service.encode_to_vec();
        // The option's key on the wire: its number, and that a length follows.
        let mut key = Vec::new();
        prost::encoding::encode_varint(u64::from(number.cast_unsigned()) << 3 | 2, &mut key);
        assert!(kept.windows(key.len()).any(|bytes| bytes == key));
    }
}
