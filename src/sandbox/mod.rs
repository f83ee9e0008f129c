//! The provider sandbox: an HTTP/1.1 server that answers as the four provider documents say.
//!
//! The documents' own sample requests get the documents' own sample answers, with fictional people.
//! [`table`] lists the magic ids that give every other answer; a number that is not in the table is
//! not found, said in the provider's own way. Nothing that arrives is logged.
//!
//! `GET /_sandbox/ledger` shows what each provider would have charged, `GET /_sandbox` that and the last requests.

mod accuauth;
mod case;
mod company;
mod faults;
mod fixtures;
mod ledger;
mod reply;
mod requests;
mod sample;
pub mod settings;
mod table;
#[cfg(test)]
mod tests;
mod verifik;
mod youverify;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::domain::verification::Provider;
use crate::reload::{self, Content, Watch};
use company::{Memory, company};
use faults::{Body, Cut};
use fixtures::Book;
use ledger::Ledger;
use reply::{Billing, Received, Reply};
use requests::Requests;

pub use accuauth::{API_ID as ACCUAUTH_API_ID, API_SECRET as ACCUAUTH_API_SECRET};
pub use company::credentials;
pub use table::{Row, markdown, table};
pub use verifik::TOKEN as VERIFIK_TOKEN;
pub use youverify::TOKEN as YOUVERIFY_TOKEN;

/// Longest request body. The gateway takes 8 MiB of images, a third more in base64.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// How long answers in flight may take after the shutdown was asked for, beside the usual delay.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept, such as with too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the sandbox behaves as a whole.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Added before every provider answer.
    pub delay: Duration,
    /// The file of [`fixtures`].
    pub fixtures: Option<PathBuf>,
}

struct Sandbox {
    options: Options,
    ledger: Ledger,
    requests: Requests,
    memory: Memory,
}

/// Serves until `shutdown` ends, then lets answers in flight finish for a short time.
///
/// # Errors
/// If the fixtures cannot be used. A failed accept is logged and tried again.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let drain = options.delay + DRAIN;
    let sandbox = Arc::new(Sandbox {
        options,
        ledger: Ledger::default(),
        requests: Requests::default(),
        memory: Memory::default(),
    });
    let watching = match sandbox.options.fixtures.clone() {
        Some(file) => Some(sandbox.watch(file).map_err(std::io::Error::other)?),
        None => None,
    };
    let closing = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(converse(socket, Arc::clone(&sandbox), closing.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "sandbox could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    if let Some(watching) = watching {
        watching.abort();
    }
    closing.cancel();
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, finish).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

/// One connection, from its first request to its last answer.
async fn converse(socket: TcpStream, sandbox: Arc<Sandbox>, closing: CancellationToken) {
    // Only latency suffers if this fails.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| {
        let sandbox = Arc::clone(&sandbox);
        async move { sandbox.answer(request).await }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(socket), service)
    );
    // A connection that ends in an error is either the caller's doing or one of our own cuts.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// How often the fixtures are looked at: who changes them waits for it.
const LOOK: Duration = Duration::from_secs(1);

/// Whether fixtures can be used.
///
/// # Errors
///
/// Everything that is wrong with them.
pub fn check_fixtures(file: &Path) -> Result<(), String> {
    book(&reload::read(file)?).map(drop)
}

fn book(content: &[u8]) -> Result<Book, String> {
    Book::read(std::str::from_utf8(content).map_err(|_| "is not UTF-8")?)
}

impl Sandbox {
    /// Takes the fixtures, and takes them again when the file changes.
    fn watch(self: &Arc<Self>, file: PathBuf) -> Result<JoinHandle<()>, String> {
        let mut seen = reload::read(&file)?;
        self.take(book(&seen)?);
        let sandbox = Arc::clone(self);
        let take = move |contents: &[Content]| {
            let Some(content) = contents.first().filter(|content| **content != seen) else {
                // As it was read at the start: no sequence begins anew.
                return Ok(());
            };
            sandbox.take(book(content)?);
            seen = content.clone();
            Ok(())
        };
        let watch = Watch::new("sandbox.fixtures", vec![file], take);
        Ok(tokio::spawn(reload::run(vec![watch], LOOK)))
    }

    fn take(&self, book: Book) {
        self.memory
            .persons
            .replace(&self.memory.fixtures.persons(), &book.persons);
        self.memory.fixtures.replace(book);
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            let body = json!({ "error": "the request body is too long or broken" });
            return faults::deliver(Reply::json(413, body, Billing::NotBilled)).await;
        };
        let received = Received {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body: body.to_bytes(),
        };
        let own = match received.path.as_str() {
            ledger::PATH => Some(self.ledger.answer(&received.method)),
            requests::PATH => Some(self.requests.answer()),
            requests::PAGE => Some(self.requests.page(&self.ledger)),
            _ => None,
        };
        if let Some(reply) = own {
            return faults::deliver(reply).await;
        }
        let (provider, reply) = self.route(&received);
        if let Some(provider) = provider {
            self.ledger.record(provider, reply.billing);
            self.requests.record(provider, &received, &reply);
            tokio::time::sleep(self.options.delay + reply.delay).await;
        }
        faults::deliver(reply).await
    }

    /// A path that is no company's gets a plain 404.
    fn route(&self, received: &Received) -> (Option<Provider>, Reply) {
        let owner = company::owner(&received.path);
        let reply = match owner {
            Some(provider) => (company(provider).answer)(received, &self.memory),
            None => Reply::html(404, "<h1>Not Found</h1>"),
        };
        (owner, reply)
    }
}
