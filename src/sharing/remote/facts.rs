//! What a server says of itself at a new connection: which process it is, and what it may forget.
//!
//! Who may not ask (ACL) is told nothing, and nothing is made of it.

use redis::RedisResult;

use super::way::Connection;

/// What matters of a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Another one after every start of a server.
    pub run_id: Option<String>,
    /// It may drop keys before their time.
    pub evicts: bool,
    /// It writes nothing to disk that a restart would find.
    pub forgets: bool,
}

impl Facts {
    /// Asks for them; of a cluster any node.
    pub async fn of(connection: &mut Connection) -> RedisResult<Self> {
        let info = redis::cmd("INFO");
        let text = match connection {
            Connection::Server(server) => info.query_async::<String>(server).await?,
            Connection::Cluster(cluster) => {
                use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo::Random};
                let any = RoutingInfo::SingleNode(Random);
                let answer = cluster.route_command(info.clone(), any).await?;
                redis::from_redis_value(answer)?
            }
        };
        Ok(Self::read(&text))
    }

    fn read(info: &str) -> Self {
        let value = |name: &str| {
            let mut lines = info.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim)
        };
        let is_bounded = value("maxmemory").is_some_and(|bytes| bytes != "0");
        let policy = value("maxmemory_policy");
        Self {
            run_id: value("run_id").map(str::to_owned),
            evicts: is_bounded && policy.is_some_and(|policy| policy != "noeviction"),
            forgets: value("aof_enabled") == Some("0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_read_and_what_it_leaves_out_is_nothing() {
        let info = "# Server\r\nrun_id:abc\r\nmaxmemory:100\r\nmaxmemory_human:100B\r\n\
                    maxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n";
        let facts = Facts::read(info);
        assert_eq!(facts.run_id.as_deref(), Some("abc"));
        assert!(facts.evicts && facts.forgets);
        let unbounded = info.replace("maxmemory:100", "maxmemory:0");
        assert!(!Facts::read(&unbounded).evicts);
        let safe = info
            .replace("allkeys-lru", "noeviction")
            .replace("aof_enabled:0", "aof_enabled:1");
        let safe = Facts::read(&safe);
        assert!(!safe.evicts && !safe.forgets);
        assert_eq!(Facts::read(""), Facts::default());
    }
}
