//! The client's end of a connection: the opening handshake, and a stock of frames to send.
//! RFC 6455 section 4.1.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Result;
use crate::cell::Deflate;

/// The key of RFC 6455 section 1.3, and what the server must make of it. A fixed key lets the raw
/// server answer without computing.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// How long a server may take for an answer before the measurement is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What to ask a server for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) deflate: Deflate,
}

impl Target {
    /// Opens a connection and leaves it in blocking mode.
    pub(crate) fn open(&self) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&self.request())?;
        let mut response = Vec::with_capacity(512);
        let mut chunk = [0; 512];
        while !check_response(&response)? {
            match stream.read(&mut chunk)? {
                0 => return Err("closed during the handshake".into()),
                n => response.extend_from_slice(&chunk[..n]),
            }
        }
        Ok(stream)
    }

    /// The opening handshake's request.
    pub(crate) fn request(&self) -> Vec<u8> {
        let Self { address, path, deflate } = self;
        let offer = match deflate {
            Deflate::Off => "",
            Deflate::NoTakeover => {
                "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; \
                 server_no_context_takeover\r\n"
            }
            Deflate::Takeover => {
                "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
            }
        };
        format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
        )
        .into_bytes()
    }
}

/// Whether the response is complete; an error if it is no upgrade, or if there is more.
pub(crate) fn check_response(response: &[u8]) -> Result<bool> {
    match response_length(response)? {
        Some(length) if length < response.len() => Err("the server spoke first".into()),
        length => Ok(length.is_some()),
    }
}

/// How long the response is, once it is complete; an error if it is no upgrade.
pub(crate) fn response_length(response: &[u8]) -> Result<Option<usize>> {
    let Some(end) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&response[..end]);
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
        return Err(format!("the handshake was refused: {}", head.lines().next().unwrap_or_default()).into());
    }
    Ok(Some(end + 4))
}

/// One frame many times in a row, from which any number can be sent with few writes.
#[derive(Debug)]
pub(crate) struct Stock {
    bytes: Vec<u8>,
    frame: usize,
}

impl Stock {
    /// Enough to send `most` frames with one write, or 256 KiB of them.
    pub(crate) fn new(frame: &[u8], most: usize) -> Self {
        let copies = ((256 << 10) / frame.len()).clamp(1, most);
        Self { bytes: frame.repeat(copies), frame: frame.len() }
    }

    /// Length in bytes of one frame.
    pub(crate) fn frame_len(&self) -> usize {
        self.frame
    }

    /// Sends what is owed on a connection, as far as it can be sent without waiting.
    pub(crate) fn send(&self, mut stream: &TcpStream, owed: &mut usize) -> io::Result<()> {
        while *owed > 0 {
            // A frame that was begun goes on where it was left.
            let start = (self.frame - *owed % self.frame) % self.frame;
            let end = (start + *owed).min(self.bytes.len());
            match stream.write(&self.bytes[start..end]) {
                Ok(sent) => *owed -= sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Receives what there is, and shows it piece by piece.
pub(crate) fn receive(
    mut stream: &TcpStream,
    buffer: &mut [u8],
    mut piece: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err("the server ended a connection".into()),
            Ok(n) => {
                piece(&buffer[..n])?;
                if n < buffer.len() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
