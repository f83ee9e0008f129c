//! Label values as types: the bounded sets that metrics and spans may say.

use std::sync::{LazyLock, PoisonError, RwLock};

use foldhash::HashMap;

use super::names;

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$one])* $variant),* }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

words! {
    /// What turned a call away.
    Limit {
        /// Too many calls in flight in the whole process.
        Process = "process",
        /// No place in flight at the provider, nor in its queue.
        Provider = "provider",
        /// The gateway's own rate limit.
        Rate = "rate",
        /// The provider said 429 and is being left alone.
        Held = "held",
        /// The provider's circuit is open.
        Circuit = "circuit",
        /// A budget of the caller.
        Budget = "budget",
    }
}

words! {
    /// The state of a circuit.
    State {
        /// Calls pass.
        Closed = "closed",
        /// One call tries whether the provider is back.
        HalfOpen = "half_open",
        /// Calls are turned away.
        Open = "open",
    }
}

words! {
    /// What a look into the cache found.
    CacheResult {
        /// A kept answer that is young enough.
        Hit = "hit",
        /// None, or none that is young enough for this caller.
        Miss = "miss",
    }
}

words! {
    /// Why Redis did not do something.
    CacheFailure {
        /// It is at its `maxmemory`.
        Oom = "oom",
        /// It wants a credential, and got none.
        NoAuth = "noauth",
        /// It refused the credential.
        WrongPass = "wrongpass",
        /// The user may not do that.
        NoPerm = "noperm",
        /// The key is at another node of a cluster.
        Moved = "moved",
        /// It is a replica.
        Readonly = "readonly",
        /// It reads its data from disk.
        Loading = "loading",
        /// A part of the cluster has no server.
        ClusterDown = "clusterdown",
        /// Too few replicas take writes.
        NoReplicas = "noreplicas",
        /// It cannot write to its disk.
        Misconf = "misconf",
        /// It is no node of a cluster.
        NotACluster = "not_a_cluster",
        /// No Sentinel knows the primary.
        NoMaster = "no_master",
        /// It is no server of the kind that `cache.mode` says.
        WrongKind = "wrong_kind",
        /// Nothing listens there.
        Refused = "refused",
        /// There is no route to it.
        Unreachable = "unreachable",
        /// Its name has no address.
        Dns = "dns",
        /// Its certificate is of no CA that is trusted.
        CertificateNotTrusted = "certificate_not_trusted",
        /// Its certificate has expired.
        CertificateExpired = "certificate_expired",
        /// Its certificate is for another name.
        CertificateName = "certificate_name",
        /// It wants a client certificate.
        ClientCertificateRequired = "client_certificate_required",
        /// It refused the client certificate.
        ClientCertificateRefused = "client_certificate_refused",
        /// TLS failed in another way.
        Tls = "tls",
        /// It did not respond in time.
        Timeout = "timeout",
        /// The connection broke.
        Closed = "closed",
        /// Any other error of its own.
        Rejected = "rejected",
        /// There is no connection yet.
        Connecting = "connecting",
    }
}

words! {
    /// What became of an answer whose caller had gone.
    Fate {
        /// It waits for the caller.
        Kept = "kept",
        /// The caller got it later.
        Recovered = "recovered",
        /// Nobody fetched it in time.
        Expired = "expired",
    }
}

words! {
    /// What a provider's document does not list.
    Drift {
        /// A status or result code: the verification is inconclusive.
        Code = "code",
        /// A value of another field that the document enumerates.
        Value = "value",
        /// A field of the answer.
        Field = "field",
    }
}

words! {
    /// What became of an audit record.
    Recorded {
        /// It was written.
        Written = "written",
        /// It was lost.
        Lost = "lost",
        /// It could not be written beforehand, and the call was refused.
        Refused = "refused",
        /// Its copy did not reach the collector.
        Unsent = "unsent",
    }
}

words! {
    /// Why a connection was not taken, or was ended.
    Refusal {
        /// There were too many.
        Connections = "connections",
        /// Its peer had too many.
        Peer = "peer",
        /// Its handshake took too long.
        Timeout = "timeout",
        /// Another handshake took its place, as too many were under way.
        Displaced = "displaced",
        /// TLS failed: a certificate, a version, a protocol.
        Tls = "tls",
        /// It did not speak HTTP/2.
        Protocol = "protocol",
        /// The system could not give one.
        System = "system",
        /// It sent too many frames that ask for nothing.
        Flood = "flood",
        /// What it had begun and not ended, or not taken, was more than there was room for.
        Memory = "memory",
    }
}

