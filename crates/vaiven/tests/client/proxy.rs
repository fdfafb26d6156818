//! Through proxies: the tunnel carries exactly what the host sends, and failures name the proxy.

use crate::authority::{Authority, Identity, Validity};
use crate::proxies::{HttpProxy, SocksProxy};
use crate::server::{ANSWER, REQUEST, listen, talk, tls_server};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use vaiven::client::{
    DialError, DialOptions, DialPhase, Dialled, Proxy, ProxyProblem, Target, TlsProblem, dial,
};

fn via(url: &str) -> DialOptions {
    DialOptions::default().proxy(Proxy::parse(url).unwrap())
}

/// A server without TLS that answers the request.
async fn plain_server() -> (SocketAddr, JoinHandle<()>) {
    let (listener, address) = listen("127.0.0.1").await.unwrap();
    let task = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut request = vec![0; REQUEST.len()];
        tcp.read_exact(&mut request).await.unwrap();
        assert_eq!(request, REQUEST);
        tcp.write_all(ANSWER).await.unwrap();
    });
    (address, task)
}

/// The name is known to nobody but the proxy.
fn hidden() -> Target {
    Target::parse("ws://ana:secret@hidden.invalid:8000/sala?t=secret").unwrap()
}

#[tokio::test]
async fn ws_goes_through_an_http_proxy_in_a_tunnel_of_bare_tcp() {
    let (server, done) = plain_server().await;
    let (proxy, head) = HttpProxy::to(server).start().await;
    let stream = dial(&hidden(), &via(&format!("http://{proxy}"))).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), proxy);
    let tcp = stream.into_tcp().expect("a tunnel without TLS is bare TCP");
    assert_eq!(talk(Dialled::Tcp(tcp)).await.unwrap(), ANSWER);
    done.await.unwrap();
    assert_eq!(
        head.await.unwrap(),
        "CONNECT hidden.invalid:8000 HTTP/1.1\r\nHost: hidden.invalid:8000\r\n\r\n"
    );
}

#[tokio::test]
async fn no_byte_behind_the_proxys_answer_is_lost() {
    let (server, _done) = plain_server().await;
    let (proxy, _head) = HttpProxy { early: "temprano\r\n\r\n", ..HttpProxy::to(server) }.start().await;
    let mut tcp = dial(&hidden(), &via(&format!("http://{proxy}"))).await.unwrap().into_tcp().unwrap();
    let mut early = [0; 12];
    tcp.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"temprano\r\n\r\n");
}

#[tokio::test]
async fn an_http_proxy_is_given_its_credentials_and_not_those_for_the_host() {
    let (server, _done) = plain_server().await;
    let (proxy, head) = HttpProxy::to(server).start().await;
    let stream = dial(&hidden(), &via(&format!("http://eva:p%40ss@{proxy}"))).await.unwrap();
    talk(stream).await.unwrap();
    let head = head.await.unwrap();
    assert!(head.contains("\r\nProxy-Authorization: Basic ZXZhOnBAc3M=\r\n"), "{head}");
    assert!(!head.contains("\r\nAuthorization"), "{head}");
}

