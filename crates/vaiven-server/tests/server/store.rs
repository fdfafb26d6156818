//! What is kept on disk.

use crate::support::TestServer;
use crate::v1::Client;
use serde_json::json;
use std::path::PathBuf;
use vaiven::CloseCode;
use vaiven_server::settings::HistoryIn;
use vaiven_server::{Server, Settings};

/// A directory for a test, which is gone afterwards.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("vaiven-{name}-{}", std::process::id())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn server(directory: &Directory) -> TestServer {
    TestServer::with(|settings| {
        settings.history = HistoryIn::Disk;
        settings.data_dir = directory.0.join("made/when/needed");
    })
    .await
}

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SESSION: &str = "a-secret-of-a-client";

#[tokio::test]
async fn a_restart_loses_and_doubles_nothing() {
    let directory = Directory::new("restart");
    let publish =
        |seq: u64| json!({"type": "publish", "id": seq, "channel": "sala", "data": seq, "seq": seq});
    let first = server(&directory).await;
    let mut client = Client::welcomed(&first, SESSION).await;
    let subscribed = client.ask(json!({"type": "subscribe", "id": 0, "channel": "sala"})).await;
    for seq in 1..=3 {
        assert_eq!(client.ask(publish(seq)).await["offset"], seq);
    }
    drop(client);
    first.stop(CloseCode::RESTART).await;
    let second = server(&directory).await;
    let mut client = Client::welcomed(&second, SESSION).await;
    // Sent again, as its answer might have been lost.
    let again = client.ask(publish(3)).await;
    assert_eq!((&again["offset"], &again["duplicate"]), (&json!(3), &json!(true)), "{again}");
    let since = json!({"epoch": subscribed["epoch"], "offset": 1});
    let resumed = client.ask(json!({"type": "subscribe", "id": 5, "channel": "sala", "since": since})).await;
    assert_eq!((&resumed["recovered"], &resumed["missed"]), (&json!(true), &json!(2)), "{resumed}");
    for seq in 2..=3 {
        assert_eq!(client.next_of("message").await["data"], seq);
    }
    second.stop(CloseCode::RESTART).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let directory = Directory::new("in-use");
    let running = server(&directory).await;
    let mut settings = Settings::default();
    settings.listen = "127.0.0.1:0".parse().unwrap();
    settings.data_dir = directory.0.join("made/when/needed");
    let error = Server::bind(settings.clone()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("data_dir: {}: ", settings.data_dir.display())), "{error}");
    drop(running);
    let file = directory.0.join("a-file");
    std::fs::write(&file, "").unwrap();
    settings.data_dir = file.join("below");
    let error = Server::bind(settings.clone()).await.unwrap_err().to_string();
    assert!(error.contains("a-file/below") && error.contains("--data-dir"), "{error}");
    // G9: a file system that takes no directory from anyone, whatever its rights.
    if cfg!(target_os = "linux") {
        settings.data_dir = "/proc/vaiven-data".into();
        let error = Server::bind(settings).await.unwrap_err().to_string();
        assert!(error.starts_with("data_dir: /proc/vaiven-data: "), "{error}");
    }
}

async fn publish(server: &TestServer, channel: &str, data: &str) -> (u16, String) {
    let body = json!({"channel": channel, "data": data}).to_string();
    let request = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: {}\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    let answer = server.ask(&request).await;
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
#[ignore = "a_store_that_fails_refuses_what_it_cannot_keep runs it where files cannot grow"]
async fn publishes_where_files_cannot_grow() {
    let directory = Directory::new("cannot-grow");
    let server = TestServer::with(|settings| {
        settings.history = HistoryIn::Disk;
        settings.data_dir.clone_from(&directory.0);
        settings.api_keys = vec![KEY.to_owned().into()];
    })
    .await;
    let mut client = Client::welcomed(&server, SESSION).await;
    for (id, channel) in [(0, "sala"), (1, "live:sala")] {
        client.ask(json!({"type": "subscribe", "id": id, "channel": channel})).await;
    }
    let mut kept = 0;
    let refused = loop {
        let (status, answer) = publish(&server, "sala", &"x".repeat(20_000)).await;
        if status != 200 {
            break answer;
        }
        kept += 1;
        assert_eq!(client.next_of("message").await["offset"], kept);
        assert!(kept < 1_000, "nothing keeps the files from growing");
    };
    let small = refused.to_lowercase();
    assert!(small.starts_with("http/1.1 503 ") && small.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(small.contains("\"code\":\"unavailable\""), "{refused}");
    let said =
        client.ask(json!({"type": "publish", "id": 2, "channel": "sala", "data": "x".repeat(20_000)})).await;
    assert!(said["code"] == "unavailable" && said["retry"].as_u64().unwrap() > 0, "{said}");
    // What needs no disk goes on; and had anything been delivered, it would have come before this.
    assert_eq!(publish(&server, "live:sala", "still here").await.0, 200);
    let next = client.next_of("message").await;
    assert_eq!((&next["channel"], &next["data"]), (&json!("live:sala"), &json!("still here")));
    server.metric_becomes("vaiven_store_errors_total", 2.0).await;
    server.stop(CloseCode::RESTART).await;
}

/// P13. A limit on the length of files makes the store fail as a full disk does, and needs no rights.
#[cfg(unix)]
#[test]
fn a_store_that_fails_refuses_what_it_cannot_keep() {
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$@\"";
    let test = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(test)
        .args(["--exact", "store::publishes_where_files_cannot_grow", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
