//! A provider that hangs, or answers every call with a page of HTML, is left alone: counted in the requests
//! that it receives, and may charge for.

use std::time::Duration;

use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    it::{
        scenarios::{calls, everyone},
        stage::Stage,
        table::Setting,
    },
    kit::{companies::curp_of, provider::Does, wire::bytes},
};

const CALLS: usize = 40;
/// Five open the circuit. On a slow machine a probe or two may go while the others are refused.
const FEW: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_or_speaks_html_is_sent_few_requests_whatever_the_callers_deadlines()
{
    let html = || Does::Answers(bytes(200, "<html>up and well</html>"));
    let late = || Does::Answers(bytes(504, everyone::between("nginx")));
    for (what, does, deadline) in [
        ("hangs", Does::Hangs, Some(Duration::from_millis(150))),
        ("HTML", html(), None),
        ("HTML in between", late(), None),
    ] {
        let stage = Stage::with(
            Setting::Usual,
            vec![
                (
                    "IDGW_PROVIDERS__ACCUAUTH__BREAKER_CONSECUTIVE_FAILURES",
                    "5".to_owned(),
                ),
                (
                    "IDGW_PROVIDERS__ACCUAUTH__BREAKER_ABANDONED_AFTER",
                    "100ms".to_owned(),
                ),
            ],
        )
        .await;
        stage.provider.next(vec![does; CALLS]);
        let mut open = 0;
        for number in 0..CALLS {
            // Of somebody else each time: the same question would wait for the first request.
            let call = calls::curp_numbered(&curp_of(number));
            let client = &stage.gateway.client;
            let ended = client
                .call_within(call.method, &call.request, deadline)
                .await;
            let status = ended.unwrap_err();
            let info = status.get_details_error_info().unwrap();
            let billing = info.metadata["billing"].as_str();
            match info.reason.as_str() {
                "PROVIDER_CIRCUIT_OPEN" => {
                    assert_eq!((status.code(), billing), (Code::Unavailable, "not_billed"));
                    open += 1;
                }
                _ => assert_eq!(billing, "unknown", "{what}: {status:?}"),
            }
        }
        let sent = stage.provider.received().len();
        assert!(sent <= FEW, "{what}: {sent} requests");
        assert_eq!(open, CALLS - sent, "{what}");
    }
}