#[tokio::test]
async fn a_refusal_names_proxy_host_and_status_and_no_credentials() {
    for (answer, status, text) in [
        ("HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n", 407, "check the user name and password"),
        ("HTTP/1.1 403 No\r\n\r\n", 403, "check that the proxy allows CONNECT"),
        ("HTTP/1.1 502 Gone\r\n\r\n", 502, "502 Bad Gateway"),
    ] {
        let unused = SocketAddr::from(([127, 0, 0, 1], 1));
        let (proxy, _head) = HttpProxy { answer, ..HttpProxy::to(unused) }.start().await;
        let error = dial(&hidden(), &via(&format!("http://eva:secret@{proxy}"))).await.unwrap_err();
        let message = error.to_string();
        assert!(
            message
                .starts_with(&format!("proxy http://{proxy} did not open the way to hidden.invalid:8000: "))
        );
        assert!(message.contains(text), "{message}");
        assert!(!format!("{message}{error:?}").contains("secret"), "{error:?}");
        assert_eq!(error.is_transient(), status >= 500);
        let DialError::Proxy { problem: ProxyProblem::Status(found), .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(found, status);
    }
}

#[tokio::test]
async fn wss_through_a_proxy_is_encrypted_up_to_the_host() {
    let authority = Authority::new();
    // The dot of a full name is for the name service; certificates and server names are without it.
    for host in ["hidden.invalid", "hidden.invalid."] {
        let (server, seen) = tls_server(authority.issue(&["hidden.invalid"], Validity::Now).server()).await;
        let (proxy, head) = HttpProxy::to(server).start().await;
        let target = Target::parse(&format!("wss://{host}")).unwrap();
        let options = via(&format!("http://{proxy}")).tls(authority.trusted().build().unwrap());
        assert_eq!(talk(dial(&target, &options).await.unwrap()).await.unwrap(), ANSWER);
        let seen = seen.await.unwrap();
        assert_eq!(seen.server_name.as_deref(), Some("hidden.invalid"));
        assert_eq!(seen.application_data, REQUEST);
        assert!(head.await.unwrap().starts_with(&format!("CONNECT {host}:443 ")));
    }
}

#[tokio::test]
async fn a_wrong_certificate_behind_a_proxy_is_the_hosts_error() {
    let (server, seen) = tls_server(Identity::self_signed(&["hidden.invalid"]).server()).await;
    let (proxy, _head) = HttpProxy::to(server).start().await;
    let target = Target::parse("wss://hidden.invalid").unwrap();
    let options = via(&format!("http://{proxy}")).tls(Authority::new().trusted().build().unwrap());
    let error = dial(&target, &options).await.unwrap_err();
    assert!(error.to_string().starts_with("TLS with hidden.invalid:443 failed, nothing was sent"), "{error}");
    assert_eq!(seen.await.unwrap().application_data, b"");
}

#[tokio::test]
async fn ws_through_an_https_proxy_is_encrypted_up_to_the_proxy() {
    let authority = Authority::new();
    let (server, done) = plain_server().await;
    let tls = Some(authority.issue(&["127.0.0.1"], Validity::Now).server());
    let (proxy, head) = HttpProxy { tls, ..HttpProxy::to(server) }.start().await;
    let options = via(&format!("https://eva:pw@{proxy}")).tls(authority.trusted().build().unwrap());
    let stream = dial(&hidden(), &options).await.unwrap();
    assert!(matches!(stream, Dialled::Tls(_)));
    assert_eq!(talk(stream).await.unwrap(), ANSWER);
    done.await.unwrap();
    assert!(head.await.unwrap().contains("\r\nProxy-Authorization: Basic ZXZhOnB3\r\n"));
}

#[tokio::test]
async fn wss_through_an_https_proxy_is_encrypted_twice() {
    let authority = Authority::new();
    let (server, seen) = tls_server(authority.issue(&["hidden.invalid"], Validity::Now).server()).await;
    let tls = Some(authority.issue(&["127.0.0.1"], Validity::Now).server());
    let (proxy, _head) = HttpProxy { tls, ..HttpProxy::to(server) }.start().await;
    let options = via(&format!("https://{proxy}")).tls(authority.trusted().build().unwrap());
    let stream = dial(&Target::parse("wss://hidden.invalid").unwrap(), &options).await.unwrap();
    assert_eq!(talk(stream).await.unwrap(), ANSWER);
    assert_eq!(seen.await.unwrap().application_data, REQUEST);
}

#[tokio::test]
async fn a_wrong_certificate_of_a_proxy_costs_it_no_credentials() {
    let unused = SocketAddr::from(([127, 0, 0, 1], 1));
    let tls = Some(Identity::self_signed(&["127.0.0.1"]).server());
    let (proxy, head) = HttpProxy { tls, ..HttpProxy::to(unused) }.start().await;
    let options = via(&format!("https://eva:pw@{proxy}")).tls(Authority::new().trusted().build().unwrap());
    let error = dial(&hidden(), &options).await.unwrap_err();
    let DialError::Proxy { problem: ProxyProblem::Unreachable(cause), .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**cause, DialError::Tls { problem: TlsProblem::UnknownIssuer, .. }), "{error:?}");
    assert_eq!(head.await.unwrap(), "");
}

