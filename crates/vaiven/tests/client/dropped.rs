//! `connect` that is dropped: at whatever await, the server sees the connection end.

use crate::authority::{Authority, Validity};
use crate::script::{ACCEPT, client, fill, read_request};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use vaiven::client::DialOptions;
use vaiven::{Client, Error};

/// Polls a future so many times; `None` when it was not ready by then, and is dropped.
async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Answers byte by byte, so that there are many awaits, and reads until the client is gone.
async fn answer_slowly(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let request = read_request(&mut stream).await;
    for byte in fill(ACCEPT, &request) {
        if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    while stream.read_u8().await.is_ok() {}
}

/// Drops `connect` after every number of polls, until it is ready within them. Gives how often it was dropped.
async fn check(client: Client, scheme: &str, tls: Option<TlsAcceptor>) -> usize {
    for times in 0.. {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://localhost:{}/", listener.local_addr().unwrap().port());
        let tls = tls.clone();
        let server = tokio::spawn(async move {
            // A client that is dropped before it has connected never comes.
            let waiting = tokio::time::timeout(Duration::from_millis(300), listener.accept());
            let Ok(Ok((tcp, _))) = waiting.await else { return };
            tcp.set_nodelay(true).unwrap();
            match tls {
                None => answer_slowly(tcp).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(tcp).await {
                        answer_slowly(stream).await;
                    }
                }
            }
        });
        let outcome: Option<Result<_, Error>> = polled(times, client.connect(&url)).await;
        let is_ready = outcome.is_some();
        if let Some(result) = outcome {
            drop(result.unwrap());
        }
        tokio::time::timeout(Duration::from_secs(10), server)
            .await
            .unwrap_or_else(|_| panic!("the connection of a client dropped after {times} polls stays open"))
            .unwrap();
        if is_ready {
            return times;
        }
    }
    unreachable!("connecting ends")
}

#[tokio::test]
async fn connect_dropped_at_any_await_closes_its_socket() {
    let dropped = check(client(), "ws", None).await;
    assert!(dropped > 3, "lookup, connection, and the answer in pieces: {dropped}");
}

#[tokio::test]
async fn connect_over_tls_dropped_at_any_await_closes_its_socket() {
    let authority = Authority::new();
    let server = authority.issue(&["localhost"], Validity::Now);
    let options = DialOptions::default().without_proxy().tls(authority.trusted().build().unwrap());
    let tls = TlsAcceptor::from(server.server());
    let dropped = check(Client::new().dial_options(options), "wss", Some(tls)).await;
    assert!(dropped > 3, "{dropped}");
}
