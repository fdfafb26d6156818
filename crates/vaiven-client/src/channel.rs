//! One subscription as the machine sees it: where it stands, what it has seen, and what waits for its reader.

use crate::{Contract, Error, Event, Position, Publication};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// Events that wait for a reader.
const MAX_EVENTS: usize = 1024;
/// What they weigh together, in bytes.
const MAX_WEIGHT: usize = 4 << 20;

/// What a subscriber wants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) last: u32,
    pub(crate) presence: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// To be asked for on the next connection, or now.
    Due,
    /// Asked for, under this id.
    Asked(u64),
    /// The server sends.
    Live,
    /// The reader has too much to read: nothing more is taken until it has caught up.
    Paused,
    /// The server could not, and is asked again then.
    RetryAt(Instant),
}

/// What is to be done after a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing.
    Fine,
    /// The server is to be told to stop, and asked anew: at once, as something is missing.
    Gap,
    /// The server is to be told to stop; the reader says when to go on.
    Full,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) wanted: Wanted,
    pub(crate) state: State,
    pub(crate) position: Option<Position>,
    /// Known since the server has said it.
    pub(crate) contract: Option<Contract>,
    /// Who waits for the first answer.
    first: Option<oneshot::Sender<Result<(), Error>>>,
    events: VecDeque<Event>,
    weight: usize,
    pub(crate) has_ended: bool,
    /// Told when there is an event, or the end.
    pub(crate) readable: Arc<Notify>,
}

impl Channel {
    pub(crate) fn new(wanted: Wanted, first: oneshot::Sender<Result<(), Error>>) -> Self {
        Self {
            wanted,
            state: State::Due,
            position: None,
            contract: None,
            first: Some(first),
            events: VecDeque::new(),
            weight: 0,
            has_ended: false,
            readable: Arc::default(),
        }
    }

    /// The server has answered: what follows begins behind `position`.
    pub(crate) fn subscribed(
        &mut self,
        contract: Contract,
        position: Option<Position>,
        recovered: Option<bool>,
        missed: u64,
    ) {
        // A channel without positions cannot say that nothing was missed while its subscriber was away.
        let recovered = recovered.or_else(|| {
            let was_there = self.contract.is_some();
            (was_there && contract != Contract::Latest).then_some(false)
        });
        self.state = State::Live;
        self.contract = Some(contract);
        self.position = position;
        self.push(Event::Subscribed { contract, recovered, missed });
        if let Some(first) = self.first.take() {
            // Nobody waits where the future was dropped.
            let _ = first.send(Ok(()));
        }
    }

    /// A publication has arrived.
    pub(crate) fn arrived(&mut self, publication: Publication) -> Outcome {
        if self.state != State::Live {
            // What comes between the wish to stop and the server's stopping comes again.
            return Outcome::Fine;
        }
        if let (Some(offset), Some(position)) = (publication.offset, &mut self.position) {
            if offset <= position.offset {
                return Outcome::Fine;
            }
            if position.offset.checked_add(1) != Some(offset) {
                self.state = State::Due;
                return Outcome::Gap;
            }
            position.offset = offset;
        }
        self.push(Event::Publication(publication));
        if self.events.len() < MAX_EVENTS && self.weight < MAX_WEIGHT {
            return Outcome::Fine;
        }
        self.state = State::Paused;
        Outcome::Full
    }

    /// The server does not do it, now or at all.
    pub(crate) fn refused(&mut self, now: Instant, code: &str, message: &str, retry: Option<Duration>) {
        if matches!(code, "unavailable" | "rate" | "internal") {
            self.state = State::RetryAt(now + retry.unwrap_or(Duration::from_secs(1)));
            return;
        }
        if let Some(first) = self.first.take() {
            let (code, message) = (code.to_owned(), message.to_owned());
            let _ = first.send(Err(Error::Refused { code, message, retry }));
        } else {
            self.push(Event::Unsubscribed { code: code.to_owned(), message: message.to_owned() });
        }
        self.end();
    }

    /// The client has ended.
    pub(crate) fn closed(&mut self, reason: &str) {
        if let Some(first) = self.first.take() {
            let _ = first.send(Err(Error::Closed { reason: reason.to_owned() }));
        }
        self.end();
    }

    fn end(&mut self) {
        self.has_ended = true;
        self.readable.notify_waiters();
    }

    /// The connection is gone, and with it what the server knew.
    pub(crate) fn disconnected(&mut self) {
        if !matches!(self.state, State::Paused) {
            self.state = State::Due;
        }
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.weight += event.weight();
        self.events.push_back(event);
        self.readable.notify_waiters();
    }

    /// The next event for the reader, and whether the server is to be asked to go on.
    pub(crate) fn pop(&mut self) -> Option<(Event, bool)> {
        let event = self.events.pop_front()?;
        self.weight -= event.weight();
        let has_room = self.events.len() <= MAX_EVENTS / 4 && self.weight <= MAX_WEIGHT / 4;
        let resumes = self.state == State::Paused && has_room;
        if resumes {
            self.state = State::Due;
        }
        Some((event, resumes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Data;

    fn publication(offset: u64) -> Publication {
        Publication {
            data: Data::from("x"),
            offset: Some(offset),
            key: None,
            removed: false,
            client: None,
            user: None,
            time: 0,
        }
    }

    fn live() -> Channel {
        let mut channel = Channel::new(Wanted::default(), oneshot::channel().0);
        let position = Position { epoch: "a".to_owned(), offset: 10 };
        channel.subscribed(Contract::Reliable, Some(position), None, 0);
        assert!(matches!(channel.pop(), Some((Event::Subscribed { recovered: None, .. }, false))));
        channel
    }

    #[test]
    fn what_came_before_is_dropped_and_what_is_missing_is_asked_for() {
        let mut channel = live();
        assert_eq!(channel.arrived(publication(10)), Outcome::Fine);
        assert_eq!(channel.pop(), None);
        assert_eq!(channel.arrived(publication(11)), Outcome::Fine);
        assert!(matches!(channel.pop(), Some((Event::Publication(_), false))));
        assert_eq!(channel.arrived(publication(13)), Outcome::Gap);
        assert_eq!(channel.state, State::Due);
        assert_eq!(channel.position.as_ref().map(|position| position.offset), Some(11));
        // What the server sends before it hears of that comes again.
        assert_eq!(channel.arrived(publication(14)), Outcome::Fine);
        assert_eq!(channel.pop(), None);
    }

    #[test]
    fn a_reader_that_is_behind_pauses_the_channel_and_loses_nothing() {
        let mut channel = live();
        let mut offset = 10;
        loop {
            offset += 1;
            match channel.arrived(publication(offset)) {
                Outcome::Fine => {}
                Outcome::Full => break,
                Outcome::Gap => panic!("there is none"),
            }
        }
        assert_eq!(offset, 10 + MAX_EVENTS as u64);
        assert_eq!(channel.arrived(publication(offset + 1)), Outcome::Fine, "it is left to come again");
        let mut seen = 10;
        while let Some((Event::Publication(publication), resumes)) = channel.pop() {
            seen += 1;
            assert_eq!(publication.offset, Some(seen));
            assert_eq!(resumes, seen == offset - MAX_EVENTS as u64 / 4);
        }
        assert_eq!(channel.state, State::Due);
        assert_eq!(channel.position.map(|position| position.offset), Some(offset));
    }
}
