//! The floor: what a lookup costs in tonic with one HTTP request behind it, and nothing else.
//!
//! `just floor` measures the gateway against it. It reads and answers as the gateway does, with the same
//! adapters, over one pool of plain HTTP/1.1 connections; it has no checks, deadlines, limits, retries,
//! telemetry, audit or cache. What the gateway takes above it is the price of all those.
//!
//! Run it as `floor LISTEN PROVIDER_URL`, on loopback.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use identity_gateway::{
    domain::{
        consent::SubjectConsent,
        kenya_id::{KenyaId, KenyaIdKind},
        lookup::KenyaLookup,
        redaction::Secret,
    },
    proto::identity::v1::{
        CheckCurpRequest, CheckCurpResponse, ScrubKenyaIdRequest, ScrubKenyaIdResponse,
        VerifyPeDniRequest, VerifyPeDniResponse, VerifyPeForeignerIdRequest,
        VerifyPeForeignerIdResponse,
        identity_service_server::{IdentityService, IdentityServiceServer},
    },
    provider::{Company as _, Supplies as _, youverify::Youverify},
    sandbox,
    transport::Answer,
};
use tokio::runtime::Builder;
use tonic::{Request, Response, Status, transport::Server};

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Floor {
    client: Client<HttpConnector, Full<Bytes>>,
    provider: String,
    youverify: Youverify,
    headers: HeaderMap,
}

fn broken(error: impl std::fmt::Display) -> Status {
    Status::unknown(error.to_string())
}

#[tonic::async_trait]
impl IdentityService for Floor {
    async fn scrub_kenya_id(
        &self,
        request: Request<ScrubKenyaIdRequest>,
    ) -> Result<Response<ScrubKenyaIdResponse>, Status> {
        let id = KenyaId::parse(KenyaIdKind::Passport, &request.get_ref().id);
        let lookup = KenyaLookup {
            id: id.map_err(Status::invalid_argument)?,
            consent: SubjectConsent::given(true).ok_or(Status::failed_precondition("consent"))?,
            metadata: None,
        };
        let asked = self.youverify.request(&lookup);
        let mut sent = http::Request::post(format!("{}{}", self.provider, asked.path))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(asked.body.unwrap_or_default()))
            .map_err(broken)?;
        sent.headers_mut().extend(asked.headers);
        sent.headers_mut().extend(self.headers.clone());
        let answer = self.client.request(sent).await.map_err(broken)?;
        let answer = Answer {
            status: answer.status().as_u16(),
            retry_after: None,
            body: answer
                .into_body()
                .collect()
                .await
                .map_err(broken)?
                .to_bytes(),
            is_sampled: false,
        };
        let read = self.youverify.read(&lookup, &answer);
        let verified = read.map_err(|_| Status::internal("malformed"))?;
        Ok(Response::new(ScrubKenyaIdResponse {
            record: verified.record,
            ..Default::default()
        }))
    }

    async fn verify_pe_foreigner_id(
        &self,
        _: Request<VerifyPeForeignerIdRequest>,
    ) -> Result<Response<VerifyPeForeignerIdResponse>, Status> {
        Err(Status::unimplemented("one lookup is enough for a floor"))
    }

    async fn verify_pe_dni(
        &self,
        _: Request<VerifyPeDniRequest>,
    ) -> Result<Response<VerifyPeDniResponse>, Status> {
        Err(Status::unimplemented("one lookup is enough for a floor"))
    }

    async fn check_curp(
        &self,
        _: Request<CheckCurpRequest>,
    ) -> Result<Response<CheckCurpResponse>, Status> {
        // An answer with nobody behind it: what an answer from the cache is measured against.
        Ok(Response::new(CheckCurpResponse::default()))
    }
}

fn main() -> Result<(), Failed> {
    let mut words = std::env::args().skip(1);
    let (Some(listen), Some(provider)) = (words.next(), words.next()) else {
        return Err("usage: floor LISTEN PROVIDER_URL".into());
    };
    let listen: SocketAddr = listen.parse()?;
    if !listen.ip().is_loopback() {
        return Err("the floor has no authentication: it listens on loopback only".into());
    }
    let headers = Youverify::headers(&[Secret::new(sandbox::YOUVERIFY_TOKEN)])?;
    let floor = Floor {
        client: Client::builder(TokioExecutor::new()).build_http(),
        provider,
        youverify: Youverify::new(&Default::default()),
        headers,
    };
    // As many threads as the gateway has, and switched alike.
    let mut runtime = match std::thread::available_parallelism()?.get() {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    #[cfg(tokio_unstable)]
    runtime.disable_lifo_slot();
    let runtime = runtime.enable_all().build()?;
    let mut server = Server::builder().tcp_nodelay(true);
    let served = server
        .add_service(IdentityServiceServer::new(floor))
        .serve(listen);
    runtime.block_on(served)?;
    Ok(())
}
