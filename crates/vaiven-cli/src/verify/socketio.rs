//! A small client of Socket.IO: Engine.IO v4 over a WebSocket, Socket.IO v5 in one namespace, with what it takes to be
//! recovered.
//!
//! The channel ROOM is the namespace `/c/ROOM`. A publication arrives as the event `message`, with its value and behind
//! that its offset; who emits `message` publishes, and the acknowledgement says that it is kept.

use super::ledger::Numbered;
use super::route::Route;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{error::Elapsed, timeout};
use vaiven::{Message, WebSocket};

/// The event under which publications travel, both ways.
const EVENT: &str = "message";
/// How long it may take to join a namespace.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// What a lost session is found again with.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pid: Option<String>,
    offset: Option<String>,
}

/// What arrives.
#[derive(Debug)]
pub(super) enum Incoming {
    Publication(Numbered),
    /// The answer to what was published under this number.
    Answer {
        id: u64,
        is_kept: bool,
    },
}

/// A connection that stands in its namespace.
#[derive(Debug)]
pub(super) struct Connection {
    socket: WebSocket,
    namespace: String,
    /// The longest time between two signs of life of the server.
    silence: Duration,
    /// Events that came before the server's word that the client has joined: a replay may.
    early: VecDeque<String>,
    /// Whether the session that was lost goes on.
    pub(super) is_recovered: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    ping_interval: u64,
    ping_timeout: u64,
}

#[derive(Debug, Deserialize)]
struct Joined {
    pid: Option<String>,
}

impl Connection {
    /// Connects and joins the namespace of a channel, as the session that was lost where the server still knows it.
    ///
    /// # Errors
    /// A sentence: there is no connection, or the server lets nobody in.
    pub(super) async fn join(route: &Route, channel: &str, session: &mut Session) -> Result<Self, String> {
        let joining = async {
            let socket = route.connect().await.map_err(|error| error.to_string())?;
            let namespace = format!("/c/{channel}");
            let (silence, early) = (JOIN_TIMEOUT, VecDeque::new());
            let mut connection = Self { socket, namespace, silence, early, is_recovered: false };
            connection.open().await?;
            connection.enter(route.token(), session).await?;
            Ok(connection)
        };
        timeout(JOIN_TIMEOUT, joining).await.map_err(|_| format!("no answer within {JOIN_TIMEOUT:?}"))?
    }

    async fn open(&mut self) -> Result<(), String> {
        let text = self.text().await?;
        let open = text.strip_prefix('0').and_then(|open| serde_json::from_str::<Open>(open).ok());
        let Open { ping_interval, ping_timeout } = open.ok_or("the server does not speak Engine.IO")?;
        self.silence = Duration::from_millis(ping_interval.saturating_add(ping_timeout));
        Ok(())
    }

    async fn enter(&mut self, token: Option<&str>, session: &mut Session) -> Result<(), String> {
        let mut auth = json!({});
        for (key, value) in [("token", token), ("pid", session.pid()), ("offset", session.offset())] {
            if let Some(value) = value {
                auth[key] = value.into();
            }
        }
        self.send(format!("40{},{auth}", self.namespace)).await?;
        loop {
            let text = self.text().await?;
            let Some(packet) = Packet::read(&text, &self.namespace) else { continue };
            match packet.kind {
                Kind::Connect => {
                    let joined: Joined = serde_json::from_str(packet.data)
                        .map_err(|error| format!("CONNECT is not understood: {error}"))?;
                    self.is_recovered = joined.pid.is_some() && joined.pid == session.pid;
                    session.pid = joined.pid;
                    return Ok(());
                }
                Kind::ConnectError => return Err(format!("refused: {}", packet.data)),
                Kind::Event => self.early.push_back(text),
                Kind::Disconnect | Kind::Ack => {}
            }
        }
    }

    /// Waits for a publication or an answer; what others say is passed over.
    ///
    /// # Errors
    /// The connection is lost.
    ///
    /// # Cancel safety
    /// Nothing that has arrived is lost.
    pub(super) async fn recv(&mut self, session: &mut Session) -> Result<Incoming, String> {
        loop {
            let text = match self.early.pop_front() {
                Some(text) => text,
                None => self.text().await?,
            };
            let Some(packet) = Packet::read(&text, &self.namespace) else { continue };
            match packet.kind {
                Kind::Event => {
                    let Some(event) = Event::read(packet.data) else { continue };
                    session.offset = event.offset.or(session.offset.take());
                    if let Some(message) = event.message {
                        return Ok(Incoming::Publication(message));
                    }
                }
                Kind::Ack => {
                    if let Some(id) = packet.id {
                        return Ok(Incoming::Answer { id, is_kept: !packet.data.contains("\"error\"") });
                    }
                }
                Kind::Disconnect => return Err("the server has ended it".to_owned()),
                Kind::Connect | Kind::ConnectError => {}
            }
        }
    }

    /// Publishes a JSON text under a number that its answer will have.
    ///
    /// # Errors
    /// The connection is lost.
    pub(super) async fn publish(&mut self, id: u64, message: &str) -> Result<(), String> {
        self.send(format!("42{},{id}[\"{EVENT}\",{message}]", self.namespace)).await
    }

