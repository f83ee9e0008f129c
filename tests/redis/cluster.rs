//! A cluster: every key is found wherever it is, and nothing is executed twice on the way there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use identity_gateway::{
    domain::redaction::Secret,
    proto::identity::v1::Source,
    setting::Span,
    sharing::{
        Remote,
        settings::{Mode, Settings},
        store::Store as _,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use uuid::Uuid;

use super::creates::{connected, create};
use crate::kit::{
    eventually_in,
    redis_cluster::{cluster, id, node},
    redis_server::{KEY, free_port, is_wanted, shared},
    replica::*,
};

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|_| Uuid::now_v7().to_string()).collect()
}

#[tokio::test]
async fn a_request_id_holds_at_all_replicas_whichever_node_has_it() {
    let Some(cluster) = cluster().await else {
        return;
    };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, cluster.shared()).await;
    let two = Gateway::with(&provider, cluster.shared()).await;
    connected(&[&one, &two]).await;
    let before = provider.requests();
    let ids = ids(40);
    for id in &ids {
        let first = create(&one, id, GIVEN_NAME).await.unwrap();
        assert_eq!(create(&two, id, GIVEN_NAME).await.unwrap(), first);
    }
    assert_eq!(provider.requests(), before + ids.len());
    for node in &cluster.primaries {
        let own: Vec<String> = node.says("KEYS idgw:create:*").await;
        assert!(!own.is_empty(), "a node has none: the test proves less");
    }
}

#[tokio::test]
async fn what_takes_several_keys_has_them_on_one_node() {
    let Some(cluster) = cluster().await else {
        return;
    };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, cluster.shared()).await;
    let two = Gateway::with(&provider, cluster.shared()).await;
    connected(&[&one, &two]).await;
    for number in OTHER_CURPS {
        let before = provider.requests();
        let ask = || identity_gateway::proto::identity::v1::CheckCurpRequest {
            curp: number.to_owned(),
            ..Default::default()
        };
        provider.hold();
        one.late(ask()).await;
        provider.release();
        // Kept for the caller, under keys of the answer and of its mark.
        eventually_in(async || cluster.holder("idgw:left:").await.is_some()).await;
        let found = two.curp(ask()).await;
        assert!(
            [Source::Recovered, Source::Coalesced].contains(&source(&found)),
            "{:?}",
            source(&found)
        );
        assert_eq!(provider.requests(), before + 1);
    }
    let cached = one.curp(curp_aged(600)).await;
    assert_eq!(source(&cached), Source::Provider);
    eventually_in(async || cluster.holder("idgw:answer:").await.is_some()).await;
    assert_eq!(source(&two.curp(curp_aged(600)).await), Source::Cache);
}

#[tokio::test]
async fn a_key_that_is_moved_to_another_node_is_found_there_also_in_between() {
    let Some(cluster) = cluster().await else {
        return;
    };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, cluster.shared()).await;
    let two = Gateway::with(&provider, cluster.shared()).await;
    connected(&[&one, &two]).await;
    let own = &ids(1)[0];
    let known: Vec<_> = keys(&cluster).await;
    let first = create(&one, own, GIVEN_NAME).await.unwrap();
    let before = provider.requests();
    let (from, key) = keys(&cluster)
        .await
        .into_iter()
        .find(|key| !known.contains(key))
        .unwrap();
    let (source, target) = (&cluster.primaries[from], &cluster.primaries[(from + 1) % 3]);
    let slot: u16 = source.says(&format!("CLUSTER KEYSLOT {key}")).await;
    let (of_source, of_target) = (id(source).await, id(target).await);
    target
        .says::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {of_source}"))
        .await;
    source
        .says::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {of_target}"))
        .await;
    let port = target.port;
    source
        .says::<()>(&format!("MIGRATE 127.0.0.1 {port} {key} 0 5000"))
        .await;
    // ASK, and a slot that is still the other's.
    for gateway in [&one, &two] {
        assert_eq!(create(gateway, own, GIVEN_NAME).await.unwrap(), first);
    }
    for node in [target, source] {
        node.says::<()>(&format!("CLUSTER SETSLOT {slot} NODE {of_target}"))
            .await;
    }
    // MOVED.
    for gateway in [&one, &two] {
        assert_eq!(create(gateway, own, GIVEN_NAME).await.unwrap(), first);
    }
    assert_eq!(provider.requests(), before);
}

async fn keys(cluster: &crate::kit::redis_cluster::Cluster) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (number, node) in cluster.primaries.iter().enumerate() {
        let own: Vec<String> = node.says("KEYS idgw:create:*").await;
        all.extend(own.into_iter().map(|key| (number, key)));
    }
    all
}

#[tokio::test]
async fn a_primary_that_dies_is_replaced_and_its_request_ids_are_known() {
    let Some(mut cluster) = cluster().await else {
        return;
    };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, cluster.shared()).await;
    let two = Gateway::with(&provider, cluster.shared()).await;
    connected(&[&one, &two]).await;
    let ids = ids(20);
    let mut first = Vec::new();
    for id in &ids {
        first.push(create(&one, id, GIVEN_NAME).await.unwrap());
    }
    // All of it is at the replica.
    cluster.primaries[0].is_copied_to(&cluster.replica).await;
    let before = provider.requests();
    cluster.primaries[0].kill();
    for (id, first) in ids.iter().zip(&first) {
        // While nobody has the slots, it is refused and nothing is sent.
        eventually_in(async || match create(&two, id, GIVEN_NAME).await {
            Ok(person) => {
                assert_eq!(&person, first);
                true
            }
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
                false
            }
        })
        .await;
    }
    assert_eq!(provider.requests(), before);
}

