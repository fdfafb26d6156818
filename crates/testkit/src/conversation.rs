//! Two sides that talk at once over a link, each dropping most of what it begins: what one side's sends took must
//! arrive at the other, once, whole and in order.

use crate::{Pair, Script, poll_at_most};
use futures_sink::Sink;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use vaiven::{CloseFrame, Error, Event, Message, WebSocket};

/// Longer than every timeout of a connection together.
const HANG: Duration = Duration::from_mins(10);

/// How long a side waits to send before it looks at what has arrived, and the other way round: shorter than the
/// other's write timeout. A client without keepalive would wait for ever on a link that stalls.
const PATIENCE: Duration = Duration::from_millis(100);

/// What came of one side.
#[derive(Debug)]
struct Talk {
    accepted: Vec<Message>,
    received: Vec<Message>,
    end: Result<(), Error>,
}

/// Lets a client and a server send each other `messages` messages each, as `script` says, and checks what arrives.
/// The client closes the connection when it has sent its own.
///
/// # Panics
/// When a message is lost, doubled, torn or reordered, or the conversation does not end. On a link that ends before
/// its time the messages that arrive are the first of those that were sent.
pub async fn converse(pair: &Pair, mut script: Script, messages: usize) {
    let reliable = pair.link.client_to_server.is_none() && pair.link.server_to_client.is_none();
    let (client, server) = pair.connect(script.fork());
    // A long message over a link that moves a byte at a time would take longer than the hang that is looked for.
    let longest = pair.link.max_transfer.min(pair.link.capacity).saturating_mul(300);
    let (from_client, from_server) =
        (compose(0, messages, longest, &mut script), compose(1, messages, longest, &mut script));
    let client = talk(client, script.fork(), from_client, true);
    let server = talk(server, script, from_server, false);
    let talked = timeout(HANG, async { tokio::join!(client, server) }).await;
    let (client, server) = talked.expect("a conversation comes to its end");
    for (sender, receiver) in [(&client, &server), (&server, &client)] {
        if reliable {
            assert_eq!(sender.accepted.len(), receiver.received.len(), "{client:?} {server:?}");
        }
        let arrived = sender.accepted.get(..receiver.received.len());
        assert!(arrived == Some(&receiver.received), "{client:?} {server:?}");
    }
    if reliable {
        assert!(client.end.is_ok() && server.end.is_ok(), "{:?} {:?}", client.end, server.end);
    }
}

/// Messages of both kinds, each unlike the others.
fn compose(side: u8, count: usize, longest: usize, script: &mut Script) -> VecDeque<Message> {
    let lengths = [4, 5, 60, 125, 126, 130, 700, 4_096, 5_000, 70_000];
    let one = |index: usize| {
        let len =
            lengths[script.up_to(lengths.len() - 1) * usize::from(index.is_multiple_of(3))].min(longest);
        let mut bytes = format!("{side}{index:03}").into_bytes();
        bytes.extend((b'a'..=b'z').cycle().take(len - 4));
        match String::from_utf8(bytes) {
            Ok(text) if index.is_multiple_of(2) => Message::from(text),
            Ok(text) => Message::from(text.into_bytes()),
            Err(error) => Message::from(error.into_bytes()),
        }
    };
    (0..count).map(one).collect()
}

async fn talk(
    mut socket: WebSocket,
    mut script: Script,
    mut waiting: VecDeque<Message>,
    closes: bool,
) -> Talk {
    let mut talk = Talk { accepted: vec![], received: vec![], end: Ok(()) };
    while let Some(message) = waiting.front() {
        let attempt = attempt(&mut socket, &mut script, message);
        let taken = timeout(PATIENCE, attempt).await.ok().flatten();
        match taken {
            Some(true) => talk.accepted.extend(waiting.pop_front()),
            Some(false) => break,
            None => {}
        }
        let polls = script.up_to(3);
        if !talk.receive(&mut socket, polls).await {
            break;
        }
        if script.byte().is_multiple_of(2) {
            tokio::task::yield_now().await;
        } else {
            sleep(Duration::from_millis(1)).await;
        }
    }
    if closes {
        socket.sender().close(Some(&CloseFrame::new(1000, "bye")));
    }
    while talk.receive(&mut socket, 1 + script.up_to(6)).await {
        sleep(Duration::from_millis(1)).await;
    }
    talk
}

/// Begins one operation and drops it after some polls: `Some` says whether the message was taken or never will be.
async fn attempt(socket: &mut WebSocket, script: &mut Script, message: &Message) -> Option<bool> {
    let message = message.clone();
    let polls = script.up_to(6);
    match script.byte() % 8 {
        0 => poll_at_most(polls, socket.send(message)).await.map(|sent| sent.is_ok()),
        1 => poll_at_most(polls, socket.sender().send(message)).await.map(|sent| sent.is_ok()),
        2 => match socket.try_send(message) {
            Ok(()) => Some(true),
            Err(refused) => (!refused.is_full()).then_some(false),
        },
        3 => {
            let ready = poll_fn(|cx| Pin::new(&mut *socket).poll_ready(cx));
            let ready = poll_at_most(polls, ready).await?;
            Some(ready.is_ok() && Pin::new(socket).start_send(message).is_ok())
        }
        4 => poll_at_most(polls, socket.flush()).await.and(None),
        5 => poll_at_most(polls, socket.ping(b"here?")).await.and(None),
        6 => None,
        _ => poll_at_most(polls.max(1), socket.feed(message)).await.map(|sent| sent.is_ok()),
    }
}

impl Talk {
    /// Receives with a future that is dropped; false when nothing will come any more.
    async fn receive(&mut self, socket: &mut WebSocket, polls: usize) -> bool {
        let received = timeout(PATIENCE, poll_at_most(polls, socket.recv_event())).await;
        match received.ok().flatten() {
            None => return true,
            Some(Ok(Some(Event::Message(message)))) => self.received.push(message),
            Some(Ok(Some(_))) => {}
            Some(Ok(None)) => return false,
            Some(Err(error)) => {
                self.end = Err(error);
                return false;
            }
        }
        true
    }
}
