//! Label values as types: the bounded sets that metrics and spans may say.

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

    /// The RPC of a path.
    #[must_use]
    pub fn of(&self, path: &str) -> Rpc {
        self.0.get(path).copied().unwrap_or(Rpc::OTHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
