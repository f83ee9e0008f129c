//! `idgw.identity.v1.IdentityService`: each RPC with those who can answer it, in their order.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    curp::CurpCheck,
    gateway::Gateway,
    kenya_id::KenyaIdScrub,
    pe_dni::PeDni,
    pe_foreigner_id::PeForeignerId,
    reply,
    routes::Supplier,
    verify::{Handler, Verify},
};
use crate::{
    call::Call,
    policy::PolicyError,
    proto::identity::v1::{
        CheckCurpRequest, CheckCurpResponse, ScrubKenyaIdRequest, ScrubKenyaIdResponse,
        VerifyPeDniRequest, VerifyPeDniResponse, VerifyPeForeignerIdRequest,
        VerifyPeForeignerIdResponse, identity_service_server::IdentityService,
    },
};

/// The service.
#[derive(Debug)]
pub struct Identity {
    pe_foreigner_id: Handler<PeForeignerId>,
    pe_dni: Handler<PeDni>,
    kenya_id: Handler<KenyaIdScrub>,
    curp: Handler<CurpCheck>,
}

impl Identity {
    /// The service over its gateway.
    ///
    /// # Errors
    ///
    /// If an RPC has no policy.
    pub fn new(gateway: &Arc<Gateway>) -> Result<Self, PolicyError> {
        let gateway = &**gateway;
        let (verifik, youverify, accuauth) =
            (&gateway.verifik, &gateway.youverify, &gateway.accuauth);
        Ok(Self {
            pe_foreigner_id: Handler::new(gateway, [Supplier::new(verifik)])?,
            pe_dni: Handler::new(gateway, [Supplier::new(verifik)])?,
            kenya_id: Handler::new(gateway, [Supplier::new(youverify)])?,
            curp: Handler::new(gateway, [Supplier::new(accuauth)])?,
        })
    }
}

async fn answer<V: Verify>(
    handler: &Handler<V>,
    request: Request<V::Request>,
) -> Result<Response<V::Response>, Status> {
    let call = Call::of(request.extensions());
    reply(&call, handler.answer(&call, request.into_inner()).await)
}

#[tonic::async_trait]
impl IdentityService for Identity {
    async fn verify_pe_foreigner_id(
        &self,
        request: Request<VerifyPeForeignerIdRequest>,
    ) -> Result<Response<VerifyPeForeignerIdResponse>, Status> {
        answer(&self.pe_foreigner_id, request).await
    }

    async fn verify_pe_dni(
        &self,
        request: Request<VerifyPeDniRequest>,
    ) -> Result<Response<VerifyPeDniResponse>, Status> {
        answer(&self.pe_dni, request).await
    }

    async fn scrub_kenya_id(
        &self,
        request: Request<ScrubKenyaIdRequest>,
    ) -> Result<Response<ScrubKenyaIdResponse>, Status> {
        answer(&self.kenya_id, request).await
    }

    async fn check_curp(
        &self,
        request: Request<CheckCurpRequest>,
    ) -> Result<Response<CheckCurpResponse>, Status> {
        answer(&self.curp, request).await
    }
}

#[cfg(test)]
mod tests {
    use prost::Name;

    use super::*;
    use crate::{config::Settings, policy::Policies, proto};

    /// The name is all that ties a handler to its policy, scope and audit: another's would be taken in silence.
    #[test]
    fn each_rpc_is_named_as_its_messages_are() {
        fn named<V: Verify<Request: Name>>() -> &'static str {
            let (service, method) = V::RPC.split_once('/').unwrap();
            let service = proto::descriptors().get_service_by_name(service).unwrap();
            let method = service.methods().find(|known| known.name() == method);
            let method = method.unwrap();
            assert_eq!(method.input().full_name(), V::Request::full_name());
            assert_eq!(method.output().full_name(), V::Response::full_name());
            V::RPC
        }
        let named = [
            named::<PeForeignerId>(),
            named::<PeDni>(),
            named::<KenyaIdScrub>(),
            named::<CurpCheck>(),
        ];
        let service = "idgw.identity.v1.IdentityService";
        let service = proto::descriptors().get_service_by_name(service).unwrap();
        assert_eq!(service.methods().len(), named.len());
    }

    /// With thousands in flight the memory that each works on decides how fast they are. What one call
    /// in many waits for (Redis, the audit's writer, its budget) is boxed, so that the others need no
    /// room for it.
    #[tokio::test]
    async fn a_handler_waits_in_less_than_two_kilobytes() {
        let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
        let (gateway, _watches) =
            Gateway::new(Settings::default().of_service(), policies, 0).unwrap();
        let service = Identity::new(&gateway).unwrap();
        let sizes = [
            size_of_val(&*service.check_curp(Request::new(Default::default()))),
            size_of_val(&*service.scrub_kenya_id(Request::new(Default::default()))),
            size_of_val(&*service.verify_pe_foreigner_id(Request::new(Default::default()))),
        ];
        assert!(sizes.iter().all(|size| *size < 2048), "{sizes:?}");
    }
}
