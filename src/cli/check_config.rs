//! `check-config`: reads the configuration, says what is wrong with it, or prints the effective one with
//! secrets hidden.
//!
//! Problems go to standard error, one a line, with exit code 64; the configuration goes to standard output with
//! exit code 0. What is no setting (the state of the providers, what `serve` would say) stands in comments, so
//! that the output stays TOML.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::{self, Settings, Sources};

/// Exit code of a configuration that is refused (`EX_USAGE`).
const REFUSED: u8 = 64;

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The effective configuration, as TOML.
    Toml,
    /// The JSON schema of every configuration; nothing is read.
    Schema,
}

/// Runs the command.
#[must_use]
pub fn run(sources: Sources, format: Output) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    match report(sources, format, &mut out, &mut err) {
        Ok(code) => ExitCode::from(code),
        // Nothing can be said any more: where it would have been said is what failed.
        Err(_) => ExitCode::FAILURE,
    }
}

fn report(
    sources: Sources,
    format: Output,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    if format == Output::Schema {
        writeln!(out, "{:#}", Settings::schema())?;
        out.flush()?;
        return Ok(0);
    }
    match config::load(sources) {
        Ok(settings) => {
            effective(&settings, out)?;
            out.flush()?;
            Ok(0)
        }
        Err(error) => {
            writeln!(err, "{error}")?;
            err.flush()?;
            Ok(REFUSED)
        }
    }
}

fn effective(settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    for (provider, state) in settings.providers.states() {
        writeln!(out, "# provider {provider}: {state}")?;
    }
    if let Err(error) = settings.validate_for_serve(false) {
        for problem in &error.problems {
            writeln!(out, "# note: serve would refuse to start: {problem}")?;
        }
    }
    writeln!(out)?;
    out.write_all(settings.redacted_toml().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(env: &[(&str, &str)], format: Output) -> (u8, String, String) {
        let sources = Sources {
            env: env
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
            ..Sources::default()
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = report(sources, format, &mut out, &mut err).expect("written");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (code, text(out), text(err))
    }

    #[test]
    fn what_is_right_is_printed_as_toml_with_notes_in_comments() {
        let (code, out, err) = run_with(
            &[("IDGW_PROVIDERS__VERIFIK__TOKEN", "canary")],
            Output::Toml,
        );
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("# provider verifik: live\n# provider youverify: not configured\n"));
        assert!(out.contains("# note: serve would refuse to start: auth.mode: "));
        assert!(out.contains("token = \"[redacted]\""));
        assert!(!out.contains("canary"));
        out.parse::<toml::Table>().expect("TOML");
    }

    #[test]
    fn the_note_goes_once_it_is_said_how_callers_are_known() {
        let (code, out, _) = run_with(&[("IDGW_AUTH__MODE", "none")], Output::Toml);
        assert_eq!(code, 0);
        assert!(!out.contains("# note"));
    }

    #[test]
    fn what_is_wrong_is_said_on_standard_error_with_exit_code_64() {
        let (code, out, err) = run_with(
            &[("IDGW_ADMIN__LISTN", "x"), ("IDGW_AUTH__MODE", "nobody")],
            Output::Toml,
        );
        assert_eq!((code, out.as_str()), (64, ""));
        assert_eq!(
            err,
            "IDGW_ADMIN__LISTN: unknown environment variable; did you mean IDGW_ADMIN__LISTEN?\n\
             auth.mode (from IDGW_AUTH__MODE): expected one or several of none, jwt, mtls, mesh, keys\n"
        );
    }

    #[test]
    fn the_schema_is_printed_whatever_the_configuration() {
        let (code, out, _) = run_with(&[("IDGW_NONSENSE", "x")], Output::Schema);
        assert_eq!(code, 0);
        let schema: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(schema, Settings::schema());
    }
}
