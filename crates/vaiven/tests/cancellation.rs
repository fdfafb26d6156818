//! Every future of the async type, dropped at every poll, over links that are pending often: no message is lost,
//! doubled, torn or reordered, and one whose send was dropped before it was ready is not sent.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use futures_util::{Sink, StreamExt};
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use testkit::{LinkConfig, Pair, Script, converse, each_seed, poll_at_most};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use vaiven::{CloseCode, CloseFrame, Error, Event, Message, WebSocket};

/// More polls than any operation here takes before it is ready: a bound of the tests, not of the product.
const MOST_POLLS: usize = 5_000;

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { timeout(Duration::from_mins(10), test).await.expect("it comes to its end") })
}

/// Links that differ in what they move at a time and in how they hesitate.
fn links() -> Vec<(&'static str, LinkConfig)> {
    let slow = LinkConfig { latency: Duration::from_millis(5), capacity: 64, ..LinkConfig::default() };
    vec![
        ("a byte at a time", LinkConfig { capacity: 16, ..LinkConfig::hesitant(1) }),
        ("a few bytes at a time", LinkConfig::hesitant(13)),
        ("many bytes at a time", LinkConfig::hesitant(3_000)),
        ("a short pipe that never hesitates", LinkConfig { capacity: 100, ..LinkConfig::default() }),
        ("a slow pipe", slow),
    ]
}

fn pair(link: &LinkConfig) -> Pair {
    let mut pair = Pair { link: link.clone(), ..Pair::default() };
    pair.client.outbox_bytes = 300;
    pair.server.outbox_bytes = 300;
    pair.client.max_frame_bytes = Some(90);
    // The slowest of the links takes longer than five seconds for what may wait before the Close frame.
    pair.client.close_timeout = Duration::from_mins(5);
    pair.server.close_timeout = Duration::from_mins(5);
    pair
}

/// Short and long messages: the longer ones as long as the link makes worthwhile, since they take a poll for each
/// of its transfers.
fn messages(pair: &Pair) -> Vec<Message> {
    let long = pair.link.max_transfer.saturating_mul(8).clamp(100, 5_000);
    let lengths = [4, 100, 4, long / 2, 60, long, 4];
    let text = |(index, len): (usize, usize)| format!("{index:04}{}", "ñ".repeat((len - 4) / 2));
    let kind = |(index, text): (usize, String)| {
        if index % 2 == 0 { Message::from(text) } else { Message::from(text.into_bytes()) }
    };
    lengths.into_iter().enumerate().map(text).enumerate().map(kind).collect()
}

/// Runs a test with 0, 1, 2 ... polls, on every link, until a run in which nothing had to be dropped.
fn at_every_poll(test: &impl AsyncFn(&Pair, Script, usize) -> usize) {
    for (name, link) in links() {
        each_seed(2, |seed| {
            let dropped_none = (0..MOST_POLLS).find(|&polls| {
                let dropped = run(test(&pair(&link), Script::seed(seed), polls));
                assert!(polls > 0 || dropped > 0, "a future that is not polled is dropped");
                dropped == 0
            });
            assert!(dropped_none.is_some(), "{name}: futures were dropped after {MOST_POLLS} polls");
        });
    }
}

/// Everything that a side receives, and how the connection ended.
type Received = (Vec<Message>, Vec<Vec<u8>>, Result<Option<CloseFrame>, Error>);

fn collect(mut socket: WebSocket) -> JoinHandle<Received> {
    tokio::spawn(async move {
        let (mut messages, mut pings) = (vec![], vec![]);
        loop {
            match socket.recv_event().await {
                Ok(Some(Event::Message(message))) => messages.push(message),
                Ok(Some(Event::Ping(payload))) => pings.push(payload.to_vec()),
                Ok(Some(_)) => {}
                Ok(None) => return (messages, pings, Ok(socket.close_frame().cloned())),
                Err(error) => return (messages, pings, Err(error)),
            }
        }
    })
}

