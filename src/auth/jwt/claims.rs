//! What is read of a token's claims, by names and by paths.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Most scopes of one token.
const MOST_SCOPES: usize = 1000;

/// A token's claims.
pub type Claims = Map<String, Value>;

/// A claim by its path, such as `realm_access.roles`. A name may have dots in it, as those have that are URLs: what is
/// called as the path says comes first.
pub fn at<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let (name, rest) = path.split_at_checked(dot)?;
            at(claims.get(name)?.as_object()?, rest.strip_prefix('.')?)
        })
    })
}

/// Whether one of these audiences is the token's: of its claims the first that is there says so (RFC 7519, 4.1.3).
pub fn is_for(claims: &Claims, paths: &[String], audiences: &[String]) -> bool {
    let is_known = |text: &str| audiences.iter().any(|known| known == text);
    match paths.iter().find_map(|path| at(claims, path)) {
        Some(Value::String(text)) => is_known(text),
        Some(Value::Array(list)) => {
            // One that is no text is none of ours, and a list with such is none that the standard knows.
            list.iter().all(Value::is_string) && list.iter().filter_map(Value::as_str).any(is_known)
        }
        _ => false,
    }
}

/// The scopes: of each claim a text with spaces (RFC 8693), or a list of texts; none if one is something else.
pub fn scopes(claims: &Claims, paths: &[String]) -> Option<BTreeSet<Box<str>>> {
    let mut scopes = BTreeSet::new();
    for claim in paths.iter().filter_map(|path| at(claims, path)) {
        match claim {
            Value::Null => {}
            Value::String(text) => scopes.extend(text.split_ascii_whitespace().map(Box::from)),
            Value::Array(list) => {
                for scope in list {
                    scopes.insert(scope.as_str()?.into());
                }
            }
            _ => return None,
        }
    }
    (scopes.len() <= MOST_SCOPES).then_some(scopes)
}

/// Whether the token tells its client something and lets nobody in: an ID token (OpenID Connect Core, 3.1.3.6 and
/// 3.3.2.11), a security event such as a logout token (RFC 8417), or what Keycloak (`typ`) and Cognito (`token_use`)
/// call by another name.
pub fn is_for_something_else(claims: &Claims) -> bool {
    let is_one_of = |claim: &str, words: &[&str]| {
        let word = claims.get(claim).map(Value::as_str);
        word.is_none_or(|word| word.is_some_and(|word| words.contains(&word)))
    };
    ["at_hash", "c_hash", "s_hash", "events"]
        .iter()
        .any(|claim| claims.contains_key(*claim))
        || !is_one_of("typ", &["Bearer", "DPoP", "JWT", "at+jwt"])
        || !is_one_of("token_use", &["access"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn scopes_come_from_every_claim_that_is_named_by_name_or_path() {
        let claims = json!({
            "scope": " a  b ", "scp": ["c d", "b"], "roles": ["Kyc.Bureau"], "permissions": ["read:kyc"],
            "realm_access": {"roles": ["r"]},
            "resource_access": {"gateway": {"roles": ["g"]}, "other.app": {"roles": ["o"]}},
            "https://bank.example/roles": ["u"], "nothing": null, "number": 7, "mixed": ["x", 7],
        });
        let claims = claims.as_object().unwrap();
        for (named, expected) in [
            (&["scope", "scp"][..], Some(&["a", "b", "c d"][..])),
            (&["roles"], Some(&["Kyc.Bureau"])),
            (&["permissions"], Some(&["read:kyc"])),
            (
                &["realm_access.roles", "resource_access.gateway.roles"],
                Some(&["g", "r"]),
            ),
            (&["resource_access.other.app.roles"], Some(&["o"])),
            (&["https://bank.example/roles"], Some(&["u"])),
            (&["resource_access.nobody.roles", "nothing"], Some(&[])),
            (&["scope.x", "roles.0", ".", ""], Some(&[])),
            (&["number"], None),
            (&["mixed"], None),
            (&["realm_access"], None),
        ] {
            let scopes = scopes(claims, &paths(named));
            let scopes = scopes.as_ref().map(|all| all.iter().map(AsRef::as_ref));
            let scopes: Option<Vec<&str>> = scopes.map(Iterator::collect);
            assert_eq!(scopes.as_deref(), expected, "{named:?}");
        }
        let many: Vec<_> = (0..=MOST_SCOPES).map(|number| number.to_string()).collect();
        let many = json!({ "scope": many });
        assert_eq!(scopes(many.as_object().unwrap(), &paths(&["scope"])), None);
    }

    #[test]
    fn the_first_audience_claim_that_is_there_decides() {
        let audiences = paths(&["ours", "also"]);
        for (claims, named, expected) in [
            (json!({"aud": "ours"}), &["aud"][..], true),
            (json!({"aud": ["x", "also"]}), &["aud"], true),
            (json!({"aud": ["ours", 7]}), &["aud"], false),
            (json!({"aud": []}), &["aud"], false),
            (json!({"aud": null}), &["aud"], false),
            (json!({"client_id": "ours"}), &["aud"], false),
            (json!({"client_id": "ours"}), &["aud", "client_id"], true),
            (json!({"client_id": "ours"}), &["client_id"], true),
            // For somebody else, whoever asked for it.
            (
                json!({"aud": "x", "client_id": "ours"}),
                &["aud", "client_id"],
                false,
            ),
            (json!({}), &["aud", "client_id"], false),
        ] {
            let ours = is_for(claims.as_object().unwrap(), &paths(named), &audiences);
            assert_eq!(ours, expected, "{claims} {named:?}");
        }
    }
}