    async fn send(&mut self, packet: String) -> Result<(), String> {
        self.socket.send(packet).await.map_err(|error| error.to_string())
    }

    /// The next packet that is text, once pings are answered. Bytes are somebody else's attachments.
    async fn text(&mut self) -> Result<String, String> {
        loop {
            let received = timeout(self.silence, self.socket.recv()).await;
            let message = received.map_err(|_: Elapsed| "no sign of life".to_owned())?;
            match message.map_err(|error| error.to_string())? {
                None => return Err("the server has closed it".to_owned()),
                Some(Message::Text(text)) if &*text == "2" => self.send("3".to_owned()).await?,
                Some(Message::Text(text)) => return Ok((*text).to_owned()),
                Some(_) => {}
            }
        }
    }
}

impl Session {
    fn pid(&self) -> Option<&str> {
        self.pid.as_deref()
    }

    /// It means nothing without the session that it was given to.
    fn offset(&self) -> Option<&str> {
        self.pid.as_ref().and(self.offset.as_deref())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// A packet of Socket.IO without attachments.
#[derive(Debug, PartialEq, Eq)]
struct Packet<'a> {
    kind: Kind,
    id: Option<u64>,
    data: &'a str,
}

impl<'a> Packet<'a> {
    /// One of this namespace, as in `42/c/sala,7["event"]`; none of what is nothing of the kind.
    fn read(text: &'a str, namespace: &str) -> Option<Self> {
        let rest = text.strip_prefix('4')?;
        let kind = match rest.get(..1)? {
            "0" => Kind::Connect,
            "1" => Kind::Disconnect,
            "2" => Kind::Event,
            "3" => Kind::Ack,
            "4" => Kind::ConnectError,
            _ => return None,
        };
        let rest = rest.get(1..)?.strip_prefix(namespace)?;
        // A packet without data may end without the comma.
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')? };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, data) = rest.split_at(digits);
        Some(Self { kind, id: id.parse().ok(), data })
    }
}

/// The arguments of an event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    message: Option<Numbered>,
    offset: Option<String>,
}

impl Event {
    /// The name is the first of the values, the offset is the last.
    fn read(data: &str) -> Option<Self> {
        let values: Vec<&RawValue> = serde_json::from_str(data).ok()?;
        let [name, values @ ..] = values.as_slice() else { return None };
        let offset = values.last().and_then(|last| serde_json::from_str(last.get()).ok());
        let is_publication = serde_json::from_str::<&str>(name.get()).is_ok_and(|name| name == EVENT);
        let message = values.first().filter(|_| is_publication);
        let message = message.and_then(|message| serde_json::from_str(message.get()).ok());
        Some(Self { message, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Kind, Option<u64>, &str)>) {
        let expected = expected.map(|(kind, id, data)| Packet { kind, id, data });
        assert_eq!(Packet::read(text, "/c/sala"), expected, "{text}");
    }

    #[test]
    fn packets_of_the_namespace_are_told_from_others() {
        check("40/c/sala,{\"sid\":\"a\"}", Some((Kind::Connect, None, "{\"sid\":\"a\"}")));
        check("42/c/sala,[\"message\",1]", Some((Kind::Event, None, "[\"message\",1]")));
        check("43/c/sala,17[]", Some((Kind::Ack, Some(17), "[]")));
        check("41/c/sala,", Some((Kind::Disconnect, None, "")));
        check("41/c/sala", Some((Kind::Disconnect, None, "")));
        check("44/c/sala,{\"message\":\"no\"}", Some((Kind::ConnectError, None, "{\"message\":\"no\"}")));
        for other in
            ["", "4", "2", "42[\"a\"]", "42/c/salas,[]", "42/c/sal,[]", "451-/c/sala,[]", "4ñ", "49/c/sala,"]
        {
            check(other, None);
        }
    }

    #[test]
    fn an_event_has_its_offset_behind_its_value() {
        let message = Numbered { publisher: 1, number: 2, sent: 3, padding: String::new() };
        let text = serde_json::to_string(&message).unwrap();
        let read = |data: String| Event::read(&data).unwrap();
        let offset = Some("9-1".to_owned());
        let message = Some(message);
        assert_eq!(read(format!("[\"message\",{text},\"9-1\"]")), Event { message, offset: offset.clone() });
        assert_eq!(read("[\"joined\",{},\"9-1\"]".to_owned()), Event { message: None, offset });
        assert_eq!(read("[\"message\",7]".to_owned()), Event::default());
        assert_eq!(Event::read("[]"), None);
        assert_eq!(Event::read("nonsense"), None);
    }

    #[test]
    fn an_offset_is_shown_only_with_the_session_that_it_was_given_to() {
        let session = Session { pid: None, offset: Some("9".to_owned()) };
        assert_eq!(session.offset(), None);
        let session = Session { pid: Some("a".to_owned()), ..session };
        assert_eq!((session.pid(), session.offset()), (Some("a"), Some("9")));
    }
}
