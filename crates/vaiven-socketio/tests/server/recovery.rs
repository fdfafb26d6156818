//! Clients that lose their connection, and go on where they were.

use crate::client::*;
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use vaiven_socketio::engine::PreparedMessages;
use vaiven_socketio::packet::{Encoded, Parser};
use vaiven_socketio::{
    ConnectError, DisconnectReason, Io, Namespace, Recovery, Resume, Resumed, Sessions, Socket,
};

struct Fixture {
    io: Io,
    sockets: mpsc::UnboundedReceiver<Socket>,
    ends: Ends,
}

/// A client's memory.
struct Session {
    sid: String,
    pid: String,
    offset: Option<String>,
}

impl Fixture {
    fn new(recovery: Recovery) -> Self {
        let (namespace, sockets) = handed(Namespace::new().recovery(recovery));
        let (namespace, ends) = told(namespace);
        Self { io: server(namespace), sockets, ends }
    }

    async fn join(&mut self) -> (Client, Socket, Session) {
        let mut client = Client::open(&self.io).await;
        client.send("0").await;
        let session = session(&client.json().await);
        (client, self.sockets.recv().await.expect("a socket"), session)
    }

    /// Loses the connection, and waits until the server knows.
    async fn lose(&mut self, client: Client) {
        client.lose();
        assert_eq!(self.ends.recv().await, Some(DisconnectReason::TransportClose));
    }

    /// Comes back; whether that is a recovery in the client's eyes.
    async fn come_back(&mut self, session: &mut Session) -> (Client, Socket, bool) {
        let mut client = Client::open(&self.io).await;
        let auth = serde_json::json!({"pid": session.pid, "offset": session.offset});
        client.send(&format!("0{auth}")).await;
        let offset = session.offset.take();
        let new = self::session(&client.json().await);
        let recovered = new.pid == session.pid;
        assert_eq!(new.sid == session.sid, recovered);
        *session = Session { offset: offset.filter(|_| recovered), ..new };
        let socket = self.sockets.recv().await.expect("a socket");
        assert_eq!(socket.recovered(), recovered);
        assert_eq!(socket.id().as_str(), session.sid);
        (client, socket, recovered)
    }
}

fn session(reply: &Value) -> Session {
    let text = |key: &str| reply[key].as_str().expect("the reply has it").to_owned();
    Session { sid: text("sid"), pid: text("pid"), offset: None }
}

/// Expects an event with one argument, as text, and remembers where it is.
async fn hear(client: &mut Client, session: &mut Session, name: &str) {
    let event = client.json().await;
    assert_eq!(event[0], name, "{event}");
    session.offset = Some(event[1].as_str().expect("an offset").to_owned());
}

