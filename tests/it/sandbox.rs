//! `serve --sandbox`: every row of the sandbox's published table gives what the table says.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use identity_gateway::sandbox::{Row, table};
use serde_json::Value;
use tonic_types::StatusExt as _;

use crate::{
    it::{run::upper_snake, stage},
    kit::{companies, gateway::Gateway},
};

/// Rows at a time: some take seconds on purpose.
const AT_ONCE: usize = 16;
/// The sandbox's slow answer takes 2 s, its endless one 60 s.
const TIMEOUT: &str = "6s";

/// What a row gives while the provider is held back, and for how long that is at most.
const LIMITED: &str = "RESOURCE_EXHAUSTED PROVIDER_RATE_LIMITED";
const HELD: Duration = Duration::from_secs(1);

async fn gives(gateway: &Gateway, row: &Row) -> String {
    let request: Value = serde_json::from_str(row.request).unwrap();
    match gateway.client.call(row.method, &request).await {
        Ok(answer) => match answer["verification"]["outcome"].as_str() {
            Some(outcome) => {
                let environment = &answer["verification"]["environment"];
                assert_eq!(environment, "ENVIRONMENT_SANDBOX", "{answer}");
                format!("OK {outcome}")
            }
            None => "OK".to_owned(),
        },
        Err(status) => {
            let code = upper_snake(&format!("{:?}", status.code()));
            let reason = status.get_details_error_info().map(|info| info.reason);
            format!(
                "{code} {}",
                reason.unwrap_or_else(|| format!("({})", status.message()))
            )
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_sandboxs_table_gives_what_the_table_says() {
    // Each row stands for itself: no second try, and no circuit that the rows before opened.
    let keys = [("TIMEOUT", TIMEOUT)].into_iter().chain(stage::ONE_TRY);
    let timeouts = keys.flat_map(|(key, value)| companies::every(key, value));
    let gateway = Gateway::sandbox(timeouts).await;
    assert!(table().len() > 50, "the table has {} rows", table().len());
    let wrong: Vec<String> = stream::iter(table())
        .map(|row| async {
            let mut given = gives(&gateway, row).await;
            // After a row that limits the rate, the gateway holds the provider's other rows back.
            while given == LIMITED && row.gives != LIMITED {
                tokio::time::sleep(HELD).await;
                given = gives(&gateway, row).await;
            }
            let wrong = given != row.gives;
            wrong.then(|| {
                format!(
                    "{} {}: {given} instead of {}",
                    row.method, row.request, row.gives
                )
            })
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_has_a_row_for_every_rpc() {
    let methods = identity_gateway::proto::descriptors()
        .services()
        .filter(|service| ["idgw.identity.v1", "idgw.person.v1"].contains(&service.package_name()))
        .flat_map(|service| service.methods().collect::<Vec<_>>());
    for method in methods {
        let path = format!("{}/{}", method.parent_service().full_name(), method.name());
        assert!(
            table().iter().any(|row| row.method == path),
            "{path} has no row"
        );
    }
}
