//! Why Redis did not do something, as one word of a closed set: what Redis itself says may hold keys.

use std::{error::Error, io, sync::Arc};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use rustls::{AlertDescription, CertificateError};

use crate::telemetry::labels::CacheFailure;

/// What the library can know of an error beyond its kind.
type Inner = Arc<dyn Error + Send + Sync>;

/// The cause of an error.
pub(super) fn of(error: &RedisError) -> CacheFailure {
    use CacheFailure as Cause;
    match error.kind() {
        ErrorKind::Server(kind) => match kind {
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::CrossSlot => Cause::Moved,
            ServerErrorKind::ReadOnly => Cause::Readonly,
            ServerErrorKind::BusyLoading => Cause::Loading,
            ServerErrorKind::ClusterDown | ServerErrorKind::MasterDown => Cause::ClusterDown,
            ServerErrorKind::NoPerm => Cause::NoPerm,
            _ => of_text(error.detail().unwrap_or_default()),
        },
        ErrorKind::Extension => of_code(error.code().unwrap_or_default()),
        ErrorKind::AuthenticationFailed => Cause::WrongPass,
        ErrorKind::MasterNameNotFoundBySentinel => Cause::NoMaster,
        ErrorKind::Io | ErrorKind::Client => of_transport(error),
        ErrorKind::InvalidClientConfig => match error.to_string() {
            text if text.starts_with("No address") => Cause::Dns,
            text if text.starts_with("Address does not point") => Cause::WrongKind,
            _ => Cause::Tls,
        },
        ErrorKind::ClusterConnectionNotFound => Cause::Closed,
        _ => Cause::Rejected,
    }
}

/// The server's word before what it says.
fn of_code(code: &str) -> CacheFailure {
    match code {
        "OOM" => CacheFailure::Oom,
        "NOAUTH" => CacheFailure::NoAuth,
        "WRONGPASS" => CacheFailure::WrongPass,
        "NOPERM" => CacheFailure::NoPerm,
        "NOREPLICAS" => CacheFailure::NoReplicas,
        "MISCONF" => CacheFailure::Misconf,
        "READONLY" => CacheFailure::Readonly,
        _ => CacheFailure::Rejected,
    }
}

/// What has no code of its own: `ERR`. Before Redis 7 that is every error within a script, with the code in the text.
fn of_text(text: &str) -> CacheFailure {
    let parts: [(&str, CacheFailure); 8] = [
        ("cluster support disabled", CacheFailure::NotACluster),
        ("unknown command", CacheFailure::WrongKind),
        ("Authentication required", CacheFailure::NoAuth),
        ("can't run this command", CacheFailure::NoPerm),
        ("-OOM ", CacheFailure::Oom),
        ("-READONLY ", CacheFailure::Readonly),
        ("-NOREPLICAS ", CacheFailure::NoReplicas),
        ("-MISCONF ", CacheFailure::Misconf),
    ];
    let found = parts.into_iter().find(|(part, _)| text.contains(part));
    found.map_or(CacheFailure::Rejected, |(_, cause)| cause)
}

/// A connection that cannot be had, or broke.
fn of_transport(error: &RedisError) -> CacheFailure {
    // What a node of a cluster failed with is said in a word of ours, which the library wraps into texts.
    let said = error
        .detail()
        .and_then(|detail| detail.rsplit(": ").next())
        .and_then(|word| {
            let mut all = CacheFailure::ALL.into_iter();
            all.find(|cause| cause.as_str() == word)
        });
    if let Some(cause) = said {
        return cause;
    }
    let inner = error
        .source()
        .and_then(|source| source.downcast_ref::<Inner>());
    let Some(inner) = inner else {
        return CacheFailure::Closed;
    };
    if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
        return of_tls(tls);
    }
    let Some(io) = inner.downcast_ref::<io::Error>() else {
        return CacheFailure::Tls;
    };
    if let Some(tls) = io.get_ref().and_then(|tls| tls.downcast_ref()) {
        return of_tls(tls);
    }
    match io.kind() {
        io::ErrorKind::ConnectionRefused => CacheFailure::Refused,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => CacheFailure::Timeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            CacheFailure::Unreachable
        }
        // The standard library has no kind for it.
        _ if io.to_string().starts_with("failed to lookup address") => CacheFailure::Dns,
        _ => CacheFailure::Closed,
    }
}

fn of_tls(error: &rustls::Error) -> CacheFailure {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => CacheFailure::CertificateExpired,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => CacheFailure::CertificateName,
        rustls::Error::InvalidCertificate(_) => CacheFailure::CertificateNotTrusted,
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => CacheFailure::ClientCertificateRequired,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => CacheFailure::ClientCertificateRefused,
            _ => CacheFailure::Tls,
        },
        _ => CacheFailure::Tls,
    }
}

