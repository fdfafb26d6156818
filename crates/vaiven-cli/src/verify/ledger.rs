//! What one subscriber has got of each publisher's numbered messages: what is missing, double or out of order.

use serde::{Deserialize, Serialize};

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbered {
    /// Of which publisher.
    pub(super) publisher: usize,
    /// Counted from 0 by each publisher.
    pub(super) number: u64,
    /// When it was given to the client, by the machine's clock, in microseconds.
    pub(super) sent: u64,
    /// Up to the size that was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) padding: String,
}

/// What a publisher has sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    /// Numbers 0 to below this were given to the client.
    pub(super) count: u64,
    /// Those that were refused: nobody need get them.
    pub(super) refused: Vec<u64>,
    /// Those of which it is not known whether they arrived: whoever gets them may.
    pub(super) uncertain: Vec<u64>,
}

impl Sent {
    /// Those that everybody must get.
    pub(super) fn acknowledged(&self) -> u64 {
        self.count - self.refused.len() as u64 - self.uncertain.len() as u64
    }
}

/// What was wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Acknowledged messages that arrived.
    pub(super) delivered: u64,
    /// Acknowledged messages that did not.
    pub(super) lost: u64,
    /// Arrivals beyond the first.
    pub(super) doubled: u64,
    /// Arrivals behind a later one of the same publisher.
    pub(super) out_of_order: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.out_of_order += other.out_of_order;
    }
}

/// One subscriber's book.
#[derive(Debug)]
pub(super) struct Ledger {
    publishers: Vec<Seen>,
    doubled: u64,
    out_of_order: u64,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    /// A bit for each number.
    bits: Vec<u64>,
    next: u64,
}

impl Seen {
    fn has(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|index| self.bits.get(index));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

impl Ledger {
    pub(super) fn new(publishers: usize) -> Self {
        Self { publishers: vec![Seen::default(); publishers], doubled: 0, out_of_order: 0 }
    }

    /// Notes an arrival. One of a publisher that does not exist is passed over: somebody else uses the channel.
    pub(super) fn note(&mut self, publisher: usize, number: u64) {
        let Some(seen) = self.publishers.get_mut(publisher) else { return };
        let Ok(index) = usize::try_from(number / 64) else { return };
        if index >= seen.bits.len() {
            seen.bits.resize(index + 1, 0);
        }
        let Some(word) = seen.bits.get_mut(index) else { return };
        let bit = 1 << (number % 64);
        if *word & bit != 0 {
            self.doubled += 1;
        } else if number < seen.next {
            self.out_of_order += 1;
        }
        *word |= bit;
        seen.next = seen.next.max(number + 1);
    }

    /// Whether all that had to come has.
    pub(super) fn is_complete(&self, sent: &[Sent]) -> bool {
        self.tally(sent).lost == 0
    }

    /// What it comes to, now that it is known what was sent.
    pub(super) fn tally(&self, sent: &[Sent]) -> Tally {
        let mut tally = Tally { doubled: self.doubled, out_of_order: self.out_of_order, ..Tally::default() };
        for (seen, sent) in self.publishers.iter().zip(sent) {
            for number in 0..sent.count {
                if sent.refused.contains(&number) || sent.uncertain.contains(&number) {
                    continue;
                }
                if seen.has(number) {
                    tally.delivered += 1;
                } else {
                    tally.lost += 1;
                }
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(count: u64) -> Sent {
        Sent { count, ..Sent::default() }
    }

    #[test]
    fn lost_doubled_and_out_of_order_are_told_apart() {
        let mut ledger = Ledger::new(2);
        for number in [0, 1, 3, 2, 3, 70] {
            ledger.note(0, number);
        }
        let tally = ledger.tally(&[sent(72), sent(1)]);
        assert_eq!(tally, Tally { delivered: 5, lost: 68, doubled: 1, out_of_order: 1 });
    }

    #[test]
    fn what_was_refused_or_is_uncertain_is_not_missed() {
        let mut ledger = Ledger::new(1);
        ledger.note(0, 0);
        let sent = [Sent { count: 3, refused: vec![1], uncertain: vec![2] }];
        assert!(ledger.is_complete(&sent));
        assert_eq!(sent[0].acknowledged(), 1);
        ledger.note(0, 2);
        assert_eq!(ledger.tally(&sent), Tally { delivered: 1, ..Tally::default() });
    }

    #[test]
    fn strangers_are_passed_over() {
        let mut ledger = Ledger::new(1);
        ledger.note(5, 0);
        ledger.note(usize::MAX, u64::MAX);
        assert_eq!(ledger.tally(&[sent(0)]), Tally::default());
    }
}
