//! Publishes, waits for what becomes of it or not, and reads histories.

use crate::ledger::{Id, Ledger};
use crate::world::{Life, RELIABLE, UNRELIABLE};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use vaiven_client::{Client, Data, Error, HistoryQuery, NewPublication};

/// One who publishes with a client.
pub(crate) struct Publisher {
    pub(crate) client: Client,
    pub(crate) number: u32,
    pub(crate) random: SmallRng,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) life: Arc<Life>,
    /// In a heavy world publications are long.
    is_heavy: bool,
    count: u32,
    /// Those whose outcome is awaited beside others.
    waiting: JoinSet<()>,
}

impl Publisher {
    pub(crate) fn new(
        client: Client,
        number: u32,
        random: SmallRng,
        ledger: &Arc<Ledger>,
        life: &Arc<Life>,
        is_heavy: bool,
    ) -> Self {
        let (ledger, life) = (Arc::clone(ledger), Arc::clone(life));
        Self { client, number, random, ledger, life, is_heavy, count: 0, waiting: JoinSet::new() }
    }

    /// Does one thing after the other until the world calms down; then waits for all that is still under way.
    pub(crate) async fn run(mut self) -> Self {
        while self.life.is_wild() {
            match self.random.random_range(0..20) {
                0 => self.read_history().await,
                1 => self.remove(),
                2..5 => self.publish_one_after_the_other().await,
                _ => self.publish_at_once(),
            }
            let pause = self.random.random_range(0..400);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        while let Some(told) = self.waiting.join_next().await {
            told.expect("the outcome is right");
        }
        self
    }

    /// Publishes to a channel the last time, until it is acknowledged.
    pub(crate) async fn publish_finally(&mut self, channel: &str, key: Option<&str>) -> Id {
        loop {
            let id = self.next_id();
            let mut publication = NewPublication::new(&*id.text(0));
            if let Some(key) = key {
                publication = publication.key(key);
            }
            let outcome = self.client.publish(channel, publication).await;
            self.ledger.judge(channel, id, &outcome);
            if outcome.is_ok() {
                return id;
            }
        }
    }

    fn next_id(&mut self) -> Id {
        self.count += 1;
        Id { publisher: self.number, number: self.count }
    }

    fn any_channel(&mut self) -> &'static str {
        let all = RELIABLE.len() + UNRELIABLE.len();
        let at = self.random.random_range(0..all);
        RELIABLE.get(at).copied().unwrap_or_else(|| UNRELIABLE[at - RELIABLE.len()])
    }

    fn publication(&mut self, channel: &str, id: Id) -> NewPublication {
        let is_long = self.random.random_ratio(if self.is_heavy { 6 } else { 1 }, 12);
        let padding = if is_long { self.random.random_range(0..40_000) } else { 3 };
        let text = id.text(padding);
        let data =
            if self.random.random_ratio(1, 8) { Data::from(text.into_bytes()) } else { Data::from(text) };
        let publication = NewPublication::new(data);
        if channel.starts_with("latest:") {
            return publication.key(self.any_key());
        }
        if self.random.random_ratio(1, 15) { publication.ephemeral() } else { publication }
    }

    fn any_key(&mut self) -> &'static str {
        ["a", "b", "c", "d"][self.random.random_range(0..4)]
    }

    fn publish_at_once(&mut self) {
        let channel = self.any_channel();
        let is_burst = self.random.random_ratio(1, 30);
        for _ in 0..self.random.random_range(1..if is_burst { 60 } else { 6 }) {
            let id = self.next_id();
            let publication = self.publication(channel, id);
            let publishing = self.client.publish(channel, publication);
            // Whoever does not wait is not told, and what it published goes its way all the same.
            if self.random.random_ratio(9, 10) {
                let (ledger, life) = (Arc::clone(&self.ledger), Arc::clone(&self.life));
                self.waiting.spawn(async move {
                    let outcome = publishing.await;
                    ledger.judge(channel, id, &outcome);
                    life.count(&outcome);
                });
            }
        }
        while let Some(told) = self.waiting.try_join_next() {
            told.expect("the outcome is right");
        }
    }

    async fn publish_one_after_the_other(&mut self) {
        let channel = self.any_channel();
        for _ in 0..self.random.random_range(1..4) {
            let id = self.next_id();
            let publication = self.publication(channel, id);
            let outcome = self.client.publish(channel, publication).await;
            self.ledger.judge(channel, id, &outcome);
            self.life.count(&outcome);
        }
    }

    fn remove(&mut self) {
        let key = self.any_key();
        // It has no id, so nothing is judged but what everybody has in the end.
        drop(self.client.publish("latest:a", NewPublication::removal(key)));
    }

    async fn read_history(&mut self) {
        let channel = RELIABLE[self.random.random_range(0..RELIABLE.len())];
        let limit = self.random.random_range(1..40);
        let query =
            if self.random.random() { HistoryQuery::oldest(limit) } else { HistoryQuery::newest(limit) };
        match self.client.history(channel, query).await {
            Ok(history) => {
                self.ledger.trace.say(format_args!("history {channel} {}", history.publications.len()));
                self.ledger.judge_history(channel, &history);
            }
            Err(Error::Refused { code, .. }) => assert_eq!(code, "unavailable"),
            Err(error) => panic!("a history: {error}"),
        }
    }
}
