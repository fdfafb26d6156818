//! The limit: plain TCP that carries the bytes of the conversation and understands none of them.
//!
//! It answers the opening handshake with a canned response (the load generator's key never changes)
//! and then returns for each client frame as many bytes as the server's frame would have: the same
//! without the four of the masking key. It needs to be told the length of the client's frames, and
//! answers partial frames in step, so that large messages flow as they would in a streaming echo.
//!
//! All connections read through one buffer, and what was read is answered with one write.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use bench_peers::{Options, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Bytes of a masking key, which a server's frame does not have.
const MASKING_KEY: usize = 4;

/// First byte of a Close frame.
const CLOSE: u8 = 0x88;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn main() {
    let options = Options::from_args();
    // 256 KiB, or 512 KiB where messages are larger than the buffer: what measured best.
    let buffer = if options.frame > 256 << 10 { 512 << 10 } else { 256 << 10 };
    BUFFER.with_borrow_mut(|shared| shared.resize(buffer, 0));
    if options.fanout {
        let (join, joined) = mpsc::unbounded_channel();
        let mut joined = Some(joined);
        serve(options.listen, move |stream| {
            if let Some(joined) = joined.take() {
                tokio::spawn(publish(joined, options.frame));
            }
            let join = join.clone();
            async move {
                let stream = open(stream).await?;
                join.send(stream).map_err(io::Error::other)
            }
        });
    } else {
        serve(options.listen, move |stream| async move { echo(open(stream).await?, options.frame).await });
    }
}

/// Reads the request and answers it.
async fn open(mut stream: TcpStream) -> io::Result<TcpStream> {
    let mut request = Vec::with_capacity(512);
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    stream.write_all(RESPONSE).await?;
    Ok(stream)
}

/// How much was received and answered of a stream of equal frames.
struct Tally {
    frame: usize,
    received: usize,
    answered: usize,
}

impl Tally {
    fn new(frame: usize) -> Self {
        assert!(frame > MASKING_KEY, "--frame is the length of a masked frame");
        Self { frame, received: 0, answered: 0 }
    }

    /// Bytes to answer now that `bytes` more were received.
    fn answer(&mut self, bytes: usize) -> usize {
        self.received += bytes;
        let keys = self.received / self.frame * MASKING_KEY + (self.received % self.frame).min(MASKING_KEY);
        let answer = self.received - keys - self.answered;
        self.answered += answer;
        answer
    }
}

async fn echo(mut stream: TcpStream, frame: usize) -> io::Result<()> {
    let mut tally = Tally::new(frame);
    loop {
        let mut rest = Vec::new();
        let last = poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                ready!(Pin::new(&mut stream).poll_read(cx, &mut read))?;
                let received = read.filled();
                let answer = &received[..tally.answer(received.len())];
                let sent = write_now(&stream, answer)?;
                rest.extend_from_slice(&answer[sent..]);
                Poll::Ready(io::Result::Ok(
                    received.first().is_none_or(|first| *first == CLOSE && tally.received == received.len()),
                ))
            })
        })
        .await?;
        stream.write_all(&rest).await?;
        if last {
            return Ok(());
        }
    }
}

/// Writes what the socket takes without waiting.
fn write_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.try_write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

/// Reads from the first member, and writes what would have been broadcast to every one.
///
/// The others never speak, and so few bytes are in flight that a socket always takes them.
async fn publish(mut joined: mpsc::UnboundedReceiver<TcpStream>, frame: usize) -> io::Result<()> {
    let mut tally = Tally::new(frame);
    let mut members = Vec::new();
    members.extend(joined.recv().await);
    let mut received = vec![0; 64 << 10];
    while let Some(publisher) = members.first_mut() {
        let n = tokio::select! {
            biased;
            Some(member) = joined.recv() => {
                members.push(member);
                continue;
            }
            n = publisher.read(&mut received) => n?,
        };
        if n == 0 {
            break;
        }
        let answer = tally.answer(n);
        for member in &members {
            let sent = member.try_write(&received[..answer])?;
            assert_eq!(sent, answer, "the window is smaller than a socket's buffer");
        }
    }
    Ok(())
}
