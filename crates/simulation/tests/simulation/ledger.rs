//! What was published in truth, as the store saw it, and the judgement of what people are told of it.

use crate::trace::Trace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use vaiven_client::{Error, History, Published};
use vaiven_hub::{NewPublication, Publication};

/// Who published, and its how manieth publication it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) publisher: u32,
    pub(crate) number: u32,
}

/// A place in the truth: the offset, and in the how manieth epoch of its channel. What was lost and sent again may stand
/// at the same offset in two of them, and which one somebody saw shows by what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epochs: Vec<usize>,
    pub(crate) offset: u64,
}

/// One epoch of a channel.
#[derive(Debug)]
struct Log {
    epoch: String,
    ids: Vec<Id>,
}

#[derive(Debug, Default)]
struct Truth {
    /// The epochs of each `reliable` channel.
    logs: BTreeMap<String, Vec<Log>>,
    /// All that was published in the other channels or for the moment, and by the how manieth server.
    unkept: BTreeMap<String, Vec<(Id, usize)>>,
    /// The newest of each key, since the server started; `None` where it was removed.
    latest: BTreeMap<(String, String), Option<Id>>,
    /// Of these a refusal may have been lost: sent again they are new ones.
    refused: BTreeSet<Id>,
    /// Whoever published these was told that they were not.
    never: BTreeSet<Id>,
    servers: usize,
    forgotten: usize,
}

/// The truth of a world.
#[derive(Debug)]
pub(crate) struct Ledger {
    truth: Mutex<Truth>,
    pub(crate) trace: Arc<Trace>,
}

impl Id {
    /// The text that a publication carries: its id, and what makes it long.
    pub(crate) fn text(self, padding: usize) -> String {
        format!("{}-{} {}", self.publisher, self.number, "x".repeat(padding))
    }

    /// The id in what a publication carries, as JSON string or as bytes.
    pub(crate) fn parse(data: &[u8]) -> Self {
        let text = std::str::from_utf8(data).expect("all payloads are text").trim_start_matches('"');
        let id = text.split(' ').next().and_then(|id| id.split_once('-'));
        let (publisher, number) = id.expect("all payloads begin with an id");
        Self { publisher: publisher.parse().unwrap(), number: number.parse().unwrap() }
    }
}

impl Ledger {
    pub(crate) fn new(trace: &Arc<Trace>) -> Arc<Self> {
        Arc::new(Self { truth: Mutex::default(), trace: Arc::clone(trace) })
    }

