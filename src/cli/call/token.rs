//! The caller's own credential, for `authorization: Bearer …`: from a file or an environment variable.
//!
//! Never from the command line, which everybody on the machine can read.

use std::path::PathBuf;

use crate::{domain::redaction::Secret, files};

/// Where the credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// In this file; white space at its end does not count.
    File(PathBuf),
    /// In the environment variable of this name.
    Variable(String),
}

/// Why there is no credential. The credential itself is never repeated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// The file cannot be used.
    #[error("the token file {0}: {1}")]
    File(String, String),
    /// There is no such variable.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// It is empty.
    #[error("the token is empty")]
    Empty,
}

/// Reads the credential.
pub(crate) fn read(token: &Token) -> Result<Secret, TokenError> {
    let secret = match token {
        Token::File(path) => {
            let shown = path.display().to_string();
            let text = files::text(path, files::SECRET);
            let text = text.map_err(|problem| TokenError::File(shown, problem))?;
            Secret::new(text.trim())
        }
        Token::Variable(name) => {
            let value = std::env::var(name).map_err(|_| TokenError::Unset(name.clone()))?;
            Secret::new(value.trim())
        }
    };
    match secret.expose().is_empty() {
        true => Err(TokenError::Empty),
        false => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_a_file_or_the_environment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "canary\n").unwrap();
        let token = read(&Token::File(path.clone())).unwrap();
        assert_eq!(token.expose(), "canary");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(read(&Token::File(path)).unwrap_err(), TokenError::Empty);
        let gone = read(&Token::File(directory.path().join("gone"))).unwrap_err();
        assert!(gone.to_string().starts_with("the token file "), "{gone}");
        // Cargo sets it for every test.
        let token = read(&Token::Variable("CARGO_PKG_NAME".to_owned())).unwrap();
        assert_eq!(token.expose(), "identity-gateway");
        let unset = read(&Token::Variable("IS_NOT_SET".to_owned())).unwrap_err();
        assert_eq!(
            unset.to_string(),
            "the environment variable IS_NOT_SET is not set"
        );
    }
}
