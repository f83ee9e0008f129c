//! Calls without a pause, over one connection or each over a new one; every failure is kept.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::TlsConnector;

use crate::{
    kit::{certs::NAME, client::Client},
    tls::{CURP, curp},
};

/// A connection over TLS, and the certificate that the server showed.
pub async fn connect(
    address: SocketAddr,
    config: ClientConfig,
) -> Result<(Client, CertificateDer<'static>), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let socket = TcpStream::connect(address).await.map_err(|e| said(&e))?;
    let name = ServerName::try_from(NAME).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(name, socket)
        .await
        .map_err(|e| said(&e))?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned();
    let origin = format!("https://{NAME}").parse().unwrap();
    let client = Client::over(stream, origin).await.map_err(|e| said(&e))?;
    Ok((client, shown))
}

/// What a load has done so far.
#[derive(Default)]
pub struct Done {
    stop: AtomicBool,
    pub calls: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

/// A load. It goes on until it is ended.
pub struct Load {
    pub done: Arc<Done>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// These calls over these clients, one after the other over each.
    pub fn over(clients: Vec<Client>, calls: &[(&'static str, Value)]) -> Self {
        let done = Arc::new(Done::default());
        let tasks = clients.into_iter().map(|client| {
            let (done, calls) = (Arc::clone(&done), calls.to_vec());
            tokio::spawn(async move {
                for (method, request) in calls.iter().cycle() {
                    if done.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let called = client.call(method, request).await;
                    // A connection that is gone fails at once, and a task that never waits cannot be ended.
                    tokio::task::yield_now().await;
                    done.note(called.map_err(|status| format!("{method}: {status:?}")));
                }
            })
        });
        let tasks = tasks.collect();
        Self { done, tasks }
    }

    /// Calls each over a new connection, with the configuration that is said at that time.
    pub fn dialling(
        address: SocketAddr,
        config: impl Fn() -> ClientConfig + Send + Sync + 'static,
    ) -> Self {
        let done = Arc::new(Done::default());
        let shared = Arc::clone(&done);
        let task = tokio::spawn(async move {
            while !shared.stop.load(Ordering::Relaxed) {
                let called = match connect(address, config()).await {
                    Err(error) => Err(error),
                    Ok((client, _)) => {
                        let answer = client.call(CURP, &curp()).await;
                        answer.map_err(|status| format!("{status:?}"))
                    }
                };
                shared.note(called);
            }
        });
        Self {
            done,
            tasks: vec![task],
        }
    }

    /// Waits for so many more calls.
    pub async fn more(&self, calls: usize) {
        let until = self.done.calls.load(Ordering::Relaxed) + calls;
        for _ in 0..3000 {
            if self.done.calls.load(Ordering::Relaxed) >= until {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the load does not go on");
    }

    /// Ends it; not one call may have failed.
    pub async fn end(mut self) {
        self.done.stop.store(true, Ordering::Relaxed);
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
        let failures = self.done.failures.lock().unwrap();
        let calls = self.done.calls.load(Ordering::Relaxed);
        println!("{calls} calls, {} failed", failures.len());
        assert!(calls > 0);
        assert!(
            failures.is_empty(),
            "{} of {calls} calls failed: {}",
            failures.len(),
            failures[0]
        );
    }
}

/// A test that failed leaves no load behind.
impl Drop for Load {
    fn drop(&mut self) {
        self.done.stop.store(true, Ordering::Relaxed);
    }
}

impl Done {
    fn note(&self, called: Result<serde_json::Value, String>) {
        if let Err(failure) = called {
            self.failures.lock().unwrap().push(failure);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}
