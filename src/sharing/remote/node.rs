//! A connection to one node of a cluster, which the library keeps for each of them.
//!
//! The library sends a command again after any error that it thinks will pass, a broken connection and a timeout
//! among them. Here a command that may have been executed is not sent again: a script that was run twice would hand
//! out an answer twice, or lose it. So what fails after it was sent ends in an error that the library does not repeat;
//! what a server has refused (MOVED, ASK, TRYAGAIN, READONLY, LOADING …) was surely not executed, and goes where the
//! library sends it. A node that broke, or was silent too often, refuses everything before it is sent: then the library
//! dials it anew and repeats what was refused.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, IntoConnectionInfo, Pipeline, RedisError, RedisFuture,
    RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster_async::Connect,
};

use super::{PATIENCE, cause};
use crate::telemetry::labels::CacheFailure;

/// A connection to a node.
#[derive(Clone)]
pub(super) struct Node {
    connection: MultiplexedConnection,
    /// Commands in a row without an answer; [`PATIENCE`] also if it broke.
    late: Arc<AtomicU32>,
}

/// A command that has no answer yet.
struct Waits<'a>(&'a AtomicU32);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Node {
    async fn sent<T>(
        late: &AtomicU32,
        command: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        if late.load(Ordering::Relaxed) >= PATIENCE {
            return Err(not_sent(CacheFailure::Closed));
        }
        let waits = Waits(late);
        let answer = command.await;
        std::mem::forget(waits);
        match answer {
            Ok(value) => {
                late.store(0, Ordering::Relaxed);
                Ok(value)
            }
            Err(error) => {
                let cause = cause::of(&error);
                match cause {
                    CacheFailure::Timeout => late.fetch_add(1, Ordering::Relaxed),
                    _ => late.swap(PATIENCE, Ordering::Relaxed),
                };
                let cause = cause.as_str().to_owned();
                Err((ErrorKind::Client, "perhaps executed", cause).into())
            }
        }
    }
}

/// An error of what was surely not sent.
fn not_sent(cause: CacheFailure) -> RedisError {
    (ErrorKind::Io, "no connection", cause.as_str().to_owned()).into()
}

impl Connect for Node {
    fn connect_with_config<'a, T>(info: T, config: AsyncConnectionConfig) -> RedisFuture<'a, Self>
    where
        T: IntoConnectionInfo + Send + 'a,
    {
        Box::pin(async move {
            let connected = MultiplexedConnection::connect_with_config(info, config).await;
            Ok(Self {
                connection: connected.map_err(|error| not_sent(cause::of(&error)))?,
                late: Arc::default(),
            })
        })
    }
}

impl ConnectionLike for Node {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let Self { connection, late } = self;
        Box::pin(Self::sent(late, connection.req_packed_command(command)))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let Self { connection, late } = self;
        let sent = connection.req_packed_commands(commands, offset, count);
        Box::pin(Self::sent(late, sent))
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
