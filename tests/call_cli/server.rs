//! A gateway made by hand: it answers by the number that is asked and keeps what it was sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use identity_gateway::proto::{
    FILE_DESCRIPTOR_SET,
    identity::v1::{
        CheckCurpRequest, CheckCurpResponse, CurpRecord, CurpStatus, Outcome, ScrubKenyaIdRequest,
        ScrubKenyaIdResponse, Verification, VerifyPeDniRequest, VerifyPeDniResponse,
        VerifyPeForeignerIdRequest, VerifyPeForeignerIdResponse,
        identity_service_server::{IdentityService, IdentityServiceServer},
    },
};
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use tokio::sync::watch;
use tonic::{
    Request, Response, Status, async_trait,
    metadata::MetadataMap,
    service::InterceptorLayer,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};

/// Which versions of reflection a server offers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    Both,
    V1Alpha,
    Nothing,
}

/// A running server. It ends with the test's runtime.
pub struct Gateway {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    pub health: HealthReporter,
}

/// What the server was sent, and what it is to refuse.
pub struct Seen {
    pub curp: Mutex<Option<CheckCurpRequest>>,
    pub metadata: Mutex<MetadataMap>,
    pub refusal: Mutex<Option<Status>>,
    /// True once a call hangs.
    pub hanging: watch::Sender<bool>,
}

impl Gateway {
    pub async fn start() -> Self {
        Self::offering(Offer::Both).await
    }

    pub async fn offering(offer: Offer) -> Self {
        Self::guarded(offer, None).await
    }

    /// With a `key`, every call needs `authorization: KEY`.
    pub async fn guarded(offer: Offer, key: Option<&'static str>) -> Self {
        let seen = Arc::new(Seen {
            curp: Mutex::default(),
            metadata: Mutex::default(),
            refusal: Mutex::default(),
            hanging: watch::Sender::new(false),
        });
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<IdentityServiceServer<ByHand>>().await;
        health
            .set_service_status("idgw.person.v1.PersonService", ServingStatus::NotServing)
            .await;

        let guard = move |request: Request<()>| match key {
            Some(key)
                if request
                    .metadata()
                    .get("authorization")
                    .is_none_or(|it| it != key) =>
            {
                Err(Status::unauthenticated("who is it?"))
            }
            _ => Ok(request),
        };
        let v1 = (offer == Offer::Both).then(|| reflection().build_v1().unwrap());
        let v1alpha = (offer != Offer::Nothing).then(|| reflection().build_v1alpha().unwrap());
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap())
            .unwrap()
            .with_nodelay(Some(true));
        let address = incoming.local_addr().unwrap();
        tokio::spawn(
            Server::builder()
                .layer(InterceptorLayer::new(guard))
                .add_service(IdentityServiceServer::new(ByHand(seen.clone())))
                .add_service(health_service)
                .add_optional_service(v1)
                .add_optional_service(v1alpha)
                .serve_with_incoming(incoming),
        );
        Self {
            address,
            seen,
            health,
        }
    }

    pub fn refuse(&self, status: Status) {
        *self.seen.refusal.lock().unwrap() = Some(status);
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_file_descriptor_set(FileDescriptorSet {
            file: vec![twins()],
        })
}

/// Two services with a method of the same name, one of them streaming, over a file that the server
/// imports and does not serve.
fn twins() -> FileDescriptorProto {
    let method = |name: &str, streaming| MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(".google.protobuf.Empty".to_owned()),
        output_type: Some(".google.protobuf.Empty".to_owned()),
        server_streaming: Some(streaming),
        ..Default::default()
    };
    let service = |name: &str, methods| ServiceDescriptorProto {
        name: Some(name.to_owned()),
        method: methods,
        ..Default::default()
    };
    FileDescriptorProto {
        name: Some("twins.proto".to_owned()),
        package: Some("twins.v1".to_owned()),
        dependency: vec!["google/protobuf/empty.proto".to_owned()],
        service: vec![
            service(
                "Castor",
                vec![method("Both", false), method("Stream", true)],
            ),
            service(
                "Pollux",
                vec![method("Both", false), method("Check", false)],
            ),
        ],
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}

pub struct ByHand(Arc<Seen>);

#[async_trait]
impl IdentityService for ByHand {
    async fn check_curp(
        &self,
        request: Request<CheckCurpRequest>,
    ) -> Result<Response<CheckCurpResponse>, Status> {
        *self.0.metadata.lock().unwrap() = request.metadata().clone();
        let request = request.into_inner();
        *self.0.curp.lock().unwrap() = Some(request.clone());
        if request.curp == "HANG" {
            self.0.hanging.send_replace(true);
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        let document = match request.curp.as_str() {
            "LARGE" => vec![0; 5 << 20],
            _ => vec![0xfb, 0xff],
        };
        let refusal = self.0.refusal.lock().unwrap().take();
        refusal.map_or_else(|| Ok(Response::new(found(document))), Err)
    }

    async fn scrub_kenya_id(
        &self,
        request: Request<ScrubKenyaIdRequest>,
    ) -> Result<Response<ScrubKenyaIdResponse>, Status> {
        Ok(Response::new(ScrubKenyaIdResponse {
            metadata: request.into_inner().metadata,
            ..Default::default()
        }))
    }

    async fn verify_pe_dni(
        &self,
        _: Request<VerifyPeDniRequest>,
    ) -> Result<Response<VerifyPeDniResponse>, Status> {
        Ok(Response::new(VerifyPeDniResponse::default()))
    }

    async fn verify_pe_foreigner_id(
        &self,
        _: Request<VerifyPeForeignerIdRequest>,
    ) -> Result<Response<VerifyPeForeignerIdResponse>, Status> {
        Ok(Response::new(VerifyPeForeignerIdResponse::default()))
    }
}

fn found(document: Vec<u8>) -> CheckCurpResponse {
    CheckCurpResponse {
        verification: Some(Verification {
            id: "0190".to_owned(),
            outcome: Outcome::Found.into(),
            provider: "accuauth".to_owned(),
            checked_at: Some(prost_types::Timestamp {
                seconds: 0,
                nanos: 5_000_000,
            }),
            ..Default::default()
        }),
        record: Some(Box::new(CurpRecord {
            given_name: Some("JUANA".to_owned()),
            birth_state: Some(String::new()),
            status: CurpStatus::Rcn.into(),
            active: Some(false),
            proof_document_type: 99,
            document: Some(document.into()),
            ..Default::default()
        })),
    }
}
