//! A host and a port to a TCP connection: name lookup and Happy Eyeballs (RFC 8305).
//!
//! The addresses come from the system's resolver in its order of preference (RFC 6724), both families in one answer.
//! They are tried alternating between the families, each attempt 250 ms after the previous one or as soon as that
//! one failed; the first that succeeds wins and the others are dropped, which closes their sockets.

use super::error::{DialError, DialPhase};
use crate::deadline;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

/// RFC 8305 section 5, "Connection Attempt Delay": the recommended value.
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many addresses of a host are tried: more are dropped, in the order of preference.
pub(super) const MAX_ADDRESSES: usize = 16;

/// A moment by which the way to the host must be open, with the limit that it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    after: Duration,
}

impl Deadline {
    pub(super) fn after(after: Duration) -> Self {
        Self { at: deadline::after(after), after }
    }

    /// The moment.
    pub(super) fn at(self) -> Instant {
        self.at
    }

    /// Runs one step of dialling, and says which step and which host when time is up.
    pub(super) async fn limit<T>(
        self,
        phase: DialPhase,
        host: &str,
        step: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, DialError> {
        timeout_at(self.at, step)
            .await
            .unwrap_or_else(|_| Err(DialError::Timeout { phase, host: host.to_owned(), after: self.after }))
    }
}

/// Looks up a host, connects to the first of its addresses that answers, and turns off Nagle's algorithm: a message
/// is written whole, and waiting for more would only delay it.
///
/// # Cancel safety
/// Dropping the future closes every socket that it opened. A lookup that is under way ends in the background, on a
/// thread of the runtime: the system's resolver cannot be interrupted.
pub(super) async fn connect(
    host: &str,
    ip: Option<IpAddr>,
    port: u16,
    deadline: Deadline,
) -> Result<TcpStream, DialError> {
    let name = super::authority(host, port);
    let addresses = deadline.limit(DialPhase::Resolve, &name, resolve(host, ip, port)).await?;
    let race = async {
        race(&addresses, open).await.map_err(|attempts| DialError::Connect { host: name.clone(), attempts })
    };
    deadline.limit(DialPhase::Connect, &name, race).await
}

/// The addresses of a host in the order in which to try them; never empty.
pub(super) async fn resolve(host: &str, ip: Option<IpAddr>, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    if let Some(ip) = ip {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let failed = |source| DialError::Resolve { host: host.to_owned(), source };
    let found = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
    let addresses = interleave(found.collect());
    if addresses.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

/// RFC 8305 section 4: alternates between the families, beginning with that of the first address, and keeps the
/// order within each.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return addresses };
    let preferred_is_v6 = first.is_ipv6();
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == preferred_is_v6);
    let mut other = other.into_iter();
    let mut result = Vec::with_capacity(preferred.len() + other.len());
    for address in preferred {
        result.push(address);
        result.extend(other.next());
    }
    result.extend(other);
    result.truncate(MAX_ADDRESSES);
    result
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Where nobody listens on a port of this machine's ephemeral range, TCP's simultaneous open can connect a socket
    // with itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Runs the attempts against each other, and gives the first success or every failure.
///
/// All attempts live in this future and die with it.
async fn race<S, F>(
    addresses: &[SocketAddr],
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<S, Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = addresses.iter().copied();
    let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failed = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => running.push((address, Box::pin(attempt(address)))),
            None if running.is_empty() => return Err(failed),
            None => {}
        }
        let next_start = Instant::now() + ATTEMPT_DELAY;
        let mut timer = pin!(sleep_until(next_start));
        let step = poll_fn(|context| {
            let mut step = Poll::Pending;
            let mut index = 0;
            while let Some((address, future)) = running.get_mut(index) {
                match future.as_mut().poll(context) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Some(stream)),
                    Poll::Ready(Err(error)) => {
                        failed.push((*address, error));
                        drop(running.remove(index));
                        step = Poll::Ready(None);
                    }
                    Poll::Pending => index += 1,
                }
            }
            if step.is_pending() && waiting.len() > 0 && timer.as_mut().poll(context).is_ready() {
                step = Poll::Ready(None);
            }
            step
        });
        if let Some(stream) = step.await {
            return Ok(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    const V4_A: &str = "192.0.2.1:80";
    const V4_B: &str = "192.0.2.2:80";
    const V6_A: &str = "[2001:db8::1]:80";
    const V6_B: &str = "[2001:db8::2]:80";

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[track_caller]
    fn check_order(found: &[&str], expected: &[&str]) {
        assert_eq!(interleave(addresses(found)), addresses(expected));
    }

    #[test]
    fn families_alternate_beginning_with_the_preferred_one() {
        check_order(&[], &[]);
        check_order(&[V4_A], &[V4_A]);
        check_order(&[V6_A, V6_B, V4_A, V4_B], &[V6_A, V4_A, V6_B, V4_B]);
        check_order(&[V4_A, V4_B, V6_A, V6_B], &[V4_A, V6_A, V4_B, V6_B]);
        check_order(&[V6_A, V6_B, V4_A], &[V6_A, V4_A, V6_B]);
        check_order(&[V4_A, V6_A, V6_B], &[V4_A, V6_A, V6_B]);
        check_order(&[V4_B, V4_A], &[V4_B, V4_A]);
    }

    #[test]
    fn no_more_than_sixteen_addresses_are_kept() {
        let many =
            |count: u16| (1..=count).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect::<Vec<_>>();
        for (found, kept) in [(15, 15), (16, 16), (17, 16)] {
            assert_eq!(interleave(many(found)), many(kept));
        }
    }

    /// What an attempt does: after so many milliseconds it succeeds or fails.
    #[derive(Clone, Copy)]
    enum Plan {
        Opens(u64),
        Fails(u64),
        Hangs,
    }

    /// Stands for a socket: says when it is dropped.
    struct Socket {
        address: SocketAddr,
        open: Rc<RefCell<Vec<SocketAddr>>>,
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            self.open.borrow_mut().retain(|address| *address != self.address);
        }
    }

    struct Outcome {
        /// Who won, or who failed in which order.
        result: Result<SocketAddr, Vec<SocketAddr>>,
        after: u128,
        /// When each attempt began, in milliseconds.
        started: Vec<(SocketAddr, u128)>,
        /// The sockets that live when the race is over and its winner is not dropped.
        left_open: Vec<SocketAddr>,
    }

    async fn run(plans: &[(&str, Plan)]) -> Outcome {
        let began = Instant::now();
        let started = RefCell::new(Vec::new());
        let open = Rc::new(RefCell::new(Vec::new()));
        let attempt = |address: SocketAddr| {
            started.borrow_mut().push((address, began.elapsed().as_millis()));
            open.borrow_mut().push(address);
            let socket = Socket { address, open: Rc::clone(&open) };
            let plan = plans.iter().find(|(text, _)| text.parse() == Ok(address)).unwrap().1;
            async move {
                match plan {
                    Plan::Opens(after) => tokio::time::sleep(Duration::from_millis(after)).await,
                    Plan::Fails(after) => {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                        return Err(io::ErrorKind::ConnectionRefused.into());
                    }
                    Plan::Hangs => std::future::pending().await,
                }
                Ok(socket)
            }
        };
        let order: Vec<_> = plans.iter().map(|(text, _)| text.parse().unwrap()).collect();
        let result = race(&order, attempt).await;
        let after = began.elapsed().as_millis();
        let left_open = open.borrow().clone();
        let result = match result {
            Ok(socket) => Ok(socket.address),
            Err(failed) => Err(failed.into_iter().map(|(address, _)| address).collect()),
        };
        Outcome { result, after, started: started.into_inner(), left_open }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_answers_at_once_is_the_only_one_tried() {
        let outcome = run(&[(V6_A, Plan::Opens(249)), (V4_A, Plan::Opens(0))]).await;
        assert_eq!(outcome.result, Ok(address(V6_A)));
        assert_eq!(outcome.started, [(address(V6_A), 0)]);
        assert_eq!(outcome.after, 249);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_address_is_tried_after_250_ms_and_the_loser_is_dropped() {
        let outcome = run(&[(V6_A, Plan::Hangs), (V4_A, Plan::Opens(10))]).await;
        assert_eq!(outcome.result, Ok(address(V4_A)));
        assert_eq!(outcome.started, [(address(V6_A), 0), (address(V4_A), 250)]);
        assert_eq!(outcome.after, 260);
        assert_eq!(outcome.left_open, [address(V4_A)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_address_can_still_win() {
        let outcome = run(&[(V6_A, Plan::Opens(300)), (V4_A, Plan::Opens(100))]).await;
        assert_eq!(outcome.result, Ok(address(V6_A)));
        assert_eq!(outcome.after, 300);
        assert_eq!(outcome.left_open, [address(V6_A)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_attempt_at_once() {
        let plans =
            [(V6_A, Plan::Fails(20)), (V4_A, Plan::Hangs), (V6_B, Plan::Fails(5)), (V4_B, Plan::Opens(1))];
        let outcome = run(&plans).await;
        assert_eq!(outcome.result, Ok(address(V4_B)));
        let expected = [(address(V6_A), 0), (address(V4_A), 20), (address(V6_B), 270), (address(V4_B), 275)];
        assert_eq!(outcome.started, expected);
        assert_eq!(outcome.after, 276);
    }

    #[tokio::test(start_paused = true)]
    async fn every_failure_is_reported_when_none_succeeds() {
        let outcome = run(&[(V6_A, Plan::Fails(400)), (V4_A, Plan::Fails(10)), (V6_B, Plan::Fails(0))]).await;
        assert_eq!(outcome.result, Err(addresses(&[V4_A, V6_B, V6_A])));
        assert_eq!(outcome.after, 400);
        assert_eq!(outcome.left_open, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_race_dropped_at_any_moment_leaves_no_socket_open() {
        let order = addresses(&[V6_A, V4_A, V6_B]);
        for cut_after in [0, 1, 249, 251, 400, 501, 1_000] {
            let open = Rc::new(RefCell::new(Vec::new()));
            let attempt = |address: SocketAddr| {
                open.borrow_mut().push(address);
                let socket = Socket { address, open: Rc::clone(&open) };
                async move {
                    std::future::pending::<()>().await;
                    Ok(socket)
                }
            };
            let limit = Duration::from_millis(cut_after);
            assert!(tokio::time::timeout(limit, race(&order, attempt)).await.is_err());
            assert!(open.borrow().is_empty(), "after {cut_after} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_takes_too_long_names_itself_and_the_host() {
        let deadline = Deadline::after(Duration::from_secs(10));
        let step = std::future::pending::<Result<(), DialError>>();
        let error = deadline.limit(DialPhase::Resolve, "a.example:80", step).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "gave up on a.example:80 after 10s while looking up its address; \
             check that it is reachable, or allow more time"
        );
        assert!(error.is_transient());
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_the_clock_is_no_limit() {
        let done =
            Deadline::after(Duration::MAX).limit(DialPhase::Connect, "a.example:80", async { Ok(1) }).await;
        assert_eq!(done.unwrap(), 1);
    }
}
