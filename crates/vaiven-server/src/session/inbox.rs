//! What arrives on a connection, counted and held to the rate.

use super::End;
use crate::app::App;
use crate::metrics::Metrics;
use crate::rate::Bucket;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;
use vaiven::{Error, Message, WebSocket};

/// What arrives, counted and held to the rate. Counts are added up here and handed on once per wake-up.
#[derive(Debug)]
pub(super) struct Inbox<'a> {
    metrics: &'a Metrics,
    bucket: Bucket,
    /// Nothing had arrived: time has passed since.
    waited: bool,
    /// What arrives is sent back.
    pub(super) echoes: bool,
    messages: u32,
    bytes: u64,
}

impl<'a> Inbox<'a> {
    pub(super) fn new(app: &'a App) -> Self {
        Self {
            metrics: &app.metrics,
            bucket: Bucket::new(app.rate, Instant::now()),
            waited: false,
            echoes: false,
            messages: 0,
            bytes: 0,
        }
    }

    pub(super) async fn next(&mut self, socket: &mut WebSocket) -> Result<Option<Message>, End> {
        poll_fn(|cx| self.poll_next(socket, cx)).await
    }

    /// The next message of a connection, of whatever kind it is.
    #[inline]
    pub(super) fn poll_next(
        &mut self,
        source: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, End>> {
        let polled = Pin::new(source).poll_next(cx);
        if polled.is_pending() {
            self.waited = true;
            self.count();
        }
        let Some(message) = ready!(polled).transpose().map_err(End::Error)? else {
            return Poll::Ready(Ok(None));
        };
        self.messages += 1;
        self.bytes += message.len() as u64;
        if std::mem::take(&mut self.waited) {
            self.bucket.refill(Instant::now());
        }
        if !self.bucket.take() {
            return Poll::Ready(Err(End::TOO_FAST));
        }
        Poll::Ready(Ok(Some(message)))
    }

    /// Nothing was read since then, since the server could not go on: what was sent meanwhile is not too fast.
    pub(super) fn credit(&mut self, since: Instant) {
        self.bucket.credit(since, Instant::now());
    }

    /// Waits for what is done with a message. Where that takes time the client does not pay for it: what it sends
    /// meanwhile, within its rate, is read in one go.
    pub(super) fn hold<F: Future + Unpin>(&mut self, mut handled: F) -> impl Future<Output = F::Output> {
        let mut since = None;
        poll_fn(move |cx| {
            let polled = Pin::new(&mut handled).poll(cx);
            if polled.is_pending() {
                since.get_or_insert_with(Instant::now);
            } else if let Some(since) = since {
                self.bucket.credit(since, Instant::now());
            }
            polled
        })
    }

    /// Hands the counts on.
    pub(super) fn count(&mut self) {
        let metrics = self.metrics;
        let (messages, bytes) =
            (u64::from(std::mem::take(&mut self.messages)), std::mem::take(&mut self.bytes));
        if messages == 0 {
            return;
        }
        metrics.messages_in.inc_by(messages);
        metrics.bytes_in.inc_by(bytes);
        if self.echoes {
            metrics.echoed.inc_by(messages);
            metrics.echoed_bytes.inc_by(bytes);
        }
    }
}

impl Drop for Inbox<'_> {
    fn drop(&mut self) {
        self.count();
    }
}
