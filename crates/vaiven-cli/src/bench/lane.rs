//! What one connection has sent and has yet to get: numbers in, numbers out.

use std::collections::VecDeque;

/// The messages of one connection: every `step`th number from `first` on.
#[derive(Debug)]
pub(super) struct Lane {
    first: u64,
    step: u64,
    /// Messages sent so far.
    sent: u64,
    /// Messages that came back, and those that no more will, since a later one has.
    settled: u64,
    /// Messages that are due and not sent.
    pub(super) owed: u64,
    /// When those that are under way were sent, where no schedule says it.
    stamps: VecDeque<u64>,
}

/// A message that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) number: u64,
    /// When it was sent, where that was noted.
    pub(super) stamp: Option<u64>,
}

impl Lane {
    pub(super) fn new(first: u64, step: u64) -> Self {
        Self { first, step, sent: 0, settled: 0, owed: 0, stamps: VecDeque::new() }
    }

    /// The number that is sent next.
    pub(super) fn next(&self) -> u64 {
        self.sent * self.step + self.first
    }

    /// It was sent.
    pub(super) fn note_sent(&mut self, stamp: Option<u64>) {
        self.sent += 1;
        self.stamps.extend(stamp);
    }

    /// Messages that were sent so far: another connection's, where this one only listens.
    pub(super) fn set_sent(&mut self, sent: u64) {
        self.sent = sent;
    }

    /// Messages that are under way.
    pub(super) fn outstanding(&self) -> u64 {
        self.sent.saturating_sub(self.settled)
    }

    /// The number that comes back next.
    pub(super) fn expected(&self) -> u64 {
        self.settled * self.step + self.first
    }

    /// Takes a message so far ahead of the expected one; those between are lost. `None` where no such message is under
    /// way.
    pub(super) fn settle(&mut self, ahead: u64) -> Option<Settled> {
        let skipped = ahead / self.step;
        if !ahead.is_multiple_of(self.step) || skipped >= self.outstanding() {
            return None;
        }
        let number = self.expected() + ahead;
        self.settled += skipped + 1;
        let stamps = usize::try_from(skipped).expect("it is below what is under way");
        self.stamps.drain(..stamps.min(self.stamps.len()));
        Some(Settled { number, stamp: self.stamps.pop_front() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(sent: u64) -> Lane {
        let mut lane = Lane::new(3, 10);
        for round in 0..sent {
            assert_eq!(lane.next(), 3 + 10 * round);
            lane.note_sent(Some(round));
        }
        lane
    }

    #[test]
    fn messages_come_back_in_order() {
        let mut lane = lane(2);
        assert_eq!(lane.expected(), 3);
        assert_eq!(lane.settle(0), Some(Settled { number: 3, stamp: Some(0) }));
        assert_eq!(lane.expected(), 13);
        assert_eq!(lane.settle(0), Some(Settled { number: 13, stamp: Some(1) }));
        assert_eq!(lane.outstanding(), 0);
        assert_eq!(lane.settle(0), None);
    }

    #[test]
    fn a_gap_is_skipped_with_its_stamps() {
        let mut lane = lane(4);
        assert_eq!(lane.settle(20), Some(Settled { number: 23, stamp: Some(2) }));
        assert_eq!(lane.outstanding(), 1);
    }

    #[test]
    fn what_is_not_under_way_changes_nothing() {
        let mut lane = lane(2);
        for ahead in [20, 5, u64::MAX, 0_u64.wrapping_sub(10)] {
            assert_eq!(lane.settle(ahead), None);
        }
        assert_eq!((lane.expected(), lane.outstanding()), (3, 2));
    }

    #[test]
    fn a_listener_is_told_how_many_there_are() {
        let mut lane = Lane::new(0, 1);
        assert_eq!(lane.settle(0), None);
        lane.set_sent(3);
        assert_eq!(lane.settle(1), Some(Settled { number: 1, stamp: None }));
        assert_eq!(lane.outstanding(), 1);
    }
}
