//! The operator's backend for events of the main namespace, asked over HTTP.
//!
//! It gets a POST with `{"type":"event","event":NAME,"args":[…],"client":…,"user":…,"ack":BOOL}`, bytes as
//! `{"base64":TEXT}`. Its answer is empty or an object: `ack`, a list, is what the client's acknowledgement gets; `emit` is
//! a list of events, each a list of a name and arguments, for this client; `publish` is a list of
//! `{"channel":…,"event":…,"args":[…]}` or `{"channel":…,"data":…}` for channels.

use super::event;
use super::member::Refused;
use crate::fetch::Fetcher;
use crate::protocol::code::ErrorCode;
use crate::protocol::reply::to_json;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;
use vaiven_hub::{ChannelName, NewPublication, Publisher};
use vaiven_socketio::Args;

/// The most questions at a time; who comes later waits for its turn, within the timeout.
const MAX_QUESTIONS: usize = 64;
/// The longest answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The most events and publications of an answer.
const MAX_EVENTS: usize = 128;

/// Where events of the main namespace go.
pub(crate) struct EventBackend {
    url: Url,
    fetcher: Fetcher,
    turns: Semaphore,
    timeout: Duration,
}

#[derive(Serialize)]
struct Question<'a> {
    r#type: &'static str,
    event: &'a str,
    args: &'a RawValue,
    client: &'a str,
    user: Option<&'a str>,
    ack: bool,
}

/// What an event leads to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    ack: Option<Box<RawValue>>,
    emit: Vec<Vec<Box<RawValue>>>,
    publish: Vec<Said>,
}

#[derive(Debug, Deserialize)]
struct Said {
    channel: String,
    event: Option<String>,
    args: Option<Box<RawValue>>,
    data: Option<Box<RawValue>>,
}

impl EventBackend {
    pub(crate) fn new(url: Url, timeout: Duration) -> Self {
        let fetcher = Fetcher::new(timeout, MAX_ANSWER_BYTES);
        Self { url, fetcher, turns: Semaphore::new(MAX_QUESTIONS), timeout }
    }

    pub(super) async fn ask(
        &self,
        by: &Publisher,
        name: &str,
        args: &Args,
        wants_ack: bool,
    ) -> Result<Answer, Refused> {
        let args = event::array(args);
        let question = to_json(&Question {
            r#type: "event",
            event: name,
            args: &args,
            client: &by.client,
            user: by.user.as_deref(),
            ack: wants_ack,
        });
        let asked = async {
            let _turn = self.turns.acquire().await;
            self.fetcher.post(&self.url, question).await
        };
        let answered = tokio::time::timeout(self.timeout, asked).await;
        let unavailable = || Refused::new(ErrorCode::Unavailable, "the backend does not answer");
        let body = match answered {
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => answer.body,
            Ok(Ok(answer)) => {
                tracing::warn!(status = answer.status, "socketio_url gives no answer");
                return Err(unavailable());
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "socketio_url cannot be asked");
                return Err(unavailable());
            }
            Err(_) => {
                tracing::warn!("socketio_url does not answer in time");
                return Err(unavailable());
            }
        };
        Answer::read(&body).map_err(|error| {
            tracing::warn!(%error, "socketio_url answers with something else than is understood");
            unavailable()
        })
    }
}

impl fmt::Debug for EventBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBackend").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Answer {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        let body = body.trim_ascii();
        if body.is_empty() { Ok(Self::default()) } else { serde_json::from_slice(body) }
    }

    /// The arguments of the acknowledgement.
    pub(super) fn ack(&self) -> Args {
        self.ack.as_ref().and_then(|args| Args::from_array(args.get()).ok()).unwrap_or_default()
    }

    /// Events for the client that asked.
    pub(super) fn events(&self) -> impl Iterator<Item = (String, Args)> {
        self.emit.iter().take(MAX_EVENTS).filter_map(|event| {
            let (name, args) = event.split_first()?;
            Some((serde_json::from_str(name.get()).ok()?, Args::join(args).ok()?))
        })
    }

    /// Publications for channels.
    pub(super) fn publications(&self) -> impl Iterator<Item = (ChannelName, NewPublication)> {
        self.publish.iter().take(MAX_EVENTS).filter_map(|said| {
            let channel = ChannelName::parse(&said.channel).ok()?;
            let json = match (&said.event, &said.data) {
                (Some(name), _) => event::envelope(name, said.args.as_deref()),
                (None, data) => Bytes::copy_from_slice(data.as_ref()?.get().as_bytes()),
            };
            Some((channel, NewPublication::json(json)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_empty_or_says_what_to_do() {
        let none = Answer::read(b" ").unwrap();
        assert!(
            none.ack().is_empty() && none.events().next().is_none() && none.publications().next().is_none()
        );
        let answer = Answer::read(
            br#"{"ack":["ok",1],"emit":[["said","hola",2]],"publish":[
                {"channel":"sala","event":"typing","args":[true]},{"channel":"sala","data":"hola"}]}"#,
        )
        .unwrap();
        assert_eq!(answer.ack().json(), r#""ok",1"#);
        let events: Vec<_> = answer.events().collect();
        assert_eq!((&*events[0].0, events[0].1.json()), ("said", r#""hola",2"#));
        let published: Vec<_> = answer.publications().map(|(_, publication)| publication.data).collect();
        assert_eq!(published[0].bytes(), &br#"{"event":"typing","args":[true]}"#[..]);
        assert_eq!(published[1].bytes(), &br#""hola""#[..]);
        assert!(Answer::read(b"7").is_err());
    }
}