    fn lock(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    // What the store says.

    pub(crate) fn published(&self, channel: &str, publication: &Publication) {
        let mut truth = self.lock();
        let key = publication.key.as_deref();
        // A removal carries no data, and so no id.
        let id = (!publication.removed).then(|| Id::parse(publication.data.bytes()));
        let Some(position) = &publication.position else {
            let server = truth.servers;
            truth.unkept.entry(channel.to_owned()).or_default().extend(id.map(|id| (id, server)));
            if channel.starts_with("latest:")
                && let Some(key) = key
            {
                truth.latest.insert((channel.to_owned(), key.to_owned()), id);
            }
            self.trace.say(format_args!("store {channel} {key:?} {id:?}"));
            return;
        };
        let id = id.expect("keys are removed in other channels only");
        let logs = truth.logs.entry(channel.to_owned()).or_default();
        if logs.last().is_none_or(|log| log.epoch != position.epoch.as_str()) {
            logs.push(Log { epoch: position.epoch.as_str().to_owned(), ids: Vec::new() });
        }
        let epoch = logs.len() - 1;
        let log = &mut logs[epoch];
        assert!(!log.ids.contains(&id), "{id:?} was kept twice in {channel}");
        log.ids.push(id);
        assert_eq!(log.ids.len() as u64, position.offset);
        self.trace.say(format_args!("store {channel} {epoch}:{} {id:?}", position.offset));
    }

    pub(crate) fn refused(&self, publication: &NewPublication) {
        self.lock().refused.insert(Id::parse(publication.data.bytes()));
    }

    pub(crate) fn server_ended(&self) {
        let mut truth = self.lock();
        truth.servers += 1;
        // Values live in the server's memory.
        truth.latest.clear();
    }

    pub(crate) fn forgotten(&self) {
        self.lock().forgotten += 1;
    }

    // What publishers are told.

    /// Judges the outcome of a publication.
    pub(crate) fn judge(&self, channel: &str, id: Id, outcome: &Result<Published, Error>) {
        let mut truth = self.lock();
        match outcome {
            Ok(Published { position: Some(position), .. }) => {
                let log = truth
                    .logs
                    .get(channel)
                    .and_then(|logs| logs.iter().find(|log| log.epoch == position.epoch));
                let index = usize::try_from(position.offset - 1).unwrap();
                let kept = log.and_then(|log| log.ids.get(index));
                assert_eq!(kept, Some(&id), "{id:?} was acknowledged at {position:?} of {channel}");
            }
            Ok(Published { position: None, .. }) => {
                let is_there =
                    truth.unkept.get(channel).is_some_and(|all| all.iter().any(|(kept, _)| *kept == id));
                assert!(is_there, "{id:?} was acknowledged in {channel} and never published");
            }
            Err(Error::Uncertain) => {}
            Err(_) => {
                truth.never.insert(id);
            }
        }
        let place = outcome.as_ref().map(|published| published.position.as_ref().map(|at| at.offset));
        self.trace.say(format_args!("told {channel} {id:?} {place:?}"));
    }

    /// Judges a part of a history, oldest first.
    pub(crate) fn judge_history(&self, channel: &str, history: &History) {
        let truth = self.lock();
        let Some(log) = truth
            .logs
            .get(channel)
            .and_then(|logs| logs.iter().find(|log| log.epoch == history.position.epoch))
        else {
            assert!(history.publications.is_empty(), "{channel} has no history");
            return;
        };
        for publication in &history.publications {
            let index = usize::try_from(publication.offset.expect("it is kept") - 1).unwrap();
            assert_eq!(Some(&parse(&publication.data)), log.ids.get(index), "the history of {channel}");
        }
    }

    // What subscribers see.

    /// The place behind all that was published so far.
    pub(crate) fn head(&self, channel: &str) -> Option<Place> {
        let truth = self.lock();
        let logs = truth.logs.get(channel)?;
        Some(Place { epochs: vec![logs.len() - 1], offset: logs.last()?.ids.len() as u64 })
    }

    /// Where a publication stands that somebody saw with this offset: behind `before`, where that is known.
    pub(crate) fn place(&self, channel: &str, id: Id, offset: u64, before: Option<&Place>) -> Place {
        let truth = self.lock();
        let logs = truth.logs.get(channel).expect("something was published there");
        let index = usize::try_from(offset - 1).unwrap();
        let mut epochs: Vec<_> =
            (0..logs.len()).filter(|epoch| logs[*epoch].ids.get(index) == Some(&id)).collect();
        if let Some(before) = before {
            epochs.retain(|epoch| before.epochs.contains(epoch) && offset == before.offset + 1);
        }
        let fault = "a gap, a double or disorder";
        assert!(!epochs.is_empty(), "{channel}: {id:?} at {offset} came behind {before:?}: {fault}");
        Place { epochs, offset }
    }

    /// How often something was published that is not kept: once, unless another server was asked to do it again.
    pub(crate) fn times_published(&self, channel: &str, id: Id) -> usize {
        self.lock().unkept.get(channel).map_or(0, |all| all.iter().filter(|(other, _)| *other == id).count())
    }

    pub(crate) fn times_forgotten(&self) -> usize {
        self.lock().forgotten
    }

    /// The newest value of each key of a channel.
    pub(crate) fn latest(&self, channel: &str) -> BTreeMap<String, Option<Id>> {
        let truth = self.lock();
        let of_channel = truth.latest.iter().filter(|((name, _), _)| name == channel);
        of_channel.map(|((_, key), id)| (key.clone(), *id)).collect()
    }

    // The end.

    /// Judges what can be judged only when nothing happens any more.
    pub(crate) fn finish(&self) {
        let truth = self.lock();
        for (channel, logs) in &truth.logs {
            let mut lost: BTreeSet<Id> = BTreeSet::new();
            for Log { ids, .. } in logs {
                // What the store has lost is kept anew, and stands behind what was kept meanwhile.
                truth.judge_order(channel, ids.iter().filter(|id| !lost.contains(*id)).copied());
                lost.extend(ids);
                let never = ids.iter().find(|id| truth.never.contains(id));
                assert_eq!(
                    never, None,
                    "{channel} has it, and its publisher was told that it was not published"
                );
            }
        }
        for (channel, all) in &truth.unkept {
            // What a server knows of publications that it did not keep ends with it: the next one takes them again, from
            // those who could not know that they are not kept.
            let mut seen = BTreeSet::new();
            let first = all.iter().filter(|(id, _)| seen.insert(*id)).map(|(id, _)| *id);
            truth.judge_order(channel, first);
            let mut seen = BTreeSet::new();
            for (id, server) in all {
                assert!(seen.insert((id, server)), "{id:?} was published twice in {channel}");
                assert!(
                    !truth.never.contains(id),
                    "{id:?} was published in {channel} although it was refused"
                );
            }
        }
    }
}

impl Truth {
    /// Each publisher's publications stand in the order of its calls, but for those whose refusal may have been lost.
    fn judge_order(&self, channel: &str, ids: impl Iterator<Item = Id>) {
        let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
        for id in ids.filter(|id| !self.refused.contains(id)) {
            let before = newest.insert(id.publisher, id.number);
            assert!(
                before.is_none_or(|before| before < id.number),
                "{channel}: {id:?} stands behind {before:?}"
            );
        }
    }
}

/// The id in what a subscriber got.
pub(crate) fn parse(data: &vaiven_client::Data) -> Id {
    match data {
        vaiven_client::Data::Json(bytes) | vaiven_client::Data::Binary(bytes) => Id::parse(bytes),
    }
}
