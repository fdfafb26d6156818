//! HTTP long-polling: a GET waits for what is sent to the client, a POST brings what the client sends.

use super::handshake::Headers;
use super::head::Head;
use super::packet::Packet;
use super::payload;
use super::session::Session;
use super::{EndReason, Rejection};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a poll waits for a WebSocket that is about to take over: an answer at once would make the client ask again at
/// once.
const UPGRADE_PATIENCE: Duration = Duration::from_millis(100);

/// Answers a GET.
pub(super) async fn poll(session: Arc<Session>) -> Result<String, Rejection> {
    session.begin_poll()?;
    let poll = UnderWay { session: &session, cancel: Session::cancel_poll };
    let came_late = session.is_probed();
    let outgoing = poll_fn(|cx| session.poll_outgoing(came_late, cx));
    if came_late {
        // Whether it is over, or the WebSocket has taken over, is seen below.
        let _ = timeout(UPGRADE_PATIENCE, outgoing).await;
    } else {
        outgoing.await;
        // What a handler sends in one go leaves together.
        tokio::task::yield_now().await;
    }
    let payload = session.end_poll();
    poll.done();
    payload.ok_or(Rejection::BAD_REQUEST)
}

/// Takes what a POST brings.
pub(super) async fn post<B>(session: Arc<Session>, head: &Head<'_>, body: B) -> Result<(), Rejection>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Send,
{
    session.begin_post(Headers::new(&head.fields))?;
    let post = UnderWay { session: &session, cancel: Session::end_by_absence };
    let outcome = receive(&session, head, body).await;
    post.done();
    session.end_post();
    outcome
}

async fn receive<B>(session: &Arc<Session>, head: &Head<'_>, body: B) -> Result<(), Rejection>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Send,
{
    // Version 4 of the protocol has bytes in base64 only.
    if head.field("content-type").is_some_and(|value| value.starts_with("application/octet-stream")) {
        session.end(EndReason::ParseError);
        return Err(Rejection::BAD_REQUEST);
    }
    let config = session.sessions.config();
    let Ok(body) = timeout(config.body_timeout, read(body, config.max_payload)).await else {
        session.end(EndReason::TransportError);
        return Err(Rejection::TOO_SLOW);
    };
    let body = body?;
    let Ok(packets) = payload::decode(&body, config.max_payload_packets) else {
        session.end(EndReason::ParseError);
        return Err(Rejection::BAD_REQUEST);
    };
    let mut messages = VecDeque::new();
    let mut is_closing = false;
    for packet in packets {
        match packet {
            Packet::Message(message) => messages.push_back(message),
            Packet::Pong => session.pong(),
            Packet::Noop => {}
            Packet::Close => {
                is_closing = true;
                break;
            }
            Packet::Probe | Packet::Upgrade => {
                session.end(EndReason::ParseError);
                return Err(Rejection::BAD_REQUEST);
            }
        }
    }
    if !messages.is_empty() && !poll_fn(|cx| session.poll_deliver(&mut messages, cx)).await {
        return Err(Rejection::BAD_REQUEST);
    }
    if is_closing {
        session.end_by_client();
    }
    Ok(())
}

/// Reads a body of at most `max` bytes.
async fn read<B>(body: B, max: usize) -> Result<Bytes, Rejection>
where
    B: Body,
{
    if body.size_hint().lower() > u64::try_from(max).unwrap_or(u64::MAX) {
        return Err(Rejection::TOO_LARGE);
    }
    let mut body = pin!(body);
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::BAD_REQUEST)?;
        let Ok(mut data) = frame.into_data() else { continue };
        if data.remaining() > max - read.len() {
            return Err(Rejection::TOO_LARGE);
        }
        read.put(&mut data);
    }
    Ok(read.freeze())
}

/// A request that is being answered. Dropped before that, its client went away.
struct UnderWay<'a> {
    session: &'a Arc<Session>,
    cancel: fn(&Arc<Session>),
}

impl UnderWay<'_> {
    /// It has its answer.
    fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        (self.cancel)(self.session);
    }
}