/// A way to send, each with the cancel safety that its documentation states.
#[derive(Clone, Copy, Debug)]
enum Way {
    Send,
    Feed,
    Sender,
    Sink,
}

impl Way {
    async fn send(self, socket: &mut WebSocket, polls: usize, message: Message) -> bool {
        match self {
            Self::Send => poll_at_most(polls, socket.send(message)).await.map(Result::unwrap).is_some(),
            Self::Feed => poll_at_most(polls, socket.feed(message)).await.map(Result::unwrap).is_some(),
            Self::Sender => {
                let sender = socket.sender();
                poll_at_most(polls, sender.send(message)).await.map(Result::unwrap).is_some()
            }
            Self::Sink => {
                let ready = poll_fn(|cx| Pin::new(&mut *socket).poll_ready(cx));
                let Some(ready) = poll_at_most(polls, ready).await else { return false };
                ready.and_then(|()| Pin::new(socket).start_send(message)).unwrap();
                true
            }
        }
    }
}

/// Begins every message anew until it is taken, but gives up on every third one after its first drop.
async fn send_all(way: Way, pair: &Pair, script: Script, polls: usize) -> usize {
    let (mut client, server) = pair.connect(script);
    let server = collect(server);
    let (mut taken, mut dropped) = (vec![], 0);
    for (index, message) in messages(pair).into_iter().enumerate() {
        let mut is_taken = way.send(&mut client, polls, message.clone()).await;
        while !is_taken {
            dropped += 1;
            if index % 3 == 2 {
                break;
            }
            sleep(Duration::from_millis(1)).await;
            is_taken = way.send(&mut client, polls.max(1), message.clone()).await;
        }
        if is_taken {
            taken.push(message);
        }
    }
    client.close(1000, "bye").await.unwrap();
    let (received, _, end) = server.await.unwrap();
    assert_eq!(received, taken, "{way:?} dropped after {polls} polls");
    assert_eq!(end.unwrap(), Some(CloseFrame::new(1000, "bye")));
    dropped
}

#[test]
fn a_send_that_is_dropped_before_it_is_ready_is_not_sent_and_a_ready_one_is_sent_whole() {
    for way in [Way::Send, Way::Feed, Way::Sender, Way::Sink] {
        at_every_poll(&async |pair, script, polls| send_all(way, pair, script, polls).await);
    }
}

