//! Links that end, fail or stall, and peers that never stop: the connection ends in time and does not spin.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use testkit::{Ending, LinkConfig, Pair, Script, count_polls, each_seed};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, advance, timeout};
use vaiven::{CloseFrame, Config, Error, Message, Role, TimeoutKind, Transport, Violation, WebSocket};

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { timeout(Duration::from_mins(10), test).await.expect("it comes to its end") })
}

/// Echoes until the connection ends.
async fn echo(mut socket: WebSocket) -> Result<Option<CloseFrame>, Error> {
    while let Some(message) = socket.recv().await? {
        if socket.send(message).await.is_err() {
            break;
        }
    }
    Ok(socket.close_frame().cloned())
}

/// A client that says a little of everything and then only listens.
async fn talk(mut socket: WebSocket) {
    for message in [Message::from("hola"), Message::from(vec![7; 200]), Message::from("")] {
        if socket.send(message).await.is_err() || socket.ping(b"there?").await.is_err() {
            return;
        }
    }
    socket.sender().close(Some(&CloseFrame::new(1000, "bye")));
    while let Ok(Some(_)) = socket.recv().await {}
}

#[test]
fn an_end_or_a_reset_at_any_byte_ends_the_connection_in_time_and_without_a_spin() {
    let endings =
        [Ending::Eof, Ending::Error(io::ErrorKind::ConnectionReset), Ending::Error(io::ErrorKind::TimedOut)];
    for ending in endings {
        for at in 0..300 {
            each_seed(2, |seed| {
                let link = LinkConfig { client_to_server: Some((at, ending)), ..LinkConfig::hesitant(40) };
                let mut pair = Pair { link, ..Pair::default() };
                pair.client.max_frame_bytes = Some(64);
                let (elapsed, polls, end) = run(async {
                    let (client, server) = pair.connect(Script::seed(seed));
                    let client = tokio::spawn(talk(client));
                    let start = Instant::now();
                    let (end, polls) = count_polls(echo(server)).await;
                    client.abort();
                    (start.elapsed(), polls, end)
                });
                assert!(elapsed < Duration::from_secs(5), "{ending:?} at {at}: {elapsed:?}");
                assert!(polls < 300, "{ending:?} at {at}: {polls} polls");
                match (end, ending) {
                    (Ok(Some(close)), _) => assert_eq!(close.code.value(), 1000),
                    (Err(Error::Disconnected), _) => {}
                    (Err(Error::Io(error)), Ending::Error(kind)) => assert_eq!(error.kind(), kind),
                    (end, _) => panic!("{ending:?} at {at}: {end:?}"),
                }
            });
        }
    }
}

#[test]
fn a_slow_reader_of_a_long_message_is_alive() {
    run(async {
        // 10 kB a second: 1 MB takes longer than keepalive waits for anything from the reader.
        let link =
            LinkConfig { capacity: 1_000, latency: Duration::from_millis(100), ..LinkConfig::default() };
        let pair = Pair { link, ..Pair::default() };
        let (mut client, mut server) = pair.connect(Script::seed(1));
        let client = tokio::spawn(async move { client.recv().await.map(|message| message.map(|m| m.len())) });
        server.send(vec![1; 1_000_000]).await.unwrap();
        let end = timeout(Duration::from_secs(150), server.recv()).await;
        assert_eq!(client.await.unwrap().unwrap(), Some(1_000_000), "{end:?}");
    });
}

/// A client that sends the same bytes for ever, as fast as they are read, and takes nothing back but pretends to.
struct Flood {
    bytes: &'static [u8],
    at: usize,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = &self.bytes[self.at..];
        let len = piece.len().min(buf.remaining());
        buf.put_slice(&piece[..len]);
        self.at = (self.at + len) % self.bytes.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn flooded(bytes: &'static [u8]) -> WebSocket {
    let transport = Transport::other(Flood { bytes, at: 0 });
    WebSocket::from_transport(
        transport,
        Role::Server,
        bytes::BytesMut::new(),
        None,
        &Config::new(Role::Server),
    )
}

/// Ends the process instead of the test where a poll never returns: nothing else could end it.
fn or_give_up(test: impl Future<Output = ()>) {
    let (done, watch) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if watch.recv_timeout(Duration::from_mins(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("a poll does not return");
            std::process::abort();
        }
    });
    run(test);
    drop(done);
    watchdog.join().unwrap();
}

#[test]
fn a_peer_that_never_stops_sending_cannot_outlast_the_close_timeout() {
    or_give_up(async {
        let mut server = flooded(b"\x82\x81\0\0\0\0a");
        server.recv().await.unwrap();
        server.sender().close(None);
        for _ in 0..1_000_000 {
            match server.recv().await {
                Ok(message) => assert!(message.is_some()),
                Err(error) => {
                    assert!(matches!(error, Error::Timeout(TimeoutKind::Close)), "{error}");
                    return;
                }
            }
            advance(Duration::from_micros(10)).await;
        }
        panic!("ten seconds have passed");
    });
}

#[test]
fn a_peer_that_never_stops_sending_cannot_keep_a_failed_connection() {
    or_give_up(async {
        let mut server = flooded(b"\x82\x01a");
        let clock = tokio::spawn(async {
            for _ in 0..100 {
                advance(Duration::from_millis(100)).await;
            }
        });
        let start = Instant::now();
        let error = server.recv().await.unwrap_err();
        assert!(matches!(error, Error::Violation(Violation::UnmaskedFrame)), "{error}");
        assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
        clock.abort();
    });
}

#[test]
fn a_sender_that_is_kept_keeps_no_closed_connection_open() {
    run(async {
        let (mut client, server) = Pair::default().connect(Script::seed(1));
        let (sender, receiver) = server.split();
        drop(receiver);
        assert!(matches!(client.recv().await, Err(Error::Disconnected)));
        // Behind the end of its outgoing direction the server holds nothing of the transport: writes fail.
        let (mut other, server) = Pair::default().connect(Script::seed(1));
        let (kept, receiver) = server.split();
        drop(receiver);
        tokio::time::sleep(Duration::from_millis(1)).await;
        other.try_send("into the void").unwrap();
        assert!(matches!(other.flush().await, Err(Error::Io(_) | Error::Disconnected)));
        drop((sender, kept));
    });
}
