//! The built program, and a client that is connected to it.

use std::ops::{Deref, DerefMut};

use crate::kit::{
    client::Client,
    process::{DEFAULTS, Process, program},
};

/// A running gateway. It is killed when it is dropped.
pub struct Gateway {
    process: Process,
    pub client: Client,
}

impl Gateway {
    /// `serve` with these `IDGW_` variables and no others, on free loopback ports.
    pub async fn serve<K: AsRef<str>, V: AsRef<str>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::with(&["serve"], variables).await
    }

    /// The same, with the sandbox for its providers.
    pub async fn sandbox<K: AsRef<str>, V: AsRef<str>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::with(&["serve", "--sandbox"], variables).await
    }

    async fn with<K: AsRef<str>, V: AsRef<str>>(
        arguments: &[&str],
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut command = program(arguments, DEFAULTS);
        for (name, value) in variables {
            command.env(name.as_ref(), value.as_ref());
        }
        let process = Process::start(command).await;
        let client = Client::connect(process.grpc).await;
        Self { process, client }
    }
}

impl Deref for Gateway {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Gateway {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
