//! A gateway in one of the table's settings, with the scripted provider behind it.

use tokio::net::TcpSocket;

use crate::{
    it::table::Setting,
    kit::{gateway::Gateway, provider::Provider},
};

pub const VERIFIK_TOKEN: &str = "verifik-token-for-tests";
pub const YOUVERIFY_TOKEN: &str = "youverify-token-for-tests";
pub const API_ID: &str = "accuauth-id-for-tests";
pub const API_SECRET: &str = "accuauth-secret-for-tests";

/// The credentials that must appear nowhere but in the provider's request.
pub const SECRETS: [&str; 4] = [VERIFIK_TOKEN, YOUVERIFY_TOKEN, API_ID, API_SECRET];

/// Each call is sent once and the circuit stays closed, so that a row stands for itself. What repeats
/// and circuits do has tests of its own.
pub const ONE_TRY: [(&str, &str); 4] = [
    ("MAX_ATTEMPTS", "1"),
    ("QUEUE", "0"),
    ("BREAKER_CONSECUTIVE_FAILURES", "0"),
    ("BREAKER_MINIMUM_CALLS", "1000000"),
];

/// A gateway and its provider.
pub struct Stage {
    pub gateway: Gateway,
    pub provider: Provider,
    /// Holds a port at which nobody listens.
    _closed: Option<TcpSocket>,
}

impl Stage {
    pub async fn set(setting: Setting) -> Self {
        Self::with(setting, Vec::new()).await
    }

    /// A setting with some variables of the row's own.
    pub async fn with(setting: Setting, own: Vec<(&str, String)>) -> Self {
        let provider = Provider::start().await;
        let mut address = provider.address;
        let mut closed = None;
        if setting == Setting::Unreachable {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            address = socket.local_addr().unwrap();
            closed = Some(socket);
        }
        let mut variables = vec![
            (
                "IDGW_PROVIDERS__VERIFIK__TOKEN".to_owned(),
                VERIFIK_TOKEN.to_owned(),
            ),
            (
                "IDGW_PROVIDERS__YOUVERIFY__TOKEN".to_owned(),
                YOUVERIFY_TOKEN.to_owned(),
            ),
            (
                "IDGW_PROVIDERS__ACCUAUTH__API_ID".to_owned(),
                API_ID.to_owned(),
            ),
            (
                "IDGW_PROVIDERS__ACCUAUTH__API_SECRET".to_owned(),
                API_SECRET.to_owned(),
            ),
        ];
        if let Setting::Without(provider) = setting {
            let section = format!("IDGW_PROVIDERS__{}__", provider.to_uppercase());
            variables.retain(|(name, _)| !name.starts_with(&section));
        }
        for name in ["VERIFIK", "YOUVERIFY", "ACCUAUTH"] {
            let mut add = |key: &str, value: &str| {
                variables.push((format!("IDGW_PROVIDERS__{name}__{key}"), value.to_owned()));
            };
            add("BASE_URL", &format!("http://{address}"));
            add("CONNECT_TIMEOUT", "5s");
            for (key, value) in ONE_TRY {
                add(key, value);
            }
            match setting {
                Setting::Impatient => add("TIMEOUT", "1s"),
                Setting::ErrorsMayCost => add("ERRORS_ARE_FREE", "false"),
                Setting::SmallAnswers => add("MAX_RESPONSE_BYTES", "700"),
                Setting::OnePlace => add("MAX_IN_FLIGHT", "1"),
                Setting::OnceASecond => {
                    add("RATE_PER_SECOND", "1");
                    add("RATE_BURST", "1");
                }
                Setting::Fragile => add("BREAKER_CONSECUTIVE_FAILURES", "1"),
                Setting::Unusual => add("ENVIRONMENT", "sandbox"),
                _ => {}
            }
        }
        match setting {
            Setting::OneCall => variables.push(("IDGW_SERVER__MAX_IN_FLIGHT".into(), "1".into())),
            Setting::Unusual => variables.extend(
                [
                    ("IDGW_PROVIDERS__VERIFIK__PERSONS_PATH", "/v3/persons"),
                    ("IDGW_PROVIDERS__YOUVERIFY__ID_TYPES__ALIEN_ID", "alien-id"),
                    ("IDGW_PROVIDERS__YOUVERIFY__ID_TYPES__NATIONAL_ID", "nin"),
                    ("IDGW_PROVIDERS__ACCUAUTH__BODY_ENCODING", "form"),
                    ("IDGW_CURP__CHECK", "shape"),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
            ),
            _ => {}
        }
        let own = own
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        variables.extend(own);
        Self {
            gateway: Gateway::serve(variables).await,
            provider,
            _closed: closed,
        }
    }
}