#[test]
fn a_flush_that_is_dropped_loses_nothing() {
    at_every_poll(&async |pair, script, polls| {
        let (mut client, server) = pair.connect(script);
        let server = collect(server);
        let mut dropped = 0;
        for message in messages(pair) {
            client.feed(message).await.unwrap();
            while poll_at_most(polls.max(usize::from(dropped > 0)), client.flush()).await.is_none() {
                dropped += 1;
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(client.buffered_amount(), 0);
        }
        client.close(1000, "bye").await.unwrap();
        assert_eq!(server.await.unwrap().0, messages(pair));
        dropped
    });
}

#[test]
fn a_ping_that_is_dropped_before_it_is_ready_is_not_sent() {
    at_every_poll(&async |pair, script, polls| {
        let (mut client, server) = pair.connect(script);
        let server = collect(server);
        let (mut taken, mut dropped) = (vec![], 0);
        for index in 0..20 {
            client.feed(vec![index; 100]).await.unwrap();
            match poll_at_most(polls, client.ping(&[index])).await {
                Some(ping) => {
                    ping.unwrap();
                    taken.push(vec![index]);
                }
                None => dropped += 1,
            }
        }
        client.close(1000, "bye").await.unwrap();
        let (messages, pings, end) = server.await.unwrap();
        assert_eq!(pings, taken);
        assert_eq!(messages.len(), 20);
        assert_eq!(end.unwrap().unwrap().code, CloseCode::NORMAL);
        dropped
    });
}

/// A way to receive.
#[derive(Clone, Copy, Debug)]
enum Receiving {
    Recv,
    RecvEvent,
    Stream,
}

impl Receiving {
    /// The next message, `None` inside for the end, and how many futures were dropped on the way.
    async fn next(self, socket: &mut WebSocket, polls: usize, dropped: &mut usize) -> Option<Message> {
        loop {
            let polls = polls.max(usize::from(*dropped > 0));
            let event = match self {
                Self::Recv => poll_at_most(polls, socket.recv()).await.map(Result::unwrap),
                Self::Stream => {
                    poll_at_most(polls, socket.next()).await.map(Option::transpose).map(Result::unwrap)
                }
                Self::RecvEvent => match poll_at_most(polls, socket.recv_event()).await.map(Result::unwrap) {
                    Some(Some(Event::Message(message))) => Some(Some(message)),
                    Some(Some(_)) => continue,
                    Some(None) => Some(None),
                    None => None,
                },
            };
            if let Some(message) = event {
                return message;
            }
            *dropped += 1;
            sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn receive_all(way: Receiving, pair: &Pair, script: Script, polls: usize) -> usize {
    let (mut client, mut server) = pair.connect(script);
    let sent = messages(pair);
    let client = tokio::spawn(async move {
        for (index, message) in sent.into_iter().enumerate() {
            client.send(message).await.unwrap();
            if index % 4 == 0 {
                client.ping(b"in between").await.unwrap();
            }
        }
        client.close(1000, "bye").await.unwrap();
    });
    let (mut received, mut dropped) = (vec![], 0);
    while let Some(message) = way.next(&mut server, polls, &mut dropped).await {
        received.push(message);
    }
    assert_eq!(received, messages(pair), "{way:?} dropped after {polls} polls");
    assert_eq!(server.close_frame(), Some(&CloseFrame::new(1000, "bye")));
    client.await.unwrap();
    dropped
}

#[test]
fn a_receive_that_is_dropped_loses_nothing() {
    for way in [Receiving::Recv, Receiving::RecvEvent, Receiving::Stream] {
        at_every_poll(&async |pair, script, polls| receive_all(way, pair, script, polls).await);
    }
}

#[test]
fn a_close_that_is_dropped_is_sent_once_behind_all_that_was_queued() {
    at_every_poll(&async |pair, script, polls| {
        let (mut client, server) = pair.connect(script);
        let server = collect(server);
        let mut sent = vec![];
        for message in messages(pair) {
            if client.try_send(message.clone()).is_ok() {
                sent.push(message);
            }
        }
        let mut dropped = 0;
        while poll_at_most(polls.max(usize::from(dropped > 0)), client.close(4000, "bye")).await.is_none() {
            dropped += 1;
            sleep(Duration::from_millis(1)).await;
        }
        let (received, _, end) = server.await.unwrap();
        assert_eq!(received, sent);
        assert_eq!(end.unwrap(), Some(CloseFrame::new(4000, "bye")));
        assert_eq!(client.close_frame().unwrap().code, CloseCode::new(4000));
        dropped
    });
}

#[test]
fn a_sink_that_is_closed_and_dropped_says_goodbye_once() {
    at_every_poll(&async |pair, script, polls| {
        let (mut client, server) = pair.connect(script);
        let server = collect(server);
        client.feed("last").await.unwrap();
        let mut dropped = 0;
        loop {
            let close = poll_fn(|cx| Pin::new(&mut client).poll_close(cx));
            match poll_at_most(polls.max(usize::from(dropped > 0)), close).await {
                Some(closed) => break closed.unwrap(),
                None => dropped += 1,
            }
            sleep(Duration::from_millis(1)).await;
        }
        let (received, _, end) = server.await.unwrap();
        assert_eq!(received, [Message::from("last")]);
        assert_eq!(end.unwrap().unwrap().code, CloseCode::NORMAL);
        dropped
    });
}

#[test]
fn two_sides_that_drop_most_of_what_they_begin_understand_each_other() {
    for (_, link) in links() {
        each_seed(20, |seed| {
            let messages = if link.max_transfer == 1 || link.latency > Duration::ZERO { 5 } else { 25 };
            run(converse(&pair(&link), Script::seed(seed), messages));
        });
    }
}
