//! The built gateway as a child process whose every word is kept.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

pub struct Process {
    child: Child,
    pub grpc: SocketAddr,
    admin: SocketAddr,
    out: Arc<Mutex<String>>,
    reading: [JoinHandle<()>; 2],
    err: Arc<Mutex<String>>,
}

impl Process {
    pub async fn start(variables: &[(String, String)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_identity-gateway"))
            .arg("serve")
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .envs([
                ("IDGW_SERVER__LISTEN", "127.0.0.1:0"),
                ("IDGW_ADMIN__LISTEN", "127.0.0.1:0"),
                ("IDGW_SERVER__LAME_DUCK", "0s"),
                ("IDGW_AUTH__MODE", "none"),
                ("IDGW_LOG__FORMAT", "json"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut out = String::new();
        let serving = loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("the gateway serves");
            out.push_str(&line);
            out.push('\n');
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "serving" {
                break line;
            }
        };
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        let (out, err) = (Arc::new(Mutex::new(out)), Arc::default());
        let reading = [
            tokio::spawn(keep(lines.into_inner(), Arc::clone(&out))),
            tokio::spawn(keep(child.stderr.take().unwrap(), Arc::clone(&err))),
        ];
        Self {
            child,
            grpc: address("grpc"),
            admin: address("admin"),
            out,
            reading,
            err,
        }
    }

    /// The body of a GET on the admin port.
    pub async fn admin(&self, path: &str) -> String {
        let accept = "application/openmetrics-text, text/plain;q=0.5";
        self.accepted(path, accept).await
    }

    /// What a browser gets.
    pub async fn status_page(&self) -> String {
        self.accepted("/", "text/html").await
    }

    async fn accepted(&self, path: &str, accept: &str) -> String {
        let url = format!("http://{}{path}", self.admin);
        let request = reqwest::Client::new().get(url);
        let request = request.header("accept", accept);
        let answer = request.send().await.unwrap();
        format!(
            "{:?}\n{}",
            answer.headers().clone(),
            answer.text().await.unwrap()
        )
    }

    /// What the admin port says to a log filter that is none.
    pub async fn refused_filter(&self, filter: &str) -> String {
        let url = format!("http://{}/log", self.admin);
        let put = reqwest::Client::new().put(url).body(filter.to_owned());
        let answer = put.send().await.unwrap();
        assert_eq!(answer.status(), 400);
        answer.text().await.unwrap()
    }

    /// Ends it in order; what it wrote to its standard output and error.
    pub async fn end(&mut self) -> (String, String) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(sent.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        assert!(ended.unwrap().unwrap().success());
        for reading in &mut self.reading {
            reading.await.unwrap();
        }
        let text = |kept: &Mutex<String>| kept.lock().unwrap().clone();
        (text(&self.out), text(&self.err))
    }
}

async fn keep(mut from: impl AsyncRead + Unpin, to: Arc<Mutex<String>>) {
    let mut whole = Vec::new();
    from.read_to_end(&mut whole).await.unwrap();
    to.lock()
        .unwrap()
        .push_str(&String::from_utf8_lossy(&whole));
}