/// What an operator can do about it.
pub(super) const fn advice(cause: CacheFailure) -> &'static str {
    match cause {
        CacheFailure::Oom => "Redis is at maxmemory: give it more",
        CacheFailure::NoAuth => "Redis wants a credential: set cache.password_file",
        CacheFailure::WrongPass => "Redis does not take this user and password",
        CacheFailure::NoPerm => "the user's ACL lacks a command or the keys idgw:*",
        CacheFailure::Moved => "this is a cluster: set cache.mode",
        CacheFailure::Readonly => {
            "this is a replica: name the primary, or set cache.mode to sentinel"
        }
        CacheFailure::Loading => "Redis is reading its data from disk",
        CacheFailure::ClusterDown => "a part of the cluster, or the primary, has no server",
        CacheFailure::NoReplicas => "fewer replicas than min-replicas-to-write",
        CacheFailure::Misconf => "Redis cannot write to its disk",
        CacheFailure::NotACluster => "this is no cluster: set cache.mode to single",
        CacheFailure::NoMaster => "no Sentinel knows a primary named cache.sentinel_master",
        CacheFailure::WrongKind => "not a Redis server of the kind that cache.mode says",
        CacheFailure::Refused => "nothing listens at cache.url",
        CacheFailure::Unreachable => "there is no route to the host of cache.url",
        CacheFailure::Dns => "the host of cache.url has no address",
        CacheFailure::CertificateNotTrusted => "set cache.ca_file to the CA of Redis's certificate",
        CacheFailure::CertificateExpired => "Redis's certificate has expired",
        CacheFailure::CertificateName => "Redis's certificate is for another name",
        CacheFailure::ClientCertificateRequired => {
            "set cache.client_certificate_file and cache.client_key_file"
        }
        CacheFailure::ClientCertificateRefused => {
            "Redis does not take cache.client_certificate_file"
        }
        CacheFailure::Tls => "rediss:// is for a TLS port, redis:// for one without",
        CacheFailure::Timeout => {
            "Redis is slow, a firewall drops the packets, or rediss:// names a port without TLS"
        }
        CacheFailure::Closed => "Redis closed the connection, or is no Redis",
        CacheFailure::Rejected => "see Redis's own log",
        CacheFailure::Connecting => "not connected yet",
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn said(line: &str) -> CacheFailure {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        of(&value.extract_error().unwrap_err())
    }

    #[test]
    fn what_redis_says_becomes_one_word_and_never_its_text() {
        for (line, word) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "oom",
            ),
            (
                "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
                "oom",
            ),
            ("NOAUTH Authentication required.", "noauth"),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                "wrongpass",
            ),
            (
                "NOPERM this user has no permissions to access one of the keys",
                "noperm",
            ),
            ("MOVED 3999 127.0.0.1:6381", "moved"),
            ("ASK 3999 127.0.0.1:6381", "moved"),
            (
                "CROSSSLOT Keys in request don't hash to the same slot",
                "moved",
            ),
            (
                "READONLY You can't write against a read only replica.",
                "readonly",
            ),
            ("LOADING Redis is loading the dataset in memory", "loading"),
            ("CLUSTERDOWN Hash slot not served", "clusterdown"),
            (
                "NOREPLICAS Not enough good replicas to write.",
                "noreplicas",
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                "misconf",
            ),
            (
                "ERR This instance has cluster support disabled",
                "not_a_cluster",
            ),
            (
                "ERR unknown command 'GET', with args beginning with: 'idgw:x'",
                "wrong_kind",
            ),
            ("ERR idgw:create:canary", "rejected"),
            ("CANARY idgw:create:canary", "rejected"),
        ] {
            assert_eq!(said(line).as_str(), word, "{line}");
        }
    }

    #[test]
    fn what_is_between_the_two_becomes_one_word_too() {
        let io = |kind, text: &str| RedisError::from(io::Error::new(kind, text.to_owned()));
        let tls = |error: rustls::Error| {
            RedisError::from(io::Error::new(io::ErrorKind::InvalidData, error))
        };
        for (error, word) in [
            (io(io::ErrorKind::ConnectionRefused, "canary"), "refused"),
            (io(io::ErrorKind::TimedOut, "canary"), "timeout"),
            (
                io(
                    io::ErrorKind::Other,
                    "failed to lookup address information: x",
                ),
                "dns",
            ),
            (io(io::ErrorKind::BrokenPipe, "canary"), "closed"),
            (
                tls(rustls::Error::InvalidCertificate(
                    CertificateError::UnknownIssuer,
                )),
                "certificate_not_trusted",
            ),
            (
                tls(rustls::Error::AlertReceived(
                    AlertDescription::CertificateRequired,
                )),
                "client_certificate_required",
            ),
            (
                tls(rustls::Error::AlertReceived(AlertDescription::UnknownCA)),
                "client_certificate_refused",
            ),
            (
                RedisError::from((
                    ErrorKind::Io,
                    "Failed to create initial connections",
                    "no connection - Io: wrongpass".to_owned(),
                )),
                "wrongpass",
            ),
        ] {
            assert_eq!(of(&error).as_str(), word, "{error}");
        }
    }
}
