//! Plays the steps of a row over sockets and compares what comes with what must.

use crate::client;
use crate::heads;
use crate::peer::{End, Peer};
use crate::row::{ClientSetup, Row};
use crate::script::{Expect, Head, Pace, Side, Step};
use crate::server::{self, Server, Servers};
use crate::tls;
use crate::wire::Frame;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How long an answer may take on a machine that is busy with other rows.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a busy machine adds to a time that a row states.
const SLACK: Duration = Duration::from_millis(1500);
/// How long a connection may take to end behind a Close frame or a refusal.
const END: Duration = Duration::from_secs(1);

/// One play in progress.
#[derive(Debug)]
pub(crate) struct Play {
    side: Side,
    /// Where the runner connects to, or listens.
    host: SocketAddr,
    server: Option<Arc<Server>>,
    listener: Option<TcpListener>,
    client: Option<Receiver<String>>,
    peer: Option<Peer>,
    crowd: Vec<Peer>,
    from: Ipv4Addr,
    /// The last head that came.
    head: String,
    plaintext: usize,
    memory: u64,
    cpu: Duration,
    begun: Instant,
}

/// Each play connects from an address of its own.
static PLAYS: AtomicU32 = AtomicU32::new(0);

impl Play {
    /// A play against the real server.
    pub(crate) fn against_server(row: &Row, servers: &Servers) -> Self {
        let server = if row.alone { Arc::new(Server::start(&row.flags)) } else { servers.with(&row.flags) };
        let mut play = Self::new(Side::Client, server.address);
        play.memory = server.memory();
        play.cpu = server.cpu();
        play.server = Some(server);
        play
    }

