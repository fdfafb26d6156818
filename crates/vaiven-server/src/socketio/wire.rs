//! How publications are written for members over Socket.IO: events, with the place to come back to as the last argument.

use super::event::{MESSAGE, PRESENCE, of_data};
use super::namespace_of;
use crate::protocol::reply::Person;
use serde::Serialize;
use std::fmt::Write;
use vaiven::Message;
use vaiven_hub::{ChannelName, Epoch, Position, PresenceChange, Publication, Wire};
use vaiven_socketio::engine::encode;
use vaiven_socketio::packet::{Encoded, MAIN_NAMESPACE};
use vaiven_socketio::{Arguments, Parser};

/// The form of a channel's own namespace, or of the main one.
#[derive(Debug)]
pub(super) struct Events {
    is_main: bool,
}

/// For members of `/c/ROOM`.
pub(super) static IN_ROOM: Events = Events { is_main: false };
/// For members of `/`.
pub(super) static IN_MAIN: Events = Events { is_main: true };

impl Events {
    fn packets(
        &self,
        channel: &ChannelName,
        name: &str,
        args: &impl Arguments,
        offset: Option<&str>,
    ) -> Vec<Message> {
        let own;
        let namespace = if self.is_main {
            MAIN_NAMESPACE
        } else {
            own = namespace_of(channel);
            &own
        };
        match Encoded::event(Parser::Json, namespace, None, name, args, offset) {
            Ok(event) => event.messages().iter().map(encode).collect(),
            Err(error) => {
                tracing::warn!(%channel, %error, "a publication has no form as an event");
                Vec::new()
            }
        }
    }
}

impl Wire for Events {
    fn name(&self) -> &'static str {
        if self.is_main { "socket.io /" } else { "socket.io" }
    }

    fn publication(&self, channel: &ChannelName, publication: &Publication) -> Vec<Message> {
        if publication.removed {
            return Vec::new();
        }
        let offset = publication.position.as_ref().map(offset);
        match of_data(&publication.data) {
            // What is said beside the conversation is no message of it; under a name it is an event as any other.
            Ok((name, _)) if publication.ephemeral && name == MESSAGE => Vec::new(),
            // Nobody may take its last argument for a place to come back to.
            Ok((name, args)) if publication.ephemeral => {
                self.packets(channel, &name, &args.without_text_at_end(), None)
            }
            Ok((name, args)) => self.packets(channel, &name, &args, offset.as_deref()),
            Err(error) => {
                tracing::warn!(%channel, %error, "a publication has no form as an event");
                Vec::new()
            }
        }
    }

    fn presence(&self, channel: &ChannelName, change: &PresenceChange) -> Vec<Message> {
        #[derive(Serialize)]
        struct Change<'a> {
            count: usize,
            joined: Vec<Person<'a>>,
            left: Vec<Person<'a>>,
        }
        let change = Change {
            count: change.count,
            joined: change.joined.iter().map(Person::of).collect(),
            left: change.left.iter().map(Person::of).collect(),
        };
        self.packets(channel, PRESENCE, &change, None)
    }
}

/// A position as clients keep it.
pub(super) fn offset(position: &Position) -> String {
    let mut text = String::with_capacity(32);
    write!(text, "{}:{}", position.epoch.as_str(), position.offset)
        .expect("a String takes all that is written");
    text
}

/// The position that a client has kept.
pub(super) fn position(offset: &str) -> Option<Position> {
    let (epoch, offset) = offset.rsplit_once(':')?;
    Some(Position { epoch: Epoch::new(epoch), offset: offset.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use vaiven_hub::NewPublication;

    fn texts(wire: &Events, publication: &Publication) -> Vec<String> {
        let channel = ChannelName::parse("sala").unwrap();
        wire.publication(&channel, publication)
            .iter()
            .map(|message| message.as_text().map_or_else(|| "(binary)".to_owned(), str::to_owned))
            .collect()
    }

    #[test]
    fn a_publication_is_an_event_whose_last_argument_is_its_place() {
        let position = Position { epoch: Epoch::new("ab"), offset: 7 };
        let hola = NewPublication::json("\"hola\"").publish(Some(position.clone()), 0);
        assert_eq!(texts(&IN_ROOM, &hola), [r#"42/c/sala,["message","hola","ab:7"]"#]);
        assert_eq!(texts(&IN_MAIN, &hola), [r#"42["message","hola","ab:7"]"#]);
        assert_eq!(super::position("ab:7"), Some(position));
        let beside = |json: &'static str| {
            let publication = NewPublication { ephemeral: true, ..NewPublication::json(json) };
            texts(&IN_MAIN, &publication.publish(None, 0))
        };
        assert!(beside(r#"{"name":"Ana"}"#).is_empty());
        assert_eq!(beside(r#"{"event":"typing","args":[]}"#), [r#"42["typing",null]"#]);
        assert_eq!(beside(r#"{"event":"typing","args":["ab:9"]}"#), [r#"42["typing","ab:9",null]"#]);
        assert_eq!(beside(r#"{"event":"typing","args":[1]}"#), [r#"42["typing",1]"#]);
        let bytes = NewPublication::binary(Bytes::from_static(b"\x01")).publish(None, 0);
        let header = r#"451-/c/sala,["message",{"_placeholder":true,"num":0}]"#;
        assert_eq!(texts(&IN_ROOM, &bytes), [header, "(binary)"]);
    }

    #[test]
    fn what_is_no_place_is_none() {
        for text in ["", "ab", "ab:", "ab:-1", "ab:18446744073709551616"] {
            assert_eq!(position(text), None, "{text}");
        }
    }
}
