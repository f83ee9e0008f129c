//! Several Redis servers that belong together: a cluster, and a primary with a replica under Sentinel.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use identity_gateway::{config::Settings, sharing::settings::Mode};
use tempfile::TempDir;
use tokio::time::sleep;

use super::redis_server::{Redis, free_port, is_wanted, shared};

const SLOTS: u16 = 16384;

/// Three primaries, and a replica of the first.
pub struct Cluster {
    pub primaries: Vec<Redis>,
    pub replica: Redis,
}

/// A cluster; none if this run does without.
pub async fn cluster() -> Option<Cluster> {
    if !is_wanted() {
        return None;
    }
    let nodes: Vec<_> = (0..4).map(|_| node(free_port(), &[])).collect();
    for node in &nodes {
        node.is_up().await;
    }
    for (number, (node, part)) in nodes.iter().zip(0..3).enumerate() {
        let (first, last) = (part * SLOTS / 3, (part + 1) * SLOTS / 3 - 1);
        let last = if number == 2 { SLOTS - 1 } else { last };
        node.says::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))
            .await;
        node.says::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))
            .await;
    }
    for node in &nodes[1..] {
        let port = nodes[0].port;
        node.says::<()>(&format!("CLUSTER MEET 127.0.0.1 {port}"))
            .await;
    }
    let replica = nodes.last().unwrap();
    let first = id(&nodes[0]).await;
    // It must have heard of it.
    while !replica
        .says::<String>("CLUSTER NODES")
        .await
        .contains(&first)
    {
        sleep(Duration::from_millis(20)).await;
    }
    replica
        .says::<()>(&format!("CLUSTER REPLICATE {first}"))
        .await;
    for node in &nodes {
        loop {
            let info: String = node.says("CLUSTER INFO").await;
            let all: String = node.says("CLUSTER NODES").await;
            let known = all
                .lines()
                .filter(|line| !line.contains("handshake"))
                .count();
            if info.contains("cluster_state:ok") && known == 4 && all.contains("slave") {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    while !nodes[3]
        .says::<String>("INFO replication")
        .await
        .contains("master_link_status:up")
    {
        sleep(Duration::from_millis(20)).await;
    }
    let mut primaries = nodes;
    let replica = primaries.pop().unwrap();
    Some(Cluster { primaries, replica })
}

/// A server that is a node of a cluster.
pub fn node(port: u16, arguments: &[&str]) -> Redis {
    let port_of = port.to_string();
    let own = [
        "--port",
        &port_of,
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "1500",
    ];
    Redis::with(port, &[&own, arguments].concat())
}

/// The id of a node.
pub async fn id(node: &Redis) -> String {
    node.says("CLUSTER MYID").await
}

impl Cluster {
    /// Its URL with the first two nodes: the others are to be found.
    pub fn url(&self) -> String {
        let [one, two] = [&self.primaries[0], &self.primaries[1]].map(|node| node.port);
        format!("redis://127.0.0.1:{one},127.0.0.1:{two}")
    }

    /// The settings of a replica of the gateway.
    pub fn shared(&self) -> impl FnOnce(&mut Settings) + use<> {
        let shared = shared(self.url());
        move |settings| {
            shared(settings);
            settings.cache.mode = Mode::Cluster;
        }
    }

    /// The primary that holds a key which begins so, and the key.
    pub async fn holder(&self, prefix: &str) -> Option<(usize, String)> {
        for (number, node) in self.primaries.iter().enumerate() {
            let keys: Vec<String> = node.says(&format!("KEYS {prefix}*")).await;
            if let Some(key) = keys.into_iter().next() {
                return Some((number, key));
            }
        }
        None
    }
}

/// A primary, its replica, and a Sentinel that watches them.
pub struct Watched {
    pub primary: Redis,
    pub replica: Redis,
    sentinel: Child,
    pub port: u16,
    _directory: TempDir,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _gone_already = self.sentinel.kill();
        let _gone_already = self.sentinel.wait();
    }
}

/// Servers under Sentinel; none if this run does without.
pub async fn watched() -> Option<Watched> {
    if !is_wanted() {
        return None;
    }
    let primary = Redis::on(free_port());
    primary.is_up().await;
    let (of_replica, of_primary) = (free_port(), primary.port.to_string());
    let port = of_replica.to_string();
    let replica = Redis::with(
        of_replica,
        &["--port", &port, "--replicaof", "127.0.0.1", &of_primary],
    );
    replica.is_up().await;
    while !replica
        .says::<String>("INFO replication")
        .await
        .contains("master_link_status:up")
    {
        sleep(Duration::from_millis(20)).await;
    }
    let directory = TempDir::new().unwrap();
    let (file, port) = (directory.path().join("sentinel.conf"), free_port());
    let text = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {of_primary} 1\n\
         sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n"
    );
    std::fs::write(&file, text).unwrap();
    let sentinel = Command::new("redis-server");
    let sentinel = { sentinel }
        .arg(&file)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .spawn();
    let watched = Watched {
        primary,
        replica,
        sentinel: sentinel.unwrap(),
        port,
        _directory: directory,
    };
    // It learns of the replica from the primary.
    loop {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        if let Ok(mut connection) = client.get_multiplexed_async_connection().await {
            let mut ask = redis::cmd("SENTINEL");
            let replicas = ask.arg("REPLICAS").arg("mymaster");
            let replicas = replicas
                .query_async::<Vec<redis::Value>>(&mut connection)
                .await;
            if replicas.is_ok_and(|replicas| replicas.len() == 1) {
                return Some(watched);
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Watched {
    /// The settings of a replica of the gateway.
    pub fn shared(&self) -> impl FnOnce(&mut Settings) + use<> {
        let shared = shared(format!("redis://127.0.0.1:{}", self.port));
        move |settings| {
            shared(settings);
            settings.cache.mode = Mode::Sentinel;
            settings.cache.sentinel_master = Some("mymaster".to_owned());
        }
    }
}
