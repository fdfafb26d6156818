//! The publishers: numbered messages at a steady pace, and what became of each.

use super::clock;
use super::job::Protocol;
use super::ledger::{Numbered, Sent};
use super::route::Route;
use super::socketio::{Connection, Incoming, Session};
use super::subscriber::pause;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use vaiven_client::{Client, Data, Error};

/// How long answers may take when everything has been sent.
const ANSWERS: Duration = Duration::from_mins(1);

/// How fast, how long and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) every: Duration,
    pub(super) duration: Duration,
    pub(super) size: usize,
}

/// One publisher.
pub(super) struct Publisher {
    number: usize,
    channel: String,
    protocol: Protocol,
    route: Route,
    client: Option<Client>,
}

impl Publisher {
    /// One whose client begins to connect.
    pub(super) fn new(number: usize, channel: &str, protocol: Protocol, route: &Route) -> Self {
        let client = (protocol == Protocol::V1).then(|| route.client());
        Self { number, channel: channel.to_owned(), protocol, route: route.clone(), client }
    }

    fn message(&self, number: u64, size: usize) -> String {
        let sent = u64::try_from(clock::now().as_micros()).unwrap_or(u64::MAX);
        let mut message = Numbered { publisher: self.number, number, sent, padding: String::new() };
        let len = serde_json::to_string(&message).map_or(0, |text| text.len() + r#","padding":"""#.len());
        message.padding = "x".repeat(size.saturating_sub(len));
        serde_json::to_string(&message).expect("it has no map")
    }

    /// Publishes until the time is over, and waits for the answers.
    pub(super) async fn run(self, pace: Pace) -> Sent {
        match &self.client {
            Some(client) => self.channel(client, pace).await,
            None if self.protocol == Protocol::SocketIo => self.namespace(pace).await,
            None => self.room(pace).await,
        }
    }

    async fn channel(&self, client: &Client, pace: Pace) -> Sent {
        let end = Instant::now() + pace.duration;
        let mut ticks = interval(pace.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut sent = Sent::default();
        let mut unanswered = BTreeSet::new();
        let mut answers = JoinSet::new();
        while Instant::now() < end {
            ticks.tick().await;
            let number = sent.count;
            sent.count += 1;
            let data = Data::Json(self.message(number, pace.size).into());
            let publishing = client.publish(&self.channel, data);
            unanswered.insert(number);
            answers.spawn(async move { (number, publishing.await.err()) });
            while let Some(Ok((number, error))) = answers.try_join_next() {
                unanswered.remove(&number);
                note(&mut sent, number, error.as_ref());
            }
        }
        let deadline = Instant::now() + ANSWERS;
        while let Ok(Some(Ok((number, error)))) = timeout_at(deadline, answers.join_next()).await {
            unanswered.remove(&number);
            note(&mut sent, number, error.as_ref());
        }
        // What was not answered in all this time is not known, and must not be sent any more.
        client.close().await;
        sent.uncertain.extend(unanswered);
        sent
    }

    /// In a room nobody acknowledges: what an open socket took counts as sent.
    async fn room(&self, pace: Pace) -> Sent {
        let end = Instant::now() + pace.duration;
        let mut ticks = interval(pace.every);
        let mut sent = Sent::default();
        let mut tries = 0;
        while Instant::now() < end {
            let Ok(mut socket) = self.route.connect().await else {
                tries += 1;
                tokio::time::sleep(pause(tries)).await;
                continue;
            };
            tries = 0;
            while Instant::now() < end {
                tokio::select! {
                    received = socket.recv() => match received {
                        Ok(Some(_)) => {}
                        _ => break,
                    },
                    _ = ticks.tick() => {
                        let number = sent.count;
                        sent.count += 1;
                        if socket.send(self.message(number, pace.size)).await.is_err() {
                            sent.refused.push(number);
                            break;
                        }
                    }
                }
            }
        }
        sent
    }

    /// An event is sent once: of what is not acknowledged when the connection is lost, nobody knows.
    async fn namespace(&self, pace: Pace) -> Sent {
        let end = Instant::now() + pace.duration;
        let mut ticks = interval(pace.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut sent = Sent::default();
        let mut unanswered = BTreeSet::new();
        let mut tries = 0;
        while Instant::now() < end {
            let mut session = Session::default();
            let Ok(mut connection) = Connection::join(&self.route, &self.channel, &mut session).await else {
                tries += 1;
                tokio::time::sleep(pause(tries)).await;
                continue;
            };
            tries = 0;
            let deadline = end + ANSWERS;
            while Instant::now() < end || !unanswered.is_empty() {
                tokio::select! {
                    received = timeout_at(deadline, connection.recv(&mut session)) => match received {
                        Ok(Ok(Incoming::Answer { id, is_kept })) => {
                            if unanswered.remove(&id) && !is_kept {
                                sent.refused.push(id);
                            }
                        }
                        Ok(Ok(Incoming::Publication(_))) => {}
                        Ok(Err(_)) | Err(_) => break,
                    },
                    _ = ticks.tick(), if Instant::now() < end => {
                        let number = sent.count;
                        sent.count += 1;
                        unanswered.insert(number);
                        if connection.publish(number, &self.message(number, pace.size)).await.is_err() {
                            break;
                        }
                    }
                }
            }
            sent.uncertain.extend(std::mem::take(&mut unanswered));
        }
        sent
    }
}

fn note(sent: &mut Sent, number: u64, error: Option<&Error>) {
    match error {
        None => {}
        Some(Error::Refused { .. } | Error::QueueFull) => sent.refused.push(number),
        Some(_) => sent.uncertain.push(number),
    }
}
