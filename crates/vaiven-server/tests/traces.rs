//! Traces, as a collector gets them: over HTTP, decoded from protobuf. One test, since a process has one subscriber.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use vaiven::client::connect;
use vaiven_server::settings::{Access, Fsync};
use vaiven_server::{Server, Settings, Traces};

const KEY: &str = "a-key-of-the-operator-of-32-bytes";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Requests that came to a server of the test: path, head, body.
type Asked = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// An HTTP server that keeps what it is asked and answers everything with 200.
async fn keep() -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Asked::default());
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_all(stream, Arc::clone(&kept)));
        }
    });
    (address, asked)
}

async fn answer_all(mut stream: TcpStream, asked: Asked) {
    let mut received = Vec::new();
    loop {
        while let Some((head, body)) = request(&mut received) {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            asked.lock().unwrap().push((path, head, body));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
        if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// Takes a request that is whole.
fn request(received: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(received[..end].to_vec()).unwrap().to_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().unwrap();
    let body = received.get(end..end + length)?.to_vec();
    received.drain(..end + length);
    Some((head, body))
}

/// The spans that a collector got.
fn spans(asked: &Asked) -> Vec<Span> {
    let asked = asked.lock().unwrap();
    let mut spans = Vec::new();
    for (path, head, body) in &*asked {
        assert_eq!(path, "/v1/traces");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        for resource in ExportTraceServiceRequest::decode(&body[..]).unwrap().resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let service = attributes.into_iter().find(|attribute| attribute.key == "service.name");
            let service = service.and_then(|attribute| attribute.value?.value);
            assert_eq!(service, Some(Value::StringValue("vaiven".to_owned())));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The answer to a publication over the HTTP API.
async fn publish(server: SocketAddr, key: &str, channel: &str) -> String {
    let body = format!(r#"{{"channel":"{channel}","data":"the payload"}}"#);
    let request = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_spans_that_continue_the_callers_trace_and_have_no_payload() {
    let (collector, exported) = keep().await;
    let (backend, questions) = keep().await;
    let folder = std::env::temp_dir().join(format!("vaiven-traces-{}", std::process::id()));
    let mut settings = Settings::default();
    settings.listen = "127.0.0.1:0".parse().unwrap();
    settings.data_dir.clone_from(&folder);
    settings.fsync = Fsync::Never;
    settings.api_keys = vec![KEY.to_owned().into()];
    settings.auth_url = Some(format!("http://{backend}/ask").parse().unwrap());
    settings.channels.get_mut("default").unwrap().subscribe = Access::Backend;
    settings.otlp_endpoint = Some(format!("http://{collector}").parse().unwrap());
    settings.trace_one_in = 1;
    let traces = Traces::new(&settings).unwrap().expect("a collector is named");
    tracing_subscriber::registry().with(traces.layer()).init();
    let server = Server::bind(settings).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));

    assert!(publish(address, KEY, "secret-channel").await.starts_with("HTTP/1.1 200 "));
    assert!(publish(address, "a-wrong-key", "secret-channel").await.starts_with("HTTP/1.1 401 "));
    let mut client = connect(&format!("ws://{address}/c/secret-channel")).await.unwrap();
    client.send("the payload").await.unwrap();
    client.recv().await.unwrap();

    let mut found = Vec::new();
    for _ in 0..100 {
        let flushed = traces.clone();
        tokio::task::spawn_blocking(move || flushed.flush()).await.unwrap();
        found = spans(&exported);
        // The store acknowledges before its span ends.
        let count = |name: &str| found.iter().filter(|span| span.name == name).count();
        if count("handshake") > 0 && count("commit") > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = |name: &str| found.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let [request, refused] = all("request")[..] else { panic!("{found:?}") };
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(attribute(request, "http.response.status_code"), Some(Value::IntValue(200)));
    assert_eq!(attribute(request, "http.route"), Some(Value::StringValue("/api/v1".to_owned())));
    let [published] = all("publish")[..] else { panic!("{found:?}") };
    assert_eq!((&published.trace_id, &published.parent_span_id), (&request.trace_id, &request.span_id));
    assert_eq!(attribute(published, "publications"), Some(Value::IntValue(1)));
    assert_ne!(hex(&refused.trace_id), TRACE, "a stranger's word about a trace counts for nothing");
    assert!(all("commit").len() >= 2, "{found:?}");

    let [handshake] = all("handshake")[..] else { panic!("{found:?}") };
    assert_eq!(attribute(handshake, "http.response.status_code"), Some(Value::IntValue(101)));
    let asked: Vec<_> = questions.lock().unwrap().iter().map(|(_, head, _)| head.clone()).collect();
    assert!(!asked.is_empty());
    for question in all("backend") {
        assert_eq!(question.trace_id, handshake.trace_id, "it belongs to what it was asked for");
        let named = format!("traceparent: 00-{}-{}-01", hex(&question.trace_id), hex(&question.span_id));
        assert!(asked.iter().any(|head| head.contains(&named)), "{named}: {asked:?}");
    }
    assert_eq!(all("backend").len(), asked.len());

    let bytes = exported.lock().unwrap().iter().flat_map(|(.., body)| body.clone()).collect::<Vec<_>>();
    let text = String::from_utf8_lossy(&bytes);
    for secret in ["the payload", "secret-channel", KEY] {
        assert!(!text.contains(secret), "{secret} is in a span");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
