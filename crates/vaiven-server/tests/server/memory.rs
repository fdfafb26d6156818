//! What happens where memory runs short.

use crate::support::{TestServer, next};
use crate::v1::Client;
use serde_json::json;

/// Fault 17: the newest handshakes are turned away, and all else goes on.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn above_four_fifths_of_the_memory_nobody_else_is_let_in_and_who_is_there_goes_on() {
    let probe = TestServer::start().await;
    let used = probe.metric("vaiven_memory_bytes").await.expect("the system tells");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a number of bytes")]
    let used = used as usize;
    // Room for 32 MiB more than now.
    let server = TestServer::with(|settings| {
        settings.max_memory_bytes = Some((used + (32 << 20)) / 4 * 5);
        settings.message_rate = 1_000_000;
        settings.message_burst = 1_000_000;
    })
    .await;
    let mut early = server.connect("/echo").await;
    let mut filler = Client::welcomed(&server, "a-secret-of-a-client").await;
    let data = "x".repeat(60_000);
    let mut refused = String::new();
    for number in 0..4_000 {
        let channel = format!("full-{}", number % 16);
        let answer =
            filler.ask(json!({"type": "publish", "id": number, "channel": channel, "data": data})).await;
        assert_eq!(answer["type"], "ok", "{answer}");
        if number % 16 == 0 {
            refused = server.ask(&server.upgrade("/c/late", "")).await;
            if !refused.starts_with("HTTP/1.1 101 ") {
                break;
            }
        }
    }
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\r\nRetry-After: 5\r\n"), "{refused}");
    let stream = server.ask(&server.get("/v1/events", "")).await;
    assert!(stream.to_lowercase().contains("\r\nretry-after: 5\r\n"), "{stream}");
    early.send("still here").await.unwrap();
    assert_eq!(next(&mut early).await.as_text(), Some("still here"));
    assert!(server.ask(&server.get("/ready", "")).await.starts_with("HTTP/1.1 200 "));
    let label = "vaiven_handshakes_refused_total{status=\"503\",code=\"memory\"}";
    assert!(server.metric(label).await.is_some_and(|refused| refused >= 2.0));
}
