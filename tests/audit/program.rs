//! The program as a process, over a sandbox of the test's own, with its audit in a directory.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use identity_gateway::{
    proto::{
        identity::v1::identity_service_client::IdentityServiceClient,
        person::v1::person_service_client::PersonServiceClient,
    },
    sandbox,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tonic::transport::Channel;

use crate::kit::{
    client::{self, Connection},
    process::{BINARY, DEFAULTS, Process},
};

/// Of the hashes of identifiers; the chain's follows from it.
pub const KEY: &str = "a key of the tests, long enough for it";
/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A sandbox, and a directory for audit files. They outlive the processes of a test.
pub struct Place {
    pub sandbox: SocketAddr,
    directory: tempfile::TempDir,
}

impl Place {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = listener.local_addr().unwrap();
        tokio::spawn(sandbox::serve(
            listener,
            sandbox::Options::default(),
            std::future::pending(),
        ));
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("audit")).unwrap();
        Self { sandbox, directory }
    }

    /// The directory of the audit files.
    pub fn audit(&self) -> PathBuf {
        self.directory.path().join("audit")
    }

    pub fn path(&self) -> PathBuf {
        self.audit().join("audit.log")
    }

    /// All audit files, the oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.audit()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| !path.ends_with("audit.log.lock") && *path != self.path())
            .collect();
        paths.sort();
        paths.extend(self.path().exists().then(|| self.path()));
        paths
    }

    pub fn text(&self) -> String {
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        self.files().into_iter().map(read).collect()
    }

    pub fn records(&self) -> Vec<Value> {
        let text = self.text();
        let whole = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        whole.collect()
    }

    /// Waits until there are so many records of an event.
    pub async fn wait_for(&self, event: &str, count: usize) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let records = self.records();
            if crate::audit::of_event(&records, event).len() >= count {
                return records;
            }
            assert!(start.elapsed() < PATIENCE, "{records:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many requests a provider received.
    pub async fn received(&self, provider: &str) -> u64 {
        self.ledger().await[provider]["received"].as_u64().unwrap()
    }

    /// What the providers received, and what of it they charge for.
    pub async fn ledger(&self) -> Value {
        let mut socket = TcpStream::connect(self.sandbox).await.unwrap();
        let request = "GET /_sandbox/ledger HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// `audit verify` of these files.
    pub fn verify(&self, files: &[PathBuf]) -> (i32, String) {
        self.verify_with(&[], files)
    }

    /// The same, asked for more.
    pub fn verify_with(&self, more: &[&str], files: &[PathBuf]) -> (i32, String) {
        let mut command = Command::new(BINARY);
        let output = command.args(["audit", "verify"]).args(more).args(files);
        said(&output.output().unwrap())
    }

    /// A file beside the audit's, as an argument.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn is_whole(&self) -> String {
        let (code, told) = self.verify(&self.files());
        assert_eq!(code, 0, "{told}");
        told
    }

    fn command(&self, mut command: Command, env: &[(&str, &str)]) -> Command {
        let url = format!("http://{}", self.sandbox);
        command
            .envs(DEFAULTS)
            .env("IDGW_SERVER__LAME_DUCK", "0s")
            .env("IDGW_PROVIDERS__VERIFIK__BASE_URL", &url)
            .env("IDGW_PROVIDERS__VERIFIK__TOKEN", sandbox::VERIFIK_TOKEN)
            .env("IDGW_PROVIDERS__YOUVERIFY__BASE_URL", &url)
            .env("IDGW_PROVIDERS__YOUVERIFY__TOKEN", sandbox::YOUVERIFY_TOKEN)
            .env("IDGW_PROVIDERS__ACCUAUTH__BASE_URL", &url)
            .env("IDGW_PROVIDERS__ACCUAUTH__API_ID", sandbox::ACCUAUTH_API_ID)
            .env(
                "IDGW_PROVIDERS__ACCUAUTH__API_SECRET",
                sandbox::ACCUAUTH_API_SECRET,
            )
            .env("IDGW_AUDIT__SINK", "file")
            .env("IDGW_AUDIT__PATH", self.path())
            .env("IDGW_AUDIT__KEY", KEY)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub async fn start(&self, env: &[(&str, &str)]) -> Program {
        let mut command = Command::new(BINARY);
        command.arg("serve");
        Program::of(self.command(command, env)).await
    }

    /// The program where no file may grow beyond `blocks` of 512 bytes: a disk that fills up.
    pub async fn start_on_a_full_disk(&self, blocks: u32, env: &[(&str, &str)]) -> Program {
        let mut command = Command::new("dash");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" serve");
        command.args(["-c", &script, BINARY]);
        Program::of(self.command(command, env)).await
    }

    /// A start that is refused.
    pub fn refused(&self, env: &[(&str, &str)]) -> (i32, String) {
        let mut command = Command::new(BINARY);
        command.arg("serve");
        said(&self.command(command, env).output().unwrap())
    }
}

fn said(output: &Output) -> (i32, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    (output.status.code().unwrap(), text)
}

/// A process that serves. It is killed with the test.
pub struct Program {
    process: Process,
    channel: Channel,
}

impl Program {
    async fn of(command: Command) -> Self {
        let process = Process::start(command).await;
        let url = format!("http://{}", process.grpc);
        let channel = Channel::from_shared(url).unwrap().connect_lazy();
        Self { process, channel }
    }

    pub fn identity(&self) -> IdentityServiceClient<Channel> {
        IdentityServiceClient::new(self.channel.clone())
    }

    /// A client that leaves it to the gateway to keep a deadline.
    pub async fn untimed(&self) -> IdentityServiceClient<Connection> {
        client::identity(self.process.grpc).await
    }

    pub fn persons(&self) -> PersonServiceClient<Channel> {
        PersonServiceClient::new(self.channel.clone())
    }

    /// What it wrote to standard output so far.
    pub fn output(&self) -> String {
        self.process.log.text()
    }

    /// Waits until it has written this to standard output.
    pub async fn wait_for(&self, words: &str) {
        let start = Instant::now();
        while !self.output().contains(words) {
            assert!(start.elapsed() < PATIENCE, "{}", self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks it to leave, and waits until it has.
    pub fn terminate(mut self) {
        self.process.terminate();
        assert!(self.process.wait().success());
    }

    /// Ends it by force.
    pub fn kill(mut self) {
        self.process.kill();
    }
}
