//! `x-forwarded-client-cert`, as Envoy writes it (HTTP connection manager, "x-forwarded-client-cert").
//!
//! Elements are separated by commas, one for each proxy on the way, the nearest last; its pairs
//! `Key=value` by semicolons. A value with `,`, `;` or `=` in it is in double quotes, in which `\"`
//! is a quote. Only the last element was verified by the sidecar itself: those before it are what
//! somebody told it.

use crate::auth::spiffe;

/// The name in the last element: its SPIFFE id, else its first DNS name, else its subject. None if the
/// header is not as described, or names nobody.
pub(super) fn name(header: &str) -> Option<String> {
    let element = elements(header)?.pop()?;
    let all = |key: &str| -> Vec<&str> {
        let pairs = element.iter();
        let of_key =
            pairs.filter(|(name, value)| name.eq_ignore_ascii_case(key) && !value.is_empty());
        of_key.map(|(_, value)| value.as_str()).collect()
    };
    let uris = all("URI");
    if uris.iter().any(|uri| spiffe::is_meant(uri)) {
        return spiffe::only(&uris).map(str::to_owned);
    }
    if let Some(name) = all("DNS").into_iter().find_map(spiffe::dns_name) {
        return Some(name);
    }
    match all("Subject").as_slice() {
        // `CN=…` or `/C=…/CN=…`, and nothing that would be a name of another kind.
        [subject] if subject.contains('=') && !subject.contains("://") => {
            Some((*subject).to_owned())
        }
        _ => None,
    }
}

type Element = Vec<(String, String)>;

/// The elements, each with its pairs; none if the header is not as described.
fn elements(header: &str) -> Option<Vec<Element>> {
    let mut elements = vec![Element::new()];
    let mut rest = header.trim();
    loop {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find([',', ';']).unwrap_or(after.len());
                let (value, after) = after.split_at_checked(end)?;
                if value.contains('"') {
                    return None;
                }
                (value.trim().to_owned(), after)
            }
        };
        elements.last_mut()?.push((key.to_owned(), value));
        let after = after.trim_start();
        let mut separated = after.chars();
        match separated.next() {
            None => return Some(elements),
            Some(';') => {}
            Some(',') => elements.push(Element::new()),
            Some(_) => return None,
        }
        rest = separated.as_str().trim_start();
    }
}

/// What is in the quotes, and what comes after them.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some((value, rest.as_str())),
            '\\' => value.push(rest.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_element_names_the_caller() {
        for (header, expected) in [
            // Istio's.
            (
                "By=spiffe://cluster.local/ns/idgw/sa/idgw;Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;Subject=\"\";URI=spiffe://cluster.local/ns/payments/sa/api",
                Some("spiffe://cluster.local/ns/payments/sa/api"),
            ),
            // Envoy's examples.
            (
                "By=http://frontend.lyft.com;Hash=468e;Subject=\"/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=Test Client\";URI=http://testclient.lyft.com",
                Some("/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=Test Client"),
            ),
            (
                "By=http://frontend.lyft.com;Hash=468e;URI=http://testclient.lyft.com,By=http://backend.lyft.com;Hash=9ba6;URI=spiffe://lyft/frontend",
                Some("spiffe://lyft/frontend"),
            ),
            (
                "By=http://frontend.lyft.com;Hash=468e;Subject=\"CN=a\";URI=;DNS=LYFT.com;DNS=www.lyft.com",
                Some("lyft.com"),
            ),
            // What a client put before the sidecar's own word is not its own word.
            (
                "URI=spiffe://bank.example/admin,URI=spiffe://bank.example/payments",
                Some("spiffe://bank.example/payments"),
            ),
            // Quoted commas, semicolons, equal signs and quotes are no separators.
            (
                r#"Subject="CN=a,O=\"Bank; Example\",URI=admin";DNS=*.a.example"#,
                Some(r#"CN=a,O="Bank; Example",URI=admin"#),
            ),
            (r#"Subject="CN=a,URI=spiffe://bank.example/admin""#, None),
            (
                r#"Subject="x\\",URI=spiffe://bank.example/a"#,
                Some("spiffe://bank.example/a"),
            ),
            (
                r#"URI="spiffe://bank.example/a" ; By=x"#,
                Some("spiffe://bank.example/a"),
            ),
            (
                "uri=spiffe://bank.example/a",
                Some("spiffe://bank.example/a"),
            ),
            // Two ids are none, and so is one that is malformed.
            (
                "URI=spiffe://bank.example/a;URI=spiffe://bank.example/b",
                None,
            ),
            ("URI=spiffe://bank.example/a/../b;DNS=a.example", None),
            ("Subject=\"CN=a\";Subject=\"CN=b\"", None),
            // Nor does another field name one.
            ("DNS=spiffe://bank.example/a", None),
            (
                "DNS=\"SPIFFE://bank.example/a\";DNS=a.example",
                Some("a.example"),
            ),
            ("Subject=\"spiffe://bank.example/a\"", None),
            ("Subject=\"spiffe://bank.example/a=b\"", None),
            ("Subject=\"a.example\"", None),
            ("Hash=468e", None),
            // Not as described.
            ("", None),
            ("garbage", None),
            ("URI=spiffe://bank.example/a,", None),
            ("URI=spiffe://bank.example/a;", None),
            (r#"Subject="CN=a"#, None),
            (r#"Subject="CN=a\"#, None),
            (r#"Subject="CN=a"x;URI=spiffe://bank.example/a"#, None),
            (r#"URI=spiffe://bank.example/a"b"#, None),
            ("=x,URI=spiffe://bank.example/a", None),
            ("a b=x,URI=spiffe://bank.example/a", None),
        ] {
            assert_eq!(name(header).as_deref(), expected, "{header}");
        }
    }
}