    /// A play against the real client.
    pub(crate) fn against_client(setup: &ClientSetup) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let host = listener.local_addr().expect("it is bound");
        let mut play = Self::new(Side::Server, host);
        play.listener = Some(listener);
        play.client = Some(client::start(setup, &host.to_string()));
        play
    }

    fn new(side: Side, host: SocketAddr) -> Self {
        // Of 127.0.0.0/8, which is this machine's: from 127.1.0.0 on.
        let number = PLAYS.fetch_add(1, Ordering::Relaxed);
        let from = Ipv4Addr::from_bits(0x7f01_0001 + number);
        Self {
            side,
            host,
            server: None,
            listener: None,
            client: None,
            peer: None,
            crowd: Vec::new(),
            from,
            head: String::new(),
            plaintext: 0,
            memory: 0,
            cpu: Duration::ZERO,
            begun: Instant::now(),
        }
    }

    /// Plays all steps.
    ///
    /// # Errors
    /// What was expected, and what came.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            self.step(step)?;
        }
        Ok(())
    }

    /// Where the runner connects to, or listens.
    pub(crate) fn host(&self) -> String {
        self.host.to_string()
    }

    /// The request that the client sent.
    pub(crate) fn request(&self) -> &str {
        &self.head
    }

    /// Lets go of the connection.
    pub(crate) fn hang_up(&mut self) {
        self.peer = None;
    }

    /// What the server logged of panics.
    pub(crate) fn panic(&self) -> Option<String> {
        self.server.as_ref().and_then(|server| server.panic())
    }

    fn peer(&mut self) -> Result<&mut Peer, String> {
        self.peer.as_mut().ok_or_else(|| "nothing is connected".to_owned())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Connect => self.connect()?,
            Step::Open(head) => self.open(head)?,
            Step::Head(head) => self.send_head(head)?,
            Step::Send { bytes, pace } => self.peer()?.send(bytes, *pace),
            Step::Hold => self.peer()?.hold(),
            Step::Release => self.peer()?.release(),
            Step::Wait(time) => std::thread::sleep(*time),
            Step::Fin => self.peer()?.fin(),
            Step::Rst => {
                if let Some(peer) = self.peer.take() {
                    peer.reset();
                }
            }
            Step::Unread => self.peer()?.pause(),
            Step::Read => self.peer()?.read(),
            Step::HangUp => self.hang_up(),
            Step::Measure => {
                if let Some(server) = &self.server {
                    (self.memory, self.cpu) = (server.memory(), server.cpu());
                }
            }
            Step::Terminate => self.server()?.terminate(),
            Step::Crowd(count) => self.crowd(*count)?,
            Step::Tls(certificate, answer) => {
                self.accept()?;
                self.plaintext = tls::plaintext(self.peer()?, certificate, answer);
                self.peer = None;
            }
            Step::Expect(expected) => self.expect(expected)?,
        }
        Ok(())
    }

    fn server(&self) -> Result<&Server, String> {
        self.server.as_deref().ok_or_else(|| "only a server can do that".to_owned())
    }

    fn connect(&mut self) -> Result<(), String> {
        if self.side == Side::Server {
            self.accept()?;
            self.peer()?.read();
            let head = self.peer()?.head(PATIENCE);
            self.head = head.ok_or_else(|| format!("expected a request, came {}", self.came()))?;
            return Ok(());
        }
        let from = SocketAddr::from((self.from, 0));
        let peer = Peer::connect(from, self.host).map_err(|error| format!("cannot connect: {error}"))?;
        self.peer.insert(peer).read();
        Ok(())
    }

    fn accept(&mut self) -> Result<(), String> {
        let listener = self.listener.as_ref().ok_or("only against a client")?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(false).map_err(|error| error.to_string())?;
                self.peer = Some(Peer::of(stream).map_err(|error| error.to_string())?);
                // What a client takes to start, which may be a process, is no part of what is timed.
                self.begun = Instant::now();
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("the client did not connect: {}", self.told(Duration::ZERO)));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn open(&mut self, head: &Head) -> Result<(), String> {
        if self.peer.is_none() {
            self.connect()?;
        }
        self.send_head(head)?;
        if self.side == Side::Client {
            self.expect(&Expect::Status(vec![101]))?;
        }
        Ok(())
    }

    fn send_head(&mut self, head: &Head) -> Result<(), String> {
        if self.peer.is_none() {
            self.connect()?;
        }
        let bytes = match self.side {
            Side::Client => heads::request(head, &self.host.to_string()),
            Side::Server => heads::answer(head, &self.host.to_string(), &self.head),
        };
        self.peer()?.send(&bytes, Pace::AtOnce);
        Ok(())
    }

    /// Opens connections that stay, one after the other.
    fn crowd(&mut self, count: usize) -> Result<(), String> {
        for index in 0..count {
            self.open(&Head::default())
                .map_err(|error| format!("connection {index} of the crowd: {error}"))?;
            self.crowd.extend(self.peer.take());
        }
        Ok(())
    }

    fn came(&self) -> String {
        self.peer.as_ref().map_or_else(|| "nothing is connected".to_owned(), Peer::rest)
    }

    /// What the client told its caller.
    fn told(&self, time: Duration) -> String {
        let told = self.client.as_ref().and_then(|client| client.recv_timeout(time).ok());
        told.unwrap_or_else(|| "the client has told nothing".to_owned())
    }

    fn expect(&mut self, expected: &Expect) -> Result<(), String> {
        match expected {
            Expect::Status(_)
            | Expect::Refused(_)
            | Expect::Field(_)
            | Expect::NoField(_)
            | Expect::Body(_) => self.expect_head(expected),
            Expect::Request(text) if !self.head.contains(text) => {
                Err(format!("expected {text:?} in the request, came {:?}", self.head))
            }
            Expect::NoRequest(text) if self.head.contains(text) => {
                Err(format!("expected no {text:?} in the request, came {:?}", self.head))
            }
            Expect::Request(_) | Expect::NoRequest(_) => Ok(()),
            Expect::Messages(count) => {
                for _ in 0..*count {
                    let frame = self.frame(false)?;
                    if frame.as_ref().is_none_or(|frame| frame.opcode() >= 8) {
                        return Err(format!("expected {count} messages, came {frame:?} {}", self.came()));
                    }
                }
                Ok(())
            }
            Expect::AtLast(code) => loop {
                match self.frame(false)? {
                    Some(frame) if frame.opcode() != 8 => {}
                    Some(frame) if frame.close_code() == *code => return self.expect_end(&Expect::Eof(END)),
                    other => return Err(format!("expected close {code}, came {other:?} {}", self.came())),
                }
            },
            Expect::NoMore(text) => {
                let came = self.came();
                if came.contains(text) {
                    Err(format!("expected no more {text:?}, came {came}"))
                } else {
                    Ok(())
                }
            }
            Expect::Elapsed(least, most) => {
                let elapsed = self.begun.elapsed();
                let in_time = (*least..*most + SLACK).contains(&elapsed);
                if in_time { Ok(()) } else { Err(format!("it took {elapsed:?}, not {least:?} to {most:?}")) }
            }
            Expect::Frame(..) | Expect::Close { .. } | Expect::End { .. } | Expect::Alive => {
                self.expect_frame(expected)
            }
            Expect::Eof(_) | Expect::Gone(_) | Expect::Nothing(_) => self.expect_end(expected),
            // Of a play for both roles, what concerns the other one is left out.
            Expect::Outcome(_) if self.client.is_none() => Ok(()),
            Expect::Outcome(texts) => {
                let told = self.told(PATIENCE * 5);
                let is_expected = texts.iter().any(|text| told.starts_with(client::expected(text)));
                if is_expected {
                    Ok(())
                } else {
                    Err(format!("expected the outcome {texts:?}, came {told:?}"))
                }
            }
            Expect::Plaintext(least, most) if (least..=most).contains(&&self.plaintext) => Ok(()),
            Expect::Plaintext(..) => Err(format!("{} bytes of plain text came", self.plaintext)),
            _ if self.server.is_none() => Ok(()),
            _ => self.expect_server(expected),
        }
    }

    fn expect_head(&mut self, expected: &Expect) -> Result<(), String> {
        let lower = self.head.to_ascii_lowercase();
        match expected {
            Expect::Status(statuses) | Expect::Refused(statuses) => {
                let head = self.peer()?.head(PATIENCE);
                self.head =
                    head.ok_or_else(|| format!("expected status {statuses:?}, came {}", self.came()))?;
                let status = heads::status(&self.head);
                if !status.is_some_and(|status| statuses.contains(&status)) {
                    return Err(format!(
                        "expected status {statuses:?}, came {:?} {}",
                        self.head,
                        self.came()
                    ));
                }
                match expected {
                    Expect::Refused(_) => self.expect_end(&Expect::Eof(END)),
                    _ => Ok(()),
                }
            }
            Expect::Field(field) if !lower.contains(&format!("\r\n{}", field.to_ascii_lowercase())) => {
                Err(format!("expected the field {field:?}, came {:?}", self.head))
            }
            Expect::NoField(name) if lower.contains(&format!("\r\n{}:", name.to_ascii_lowercase())) => {
                Err(format!("expected no field {name:?}, came {:?}", self.head))
            }
            Expect::Body(text) => {
                let text = text.as_bytes();
                let found = self.peer()?.wait(PATIENCE, |received, _| {
                    received.windows(text.len()).any(|part| part == text).then_some(())
                });
                found.ok_or_else(|| format!("expected a body with {text:?}, came {}", self.came()))
            }
            _ => Ok(()),
        }
    }

    /// The next frame that is no ping of the keepalive.
    fn frame(&mut self, wants_ping: bool) -> Result<Option<Frame>, String> {
        let masked = self.side == Side::Server;
        loop {
            let Some(frame) = self.peer()?.frame(PATIENCE * 4) else { return Ok(None) };
            if frame.masked != masked {
                return Err(format!("a frame came with the wrong masking: {frame:?}"));
            }
            if wants_ping || frame.opcode() != 9 {
                return Ok(Some(frame));
            }
        }
    }

    fn expect_frame(&mut self, expected: &Expect) -> Result<(), String> {
        if matches!(expected, Expect::Alive) {
            let ping = heads::ping(self.side);
            self.peer()?.send(&ping, Pace::AtOnce);
        }
        let wants_ping = matches!(expected, Expect::Frame(0x89, _));
        let frame = self.frame(wants_ping)?;
        let Some(frame) = frame else {
            return Err(format!("expected {expected:?}, came {}", self.came()));
        };
        let is_expected = match expected {
            Expect::Frame(first, payload) => frame.first == *first && frame.payload == *payload,
            Expect::Alive => frame.first == 0x8a && frame.payload == b"alive?",
            Expect::Close { code, .. } | Expect::End { code, .. } => {
                let has_code =
                    if code.is_some() { frame.payload.len() >= 2 } else { frame.payload.is_empty() };
                frame.first == 0x88 && has_code && frame.close_code() == code.unwrap_or(1005)
            }
            _ => false,
        };
        let has_reason = match expected {
            Expect::Close { reason: Some(reason), .. } => frame.payload.get(2..) == Some(&reason[..]),
            _ => true,
        };
        if !is_expected || !has_reason {
            return Err(format!("expected {expected:?}, came {frame:?}, then {}", self.came()));
        }
        match expected {
            Expect::End { within, .. } => self.expect_end(&Expect::Eof(*within)),
            _ => Ok(()),
        }
    }

    fn expect_end(&mut self, expected: &Expect) -> Result<(), String> {
        match expected {
            Expect::Nothing(time) => {
                let came = self
                    .peer()?
                    .wait(*time, |received, end| (!received.is_empty() || end.is_some()).then_some(()));
                if came.is_some() { Err(format!("expected nothing, came {}", self.came())) } else { Ok(()) }
            }
            Expect::Eof(time) | Expect::Gone(time) => match self.peer()?.ended(*time + SLACK) {
                Some(End::Fin) => Ok(()),
                Some(End::Rst) if matches!(expected, Expect::Gone(_)) => Ok(()),
                end => Err(format!("expected the end within {time:?}, came {end:?} {}", self.came())),
            },
            _ => Ok(()),
        }
    }

    fn expect_server(&mut self, expected: &Expect) -> Result<(), String> {
        let server = self.server()?;
        match *expected {
            Expect::Memory(most) => {
                let grown = server.memory().saturating_sub(self.memory);
                if grown < most {
                    Ok(())
                } else {
                    Err(format!("the server's memory grew by {grown} bytes, not below {most}"))
                }
            }
            Expect::Cpu(most) => {
                let taken = server.cpu().saturating_sub(self.cpu);
                if taken < most {
                    Ok(())
                } else {
                    Err(format!("the server took {taken:?} of CPU time, not below {most:?}"))
                }
            }
            // Another server counts nothing that could be asked for.
            Expect::Closes(..) | Expect::Idle(_) if server::is_other() => Ok(()),
            Expect::Closes(code, count) => {
                let label = format!("code=\"{code}\"");
                until(PATIENCE, || server.figure("vaiven_closes", &label) == count).ok_or_else(|| {
                    format!(
                        "{} connections ended with {code}, not {count}",
                        server.figure("vaiven_closes", &label)
                    )
                })
            }
            Expect::Idle(time) => until(time + SLACK, || server.figure("vaiven_connections_open", "") == 0)
                .ok_or_else(|| format!("a connection is still open after {time:?}")),
            Expect::Exit(time) => {
                until(time + SLACK, || server.exited().is_some_and(|status| status.success())).ok_or_else(
                    || format!("the server has not ended with 0 after {time:?}: {:?}", server.exited()),
                )
            }
            _ => Ok(()),
        }
    }
}

fn until(time: Duration, mut is_so: impl FnMut() -> bool) -> Option<()> {
    let deadline = Instant::now() + time;
    loop {
        if is_so() {
            return Some(());
        }
        if Instant::now() > deadline {
            return None;
        }
        // The figures are asked for by a connection, of which an address may open 20 each second.
        std::thread::sleep(Duration::from_millis(100));
    }
}
