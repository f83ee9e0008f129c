//! The settings of Verifik.

use std::path::PathBuf;

use crate::{domain::redaction::Secret, transport::settings::with_common_keys};

with_common_keys! {
    /// Verifik: Peruvian foreigner ids, person records.
    pub struct Settings at "https://api.verifik.co";
    /// The access token, sent as `Authorization: Bearer`.
    #[serde(serialize_with = "crate::setting::redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    token: Option<Secret> = None;
    /// A file that contains the token, instead of `token`; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    token_file: Option<PathBuf> = None;
    /// The path of person records below `base_url`. `/v2/face-recognition/persons`, Verifik's newer API, is
    /// refused: its requests and records are not supported.
    #[schemars(extend("title" = "a path such as /v2/persons: leading slash, no trailing slash", "pattern" = PATH))]
    persons_path: String = "/v2/persons".to_owned();
    /// The path of identity cards (`VerifyPeDni`) below `base_url`; an older page of Verifik's has `/v2/pe/cedula`.
    #[schemars(extend("title" = "a path such as /v3/pe/cedula: leading slash, no trailing slash", "pattern" = PATH))]
    dni_path: String = "/v3/pe/cedula".to_owned();
}

impl Settings {
    /// Whether it has its credential.
    #[must_use]
    pub const fn has_credential(&self) -> bool {
        self.token.is_some()
    }

    /// What the schema cannot say: the keys, and the problem.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let paths = [
            ("persons_path", &self.persons_path, "/v2/persons"),
            ("dni_path", &self.dni_path, "/v3/pe/cedula"),
        ];
        for (key, _, example) in paths.into_iter().filter(|(_, path, _)| !is_path(path)) {
            problems.push((
                key,
                format!(
                    "expected a path such as {example}: leading slash, no trailing slash, no query, no `..`"
                ),
            ));
        }
        if is_newer_dialect(&self.persons_path) {
            problems.push((
                "persons_path",
                "is Verifik's newer persons API, whose requests and records differ from those of /v2/persons: \
                 this version does not support it"
                    .to_owned(),
            ));
        }
        problems
    }
}

/// Verifik's newer pages know persons below this path only.
fn is_newer_dialect(path: &str) -> bool {
    let mut segments = path.split('/');
    segments.any(|segment| segment.eq_ignore_ascii_case("face-recognition"))
}

/// What [`is_path`] takes, for JSON schema: segments that are neither empty nor `.` nor `..`.
const PATH: &str = r#"^(/([!"$&-\-0->@-\[\]-~][!"$&-.0->@-\[\]-~]*|\.[!"$&-\-0->@-\[\]-~][!"$&-.0->@-\[\]-~]*|\.\.[!"$&-.0->@-\[\]-~]+))+$"#;

/// Whether it begins with a slash, ends with none, and is made of plain segments.
fn is_path(path: &str) -> bool {
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\' | '%'))
    };
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_pattern_of_the_schema_takes_exactly_what_is_a_path(
            path in "(/[a-z.]{0,4}){0,3}|/[ -~]{0,3}|/?[a-z?#%\\\\./\u{e9}-]{0,6}\\n?",
        ) {
            let pattern = regex::Regex::new(PATH).unwrap();
            proptest::prop_assert_eq!(pattern.is_match(&path), is_path(&path), "{:?}", path);
        }
    }
}
