//! A gateway in one of the table's settings, with the scripted provider behind it.

use identity_gateway::domain::verification;
use tokio::net::TcpSocket;

use crate::{
    it::table::Setting,
    kit::{
        companies::{self, credentials, named, variable},
        gateway::Gateway,
        provider::Provider,
    },
};

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
        Self::with::<String>(setting, Vec::new()).await
    }

    /// A setting with some variables of the row's own.
    pub async fn with<K: Into<String>>(setting: Setting, own: Vec<(K, String)>) -> Self {
        let provider = Provider::start().await;
        let mut address = provider.address;
        let mut closed = None;
        if setting == Setting::Unreachable {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            address = socket.local_addr().unwrap();
            closed = Some(socket);
        }
        let mut variables = companies::variables(&format!("http://{address}"));
        if let Setting::Without(provider) = setting {
            let keys: Vec<_> = credentials(named(provider))
                .iter()
                .map(|(key, _)| variable(named(provider), key))
                .collect();
            variables.retain(|(name, _)| !keys.contains(name));
        }
        for provider in verification::Provider::ALL {
            let mut add = |key: &str, value: &str| {
                variables.push((variable(provider, key), value.to_owned()));
            };
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
        if matches!(
            setting,
            Setting::OnePlace | Setting::OneCall | Setting::GivesUp
        ) {
            // Who keeps the place of the others gives it back when it goes.
            variables.push(("IDGW_SHARING__RECOVER_TTL".into(), "0s".into()));
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
        let own = own.into_iter().map(|(name, value)| (name.into(), value));
        variables.extend(own);
        Self {
            gateway: Gateway::serve(variables).await,
            provider,
            _closed: closed,
        }
    }
}
