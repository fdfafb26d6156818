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
    let error = Server::bind(settings).await.unwrap_err().to_string();
    assert!(error.contains("a-file/below") && error.contains("--data-dir"), "{error}");
}
