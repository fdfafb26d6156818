//! The conversation: what comes in is shown, what is put in is sent, until one of its ends is reached.

use super::command::Action;
use super::exit::Exit;
use super::output::Output;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use vaiven::{CloseCode, CloseFrame, Event, Message, Receiver, Sender, WebSocket};

/// Pings whose pong is waited for.
const MAX_PINGS: usize = 64;
/// How long the end of a conversation that ran out of time may take.
const HURRY: Duration = Duration::from_millis(500);

/// When the conversation is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// After so many received messages.
    pub(super) expect: Option<u64>,
    /// At this moment, with an error.
    pub(super) deadline: Option<Instant>,
    /// So long after the end of the input; `None` goes on without one.
    pub(super) linger: Option<Duration>,
    /// Whether control frames and lengths are told.
    pub(super) verbose: bool,
    /// When the program began, for times that are told.
    pub(super) started: Instant,
}

/// Both sides of the conversation.
pub(super) struct Talk<'a> {
    pub(super) plan: Plan,
    pub(super) output: &'a RefCell<Output>,
    /// When each ping was sent; payloads of one's own may repeat.
    pings: RefCell<VecDeque<(Bytes, Instant)>>,
    /// The Close frame is this side's word.
    closes: Cell<bool>,
}

/// How a conversation ended, and what is to be said about it.
pub(super) struct End {
    pub(super) exit: Exit,
    pub(super) why: Option<String>,
}

impl End {
    fn told(exit: Exit) -> Self {
        Self { exit, why: None }
    }

    fn because(exit: Exit, why: impl Into<String>) -> Self {
        Self { exit, why: Some(why.into()) }
    }
}

/// What the sending side has come to.
enum InputEnd {
    /// Nothing more is put in.
    Over,
    /// A Close frame is sent.
    Closing,
    /// This cannot be sent.
    Failed(String),
}

impl<'a> Talk<'a> {
    pub(super) fn new(plan: Plan, output: &'a RefCell<Output>) -> Self {
        Self { plan, output, pings: RefCell::default(), closes: Cell::new(false) }
    }

    /// Talks until the end, and says how it ended.
    pub(super) async fn run(self, socket: WebSocket, mut actions: mpsc::Receiver<Action>) -> End {
        let (sender, mut receiver) = socket.split();
        let mut input = pin!(self.send(&sender, &mut actions));
        let mut interrupted = pin!(crate::signal::interrupted());
        let far = self.plan.started + Duration::from_hours(24 * 365);
        let mut timeout = pin!(sleep_until(self.plan.deadline.unwrap_or(far)));
        let mut linger = pin!(sleep_until(far));
        let (mut input_is_over, mut received, mut failed) = (false, 0_u64, None);
        if self.plan.expect == Some(0) && self.plan.linger.is_none() {
            input_is_over = true;
            self.close(&sender, &normal());
        }
        loop {
            tokio::select! {
                end = &mut input, if !input_is_over => {
                    input_is_over = true;
                    match (end, self.plan.expect, self.plan.linger) {
                        (InputEnd::Over, Some(0), _) => self.close(&sender, &normal()),
                        (InputEnd::Over, None, Some(after)) => linger.as_mut().reset(Instant::now() + after),
                        (InputEnd::Over | InputEnd::Closing, ..) => {}
                        (InputEnd::Failed(why), ..) => {
                            failed = Some(End::because(Exit::Usage, why));
                            self.close(&sender, &normal());
                        }
                    }
                }
                event = receiver.recv_event() => match event {
                    Ok(Some(event)) => {
                        received += u64::from(matches!(event, Event::Message(_)));
                        let is_expected = self.plan.expect.is_none_or(|expect| received <= expect);
                        if is_expected && self.show(&event).is_err() {
                            // As with any program in a pipe whose reader has left.
                            failed.get_or_insert(End::told(Exit::Done));
                            self.close(&sender, &CloseFrame::new(CloseCode::GOING_AWAY, ""));
                        }
                        if self.plan.expect == Some(received) {
                            self.close(&sender, &normal());
                        }
                    }
                    Ok(None) => return failed.unwrap_or_else(|| self.closed(&receiver)),
                    Err(error) => return failed.unwrap_or_else(|| End::because(Exit::of_error(&error), error.to_string())),
                },
                () = &mut linger => {
                    linger.as_mut().reset(far);
                    self.close(&sender, &normal());
                }
                () = &mut timeout => return self.out_of_time(&sender, &mut receiver).await,
                () = &mut interrupted => {
                    self.hurry(&sender, &mut receiver).await;
                    return End::told(Exit::Interrupted);
                }
            }
        }
    }

