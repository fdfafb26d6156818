//! How publications and changes of presence are written: for clients of this protocol, and for plain ones.

use super::reply::{Person, PresenceChanged, Reply, Said};
use serde_json::value::RawValue;
use vaiven::Message;
use vaiven_hub::{ChannelName, Data, Member, PresenceChange, Publication, Wire};

/// The form of `vaiven.v1.json`.
#[derive(Debug)]
pub(crate) struct V1;

/// The form of plain WebSockets: the data alone. A JSON string is its text, other JSON the text that it is.
#[derive(Debug)]
pub(crate) struct Plain;

impl Wire for V1 {
    fn name(&self) -> &'static str {
        super::SUBPROTOCOL
    }

    fn publication(&self, channel: &ChannelName, publication: &Publication) -> Vec<Message> {
        let said = Said { kind: Some("message"), channel: Some(channel.as_str()), ..Said::of(publication) };
        vec![match &publication.data {
            Data::Json(_) => said.to_message(None),
            Data::Binary(bytes) => said.to_message(Some(bytes)),
        }]
    }

    fn presence(&self, channel: &ChannelName, change: &PresenceChange) -> Vec<Message> {
        let reply = Reply::PresenceChanged(PresenceChanged {
            channel: channel.as_str(),
            count: change.count,
            joined: change.joined.iter().map(Person::of).collect(),
            left: change.left.iter().map(Person::of).collect(),
        });
        vec![reply.to_message()]
    }
}

impl Wire for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn publication(&self, _: &ChannelName, publication: &Publication) -> Vec<Message> {
        // What is said beside the conversation, as who is writing, has no word of its own here.
        if publication.removed || publication.ephemeral {
            return Vec::new();
        }
        let message = match &publication.data {
            Data::Binary(bytes) => Some(Message::Binary(bytes.clone())),
            Data::Json(json) => match serde_json::from_slice::<String>(json) {
                Ok(text) => Some(Message::text(text)),
                // It is validated JSON, hence UTF-8.
                Err(_) => json.clone().try_into().ok().map(Message::Text),
            },
        };
        message.into_iter().collect()
    }

    /// Plain clients have no word for it.
    fn presence(&self, _: &ChannelName, _: &PresenceChange) -> Vec<Message> {
        Vec::new()
    }
}

impl<'a> Said<'a> {
    /// What a publication says, without where it was said.
    pub(crate) fn of(publication: &'a Publication) -> Self {
        let publisher = publication.publisher.as_ref();
        Self {
            data: match &publication.data {
                Data::Json(json) => raw(json),
                Data::Binary(_) => None,
            },
            offset: publication.position.as_ref().map(|position| position.offset),
            key: publication.key.as_deref(),
            removed: publication.removed,
            client: publisher.map(|publisher| &*publisher.client),
            user: publisher.and_then(|publisher| publisher.user.as_deref()),
            time: publication.time,
            ..Self::default()
        }
    }

    /// The same with binary data in base64, as a history has them.
    pub(crate) fn in_history(publication: &'a Publication) -> Self {
        use base64::Engine;
        let base64 = match &publication.data {
            Data::Binary(bytes) => Some(base64::engine::general_purpose::STANDARD.encode(bytes)),
            Data::Json(_) => None,
        };
        Self { base64, ..Self::of(publication) }
    }
}

/// JSON that was validated when it came in.
pub(crate) fn raw(json: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(json).ok()
}

impl<'a> Person<'a> {
    pub(crate) fn of(member: &'a Member) -> Self {
        let info = member.info.as_deref().and_then(raw);
        Self { client: &member.client, user: member.user.as_deref(), info }
    }
}
