//! A gateway between a scripted provider and a collector.

use serde_json::{Value, json};

use crate::kit::{collector::Collector, companies, gateway::Gateway, provider::Provider, wire};

pub const CURP: &str = "idgw.identity.v1.IdentityService/CheckCurp";
pub const DNI: &str = "idgw.identity.v1.IdentityService/VerifyPeDni";
pub const FOREIGNER: &str = "idgw.identity.v1.IdentityService/VerifyPeForeignerId";
pub const GET: &str = "idgw.person.v1.PersonService/GetPerson";

/// All three, ready.
pub struct Stage {
    pub gateway: Gateway,
    pub provider: Provider,
    pub collector: Collector,
}

impl Stage {
    /// With these variables besides.
    pub async fn set(own: &[(&str, &str)]) -> Self {
        let (provider, collector) = (Provider::start().await, Collector::start().await);
        let endpoint = collector.endpoint();
        let mut variables = companies::variables(&format!("http://{}", provider.address));
        let mut add = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
        add("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
        add("OTEL_BSP_SCHEDULE_DELAY", "50");
        add("OTEL_METRIC_EXPORT_INTERVAL", "200");
        add("IDGW_SERVER__LAME_DUCK", "0s");
        for (name, value) in own {
            variables.retain(|(known, _)| known != name);
            variables.push(((*name).to_owned(), (*value).to_owned()));
        }
        Self {
            gateway: Gateway::serve(variables).await,
            provider,
            collector,
        }
    }
}

pub fn curp() -> Value {
    json!({"curp": "AAPR630321HDFLRC09"})
}

/// AccuAuth has found somebody.
pub fn found() -> Vec<crate::kit::provider::Does> {
    wire::says(
        200,
        json!({"request_id": "r-1", "status": "OK", "result_code": "0", "result_message": "found",
               "result": {"curp": "AAPR630321HDFLRC09", "estatusCurp": "RCN"}}),
    )
}

/// AccuAuth says that it is down.
pub fn down() -> Vec<crate::kit::provider::Does> {
    wire::says(
        500,
        json!({"request_id": "r-2", "status": "INTERNAL_ERROR"}),
    )
}