#[tokio::test]
async fn a_proxy_where_nobody_listens_is_an_error_that_names_it() {
    let (listener, address) = listen("127.0.0.1").await.unwrap();
    drop(listener);
    for scheme in ["http", "socks5h"] {
        let error = dial(&hidden(), &via(&format!("{scheme}://eva:secret@{address}"))).await.unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&format!("proxy {scheme}://{address} ")), "{message}");
        assert!(message.contains("cannot connect") && !message.contains("secret"), "{message}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_proxy_that_never_answers_times_out_by_name_and_its_socket_is_closed() {
    for scheme in ["http", "socks5h"] {
        let (listener, address) = listen("127.0.0.1").await.unwrap();
        let ended = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            let _end = tcp.read_to_end(&mut received).await;
        });
        let proxy = format!("{scheme}://{address}");
        let options = via(&proxy).connect_timeout(Duration::from_millis(200));
        let error = dial(&hidden(), &options).await.unwrap_err();
        assert!(matches!(error, DialError::Timeout { phase: DialPhase::Proxy, .. }), "{error:?}");
        assert!(error.to_string().starts_with(&format!("gave up on {proxy} after")), "{error}");
        ended.await.unwrap();
    }
}

#[tokio::test]
async fn socks5h_gives_the_name_to_the_proxy() {
    let (server, done) = plain_server().await;
    let (proxy, asked) = SocksProxy { way_to: server, password: None }.start().await;
    let stream = dial(&hidden(), &via(&format!("socks5h://{proxy}"))).await.unwrap();
    let tcp = stream.into_tcp().expect("a tunnel without TLS is bare TCP");
    assert_eq!(talk(Dialled::Tcp(tcp)).await.unwrap(), ANSWER);
    done.await.unwrap();
    assert_eq!(asked.await.unwrap(), Some((3, b"hidden.invalid".to_vec(), 8000)));
}

#[tokio::test]
async fn socks5_looks_the_name_up_here() {
    let (server, _done) = plain_server().await;
    let (proxy, asked) = SocksProxy { way_to: server, password: None }.start().await;
    let target = Target::parse("ws://localhost:8000").unwrap();
    let stream = dial(&target, &via(&format!("socks5://{proxy}"))).await.unwrap();
    assert_eq!(talk(stream).await.unwrap(), ANSWER);
    let (kind, address, port) = asked.await.unwrap().unwrap();
    assert!(matches!((kind, &address[..]), (1, [127, ..]) | (4, [0, .., 1])), "{kind} {address:?}");
    assert_eq!(port, 8000);
}

#[tokio::test]
async fn socks5_with_a_name_that_nobody_knows_is_not_asked_of_the_proxy() {
    let unused = SocketAddr::from(([127, 0, 0, 1], 1));
    let (proxy, asked) = SocksProxy { way_to: unused, password: None }.start().await;
    let target = Target::parse(&format!("ws://{}.invalid", "a".repeat(64))).unwrap();
    let error = dial(&target, &via(&format!("socks5://{proxy}"))).await.unwrap_err();
    assert!(matches!(error, DialError::Resolve { .. }), "{error:?}");
    assert!(!asked.is_finished());
    asked.abort();
}

#[tokio::test]
async fn socks5_with_the_right_password_goes_through_and_with_another_does_not() {
    let password = Some(("eva", "p@ss"));
    let (server, _done) = plain_server().await;
    let (proxy, asked) = SocksProxy { way_to: server, password }.start().await;
    let stream = dial(&hidden(), &via(&format!("socks5h://eva:p%40ss@{proxy}"))).await.unwrap();
    assert_eq!(talk(stream).await.unwrap(), ANSWER);
    assert!(asked.await.unwrap().is_some());
    for credentials in ["", "eva:secret@"] {
        let (proxy, asked) = SocksProxy { way_to: server, password }.start().await;
        let error = dial(&hidden(), &via(&format!("socks5h://{credentials}{proxy}"))).await.unwrap_err();
        assert!(matches!(error, DialError::Proxy { problem: ProxyProblem::Unauthorized, .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(asked.await.unwrap(), None);
    }
}

#[tokio::test]
async fn wss_through_socks5_is_encrypted_up_to_the_host() {
    let authority = Authority::new();
    let (server, seen) = tls_server(authority.issue(&["hidden.invalid"], Validity::Now).server()).await;
    let (proxy, _asked) = SocksProxy { way_to: server, password: None }.start().await;
    let options = via(&format!("socks5h://{proxy}")).tls(authority.trusted().build().unwrap());
    let stream = dial(&Target::parse("wss://hidden.invalid").unwrap(), &options).await.unwrap();
    assert_eq!(talk(stream).await.unwrap(), ANSWER);
    assert_eq!(seen.await.unwrap().application_data, REQUEST);
}
