//! The line that `serve` prints for whoever wants to see that it answers. It works where `serve` runs, once `TOKEN`,
//! `caller.crt` and `caller.key` are the credential of a caller that the policy file allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{AuthMode, ClientAuth, Settings};

/// An address at which a listener of this one is reached from its own machine.
pub fn reached(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// The program as it was started: `cargo run`, or a container, has it where no shell looks for it.
fn program() -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    let started = std::env::args().next();
    started
        .filter(|path| !path.is_empty() && path.chars().all(plain))
        .unwrap_or_else(|| "identity-gateway".to_owned())
}

/// The line for a gateway that listens there.
pub fn line(settings: &Settings, listener: SocketAddr) -> String {
    let modes = &settings.auth.mode;
    let bearer = modes
        .iter()
        .any(|mode| matches!(mode, AuthMode::Jwt | AuthMode::Keys));
    let by_certificate = modes.contains(&AuthMode::Mtls);
    // Health asks nobody who they are. Callers that a mesh names cannot be had from here.
    let may_call = !settings.auth.identifies() || bearer || by_certificate;
    let what = match settings.server.reflection && may_call {
        true => "call --list",
        false => "health",
    };
    let mut line = format!("{} {what} --address {}", program(), reached(listener));
    let tls = &settings.server.tls;
    if tls.cert_file.is_some() {
        // The certificate is for the name that callers use, and not for this address.
        line.push_str(" --insecure");
    }
    if tls.client_auth == ClientAuth::Required || (by_certificate && !bearer) {
        line.push_str(" --tls-cert caller.crt --tls-key caller.key");
    }
    if bearer && what != "health" {
        line.push_str(" --token-env TOKEN");
    }
    line
}
