//! A defect in a handler is answered.

use std::convert::Infallible;

use tonic_types::StatusExt as _;

use super::*;
use crate::proto;

const CURP: &str = "/identity.v1.IdentityService/CheckCurp";
const GET: &str = "/person.v1.PersonService/GetPerson";

/// A handler with a defect, after it has sent something or before.
#[derive(Clone)]
struct Defect {
    sends: bool,
}

impl Service<Request<Body>> for Defect {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sends = self.sends;
        Box::pin(async move {
            let facts = request.extensions().get::<Arc<CallFacts>>().unwrap();
            facts.asks(Provider::Accuauth);
            if sends {
                facts.attempt();
            }
            panic!("a name, perhaps")
        })
    }
}

#[tokio::test]
async fn a_defect_is_internal_and_what_was_out_may_have_been_charged() {
    let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
    for (path, sends, billing) in [
        (CURP, true, "unknown"),
        (CURP, false, "not_billed"),
        (GET, true, "not_billed"),
    ] {
        let places = Admission::new(1, 100);
        let layer = CallLayer::new(&policies, places, Duration::from_secs(5));
        let mut service = layer.layer(Defect { sends });
        let request = Request::post(path).body(Body::empty()).unwrap();
        let answer = service.call(request).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.metadata["billing"].as_str()), ("INTERNAL", billing));
        assert!(!status.message().contains("a name"));
    }
}
