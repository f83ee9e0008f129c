//! Calls any RPC with proto JSON, and reads what comes back without a client-side timer.
//!
//! tonic's own channel enforces `grpc-timeout` by itself, and could hide that the gateway does not:
//! here the header travels and nothing else happens.

use std::{
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, BufMut as _};
use futures_util::{FutureExt as _, future::BoxFuture};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use identity_gateway::proto::{self, identity::v1::identity_service_client::IdentityServiceClient};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::metadata::MetadataMap;
use tonic::{
    Code, Request, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Long enough for every answer; a gateway that hangs fails the test instead of stopping it.
const PATIENCE: Duration = Duration::from_secs(120);
const LARGEST_ANSWER: usize = 32 << 20;

/// One connection to a gateway.
#[derive(Clone)]
pub struct Client {
    connection: Connection,
    origin: http::Uri,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self::over(socket, format!("http://{address}").parse().unwrap())
            .await
            .unwrap()
    }

    /// Over a stream that is open already.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        origin: http::Uri,
    ) -> Result<Self, hyper::Error> {
        let connection = Connection::over(stream).await?;
        Ok(Self { connection, origin })
    }

    /// Calls `package.Service/Method`. Request and answer are proto JSON with the proto files' names.
    pub async fn call(&self, method: &str, request: &Value) -> Result<Value, Status> {
        self.call_within(method, request, None).await
    }

    /// The same, with a `grpc-timeout`.
    pub async fn call_within(
        &self,
        method: &str,
        request: &Value,
        deadline: Option<Duration>,
    ) -> Result<Value, Status> {
        self.call_with(method, request, deadline, &[]).await
    }

    /// The same, with metadata.
    pub async fn call_as(
        &self,
        method: &str,
        request: &Value,
        metadata: &[(&'static str, &str)],
    ) -> Result<Value, Status> {
        self.call_with(method, request, None, metadata).await
    }

    async fn call_with(
        &self,
        method: &str,
        request: &Value,
        deadline: Option<Duration>,
        metadata: &[(&'static str, &str)],
    ) -> Result<Value, Status> {
        let seen = self.call_seen(method, request, deadline, metadata).await;
        seen.map(|(_, answer)| answer)
    }

    /// The same, with the metadata of the answer.
    pub async fn call_seen(
        &self,
        method: &str,
        request: &Value,
        deadline: Option<Duration>,
        metadata: &[(&'static str, &str)],
    ) -> Result<(MetadataMap, Value), Status> {
        let (input, output) = messages(method);
        let message = DynamicMessage::deserialize(input, request)
            .unwrap_or_else(|error| panic!("{method} {request}: {error}"));
        let mut request = Request::new(message.encode_to_vec());
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        for (name, value) in metadata {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        let path = format!("/{method}").parse().unwrap();
        let mut grpc =
            tonic::client::Grpc::with_origin(self.connection.clone(), self.origin.clone())
                .max_decoding_message_size(LARGEST_ANSWER);
        grpc.ready().await.map_err(|error| broken(&error))?;
        let answered = tokio::time::timeout(PATIENCE, grpc.unary(request, path, Bytes)).await;
        let answered =
            answered.unwrap_or_else(|_| panic!("{method} did not answer within {PATIENCE:?}"))?;
        let (head, bytes, _) = answered.into_parts();
        let answer = json(&DynamicMessage::decode(output, bytes.as_slice()).unwrap());
        Ok((head, answer))
    }
}

fn broken(error: &hyper::Error) -> Status {
    Status::new(
        Code::Unknown,
        format!("the test's connection broke: {error}"),
    )
}

fn messages(method: &str) -> (MessageDescriptor, MessageDescriptor) {
    let (service, name) = method.split_once('/').unwrap();
    let service = proto::descriptors().get_service_by_name(service).unwrap();
    let method = service.methods().find(|method| method.name() == name);
    let method = method.unwrap_or_else(|| panic!("there is no {name}"));
    (method.input(), method.output())
}

fn json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().use_proto_field_name(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap()
}

/// A generated client without a timer.
pub async fn identity(address: SocketAddr) -> IdentityServiceClient<Connection> {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let origin = format!("http://{address}").parse().unwrap();
    IdentityServiceClient::with_origin(Connection::over(socket).await.unwrap(), origin)
}

#[derive(Clone)]
pub struct Connection(SendRequest<Body>);

impl Connection {
    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, hyper::Error> {
        let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = shaken.await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }
}

impl tower_service::Service<http::Request<Body>> for Connection {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.send_request(request).boxed()
    }
}

/// Messages as they are on the wire.
#[derive(Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
