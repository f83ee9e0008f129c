//! The gateway's log lines, as they come out of its standard output.

use std::{
    io::{BufRead as _, BufReader},
    process::ChildStdout,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

/// A line may come a moment after the answer that it tells of.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every line so far.
#[derive(Clone)]
pub struct Log {
    lines: Arc<Mutex<Vec<Value>>>,
    text: Arc<Mutex<String>>,
    count: watch::Receiver<usize>,
}

impl Log {
    /// Reads in a thread of its own, until the process closes its output.
    pub fn read(output: ChildStdout) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let text = Arc::new(Mutex::new(String::new()));
        let (kept, written) = (Arc::clone(&lines), Arc::clone(&text));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                written.lock().unwrap().extend([line.as_str(), "\n"]);
                // What is no JSON is kept as a text: a test that looks for a line will not find it.
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                let mut kept = kept.lock().unwrap();
                kept.push(value);
                counter.send_replace(kept.len());
            }
        });
        Self { lines, text, count }
    }

    /// All of it, byte for byte.
    pub fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// How many lines there are: where the next one will stand.
    pub fn mark(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// The lines from a mark on.
    pub fn since(&self, mark: usize) -> Vec<Value> {
        self.lines.lock().unwrap()[mark..].to_vec()
    }

    /// The first line from a mark on that says this message.
    pub async fn line(&self, mark: usize, message: &str) -> Option<Value> {
        let mut count = self.count.clone();
        let found = || {
            let says = |line: &Value| line["message"] == message;
            self.since(mark).into_iter().find(says)
        };
        let looked_for = async {
            loop {
                // Before looking, so that a line that comes meanwhile is looked at too.
                count.mark_unchanged();
                if let Some(line) = found() {
                    return Some(line);
                }
                if count.changed().await.is_err() {
                    return found();
                }
            }
        };
        tokio::time::timeout(PATIENCE, looked_for).await.ok()?
    }
}