#[tokio::test]
async fn a_gateway_that_takes_a_cluster_for_one_server_says_so() {
    use tonic_types::StatusExt as _;
    let Some(cluster) = cluster().await else {
        return;
    };
    let provider = Provider::start().await;
    let url = format!("redis://127.0.0.1:{}", cluster.primaries[0].port);
    let gateway = Gateway::with(&provider, shared(url)).await;
    let mut causes = Vec::new();
    for id in ids(60) {
        if let Err(status) = create(&gateway, &id, GIVEN_NAME).await {
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, "REQUEST_ID_UNAVAILABLE");
            causes.push(info.metadata.get("cause").cloned().unwrap_or_default());
        }
    }
    assert!(causes.iter().any(|cause| cause == "moved"), "{causes:?}");
}

/// A way to a node on which what it answers is lost, once something was asked that holds these bytes.
async fn loses_answers(to: u16, marker: &'static [u8]) -> (u16, Arc<AtomicUsize>) {
    let listener = loop {
        // Its bus is the node's own.
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", free_port())).await {
            break listener;
        }
    };
    let port = listener.local_addr().unwrap().port();
    let lost = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lost);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let node = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let ((mut from_client, mut to_client), (mut from_node, mut to_node)) =
                    (client.into_split(), node.into_split());
                let (mut asked, mut answer) = (vec![0; 65536], vec![0; 65536]);
                let mut is_marked = false;
                loop {
                    tokio::select! {
                        read = from_client.read(&mut asked) => match read {
                            Ok(count) if count > 0 => {
                                let bytes = &asked[..count];
                                is_marked |= bytes.windows(marker.len()).any(|part| part == marker);
                                to_node.write_all(bytes).await.unwrap();
                            }
                            _ => return,
                        },
                        read = from_node.read(&mut answer) => match read {
                            Ok(count) if count > 0 && !is_marked => {
                                let _gone = to_client.write_all(&answer[..count]).await;
                            }
                            _ => {
                                counted.fetch_add(usize::from(is_marked), Ordering::SeqCst);
                                return;
                            }
                        },
                    }
                }
            });
        }
    });
    (port, lost)
}

#[tokio::test]
async fn what_may_have_been_executed_is_not_sent_again() {
    if !is_wanted() {
        return;
    }
    let port = free_port();
    let (way, lost) = loses_answers(port, b"canary").await;
    let server = node(port, &["--cluster-announce-port", &way.to_string()]);
    server.is_up().await;
    server.says::<()>("CLUSTER ADDSLOTSRANGE 0 16383").await;
    eventually_in(async || {
        server
            .says::<String>("CLUSTER INFO")
            .await
            .contains("state:ok")
    })
    .await;
    let remote = Remote::new(&Settings {
        url: Some(Secret::new(format!("redis://127.0.0.1:{way}"))),
        key: Some(Secret::new(KEY)),
        mode: Mode::Cluster,
        timeout: Span::new(Duration::from_secs(5)),
        ..Settings::default()
    });
    let remote = remote.unwrap();
    eventually_in(async || remote.is_up()).await;
    let minute = Duration::from_secs(60);
    assert!(remote.count_up("canary", 100, minute).await.is_err());
    assert_eq!(lost.load(Ordering::SeqCst), 1);
    // Time in which it could be sent again.
    sleep(Duration::from_millis(500)).await;
    let counted: Option<u64> = server.says("GET canary").await;
    assert_eq!(counted, Some(1));
    // The node is dialled anew, and what was not sent goes through.
    eventually_in(async || remote.get("other").await.is_none() && remote.is_up()).await;
    let set = remote.set_if_absent("other", b"value", minute).await;
    assert_eq!(set.map_err(|error| error.to_string()), Ok(true));
}

#[tokio::test]
async fn one_node_that_is_silent_is_not_the_cluster() {
    let Some(cluster) = cluster().await else {
        return;
    };
    let port = cluster.primaries[0].port;
    let remote = Remote::new(&Settings {
        url: Some(Secret::new(format!("redis://127.0.0.1:{port}"))),
        key: Some(Secret::new(KEY)),
        mode: Mode::Cluster,
        timeout: Span::new(Duration::from_millis(50)),
        ..Settings::default()
    });
    let remote = remote.unwrap();
    eventually_in(async || remote.is_up()).await;
    let count = async |key: &str| remote.count_up(key, 100, Duration::from_secs(60)).await;
    let (mut silent, mut others) = (Vec::new(), Vec::new());
    cluster.primaries[2].freeze();
    for number in 0..12 {
        let key = format!("key-{number}");
        match count(&key).await {
            Ok(_) => others.push(key),
            Err(_) => silent.push(key),
        }
    }
    assert!(
        !silent.is_empty() && others.len() > 2,
        "{silent:?} {others:?}"
    );
    for _ in 0..5 {
        assert!(count(&silent[0]).await.is_err());
        assert!(remote.is_up());
    }
    assert!(count(&others[0]).await.is_ok());
    cluster.primaries[2].thaw();
    eventually_in(async || count(&silent[0]).await.is_ok()).await;
}
