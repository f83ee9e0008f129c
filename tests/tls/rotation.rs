//! What changes while calls are under way: not one of them may fail.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    kit::{
        certs::{Ca, Mounted, NAME, client},
        client::Client,
        process::Process,
    },
    tls::{
        CURP, curp,
        load::{Load, connect},
        server::{mutual, tls},
        tls_provider::{Says, TlsProvider},
    },
};

const FOREIGNER: &str = "idgw.identity.v1.IdentityService/VerifyPeForeignerId";
const KENYA: &str = "idgw.identity.v1.IdentityService/ScrubKenyaId";

/// Every call would be a line of the log, in which a line is looked for.
const QUIET: (&str, &str) = (
    "IDGW_LOG__FILTER",
    "warn,identity_gateway::cli=info,identity_gateway::reload=info",
);

fn quiet(mut variables: Vec<(String, String)>) -> Vec<(String, String)> {
    variables.push((QUIET.0.to_owned(), QUIET.1.to_owned()));
    variables
}

/// Waits until it is so.
pub async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come about");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_to_new_connections_and_no_call_fails() {
    let (old_ca, new_ca) = (Ca::new("old"), Ca::new("new"));
    let (old, new) = (old_ca.issue(&[NAME]), new_ca.issue(&[NAME]));
    let mounted = Mounted::new(&[("tls.crt", &old.certificate), ("tls.key", &old.key)]);
    let gateway = Process::serve(&["--sandbox"], quiet(tls(&mounted))).await;

    let both = client(&[&old_ca, &new_ca], None);
    let config = both.clone();
    let dialling = Load::dialling(gateway.grpc, move || config.clone());
    let (open, shown) = connect(gateway.grpc, both.clone()).await.unwrap();
    assert_eq!(shown, old.der());
    let staying = Load::over(vec![open], &[(CURP, curp())]);
    staying.more(20).await;

    // A key that is not the certificate's, then half of a certificate: the old stays in force.
    let half = &new.certificate[..new.certificate.len() / 2];
    for (certificate, kept) in [(new.certificate.as_str(), 1.0), (half, 2.0)] {
        mounted.swap(&[("tls.crt", certificate), ("tls.key", &old.key)]);
        until("the refusal", || async {
            gateway.metric("idgw_reloads_total", "kept").await == kept
        })
        .await;
        let (_, shown) = connect(gateway.grpc, both.clone()).await.unwrap();
        assert_eq!(shown, old.der());
    }

    mounted.swap(&[("tls.crt", &new.certificate), ("tls.key", &new.key)]);
    until("the new certificate", || async {
        connect(gateway.grpc, both.clone()).await.unwrap().1 == new.der()
    })
    .await;
    staying.more(20).await;
    dialling.more(5).await;
    assert_eq!(gateway.metric("idgw_reloads_total", "taken").await, 1.0);
    let said = gateway
        .log
        .line(0, "reload rejected, keeping the previous version")
        .await;
    assert_eq!(said.unwrap()["key"], "server.tls");
    staying.end().await;
    dialling.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_client_ca_is_asked_of_all_connections_and_no_call_fails_before_the_old_one_goes() {
    let (servers, old_ca, new_ca) = (Ca::new("servers'"), Ca::new("old"), Ca::new("new"));
    let pair = servers.issue(&[NAME]);
    let (old, new) = (old_ca.issue(&["old.test"]), new_ca.issue(&["new.test"]));
    let swap = |mounted: &Mounted, cas: &str| {
        mounted.swap(&[
            ("tls.crt", &pair.certificate),
            ("tls.key", &pair.key),
            ("ca.crt", cas),
        ]);
    };
    let mounted = Mounted::new(&[
        ("tls.crt", &pair.certificate),
        ("tls.key", &pair.key),
        ("ca.crt", &old_ca.pem()),
    ]);
    let gateway = Process::serve(&["--sandbox"], quiet(mutual(&mounted, "required"))).await;
    let (with_old, with_new) = (
        client(&[&servers], Some(&old)),
        client(&[&servers], Some(&new)),
    );
    let taken = async |config: &rustls::ClientConfig| {
        let Ok((client, _)) = connect(gateway.grpc, config.clone()).await else {
            return false;
        };
        client.call(CURP, &curp()).await.is_ok()
    };
    assert!(taken(&with_old).await && !taken(&with_new).await);
    let (open, _) = connect(gateway.grpc, with_old.clone()).await.unwrap();
    let staying = Load::over(vec![open], &[(CURP, curp())]);

    // First both, so that clients can change theirs, then the new one alone.
    let own = std::sync::Arc::new(std::sync::Mutex::new(with_old.clone()));
    let shown = std::sync::Arc::clone(&own);
    let dialling = Load::dialling(gateway.grpc, move || shown.lock().unwrap().clone());
    swap(&mounted, &format!("{}{}", old_ca.pem(), new_ca.pem()));
    until("the new CA", || taken(&with_new)).await;
    assert!(taken(&with_old).await);
    *own.lock().unwrap() = with_new.clone();
    dialling.more(5).await;
    staying.more(20).await;
    staying.end().await;
    let (open, _) = connect(gateway.grpc, with_old.clone()).await.unwrap();
    open.call(CURP, &curp()).await.unwrap();
    let (new_open, _) = connect(gateway.grpc, with_new.clone()).await.unwrap();
    let staying = Load::over(vec![new_open], &[(CURP, curp())]);
    swap(&mounted, &new_ca.pem());
    until("the end of the old CA", || async {
        !taken(&with_old).await
    })
    .await;
    assert!(taken(&with_new).await);
    // Whoever was let in under the old one goes; the others stay.
    until("the end of the open connection", || async {
        open.call(CURP, &curp()).await.is_err()
    })
    .await;
    staying.more(20).await;
    dialling.more(5).await;
    staying.end().await;
    dialling.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_of_each_provider_is_sent_and_no_call_fails() {
    let provider = TlsProvider::start(Says::Found, None, &["old-canary"]).await;
    let files = |token: &str, id: &str| -> Vec<(&'static str, String)> {
        vec![
            ("verifik", format!("{token}\n")),
            ("youverify", token.to_owned()),
            ("id", id.to_owned()),
            ("secret", token.to_owned()),
        ]
    };
    fn borrowed<'a>(files: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
        files
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect()
    }
    let mounted = Mounted::new(&borrowed(&files("old-canary", "id-1")));
    let url = format!("http://{}", provider.address);
    let variables: Vec<_> = [
        ("VERIFIK__TOKEN_FILE", mounted.text("verifik")),
        ("YOUVERIFY__TOKEN_FILE", mounted.text("youverify")),
        ("ACCUAUTH__API_ID_FILE", mounted.text("id")),
        ("ACCUAUTH__API_SECRET_FILE", mounted.text("secret")),
        ("VERIFIK__BASE_URL", url.clone()),
        ("YOUVERIFY__BASE_URL", url.clone()),
        ("ACCUAUTH__BASE_URL", url),
    ]
    .map(|(key, value)| (format!("IDGW_PROVIDERS__{key}"), value))
    .into();
    let mut gateway = Process::serve(&[], quiet(variables)).await;
    let calls: [(&str, Value); 3] = [
        (CURP, curp()),
        (
            FOREIGNER,
            json!({"document_number": "005015372", "birthdate": "1993-08-16"}),
        ),
        (
            KENYA,
            json!({"id": "12345678", "id_type": "KENYA_ID_TYPE_NATIONAL_ID", "subject_consent": true}),
        ),
    ];
    let load = Load::over(vec![Client::connect(gateway.grpc).await], &calls);
    load.more(30).await;

    // Both are good for a while, as whoever issues a new one must see to.
    provider.knows(&["old-canary", "new-canary"]);
    mounted.swap(&borrowed(&files("new-canary", "id-2")));
    until("the new tokens", || async {
        provider.heads();
        load.more(30).await;
        let heads = provider.heads();
        !heads.is_empty() && heads.iter().all(|head| head.contains("new-canary"))
    })
    .await;
    provider.knows(&["new-canary"]);
    load.more(30).await;
    // The id and the secret of AccuAuth change together.
    let heads = provider.heads();
    let accuauth = heads
        .iter()
        .filter(|head| head.contains("x-df-api-secret: new-canary"));
    let mut accuauth = accuauth.peekable();
    assert!(accuauth.peek().is_some());
    assert!(accuauth.all(|head| head.contains("x-df-api-id: id-2")));

    // Nothing, and what no header can hold: the old stays in force.
    for (broken, kept) in [("", 3.0), ("two\nlines-canary", 6.0)] {
        mounted.swap(&borrowed(&files(broken, "id-3")));
        until("the refusal", || async {
            gateway.metric("idgw_reloads_total", "kept").await == kept
        })
        .await;
        load.more(30).await;
    }
    load.end().await;
    assert!(gateway.runs());
    assert_eq!(gateway.metric("idgw_reloads_total", "taken").await, 3.0);
    let lines = gateway.log.since(0);
    let kept = lines
        .iter()
        .filter(|line| line["message"] == "reload rejected, keeping the previous version");
    assert_eq!(kept.count(), 6);
    let all = Value::from(lines).to_string();
    assert!(!all.contains("canary"), "{all}");
    assert!(
        gateway
            .proc("cmdline")
            .split('\0')
            .all(|argument| !argument.contains("canary"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ca_of_a_provider_is_believed_and_no_call_fails() {
    let (old_ca, new_ca) = (Ca::new("old"), Ca::new("new"));
    let (old, new) = (old_ca.issue(&["127.0.0.1"]), new_ca.issue(&["127.0.0.1"]));
    let provider = TlsProvider::start(Says::Found, Some(&old), &["secret"]).await;
    let mounted = Mounted::new(&[("ca.crt", &old_ca.pem())]);
    let gateway = Process::serve(
        &[],
        quiet(crate::tls::upstream::accuauth(
            &format!("https://{}", provider.address),
            &[("CA_FILE", &mounted.text("ca.crt"))],
        )),
    )
    .await;
    let load = Load::over(vec![Client::connect(gateway.grpc).await], &[(CURP, curp())]);
    load.more(20).await;
    mounted.swap(&[("ca.crt", &format!("{}{}", old_ca.pem(), new_ca.pem()))]);
    until("both CAs", || async {
        gateway.metric("idgw_reloads_total", "taken").await == 1.0
    })
    .await;
    provider.shows(&new);
    mounted.swap(&[("ca.crt", "canary")]);
    until("the refusal", || async {
        gateway.metric("idgw_reloads_total", "kept").await == 1.0
    })
    .await;
    mounted.swap(&[("ca.crt", &new_ca.pem())]);
    until("the new CA", || async {
        gateway.metric("idgw_reloads_total", "taken").await == 2.0
    })
    .await;
    load.more(20).await;
    load.end().await;
    // New connections to the provider are made after the pool has forgotten the old ones (4 s).
    tokio::time::sleep(Duration::from_secs(5)).await;
    let client = Client::connect(gateway.grpc).await;
    client.call(CURP, &curp()).await.unwrap();
    // And the old certificate is believed no more.
    provider.shows(&old);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let refused = client.call(CURP, &curp()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
}
