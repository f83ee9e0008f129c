//! `check-config`: reads the configuration, says what is wrong with it, or prints the effective one with
//! secrets hidden.
//!
//! Problems go to standard error, one a line, with exit code 64: all for which `serve` would refuse the configuration.
//! The configuration goes to standard output with exit code 0; of a set-up that is open or broken and still accepted
//! standard error warns. What is no setting (the state of the providers) stands in
//! comments, so that the output stays TOML.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use super::terminal::{ASIDE, GOOD, HEADING, Problems, WARNING};
use crate::config::{self, ProviderState, Settings, Sources, Warning};

/// Exit code of a configuration that is refused (`EX_USAGE`).
const REFUSED: u8 = 64;

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The effective configuration, as TOML.
    Toml,
    /// Nothing: the exit code says it.
    Nothing,
    /// The JSON schema of every configuration; nothing is read.
    Schema,
}

/// What the configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Purpose {
    /// `serve`
    Serve,
    /// `serve --sandbox`, which on a loopback address may do without `auth.mode`
    Sandbox,
}

/// Runs the command.
#[must_use]
pub fn run(sources: Sources, purpose: Purpose, format: Output) -> ExitCode {
    let (mut out, mut err) = (anstream::stdout().lock(), anstream::stderr().lock());
    match report(sources, purpose, format, &mut out, &mut err) {
        Ok(code) => ExitCode::from(code),
        // Nothing can be said any more: where it would have been said is what failed.
        Err(_) => ExitCode::FAILURE,
    }
}

fn report(
    sources: Sources,
    purpose: Purpose,
    format: Output,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    if format == Output::Schema {
        writeln!(out, "{:#}", Settings::schema())?;
        out.flush()?;
        return Ok(0);
    }
    let checked = config::load(sources).and_then(|settings| {
        settings.validate_for_serve(purpose == Purpose::Sandbox)?;
        Ok(settings)
    });
    match checked {
        Ok(settings) => {
            if format == Output::Toml {
                warn(&settings, purpose, err)?;
                effective(&settings, out)?;
            }
            out.flush()?;
            Ok(0)
        }
        Err(error) => {
            write!(err, "{}", Problems(&error))?;
            err.flush()?;
            Ok(REFUSED)
        }
    }
}

fn warn(settings: &Settings, purpose: Purpose, err: &mut dyn Write) -> io::Result<()> {
    let mut warnings = settings.warnings_of_callers();
    if purpose == Purpose::Serve {
        warnings.extend(settings.warnings_of_providers(SystemTime::now()));
    }
    warnings.iter().try_for_each(|warning| {
        let Warning { name, key, problem } = warning;
        writeln!(
            err,
            "{WARNING}warning:{WARNING:#} {key}: {problem} ({name})"
        )
    })?;
    err.flush()
}

fn effective(settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    for (provider, state) in settings.providers.states() {
        let colour = match state {
            ProviderState::Live | ProviderState::Sandbox => GOOD,
            ProviderState::NotConfigured => ASIDE,
        };
        writeln!(out, "# provider {provider}: {colour}{state}{colour:#}")?;
    }
    writeln!(out)?;
    for line in settings.redacted_toml().lines() {
        match line.starts_with('[') {
            true => writeln!(out, "{HEADING}{line}{HEADING:#}")?,
            false => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anstream::StripStream;

    use super::*;

    fn run_with(env: &[(&str, &str)], format: Output) -> (u8, String, String) {
        run_for(Purpose::Serve, env, format)
    }

    fn run_for(purpose: Purpose, env: &[(&str, &str)], format: Output) -> (u8, String, String) {
        let sources = Sources {
            env: env
                .iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
            ..Sources::default()
        };
        let (mut out, mut err) = (StripStream::new(Vec::new()), StripStream::new(Vec::new()));
        let code = report(sources, purpose, format, &mut out, &mut err).expect("written");
        let text =
            |stream: StripStream<Vec<u8>>| String::from_utf8(stream.into_inner()).expect("UTF-8");
        (code, text(out), text(err))
    }

    #[test]
    fn what_is_right_is_printed_as_toml_with_notes_in_comments() {
        let (code, out, err) = run_with(
            &[
                ("IDGW_PROVIDERS__VERIFIK__TOKEN", "canary"),
                ("IDGW_AUTH__MODE", "none"),
            ],
            Output::Toml,
        );
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("# provider verifik: live\n# provider youverify: not configured\n"));
        assert!(out.contains("token = \"[redacted]\""));
        assert!(!out.contains("canary"));
        out.parse::<toml::Table>().expect("TOML");
    }

    #[test]
    fn what_serve_would_refuse_is_refused_and_quiet_says_nothing_of_what_is_right() {
        let elsewhere = ("IDGW_SERVER__LISTEN", "0.0.0.0:50051");
        let said = ("IDGW_AUTH__MODE", "none");
        for (purpose, env, refused) in [
            (Purpose::Serve, &[][..], true),
            (Purpose::Serve, &[said], false),
            (Purpose::Sandbox, &[], false),
            (Purpose::Sandbox, &[elsewhere], true),
            (Purpose::Sandbox, &[elsewhere, said], false),
        ] {
            for format in [Output::Toml, Output::Nothing] {
                let (code, out, err) = run_for(purpose, env, format);
                assert_eq!(code, if refused { 64 } else { 0 }, "{purpose:?} {env:?}");
                assert_eq!(err.starts_with("auth.mode: is required"), refused, "{err}");
                assert_eq!(out.is_empty(), refused || format == Output::Nothing);
            }
        }
    }

    #[test]
    fn what_is_open_is_accepted_with_a_warning() {
        let open = [
            ("IDGW_SERVER__LISTEN", "0.0.0.0:50051"),
            ("IDGW_AUTH__MODE", "none"),
        ];
        let (code, out, err) = run_with(&open, Output::Toml);
        assert_eq!(code, 0);
        out.parse::<toml::Table>().expect("TOML");
        let named: Vec<_> = err
            .lines()
            .map(|line| line.rsplit('(').next().unwrap())
            .collect();
        assert_eq!(named, ["open_to_all)", "no_credential)"], "{err}");
        assert!(
            err.starts_with("warning: auth.mode: is none, and server.listen"),
            "{err}"
        );
        assert_eq!(
            run_with(&open, Output::Nothing),
            (0, String::new(), String::new())
        );
        let (_, _, err) = run_for(Purpose::Sandbox, &open, Output::Toml);
        assert!(!err.contains("no_credential"), "{err}");
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
