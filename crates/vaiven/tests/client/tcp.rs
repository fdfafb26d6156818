//! Without TLS and without a proxy.

use crate::server::listen;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vaiven::client::{DialError, DialOptions, Dialled, Target, dial};

fn direct() -> DialOptions {
    DialOptions::default().without_proxy()
}

async fn check_connects(listen_on: &str, host: &str) {
    let Some((listener, address)) = listen(listen_on).await else { return };
    let target = Target::parse(&format!("ws://{host}:{}/sala", address.port())).unwrap();
    let stream = dial(&target, &direct()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    let mut tcp = stream.into_tcp().expect("ws:// is bare TCP");
    assert!(tcp.nodelay().unwrap());
    let (mut accepted, _) = listener.accept().await.unwrap();
    accepted.write_all(b"hola").await.unwrap();
    let mut received = [0; 4];
    tcp.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"hola");
}

#[tokio::test]
async fn an_ipv4_address_is_connected_to() {
    check_connects("127.0.0.1", "127.0.0.1").await;
}

#[tokio::test]
async fn an_ipv6_address_is_connected_to() {
    check_connects("::1", "[::1]").await;
}

#[tokio::test]
async fn a_name_is_connected_to_by_the_address_that_answers() {
    check_connects("127.0.0.1", "localhost").await;
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_an_error_that_names_host_and_address() {
    let (listener, address) = listen("127.0.0.1").await.unwrap();
    drop(listener);
    let target = Target::parse(&format!("ws://ana:secret@localhost:{}/?t=secret", address.port())).unwrap();
    let error = dial(&target, &direct()).await.unwrap_err();
    let message = error.to_string();
    assert!(error.is_transient());
    assert!(message.starts_with(&format!("cannot connect to localhost:{} (", address.port())), "{message}");
    assert!(message.contains(&format!("{address}: ")), "{message}");
    assert!(!message.contains("secret") && !format!("{error:?}").contains("secret"), "{message}");
    let DialError::Connect { attempts, .. } = error else { panic!("{error:?}") };
    assert!(attempts.iter().all(|(_, error)| error.kind() == std::io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn a_name_without_address_is_an_error_that_names_it() {
    // A label of 64 bytes is beyond what DNS can carry: the resolver knows without asking anybody.
    let name = format!("{}.invalid", "a".repeat(64));
    let error = dial(&Target::parse(&format!("ws://{name}/")).unwrap(), &direct()).await.unwrap_err();
    assert!(matches!(&error, DialError::Resolve { host, .. } if *host == name), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot find the address of {name}: ")), "{error}");
}

/// On Linux a listener whose queue is full lets a connection wait: no other way to do that needs no network.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_host_that_does_not_answer_times_out_while_connecting() {
    use vaiven::client::DialPhase;

    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(connected) = tokio::time::timeout(patience, tokio::net::TcpStream::connect(address)).await {
        queue.push(connected.unwrap());
        assert!(queue.len() < 100, "the queue of the listener never fills up");
    }
    let target = Target::parse(&format!("ws://{address}")).unwrap();
    let error = dial(&target, &direct().connect_timeout(patience)).await.unwrap_err();
    assert!(matches!(error, DialError::Timeout { phase: DialPhase::Connect, .. }), "{error:?}");
    assert!(error.to_string().contains("200ms while opening a TCP connection"), "{error}");
}

#[tokio::test]
async fn dialling_can_be_done_on_any_thread() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let (listener, address) = listen("127.0.0.1").await.unwrap();
    let target = Target::parse(&format!("ws://{address}")).unwrap();
    let options = direct();
    let stream = assert_send(dial(&target, &options)).await.unwrap();
    let stream = assert_send(stream);
    assert!(matches!(stream, Dialled::Tcp(_)));
    assert!(matches!(vaiven::Transport::from(stream), vaiven::Transport::Tcp(_)), "the fast path is taken");
    drop(listener);
}