    /// Does what is put in, one thing after the other; waits while the outbox is full.
    async fn send(&self, sender: &Sender, actions: &mut mpsc::Receiver<Action>) -> InputEnd {
        while let Some(action) = actions.recv().await {
            match action {
                Action::Send(message) => {
                    self.tell(|| format!("> {}", describe(&message)));
                    if sender.send(message).await.is_err() {
                        return InputEnd::Closing;
                    }
                }
                Action::Ping(payload) => self.ping(sender, payload).await,
                Action::Close(frame) => {
                    self.close(sender, &frame);
                    return InputEnd::Closing;
                }
                Action::Quit => {
                    self.close(sender, &normal());
                    return InputEnd::Closing;
                }
                Action::Fail(why) => return InputEnd::Failed(why),
            }
        }
        InputEnd::Over
    }

    async fn ping(&self, sender: &Sender, payload: Bytes) {
        self.tell(|| format!("> ping, {} bytes", payload.len()));
        {
            let mut pings = self.pings.borrow_mut();
            if pings.len() == MAX_PINGS {
                pings.pop_front();
            }
            pings.push_back((payload.clone(), Instant::now()));
        }
        // A connection that is closing says so by itself.
        let _ = sender.ping(&payload).await;
    }

    fn show(&self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Message(message) => {
                self.tell(|| format!("< {}", describe(message)));
                return self.output.borrow_mut().message(message);
            }
            Event::Ping(payload) => {
                self.tell(|| format!("< ping, {} bytes\n> pong, {} bytes", payload.len(), payload.len()));
            }
            Event::Pong(payload, round_trip) => {
                let own = self.pings.borrow_mut().iter().position(|(sent, _)| sent == payload);
                if let Some((_, sent_at)) = own.and_then(|index| self.pings.borrow_mut().remove(index)) {
                    let text = format!("pong after {}", span(sent_at.elapsed()));
                    self.output.borrow_mut().note(&text);
                } else {
                    let after = round_trip.map_or_else(String::new, |time| format!(" after {}", span(time)));
                    self.tell(|| format!("< pong, {} bytes{after}", payload.len()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&self, sender: &Sender, frame: &CloseFrame) {
        if sender.is_open() {
            self.tell(|| format!("> close {frame}"));
            self.closes.set(true);
            sender.close(Some(frame));
        }
    }

    fn closed(&self, receiver: &Receiver) -> End {
        let Some(frame) = receiver.close_frame() else { return End::told(Exit::Broken) };
        self.tell(|| format!("< close {frame}"));
        if self.closes.get() {
            return End::told(Exit::Done);
        }
        let exit = Exit::of_close(frame);
        let is_worth_telling = exit != Exit::Done || self.output.borrow().is_terminal();
        End { exit, why: is_worth_telling.then(|| format!("the server closed the connection: {frame}")) }
    }

    async fn out_of_time(&self, sender: &Sender, receiver: &mut Receiver) -> End {
        self.hurry(sender, receiver).await;
        End::because(Exit::TimedOut, "out of time: what was waited for did not come (see --timeout)")
    }

    /// Closes politely, as far as that is possible in no time.
    async fn hurry(&self, sender: &Sender, receiver: &mut Receiver) {
        self.close(sender, &CloseFrame::new(CloseCode::GOING_AWAY, ""));
        let drained = async { while let Ok(Some(_)) = receiver.recv().await {} };
        let _ = tokio::time::timeout(HURRY, drained).await;
    }

    /// A note for those who asked for details.
    fn tell(&self, text: impl FnOnce() -> String) {
        if self.plan.verbose {
            let elapsed = self.plan.started.elapsed();
            for line in text().lines() {
                self.output.borrow_mut().note(&format!("{:>9} {line}", span(elapsed)));
            }
        }
    }
}

fn normal() -> CloseFrame {
    CloseFrame::new(CloseCode::NORMAL, "")
}

fn describe(message: &Message) -> String {
    format!("{}, {} bytes", if message.is_text() { "text" } else { "binary" }, message.len())
}

/// A time in the unit that people would use for it.
pub(super) fn span(time: Duration) -> String {
    if time >= Duration::from_secs(1) {
        format!("{:.2} s", time.as_secs_f64())
    } else {
        format!("{:.2} ms", time.as_secs_f64() * 1e3)
    }
}
