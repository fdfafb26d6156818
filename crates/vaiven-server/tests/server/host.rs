//! By which names the server lets itself be reached, and how a refusal reads.

use crate::support::TestServer;
use vaiven_server::settings::AllowedHosts;

/// The answer to a request whose page and whose server have the same name, as after DNS rebinding.
async fn ask(server: &TestServer, request: &str, host: &str) -> String {
    let named = request.replace(&format!("Host: {}\r\n", server.address), &format!("Host: {host}\r\n"));
    server.ask(&named).await
}

async fn status(server: &TestServer, host: &str) -> String {
    let request = server.upgrade("/echo", &format!("Origin: http://{host}\r\n"));
    ask(server, &request, host).await.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn a_foreign_name_that_leads_to_this_machine_is_refused_with_the_line_that_would_allow_it() {
    let server = TestServer::start().await;
    let host = format!("evil.example:{}", server.address.port());
    let origin = format!("Origin: http://{host}\r\n");
    let requests = [
        server.upgrade("/echo", &origin),
        server.upgrade("/c/sala", &origin),
        server.get("/", ""),
        server.get("/metrics", ""),
    ];
    for request in requests {
        let answer = ask(&server, &request, &host).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{request}{answer}");
        assert!(answer.contains(r#"allowed_hosts = ["evil.example"]"#), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    }
    assert_eq!(
        server.metric("vaiven_handshakes_refused_total{status=\"403\",code=\"host_not_allowed\"}").await,
        Some(4.0)
    );
    // Of a later request of the connection hyper is in charge.
    let mut wire = server.wire().await;
    wire.send(&server.get("/health", "")).await;
    assert!(wire.answer().await.starts_with("HTTP/1.1 200 "));
    wire.send(&server.upgrade("/echo", &origin).replace(&server.address.to_string(), &host)).await;
    assert!(wire.answer().await.starts_with("HTTP/1.1 403 "));
}

#[tokio::test]
async fn names_of_this_machine_are_taken() {
    let server = TestServer::start().await;
    let port = server.address.port();
    for name in ["localhost", "LocalHost.", "app.localhost", "127.0.0.1", "127.8.9.10", "[::1]"] {
        assert_eq!(status(&server, &format!("{name}:{port}")).await, "101", "{name}");
    }
    for name in
        ["localhost.evil.example", "notlocalhost", "192.0.2.1", "[2001:db8::1]", "127.0.0.1.evil.example"]
    {
        assert_eq!(status(&server, &format!("{name}:{port}")).await, "403", "{name}");
    }
}

#[tokio::test]
async fn a_listed_name_is_taken_and_every_name_where_that_is_asked_for() {
    let listed = AllowedHosts::LoopbackAnd(vec!["app.test".parse().unwrap()]);
    let server = TestServer::with(|settings| settings.allowed_hosts = listed).await;
    assert_eq!(status(&server, "app.test:8080").await, "101");
    assert_eq!(status(&server, "localhost:8080").await, "101");
    assert_eq!(status(&server, "evil.example:8080").await, "403");
    let server = TestServer::with(|settings| settings.allowed_hosts = AllowedHosts::Any).await;
    assert_eq!(status(&server, "app.test:8080").await, "101");
}

#[tokio::test]
async fn a_server_on_every_network_takes_every_name_unless_it_has_a_list() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let server = TestServer::with(|settings| settings.listen = everywhere).await;
    for name in ["raspberrypi.local", "192.168.1.2", "app.example", "localhost"] {
        assert_eq!(status(&server, name).await, "101", "{name}");
    }
    let listed = AllowedHosts::LoopbackAnd(vec!["app.example".parse().unwrap()]);
    let server = TestServer::with(|settings| {
        settings.listen = everywhere;
        settings.allowed_hosts = listed;
    })
    .await;
    assert_eq!(status(&server, "app.example").await, "101");
    assert_eq!(status(&server, "raspberrypi.local").await, "403");
}

#[tokio::test]
async fn behind_a_trusted_proxy_with_tls_every_name_is_taken() {
    let server = TestServer::with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let proxied = |scheme: &str| {
        let fields = format!(
            "Origin: {scheme}://app.example\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: {scheme}\r\n"
        );
        server.upgrade("/echo", &fields)
    };
    assert!(ask(&server, &proxied("https"), "app.example").await.starts_with("HTTP/1.1 101 "));
    // Without TLS the name proves nothing.
    assert!(ask(&server, &proxied("http"), "app.example").await.starts_with("HTTP/1.1 403 "));
    // What the proxy of an https site says is no word of the machine itself.
    let metrics = server.get("/metrics", "X-Forwarded-Proto: https\r\n");
    assert!(ask(&server, &metrics, "evil.example").await.contains("metrics_from"));
}
