//! What is said of the cache and of the way to Redis.

use super::*;

#[test]
fn a_cache_is_a_redis_with_a_key() {
    const URL: &str = "IDGW_CACHE__URL";
    const KEY: (&str, &str) = ("IDGW_CACHE__KEY", "canary-of-thirty-two-bytes-or-more");
    for good in [
        "redis://localhost",
        "rediss://user:canary@cache.internal:6380/2",
        "valkey://[::1]:6379",
        "valkeys://cache",
    ] {
        let settings = from_env(&[(URL, good), KEY]).expect(good);
        assert_eq!(settings.cache.url.expect("a URL").expose(), good);
    }
    for bad in [
        "canary",
        "localhost:6379",
        "http://canary",
        "unix:///canary",
        "rediss://canary/#insecure",
    ] {
        let found = problems(from_env(&[(URL, bad), KEY]));
        let problem = "cache.url (from IDGW_CACHE__URL): expected a URL such as redis://";
        assert!(
            found.len() == 1 && found[0].starts_with(problem),
            "{found:?}"
        );
        assert!(!found[0].contains("canary"), "{found:?}");
    }
    assert_eq!(
        problems(from_env(&[(URL, "redis://localhost")])),
        ["cache.key: is required: cache.url is set, and nothing leaves this process unencrypted"]
    );
    assert_eq!(
        problems(from_env(&[("IDGW_CACHE__KEY", "canary")])),
        ["cache.key (from IDGW_CACHE__KEY): must be at least 32 bytes, in base64 or as text"]
    );
}

#[test]
fn a_way_to_redis_is_said_whole_or_refused_by_the_key_that_is_wrong() {
    const KEY: (&str, &str) = ("IDGW_CACHE__KEY", "canary-of-thirty-two-bytes-or-more");
    const MODE: &str = "IDGW_CACHE__MODE";
    const MASTER: (&str, &str) = ("IDGW_CACHE__SENTINEL_MASTER", "mymaster");
    const ONE: (&str, &str) = ("IDGW_CACHE__URL", "redis://a");
    const TWO: (&str, &str) = ("IDGW_CACHE__URL", "redis://u:canary@a:1,b:2");
    const TLS: (&str, &str) = ("IDGW_CACHE__URL", "rediss://a");
    const USER: (&str, &str) = ("IDGW_CACHE__USERNAME", "canary");
    const PASSWORD: (&str, &str) = ("IDGW_CACHE__PASSWORD", "canary");
    for good in [
        vec![TWO, (MODE, "cluster")],
        vec![TWO, (MODE, "sentinel"), MASTER],
        vec![
            ONE,
            (MODE, "sentinel"),
            MASTER,
            ("IDGW_CACHE__SENTINEL_PASSWORD", "canary"),
        ],
        vec![ONE, USER, PASSWORD],
        vec![ONE, PASSWORD],
    ] {
        let found = from_env(&[&good[..], &[KEY]].concat());
        assert!(found.is_ok(), "{good:?}: {found:?}");
    }
    for (bad, key, part) in [
        (vec![TWO], "cache.mode", "several hosts"),
        (
            vec![("IDGW_CACHE__URL", "redis://a/1"), (MODE, "cluster")],
            "cache.url",
            "only 0",
        ),
        (
            vec![TWO, (MODE, "sentinel")],
            "cache.sentinel_master",
            "is required",
        ),
        (
            vec![ONE, MASTER],
            "cache.sentinel_master",
            "cache.mode is not sentinel",
        ),
        (
            vec![TWO, (MODE, "cluster"), PASSWORD],
            "cache.password",
            "only one of them",
        ),
        (
            vec![TWO, (MODE, "cluster"), USER],
            "cache.username",
            "only one of them",
        ),
        (vec![ONE, USER], "cache.username", "needs cache.password"),
        (
            vec![ONE, ("IDGW_CACHE__CA_FILE", "/canary")],
            "cache.ca_file",
            "cannot be read",
        ),
        (
            vec![TLS, ("IDGW_CACHE__CA_FILE", "/dev/null")],
            "cache.ca_file",
            "PEM",
        ),
        (
            vec![TLS, ("IDGW_CACHE__CLIENT_KEY_FILE", "/canary")],
            "cache.client_certificate_file",
            "is required",
        ),
        (
            vec![ONE, ("IDGW_CACHE__CLIENT_CERTIFICATE_FILE", "/canary")],
            "cache.client_certificate_file",
            "needs TLS",
        ),
        (vec![ONE, (MODE, "canary")], "cache.mode", "expected"),
    ] {
        let found = problems(from_env(&[&bad[..], &[KEY]].concat()));
        let says = |problem: &String| problem.starts_with(key) && problem.contains(part);
        assert!(found.iter().any(says), "{bad:?}: {found:?}");
        assert!(!found.concat().contains("canary@"), "{found:?}");
    }
    for without_url in [(MODE, "cluster"), MASTER, PASSWORD] {
        let found = problems(from_env(&[without_url]));
        assert!(found[0].contains("cache.url is not set"), "{found:?}");
    }
}
