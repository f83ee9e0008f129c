//! What is counted: each request once, in the column that the provider's document says.

use super::*;

fn counts(received: u64, billed: u64, not_billed: u64, unknown: u64) -> Value {
    json!({ "received": received, "billed": billed, "not_billed": not_billed, "unknown": unknown })
}

#[tokio::test]
async fn it_starts_at_zero_and_can_be_reset() {
    let sandbox = start().await;
    let zero = counts(0, 0, 0, 0);
    let nothing = json!({ "verifik": zero, "youverify": zero, "accuauth": zero });
    assert_eq!(sandbox.ledger().await, nothing);
    send(sandbox.mexico(&json!({ "id_number": MX_CURP }))).await;
    assert_eq!(sandbox.ledger().await["accuauth"], counts(1, 1, 0, 0));
    let (status, _) = send(sandbox.request(Method::DELETE, "/_sandbox/ledger")).await;
    assert_eq!((status, sandbox.ledger().await), (200, nothing));
}

#[tokio::test]
async fn accuauth_codes_0_to_3_are_billed_5_and_errors_are_not() {
    for (curp, expected) in [
        (MX_CURP, counts(1, 1, 0, 0)),
        ("HEGG560427MVZRRL04", counts(1, 1, 0, 0)),
        ("NOEX900101HDFSND08", counts(1, 1, 0, 0)),
        ("FORM900101HDFSND08", counts(1, 1, 0, 0)),
        ("NULO900101HDFSND09", counts(1, 1, 0, 0)),
        ("DATA900101HDFSND07", counts(1, 0, 1, 0)),
        ("CODE900101HDFSND02", counts(1, 0, 0, 1)),
        ("PEND900101HDFSND02", counts(1, 0, 1, 0)),
        ("DOWN900101HDFSND09", counts(1, 0, 1, 0)),
        ("MUCH900101HDFSND01", counts(1, 0, 1, 0)),
    ] {
        let sandbox = start().await;
        send(sandbox.mexico(&json!({ "id_number": curp }))).await;
        assert_eq!(sandbox.ledger().await["accuauth"], expected, "{curp}");
    }
}

#[tokio::test]
async fn verifik_and_youverify_do_not_say_what_found_and_not_found_cost() {
    let sandbox = start().await;
    for (number, expected) in [
        ("005015372", counts(1, 0, 0, 1)),
        ("123456789", counts(2, 0, 0, 2)),
        ("OUTOFSERVICE", counts(3, 0, 1, 2)),
    ] {
        send(sandbox.peru(number, "16/08/1993")).await;
        assert_eq!(sandbox.ledger().await["verifik"], expected, "{number}");
    }
    send(sandbox.verifik(Method::GET, "/v2/persons/person_unknown")).await;
    assert_eq!(sandbox.ledger().await["verifik"], counts(4, 0, 2, 2));
    for (id, expected) in [
        ("1234567", counts(1, 0, 0, 1)),
        ("00000000", counts(2, 0, 0, 2)),
        ("900000402", counts(3, 0, 1, 2)),
    ] {
        let body = json!({ "id": id, "idType": "national-id", "isSubjectConsent": true });
        send(sandbox.kenya(&body)).await;
        assert_eq!(sandbox.ledger().await["youverify"], expected, "{id}");
    }
}

#[tokio::test]
async fn a_spoilt_answer_costs_what_the_whole_one_would() {
    let sandbox = start().await;
    // Only the one that never answers takes it all.
    let patience = Duration::from_secs(1);
    for curp in [
        "NUNC900101HDFSND02",
        "CORT900101HDFSND02",
        "MEDI900101HDFSND09",
        "ROTO900101HDFSND07",
        "GIGA900101HDFSND01",
    ] {
        let ask = sandbox.mexico(&json!({ "id_number": curp }));
        let _ = ask.timeout(patience).send().await;
    }
    assert_eq!(sandbox.ledger().await["accuauth"], counts(5, 5, 0, 0));
    for number in [
        "NEVERANSWERS",
        "CUTCONNECT",
        "TRUNCATED",
        "MALFORMED",
        "OVERSIZED",
    ] {
        let ask = sandbox.peru(number, "16/08/1993");
        let _ = ask.timeout(patience).send().await;
    }
    assert_eq!(sandbox.ledger().await["verifik"], counts(5, 0, 0, 5));
}
