//! The first bytes of HTTP/2, read before anything else is made for a connection.
//!
//! What is not HTTP/2 goes no further. HTTP/1 is told so in its own words, once; anything else is closed.

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a client of HTTP/1 is told.
const HTTP_1: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
    content-type: text/plain\r\n\
    content-length: 40\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks gRPC over HTTP/2 only.\n";
/// How long the answer may take to be read, so that closing does not destroy it on its way.
const LINGER: Duration = Duration::from_secs(1);
/// What is read of a request of HTTP/1 meanwhile, at most.
const LINGER_BYTES: usize = 64 * 1024;

/// Reads the preface.
///
/// # Errors
///
/// If something else comes.
pub async fn read(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let mut expected = PREFACE;
    let mut buffer = [0_u8; PREFACE.len()];
    let mut first = None;
    while !expected.is_empty() {
        let room = buffer.get_mut(..expected.len()).unwrap_or_default();
        let length = io.read(room).await?;
        let read = buffer.get(..length).unwrap_or_default();
        if length == 0 {
            return Err(io::Error::other(
                "closed before the HTTP/2 connection preface",
            ));
        }
        first = first.or_else(|| read.first().copied());
        match expected.strip_prefix(read) {
            Some(rest) => expected = rest,
            // A method of HTTP/1 is written in capitals; TLS begins with 0x16.
            None if first.is_some_and(|byte| byte.is_ascii_uppercase()) => {
                refuse_http_1(io).await?;
                return Err(io::Error::other("HTTP/1"));
            }
            None if first == Some(0x16) => {
                return Err(io::Error::other("TLS handshake on a plaintext port"));
            }
            None => return Err(io::Error::other("not HTTP/2")),
        }
    }
    Ok(())
}

async fn refuse_http_1(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    io.write_all(HTTP_1).await?;
    io.shutdown().await?;
    let mut sink = [0_u8; 1024];
    let mut left = LINGER_BYTES;
    let drained = async {
        while left > 0 {
            match io.read(&mut sink).await {
                Ok(0) | Err(_) => break,
                Ok(length) => left = left.saturating_sub(length),
            }
        }
    };
    let _in_time_or_not = tokio::time::timeout(LINGER, drained).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reading says of these bytes in these pieces, and what the client is told.
    async fn said(pieces: &[&[u8]]) -> (Result<(), String>, Vec<u8>) {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let reading = tokio::spawn(async move {
            let read = read(&mut server).await;
            read.map_err(|error| error.to_string())
        });
        for piece in pieces {
            let _closed = client.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _closed = client.shutdown().await;
        let mut told = Vec::new();
        let _closed = client.read_to_end(&mut told).await;
        (reading.await.unwrap(), told)
    }

    #[tokio::test]
    async fn the_preface_is_read_in_whatever_pieces_it_comes() {
        assert_eq!(said(&[PREFACE]).await.0, Ok(()));
        let bytes: Vec<_> = PREFACE.chunks(1).collect();
        assert_eq!(said(&bytes).await.0, Ok(()));
    }

    #[tokio::test]
    async fn anything_else_is_refused_and_http_1_is_told_so() {
        for (bytes, why, told) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP/1", HTTP_1),
            (b"POST /x HTTP/1.1\r\n", "HTTP/1", HTTP_1),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "HTTP/1", HTTP_1),
            (
                b"\x16\x03\x01\x02\x00",
                "TLS handshake on a plaintext port",
                b"",
            ),
            (b"\x00\xff\x00", "not HTTP/2", b""),
            (b"PRI", "closed before the HTTP/2 connection preface", b""),
            (b"", "closed before the HTTP/2 connection preface", b""),
        ] {
            let (found, answer) = said(&[bytes]).await;
            assert_eq!(found, Err(why.to_owned()), "{bytes:?}");
            assert_eq!(answer, told, "{bytes:?}");
        }
    }

    #[test]
    fn the_answer_to_http_1_is_as_long_as_it_says() {
        let text = std::str::from_utf8(HTTP_1).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}
