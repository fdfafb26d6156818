//! Which pages may connect, and how a refusal reads.

use crate::support::TestServer;
use vaiven_server::settings::Origins;

async fn status(server: &TestServer, path: &str, origin: &str) -> String {
    let answer = server.ask(&server.upgrade(path, &format!("Origin: {origin}\r\n"))).await;
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn a_foreign_origin_is_refused_with_the_line_that_would_allow_it() {
    let server = TestServer::start().await;
    for path in ["/c/sala", "/echo"] {
        let answer = server.ask(&server.upgrade(path, "Origin: https://other.example\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains(r#"origins = ["https://other.example"]"#), "{answer}");
        assert!(answer.contains("Connection: close"), "{answer}");
        assert_eq!(status(&server, path, "null").await, "403");
        assert_eq!(status(&server, path, &format!("http://{}", server.address)).await, "101");
        // The same host by another scheme is another origin.
        assert_eq!(status(&server, path, &format!("https://{}", server.address)).await, "403");
    }
    assert_eq!(
        server.metric("vaiven_handshakes_refused_total{status=\"403\",code=\"origin\"}").await,
        Some(6.0)
    );
}

#[tokio::test]
async fn a_listed_origin_may_connect_and_so_may_pages_of_the_server() {
    let listed = "https://app.example".parse().unwrap();
    let server = TestServer::with(|settings| settings.origins = Origins::SameAnd(vec![listed])).await;
    assert_eq!(status(&server, "/echo", "https://app.example").await, "101");
    assert_eq!(status(&server, "/echo", &format!("http://{}", server.address)).await, "101");
    assert_eq!(status(&server, "/echo", "https://app.example.evil").await, "403");
}

#[tokio::test]
async fn every_page_may_connect_where_that_is_asked_for() {
    let server = TestServer::with(|settings| settings.origins = Origins::Any).await;
    assert_eq!(status(&server, "/echo", "https://any.example").await, "101");
    assert_eq!(status(&server, "/echo", "null").await, "101");
}