words! {
    /// What became of a file that changed.
    Reload {
        /// The new is in force.
        Taken = "taken",
        /// The new could not be used: the old stays in force.
        Kept = "kept",
    }
}

words! {
    /// A kind of telemetry.
    Signal {
        /// Spans.
        Traces = "traces",
        /// Metrics.
        Metrics = "metrics",
        /// Log lines.
        Logs = "logs",
    }
}

/// The name of an RPC: one of the contract's, or `_OTHER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rpc(&'static str);

impl Rpc {
    /// Whatever a caller wrote that is not of the contract.
    pub const OTHER: Self = Self(names::OTHER);
    /// Server reflection, of whatever version.
    pub const REFLECTION: Self = Self("grpc.reflection");
    /// Health checks.
    pub const HEALTH: Self = Self("grpc.health");

    /// `package.Service/Method`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// The names of the contract's RPCs, by path.
///
/// They live as long as the process: they are leaked once for each table, and the program makes one.
#[derive(Debug, Clone, Default)]
pub struct Rpcs(HashMap<String, Rpc>);

impl Rpcs {
    /// A table of RPCs written `package.Service/Method`.
    pub fn new<'a>(rpcs: impl Iterator<Item = &'a str>) -> Self {
        Self(
            rpcs.map(|rpc| {
                (
                    format!("/{rpc}"),
                    Rpc(Box::leak(rpc.to_owned().into_boxed_str())),
                )
            })
            .collect(),
        )
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Rpc> {
        self.0.values().copied()
    }

    /// The RPC of a path.
    #[must_use]
    pub fn of(&self, path: &str) -> Rpc {
        self.0.get(path).copied().unwrap_or(Rpc::OTHER)
    }
}

/// Most names of rules that metrics tell apart, over all reloads of the policy file.
const RULES: usize = 100;

/// The name of a rule of the policy file: one of the first hundred that fell to a caller, or `_OTHER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule(&'static str);

impl Rule {
    /// Every other name.
    pub const OTHER: Self = Self(names::OTHER);

    /// The label of a rule. A name lives as long as the process, as its series do: it is leaked once.
    #[must_use]
    pub fn named(name: &str) -> Self {
        static KNOWN: LazyLock<RwLock<HashMap<&'static str, Rule>>> =
            LazyLock::new(RwLock::default);
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(rule) = known.get(name) {
            return *rule;
        }
        let is_full = known.len() >= RULES;
        drop(known);
        // No lock for writing where nothing is to be added any more.
        match is_full {
            true => Self::OTHER,
            false => Self::added(&KNOWN, name),
        }
    }

    fn added(known: &RwLock<HashMap<&'static str, Self>>, name: &str) -> Self {
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(rule) = known.get(name) {
            return *rule;
        }
        if known.len() >= RULES {
            return Self::OTHER;
        }
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        known.insert(name, Self(name));
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_rules_are_bounded_over_all_reloads() {
        let first = Rule::named("payments");
        for reload in 0..10_000 {
            let _label = Rule::named(&format!("rule-{reload}"));
        }
        let later = Rule::named("a-rule-of-a-later-file");
        assert_eq!(later, Rule::OTHER);
        assert_eq!(Rule::named("payments"), first);
    }

    #[test]
    fn a_path_that_is_not_of_the_contract_is_other() {
        let rpcs = Rpcs::new(["idgw.identity.v1.IdentityService/CheckCurp"].into_iter());
        for (path, name) in [
            (
                "/idgw.identity.v1.IdentityService/CheckCurp",
                "idgw.identity.v1.IdentityService/CheckCurp",
            ),
            ("/idgw.identity.v1.IdentityService/checkcurp", "_OTHER"),
            (
                "/idgw.identity.v1.IdentityService/CheckCurp/AAPR630321HDFLRC09",
                "_OTHER",
            ),
            ("idgw.identity.v1.IdentityService/CheckCurp", "_OTHER"),
            ("/", "_OTHER"),
            ("", "_OTHER"),
        ] {
            assert_eq!(rpcs.of(path).as_str(), name, "{path}");
        }
    }
}