fn of(max_disconnection: u64) -> Recovery {
    let mut recovery = Recovery::default();
    recovery.max_disconnection = Duration::from_secs(max_disconnection);
    recovery
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_its_id_its_rooms_its_data_and_what_it_missed() {
    struct Cart(u8);
    let mut fixture = Fixture::new(of(120));
    let (mut client, socket, mut session) = fixture.join().await;
    let (mut other, other_socket, _) = fixture.join().await;
    socket.join("room");
    socket.insert(Cart(3));
    fixture.io.emit("before", ()).expect("sent");
    hear(&mut client, &mut session, "before").await;
    fixture.lose(client).await;

    fixture.io.emit("all", ()).expect("sent");
    fixture.io.to("room").emit("room", ()).expect("sent");
    fixture.io.to("elsewhere").emit("elsewhere", ()).expect("sent");
    fixture.io.to(session.sid.as_str()).emit("one", ()).expect("sent");
    other_socket.emit("other", ()).expect("sent");
    fixture.io.of("/").expect("it is there").except("room").emit("not room", ()).expect("sent");
    fixture.io.of("/").expect("it is there").volatile().emit("volatile", ()).expect("sent");
    fixture.io.emit("last", ()).expect("sent");

    let (mut client, socket, recovered) = fixture.come_back(&mut session).await;
    assert!(recovered);
    for name in ["all", "room", "one", "last"] {
        hear(&mut client, &mut session, name).await;
    }
    assert_eq!(socket.get::<Cart>().expect("its data").0, 3);
    assert_eq!(socket.rooms().len(), 1);
    fixture.io.to("room").emit("again in the room", ()).expect("sent");
    hear(&mut client, &mut session, "again in the room").await;
    assert_eq!(other.json().await[0], "before");
}

#[tokio::test(start_paused = true)]
async fn a_client_comes_back_again_and_again_and_nothing_comes_twice() {
    let mut fixture = Fixture::new(of(120));
    let (mut client, _, mut session) = fixture.join().await;
    for round in 0..20 {
        fixture.lose(client).await;
        let missed = round % 3;
        for number in 0..missed {
            fixture.io.emit(&format!("{round}-{number}"), ()).expect("sent");
        }
        let recovered;
        (client, _, recovered) = fixture.come_back(&mut session).await;
        assert!(recovered, "{round}");
        for number in 0..missed {
            hear(&mut client, &mut session, &format!("{round}-{number}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_had_an_event_misses_none() {
    let mut fixture = Fixture::new(of(120));
    fixture.io.emit("before it came", ()).expect("sent");
    let (client, _, mut session) = fixture.join().await;
    // Sent, and never received.
    fixture.io.emit("first", ()).expect("sent");
    fixture.lose(client).await;
    fixture.io.emit("second", ()).expect("sent");
    let (mut client, _, recovered) = fixture.come_back(&mut session).await;
    assert!(recovered);
    hear(&mut client, &mut session, "first").await;
    hear(&mut client, &mut session, "second").await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_too_late_begins_anew() {
    for (seconds, expected) in [(9, true), (11, false)] {
        let mut fixture = Fixture::new(of(10));
        let (mut client, _, mut session) = fixture.join().await;
        fixture.io.emit("event", ()).expect("sent");
        hear(&mut client, &mut session, "event").await;
        fixture.lose(client).await;
        sleep(Duration::from_secs(seconds)).await;
        let (_, _, recovered) = fixture.come_back(&mut session).await;
        assert_eq!(recovered, expected, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_what_is_gone_begins_anew() {
    let mut few = of(120);
    few.max_packets = 3;
    let mut short = of(120);
    short.max_bytes = 4_000;
    for (recovery, text) in [(few, String::new()), (short, "x".repeat(700))] {
        for (missed, expected) in [(1, true), (2, true), (3, false)] {
            let mut fixture = Fixture::new(recovery);
            let (mut client, _, mut session) = fixture.join().await;
            fixture.io.emit("event", ()).expect("sent");
            hear(&mut client, &mut session, "event").await;
            fixture.lose(client).await;
            for _ in 0..missed {
                // Kept as a message and as its frame.
                fixture.io.emit("missed", &text).expect("sent");
            }
            let (_, _, recovered) = fixture.come_back(&mut session).await;
            assert_eq!(recovered, expected, "{missed} of {} bytes", text.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_sessions_and_offsets_begin_anew() {
    let mut fixture = Fixture::new(of(120));
    let (mut client, _, mut session) = fixture.join().await;
    fixture.io.emit("event", ()).expect("sent");
    hear(&mut client, &mut session, "event").await;
    fixture.lose(client).await;
    let mut stranger =
        Session { pid: "unknown".to_owned(), sid: String::new(), offset: session.offset.clone() };
    assert!(!fixture.come_back(&mut stranger).await.2);
    session.offset = Some("made up".to_owned());
    assert!(!fixture.come_back(&mut session).await.2);

    let mut client = Client::open(&fixture.io).await;
    client.connect(r#"0{"pid":5,"offset":{"a":1}}"#).await;
}

#[tokio::test(start_paused = true)]
async fn who_left_or_was_sent_away_begins_anew() {
    let mut fixture = Fixture::new(of(120));
    let (mut client, _, mut session) = fixture.join().await;
    client.send("1").await;
    assert_eq!(fixture.ends.recv().await, Some(DisconnectReason::ClientNamespaceDisconnect));
    let (_client, _, recovered) = fixture.come_back(&mut session).await;
    assert!(!recovered);
    let (_client, socket, mut session) = fixture.join().await;
    socket.disconnect();
    assert_eq!(fixture.ends.recv().await, Some(DisconnectReason::ServerNamespaceDisconnect));
    assert!(!fixture.come_back(&mut session).await.2);
}

#[tokio::test(start_paused = true)]
async fn a_client_takes_over_from_a_connection_that_the_server_still_believes_in() {
    let mut fixture = Fixture::new(of(120));
    let (mut lost, _, mut session) = fixture.join().await;
    fixture.io.emit("event", ()).expect("sent");
    hear(&mut lost, &mut session, "event").await;
    fixture.io.emit("sent into the void", ()).expect("sent");
    let (mut client, _, recovered) = fixture.come_back(&mut session).await;
    assert!(recovered);
    hear(&mut client, &mut session, "sent into the void").await;
    assert_eq!(fixture.ends.recv().await, Some(DisconnectReason::TransportClose));
    assert_eq!(fixture.io.socket_count(), 1);
    fixture.io.emit("to the new one", ()).expect("sent");
    hear(&mut client, &mut session, "to the new one").await;
}

#[tokio::test(start_paused = true)]
async fn a_volatile_event_that_ends_with_a_text_does_not_spoil_the_offset() {
    let mut fixture = Fixture::new(of(120));
    let (mut client, _, mut session) = fixture.join().await;
    fixture.io.of("/").expect("it is there").volatile().emit("price", "text").expect("sent");
    let event = client.json().await;
    // The official client takes the last argument for its offset whenever it is a text.
    session.offset =
        Some(event[event.as_array().expect("a list").len() - 1].as_str().expect("text").to_owned());
    fixture.lose(client).await;
    fixture.io.emit("missed", ()).expect("sent");
    let (mut client, _, recovered) = fixture.come_back(&mut session).await;
    assert!(recovered);
    hear(&mut client, &mut session, "missed").await;
}

#[tokio::test(start_paused = true)]
async fn sessions_that_wait_are_bounded_and_the_oldest_goes() {
    let mut recovery = of(120);
    recovery.max_sessions = 2;
    let mut fixture = Fixture::new(recovery);
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let (client, _, session) = fixture.join().await;
        fixture.lose(client).await;
        sessions.push(session);
        sleep(Duration::from_millis(1)).await;
    }
    let mut clients = Vec::new();
    for session in &mut sessions {
        clients.push(fixture.come_back(session).await);
    }
    assert_eq!(clients.iter().map(|(_, _, recovered)| *recovered).collect::<Vec<_>>(), [false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn middleware_is_skipped_only_by_those_who_recover() {
    for (skip, expected) in [(true, 1), (false, 2)] {
        let mut recovery = of(120);
        recovery.skip_middleware = skip;
        let (tell, mut asked) = mpsc::unbounded_channel();
        let namespace = Namespace::new().recovery(recovery).middleware(move || {
            let tell = tell.clone();
            async move {
                tell.send(()).expect("the test listens");
                Ok::<_, ConnectError>(())
            }
        });
        let (namespace, sockets) = handed(namespace);
        let (namespace, ends) = told(namespace);
        let mut fixture = Fixture { io: server(namespace), sockets, ends };
        let (client, _, mut session) = fixture.join().await;
        fixture.lose(client).await;
        assert!(fixture.come_back(&mut session).await.2);
        let mut count = 0;
        while asked.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, expected);
    }
}

/// A store that knows one session, which has missed one event.
struct Store;

impl Sessions for Store {
    fn resume(
        &self,
        request: Resume,
    ) -> Pin<Box<dyn Future<Output = Result<Resumed, ConnectError>> + Send + '_>> {
        Box::pin(async move {
            let recovered = request.pid.as_deref() == Some("known") && request.offset.as_deref() == Some("7");
            if request.pid.as_deref() == Some("banned") {
                return Err(ConnectError::new("banned"));
            }
            let mut resumed = Resumed { pid: "known".into(), recovered, replay: Vec::new() };
            if recovered {
                let event = Encoded::event(Parser::Json, "/", None, "missed", &(), Some("8")).expect("JSON");
                resumed.replay.push(PreparedMessages::new(event.messages()));
            }
            Ok(resumed)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_of_the_applications_own_decides() {
    let namespace = Namespace::new().sessions(Store).on_connect(async |socket: Socket| {
        let framed = Encoded::event(socket.parser(), "/", None, "live", &socket.recovered(), Some("9"))?;
        socket.outlet().try_send(&PreparedMessages::new(framed.messages()))?;
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    });
    let io = server(namespace);
    let mut client = Client::open(&io).await;
    client.send("0").await;
    assert_eq!(client.json().await["pid"], "known");
    client.expect(r#"2["live",false,"9"]"#).await;

    let mut client = Client::open(&io).await;
    client.send(r#"0{"pid":"known","offset":"7"}"#).await;
    assert_eq!(client.json().await["pid"], "known");
    client.expect(r#"2["missed","8"]"#).await;
    client.expect(r#"2["live",true,"9"]"#).await;

    let mut client = Client::open(&io).await;
    client.send(r#"0{"pid":"banned"}"#).await;
    client.expect(r#"4{"message":"banned"}"#).await;
}
