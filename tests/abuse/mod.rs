//! What whoever reaches a port may try, over real sockets against the built program; and what a provider may.
//!
//! After each attack the gateway still answers somebody else, and its memory is bounded.

mod answers;
mod connections;
mod floods;
pub mod frames;
mod half_sent;
mod memory;
mod providers;
mod slow;

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tonic::Code;

use crate::kit::{client::Client, process::Process};

const CURP: &str = "idgw.identity.v1.IdentityService/CheckCurp";
/// Resident memory of the gateway after an attack, in MiB, unless a test says another bound. At rest a debug
/// build with the sandbox has about 45.
const MOST_MEMORY: u64 = 120;

/// A CURP that the sandbox knows.
fn curp() -> Value {
    json!({"curp": "RAZR811011HVZXPB01"})
}

/// A gateway with the sandbox for its providers, and these settings.
async fn gateway(own: &[(&str, &str)]) -> Process {
    let own = own
        .iter()
        .map(|(key, value)| (format!("IDGW_SERVER__{key}"), *value));
    let quiet = (
        "IDGW_LOG__FILTER".to_owned(),
        "warn,identity_gateway::cli=info",
    );
    Process::serve(&["--sandbox"], own.chain([quiet])).await
}

/// A connection from another address of this machine.
async fn from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind((address, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Another caller is answered within ten seconds, and the memory is bounded.
async fn still_answers(gateway: &mut Process, most_memory: u64) {
    let answered = tokio::time::timeout(Duration::from_secs(10), async {
        let stream = from([127, 0, 0, 99], gateway.grpc).await;
        let origin = "http://gateway.test".parse().unwrap();
        let client = Client::over(stream, origin).await.unwrap();
        loop {
            match client.call(CURP, &curp()).await {
                // Where somebody else has every place, who is turned away gets the next one that falls free.
                Err(status) if status.code() == Code::ResourceExhausted => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                answered => break answered.unwrap(),
            }
        }
    });
    let answer = answered.await.expect("another caller is answered in time");
    assert_eq!(answer["verification"]["outcome"], "OUTCOME_FOUND");
    assert!(gateway.runs());
    let resident = gateway.resident();
    println!("{resident} MiB");
    assert!(
        resident <= most_memory,
        "{resident} MiB resident, more than {most_memory}"
    );
}
