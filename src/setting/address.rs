//! How an IP address and a port are written, for JSON schema: exactly what [`SocketAddr`](std::net::SocketAddr) reads.

/// The pattern.
#[must_use]
pub fn pattern() -> String {
    // 0 to 65535; zeros before it are taken.
    let port =
        "0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})";
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let v4 = format!("{octet}(\\.{octet}){{3}}");
    let scope = "(%0*([0-9]{1,9}|[1-3][0-9]{9}|4[01][0-9]{8}|42[0-8][0-9]{7}|429[0-3][0-9]{6}|4294[0-8][0-9]{5}|\
                 42949[0-5][0-9]{4}|429496[0-6][0-9]{3}|4294967[01][0-9]{2}|42949672[0-8][0-9]|429496729[0-5]))?";
    format!("^({v4}|\\[({}){scope}\\]):{port}$", v6(&v4))
}

/// As RFC 3986 spells it: eight groups of which `::` stands for one or more, the last two perhaps as IPv4.
fn v6(v4: &str) -> String {
    let group = "[0-9A-Fa-f]{1,4}";
    let last = format!("({group}:{group}|{v4})");
    let mut forms = vec![
        format!("({group}:){{6}}{last}"),
        format!("::({group}:){{5}}{last}"),
    ];
    for before in 1..=5_u8 {
        let head = format!("({group}(:{group}){{0,{}}})?", before - 1);
        forms.push(format!("{head}::({group}:){{{}}}{last}", 5 - before));
    }
    forms.push(format!("({group}(:{group}){{0,5}})?::{group}"));
    forms.push(format!("({group}(:{group}){{0,6}})?::"));
    forms.join("|")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn agrees(text: &str) -> bool {
        let pattern = regex::Regex::new(&pattern()).unwrap();
        pattern.is_match(text) == text.parse::<SocketAddr>().is_ok()
    }

    #[test]
    fn addresses_of_every_form_are_taken_and_others_are_not() {
        for text in [
            "127.0.0.1:50051",
            "0.0.0.0:0",
            "0.0.0.0:00080",
            "127.0.0.1:65536",
            "127.0.0.01:80",
            "256.0.0.1:80",
            "[::]:80",
            "[::1]:80",
            "[1::]:80",
            "[fe80::1%7]:80",
            "[fe80::1%eth0]:80",
            "[fe80::1%4294967296]:80",
            "[1:2:3:4:5:6:7:8]:80",
            "[1:2:3:4:5:6:7::]:80",
            "[::2:3:4:5:6:7:8]:80",
            "[1:2:3:4:5:6:7:8::]:80",
            "[::ffff:127.0.0.1]:80",
            "[1::4:127.0.0.1]:80",
            "[1::2::3]:80",
            "::1:80",
            "localhost:80",
            "127.0.0.1",
            "127.0.0.1:",
            "",
        ] {
            assert!(agrees(text), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_pattern_takes_exactly_what_is_read(
            text in "\\[(([0-9a-f]{1,2}:){0,8}(::)?([0-9a-f]{1,2}:){0,8}([0-9a-f]{1,5}|1\\.2\\.3\\.4)?)(%[0-9]{1,11})?\\]:[0-9]{1,6}\
                     |([0-9]{1,3}\\.){3}[0-9]{1,3}:[0-9]{0,7}",
        ) {
            proptest::prop_assert!(agrees(&text), "{text}");
        }
    }
}
