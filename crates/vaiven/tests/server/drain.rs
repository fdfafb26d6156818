//! The end of a server, in which no connection is forgotten.

use crate::raw::{REQUEST, Raw, echo, soon, start};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use vaiven::CloseCode;
use vaiven::server::DrainOptions;

fn options(over: u64, timeout: u64) -> DrainOptions {
    let mut options = DrainOptions::default();
    options.over = Duration::from_millis(over);
    options.timeout = Duration::from_millis(timeout);
    options
}

#[tokio::test]
async fn a_server_without_connections_ends_at_once() {
    let server = start(|_| {}, echo).await;
    let report = server.handle.drain(options(20_000, 30_000)).await;
    assert_eq!((report.connections, report.aborted, report.left), (0, 0, 0));
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn two_hundred_connections_of_which_some_never_answer_all_end() {
    let adapt = |config: &mut vaiven::server::ServerConfig| {
        config.handshake_burst_per_ip = 1_000;
        // The silent ones are there until the drain's own timeout.
        config.connection.close_timeout = Duration::from_mins(1);
    };
    let server = start(adapt, async |handshake| {
        let moves = handshake.request().path() == "/moved";
        let echo = echo(handshake);
        if moves {
            tokio::spawn(echo);
        } else {
            echo.await;
        }
    })
    .await;
    let mut clients = Vec::new();
    for number in 0..200 {
        let mut client = Raw::connect(server.address).await;
        let path = if number % 2 == 0 { "GET / " } else { "GET /moved " };
        client.write(REQUEST.replace("GET / ", path).as_bytes()).await;
        assert!(client.head().await.starts_with("HTTP/1.1 101 "));
        clients.push(client);
    }
    soon(|| server.handle.counts().websockets == 200).await;
    let silent = clients.split_off(180);
    let polite: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                let code = client.close_code().await;
                client.send(8, &code.to_be_bytes()).await;
                (code, client.recv().await)
            })
        })
        .collect();
    let begin = Instant::now();
    let report = server.handle.drain(options(500, 2_000)).await;
    assert_eq!((report.connections, report.closed, report.aborted, report.left), (200, 200, 20, 0));
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    for client in polite {
        assert_eq!(client.await.unwrap(), (1012, None));
    }
    for mut client in silent {
        assert_eq!(client.close_code().await, 1012);
        assert_eq!(client.recv().await, None);
    }
    server.task.await.unwrap();
    let counts = server.handle.counts();
    assert_eq!((counts.connections, counts.websockets), (0, 0));
}

#[tokio::test]
async fn connections_are_closed_in_batches() {
    let server = start(|_| {}, echo).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(Raw::open(server.address).await);
    }
    let handle = server.handle.clone();
    let begin = Instant::now();
    let drain = tokio::spawn(async move { handle.drain(options(500, 5_000)).await });
    let mut times = Vec::new();
    for client in clients {
        times.push(tokio::spawn(async move {
            let mut client = client;
            assert_eq!(client.close_code().await, 1012);
            client.send(8, &1012_u16.to_be_bytes()).await;
            begin.elapsed()
        }));
    }
    let mut ended = Vec::new();
    for time in times {
        ended.push(time.await.unwrap());
    }
    ended.sort();
    assert!(ended[9] >= ended[0] + Duration::from_millis(300), "{ended:?}");
    let report = drain.await.unwrap();
    assert_eq!((report.closed, report.aborted), (10, 0));
}

#[tokio::test]
async fn handshakes_under_way_are_refused_with_503() {
    let server = start(|_| {}, echo).await;
    let mut begun = Raw::connect(server.address).await;
    begun.write(&REQUEST.as_bytes()[..20]).await;
    let mut silent = Raw::connect(server.address).await;
    soon(|| server.handle.counts().connections == 2).await;
    let handle = server.handle.clone();
    let drain = tokio::spawn(async move { handle.drain(options(0, 10_000)).await });
    soon(|| server.handle.is_draining()).await;
    begun.write(&REQUEST.as_bytes()[20..]).await;
    for client in [&mut begun, &mut silent] {
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    }
    drop((begun, silent));
    let report = drain.await.unwrap();
    assert_eq!((report.connections, report.closed, report.aborted), (2, 0, 0));
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_handler_that_hesitates_cannot_accept_once_the_server_drains() {
    let server = start(
        |_| {},
        async |handshake| {
            tokio::time::sleep(Duration::from_millis(300)).await;
            echo(handshake).await;
        },
    )
    .await;
    let mut client = Raw::connect(server.address).await;
    client.write(REQUEST.as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let handle = server.handle.clone();
    let drain = tokio::spawn(async move { handle.drain(options(0, 10_000)).await });
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(client);
    assert_eq!(drain.await.unwrap().aborted, 0);
}

#[tokio::test]
async fn a_handler_that_never_ends_is_ended_at_the_timeout() {
    let server = start(
        |_| {},
        async |handshake| {
            let _socket = handshake.accept().await.unwrap();
            std::future::pending::<()>().await;
        },
    )
    .await;
    let mut client = Raw::open(server.address).await;
    let begin = Instant::now();
    let report = server.handle.drain(options(0, 300)).await;
    assert_eq!((report.closed, report.aborted, report.left), (1, 1, 0));
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(client.close_code().await, 1012);
    assert_eq!(client.recv().await, None);
    server.task.await.unwrap();
}

#[tokio::test]
async fn a_second_drain_forces_the_end() {
    let server = start(|_| {}, echo).await;
    let client = Raw::open(server.address).await;
    let handle = server.handle.clone();
    let first = tokio::spawn(async move { handle.drain(options(20_000, 30_000)).await });
    soon(|| server.handle.is_draining()).await;
    let begin = Instant::now();
    let second = server.handle.drain(options(0, 0)).await;
    assert_eq!(second.left, 0);
    assert_eq!(first.await.unwrap().left, 0);
    assert!(begin.elapsed() < Duration::from_secs(5));
    drop(client);
}

#[tokio::test]
async fn the_code_and_the_reason_are_the_callers() {
    let server = start(|_| {}, echo).await;
    let mut client = Raw::open(server.address).await;
    let mut options = options(0, 1_000);
    options.code = CloseCode::GOING_AWAY;
    options.reason = "closing time".to_owned();
    let handle = server.handle.clone();
    let drain = tokio::spawn(async move { handle.drain(options).await });
    assert_eq!(client.recv().await, Some((8, [&[3, 233][..], b"closing time"].concat())));
    client.send(8, &[3, 233]).await;
    assert_eq!(drain.await.unwrap().aborted, 0);
}

#[tokio::test]
async fn what_nobody_gives_back_is_reported_and_the_server_ends() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let server = start(|_| {}, {
        let kept = Arc::clone(&kept);
        move |handshake| {
            kept.lock().unwrap().push(handshake.into_parts());
            std::future::ready(())
        }
    })
    .await;
    let mut client = Raw::connect(server.address).await;
    client.write(REQUEST.as_bytes()).await;
    soon(|| !kept.lock().unwrap().is_empty()).await;
    let report = server.handle.drain(options(0, 100)).await;
    assert_eq!((report.connections, report.closed, report.aborted, report.left), (1, 0, 1, 1));
    server.task.await.unwrap();
}
