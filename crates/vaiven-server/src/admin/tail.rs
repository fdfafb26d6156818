//! The messages of a channel as they come, for whoever looks at it: the hub's own subscriber -> Server-Sent Events.

use crate::api::ApiError;
use crate::app::App;
use crate::drain::Stage;
use crate::events::{EventBody, EventQueue};
use crate::http::Answer;
use crate::protocol::code::ErrorCode;
use crate::protocol::reply::to_json;
use crate::stream::with_events;
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use vaiven::{CloseCode, Message};
use vaiven_hub::{ChannelName, Data, LocalSubscriber, Publication, SubscribeError, SubscribeOptions};

/// Tails at a time.
const MAX_TAILS: usize = 8;
/// Messages of the history that come first.
const LAST: usize = 20;
/// The longest text that is shown of a message, in bytes.
const MAX_TEXT_BYTES: usize = 512;
/// Bytes that may wait for a page that reads slowly.
const MAX_WAITING: usize = 256 << 10;

/// Places for tails.
#[derive(Debug)]
pub(crate) struct Tails(Arc<Semaphore>);

impl Default for Tails {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_TAILS)))
    }
}

/// A message, as far as it is shown.
#[derive(Serialize)]
struct Line<'a> {
    time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    /// The JSON of its data, cut; nothing where it is binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// How long the data is.
    bytes: usize,
}

/// Ends a tail with its response.
struct Tail(AbortHandle);

impl Drop for Tail {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Subscribes, and answers with what comes.
pub(super) async fn open(app: &Arc<App>, channel: &ChannelName) -> Result<Answer, ApiError> {
    let place = Arc::clone(&app.admin_tails.0).try_acquire_owned().map_err(|_| {
        let why = format!("{MAX_TAILS} channels are listened to already: close another page");
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tails", why)
    })?;
    let options = SubscribeOptions { last: LAST, ..SubscribeOptions::default() };
    let subscriber = LocalSubscriber::join(&app.hub, channel, options).await.map_err(|error| {
        let code = match error {
            SubscribeError::UnknownNamespace => ErrorCode::UnknownNamespace,
            _ => ErrorCode::Unavailable,
        };
        ApiError::of(code, error.to_string())
    })?;
    // It has no name: nothing is sent to it.
    let queue = EventQueue::new(String::new(), MAX_WAITING, false);
    let (own, filled) = (Arc::clone(app), Arc::clone(&queue));
    let task = tokio::spawn(async move {
        tokio::select! {
            () = follow(subscriber, &filled) => {}
            () = own.reached(Stage::Stopping) => {}
        }
        filled.close(CloseCode::GOING_AWAY, None);
        drop(place);
    });
    Ok(with_events(EventBody::new(queue, Tail(task.abort_handle()))))
}

/// Passes messages on, until the hub ends the subscription of one that reads too slowly.
async fn follow(mut subscriber: LocalSubscriber, queue: &EventQueue) {
    while let Some(publication) = subscriber.recv().await {
        let line = Message::text(to_json(&Line::of(&publication)));
        if queue.push(line).await.is_err() {
            return;
        }
    }
}

impl<'a> Line<'a> {
    fn of(publication: &'a Publication) -> Self {
        let publisher = publication.publisher.as_ref();
        let text = match &publication.data {
            Data::Json(json) => std::str::from_utf8(json).ok().map(|text| cut(text, MAX_TEXT_BYTES)),
            Data::Binary(_) => None,
        };
        Self {
            time: publication.time,
            offset: publication.position.as_ref().map(|position| position.offset),
            client: publisher.map(|publisher| &*publisher.client),
            user: publisher.and_then(|publisher| publisher.user.as_deref()),
            key: publication.key.as_deref(),
            removed: publication.removed,
            text,
            bytes: publication.data.len(),
        }
    }
}

/// The longest beginning of a text that has no more bytes than this, and no part of a character.
fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}
