//! The machine on tokio: connects when it says so, carries messages both ways, and lets time act.

use crate::machine::{Machine, Status, Task};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use vaiven::{CloseCode, Error, Receiver, Sender, TrySendError, WebSocket};

/// How long the closing handshake may take, before the connection is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A future that can be kept.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Makes a connection.
pub(crate) type Connector = Box<dyn Fn() -> BoxFuture<Result<WebSocket, Error>> + Send + Sync>;
/// Gets a token, or says why there is none.
pub(crate) type TokenSource = Box<dyn Fn() -> BoxFuture<Result<String, String>> + Send + Sync>;

/// What the driver shares with the handles.
#[derive(Debug)]
pub(crate) struct Shared {
    machine: Mutex<Machine>,
    /// Told when a handle has asked for something.
    pub(crate) wake: Notify,
    pub(crate) status: watch::Sender<Status>,
}

impl Shared {
    pub(crate) fn new(machine: Machine) -> Arc<Self> {
        let status = watch::Sender::new(machine.status().clone());
        Arc::new(Self { machine: Mutex::new(machine), wake: Notify::new(), status })
    }

    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a handle ask for something, and the driver see to it.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut Machine) -> T) -> T {
        let answer = ask(&mut self.machine());
        self.wake.notify_one();
        answer
    }

    fn publish_status(&self) {
        let status = self.machine().status().clone();
        self.status.send_if_modified(|shown| {
            let is_new = *shown != status;
            *shown = status;
            is_new
        });
    }
}

pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connect: Connector,
    pub(crate) token: Option<TokenSource>,
}

impl Driver {
    /// Runs until the client has ended.
    pub(crate) async fn run(self) {
        loop {
            let task = self.shared.machine().task(now());
            self.shared.publish_status();
            match task {
                Task::Connect => self.connection().await,
                Task::Wait(until) => self.wait(until).await,
                // Without a connection there is nothing to keep or to end: `connection` has returned.
                Task::Pump(_) | Task::Disconnect => {
                    self.shared.machine().ended(now(), 1006, "disconnected", None);
                }
                Task::Stop => return,
            }
        }
    }

    async fn wait(&self, until: Option<std::time::Instant>) {
        let time = async {
            match until {
                Some(until) => sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = time => {}
            () = self.shared.wake.notified() => {}
        }
    }

    /// One connection, from the token to its end.
    async fn connection(&self) {
        let opened = tokio::select! {
            biased;
            opened = self.open() => opened,
            () = self.closed() => return,
        };
        match opened {
            Ok((socket, token)) => {
                self.shared.machine().opened(now(), token);
                let (code, reason) = self.pump(socket).await;
                self.shared.machine().ended(now(), code, &reason, None);
            }
            Err(Failed::Lasting(reason)) => self.shared.machine().impossible(&reason),
            Err(Failed::Passing(reason, retry)) => self.shared.machine().ended(now(), 1006, &reason, retry),
        }
    }

    async fn open(&self) -> Result<(WebSocket, Option<String>), Failed> {
        let token = match &self.token {
            Some(source) => Some(source().await.map_err(|reason| Failed::Passing(reason, None))?),
            None => None,
        };
        let socket = (self.connect)().await.map_err(|error| failure(&error))?;
        Ok((socket, token))
    }

    /// Ready when the client was closed.
    async fn closed(&self) {
        while !matches!(self.shared.machine().status(), Status::Closed { .. }) {
            self.shared.wake.notified().await;
        }
    }

    /// Carries messages until the connection ends; gives its code and reason.
    async fn pump(&self, socket: WebSocket) -> (u16, String) {
        let (sender, mut receiver) = socket.split();
        let mut is_blocked = false;
        let mut refreshing: Option<BoxFuture<Result<String, String>>> = None;
        loop {
            let task = self.shared.machine().task(now());
            let Task::Pump(until) = task else { return self.leave(&sender, receiver).await };
            let until = Instant::from(until);
            self.shared.publish_status();
            is_blocked = is_blocked || !self.send_all(&sender);
            if self.shared.machine().take_wants_token() {
                refreshing = self.token.as_ref().map(|source| source());
            }
            tokio::select! {
                // In this order nobody starves: writing frees what reading waits for, and what is asked for and what
                // time brings is looked at in each round whatever ends it.
                biased;
                flushed = sender.flush(), if is_blocked => match flushed {
                    Ok(()) => is_blocked = false,
                    Err(error) => return (1006, error.to_string()),
                },
                received = receiver.recv() => match received {
                    Ok(Some(message)) => self.shared.machine().received(now(), &message),
                    Ok(None) => return ending(&receiver),
                    Err(error) => return (1006, error.to_string()),
                },
                token = async { refreshing.as_mut().expect("it is there").await }, if refreshing.is_some() => {
                    refreshing = None;
                    // Without a new one the server ends the connection when the old one has expired.
                    if let Ok(token) = token {
                        self.shared.machine().refreshed(token);
                    }
                }
                () = self.shared.wake.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// Gives the connection what waits; false when it takes no more for now.
    fn send_all(&self, sender: &Sender) -> bool {
        let mut machine = self.shared.machine();
        while sender.buffered_amount() < SEND_AHEAD {
            let Some(message) = machine.next_message(now()) else { return true };
            match sender.try_send(message) {
                Ok(()) => {}
                // Too long for what is free: it does not fit before all else has left.
                Err(TrySendError::Full(message)) => {
                    machine.put_back(message);
                    return false;
                }
                // The end is told to whoever receives.
                Err(_) => return true,
            }
        }
        false
    }

    async fn leave(&self, sender: &Sender, mut receiver: Receiver) -> (u16, String) {
        let (code, reason) = {
            let machine = self.shared.machine();
            machine.leaving().map_or((1006, String::new()), |(code, reason)| (code, reason.to_owned()))
        };
        if code != 1006 {
            sender.close(Some(&vaiven::CloseFrame::new(CloseCode::new(code), &reason)));
            let drain = async { while let Ok(Some(_)) = receiver.recv().await {} };
            // A server that does not answer is left all the same.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, drain).await;
        }
        (code, reason)
    }
}

/// Bytes that are given to the connection before it has written others.
const SEND_AHEAD: usize = 256 << 10;

/// Why there is no connection.
enum Failed {
    /// It may come about later.
    Passing(String, Option<Duration>),
    /// It never will, unless something is changed.
    Lasting(String),
}

fn failure(error: &Error) -> Failed {
    let reason = error.to_string();
    let Error::Handshake(failure) = error else { return Failed::Passing(reason, None) };
    let Some(refused) = failure.refused() else { return Failed::Passing(reason, None) };
    let retry = refused.headers().get(http::header::RETRY_AFTER);
    let seconds = retry.and_then(|seconds| seconds.to_str().ok()?.trim().parse().ok());
    match refused.status().as_u16() {
        400 | 401 | 403 | 404 | 405 | 410 | 426 => Failed::Lasting(reason),
        _ => Failed::Passing(reason, seconds.map(Duration::from_secs)),
    }
}

fn ending(receiver: &Receiver) -> (u16, String) {
    match receiver.close_frame() {
        Some(frame) => (frame.code.value(), frame.reason.to_string()),
        None => (1006, "the connection was lost".to_owned()),
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
