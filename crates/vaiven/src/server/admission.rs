//! Who may begin a handshake now: addresses and times to a verdict. It knows no socket and no clock.
//!
//! Rates are token buckets, kept as the time at which the bucket is full again. The table of addresses is bounded
//! by what fills it: an address gets a row only with a handshake within the rates, and loses it when it has no
//! connection and its bucket is full again.

use super::ServerConfig;
use super::queue::Queue;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::time::Instant;

/// What a server bears.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdmissionLimits {
    pub(super) max_connections: usize,
    max_connections_per_ip: u32,
    total: Rate,
    per_ip: Rate,
    /// Whole seconds.
    longest_retry_after: u32,
}

impl AdmissionLimits {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let total = config.max_handshakes_per_second;
        Self {
            max_connections: config.affordable_connections(),
            max_connections_per_ip: config.max_connections_per_ip,
            total: Rate::new(total, total),
            per_ip: Rate::new(config.max_handshakes_per_second_per_ip, config.handshake_burst_per_ip),
            longest_retry_after: config.longest_retry_after(),
        }
    }
}

/// Why a handshake may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// `max_connections` are open.
    Connections,
    /// `max_handshakes_per_second` were begun.
    Rate,
    /// `max_connections_per_ip` are open.
    ConnectionsPerIp,
    /// `max_handshakes_per_second_per_ip` were begun.
    RatePerIp,
}

/// What one party counts as: an IPv4 address, or the 64 bits of IPv6 that one subscriber is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum IpKey {
    V4(Ipv4Addr),
    V6(u64),
}

impl From<IpAddr> for IpKey {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(u64::try_from(ip.to_bits() >> 64).expect("64 bits are left")),
        }
    }
}

/// Handshakes per time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    interval: Duration,
    burst: u32,
}

impl Rate {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = match per_second {
            0 => Duration::MAX,
            per_second => Duration::from_secs(1) / per_second,
        };
        Self { interval, burst: if per_second == 0 { 0 } else { burst } }
    }

    /// The time from one handshake to the next; the longest there is where none may begin.
    pub(super) fn interval(self) -> Duration {
        self.interval
    }

    /// How far the bucket may be from full before a token is taken; `None` where none ever may.
    fn tolerance(self) -> Option<Duration> {
        self.interval.checked_mul(self.burst.checked_sub(1)?)
    }
}

/// A token bucket: the time at which it is full again.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    full_at: Instant,
}

impl Bucket {
    fn allows(self, rate: Rate, now: Instant) -> bool {
        rate.tolerance().is_some_and(|tolerance| self.full_at.saturating_duration_since(now) <= tolerance)
    }

    fn take(&mut self, rate: Rate, now: Instant) {
        self.full_at = self.full_at.max(now) + rate.interval;
    }
}

/// What is known of an address.
#[derive(Clone, Copy, Debug)]
struct Visitor {
    connections: u32,
    bucket: Bucket,
    queue: Queue,
}

impl Visitor {
    fn new(now: Instant) -> Self {
        Self { connections: 0, bucket: Bucket { full_at: now }, queue: Queue::new(now) }
    }
}

/// Rows of the table of addresses below which it is not looked through for those that are over.
const MIN_SWEEP: usize = 1_024;

/// The state of admission.
#[derive(Debug)]
pub(super) struct Admission {
    limits: AdmissionLimits,
    connections: usize,
    total: Bucket,
    queue: Queue,
    visitors: HashMap<IpKey, Visitor>,
    sweep_at: usize,
}

impl Admission {
    pub(super) fn new(limits: AdmissionLimits, now: Instant) -> Self {
        let (total, queue) = (Bucket { full_at: now }, Queue::new(now));
        Self { limits, connections: 0, total, queue, visitors: HashMap::new(), sweep_at: MIN_SWEEP }
    }

    pub(super) fn limits(&self) -> &AdmissionLimits {
        &self.limits
    }

    #[cfg(test)]
    pub(super) fn lift_max_connections(&mut self) {
        self.limits.max_connections = usize::MAX;
    }

    /// Counts a connection that begins a handshake. `None` stands for a client that is not known yet, behind a
    /// proxy: [`admit_ip`](Self::admit_ip) follows.
    pub(super) fn admit(&mut self, ip: Option<IpKey>, now: Instant) -> Result<(), Denial> {
        // The rates come before the caps: to be told of a cap costs as much as a handshake that is admitted.
        if let Some(ip) = ip {
            self.spend(ip, now)?;
        }
        if self.connections >= self.limits.max_connections {
            return Err(Denial::Connections);
        }
        if let Some(ip) = ip {
            self.enter(ip)?;
        }
        self.connections += 1;
        Ok(())
    }

    /// Counts a connection that another server let in.
    pub(super) fn admit_foreign(&mut self) {
        self.connections += 1;
    }

    /// Counts the client of an admitted connection.
    pub(super) fn admit_ip(&mut self, ip: IpKey, now: Instant) -> Result<(), Denial> {
        self.spend(ip, now)?;
        self.enter(ip)
    }

    /// In how many seconds a client that was turned away finds a place; `None` where nothing is known of that, as of
    /// connections that end when they end, or where the queue is as long as it may be. Only for a client that is told.
    pub(super) fn take_place(&mut self, denial: Denial, ip: Option<IpKey>, now: Instant) -> Option<u32> {
        let longest = self.limits.longest_retry_after;
        match denial {
            Denial::Rate => self.queue.take(self.limits.total, now, longest),
            Denial::RatePerIp => {
                let visitor = self.visitors.get_mut(&ip?)?;
                visitor.queue.take(self.limits.per_ip, now, longest)
            }
            Denial::Connections | Denial::ConnectionsPerIp => None,
        }
    }

    /// A connection is over.
    pub(super) fn leave(&mut self, ip: Option<IpKey>) {
        debug_assert!(self.connections > 0, "who leaves was admitted");
        self.connections -= 1;
        if let Some(visitor) = ip.and_then(|ip| self.visitors.get_mut(&ip)) {
            debug_assert!(visitor.connections > 0, "who leaves was counted");
            visitor.connections -= 1;
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// Takes a handshake out of the rate of the address, and out of that of all. The address is judged first: one that
    /// comes too often must not use up what is there for all.
    fn spend(&mut self, ip: IpKey, now: Instant) -> Result<(), Denial> {
        let new = Visitor::new(now);
        let mut bucket = self.visitors.get(&ip).unwrap_or(&new).bucket;
        if !bucket.allows(self.limits.per_ip, now) {
            return Err(Denial::RatePerIp);
        }
        if !self.total.allows(self.limits.total, now) {
            return Err(Denial::Rate);
        }
        if self.visitors.len() >= self.sweep_at {
            self.sweep(now);
        }
        self.total.take(self.limits.total, now);
        bucket.take(self.limits.per_ip, now);
        self.visitors.entry(ip).or_insert(new).bucket = bucket;
        Ok(())
    }

    /// Counts a connection of an address, which has paid for it and so has its row.
    fn enter(&mut self, ip: IpKey) -> Result<(), Denial> {
        let max = self.limits.max_connections_per_ip;
        let visitor = self.visitors.get_mut(&ip).filter(|visitor| visitor.connections < max);
        visitor.ok_or(Denial::ConnectionsPerIp)?.connections += 1;
        Ok(())
    }

    /// Forgets addresses that are as if they had never come. Each sweep is paid for by the arrivals before it.
    fn sweep(&mut self, now: Instant) {
        self.visitors.retain(|_, visitor| visitor.connections > 0 || visitor.bucket.full_at > now);
        self.sweep_at = (self.visitors.len() * 2).max(MIN_SWEEP);
        self.visitors.shrink_to(self.sweep_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(adapt: impl FnOnce(&mut ServerConfig)) -> (Admission, Instant) {
        let mut config = ServerConfig::default();
        adapt(&mut config);
        let now = Instant::now();
        (Admission::new(AdmissionLimits::new(&config), now), now)
    }

    #[expect(clippy::unnecessary_wraps, reason = "admission takes it so")]
    fn ip(number: u32) -> Option<IpKey> {
        Some(IpKey::V4(Ipv4Addr::from_bits(number)))
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn connections_end_at_the_cap_and_a_place_that_is_left_is_taken_again() {
        let (mut admission, now) = admission(|config| config.max_connections = 3);
        for number in 0..3 {
            assert_eq!(admission.admit(ip(number), now), Ok(()), "{number}");
        }
        assert_eq!(admission.admit(ip(3), now), Err(Denial::Connections));
        admission.leave(ip(1));
        assert_eq!(admission.admit(ip(3), now), Ok(()));
        assert_eq!(admission.admit(ip(4), now), Err(Denial::Connections));
    }

    #[test]
    fn connections_of_an_address_end_at_its_cap() {
        let (mut admission, now) = admission(|config| config.max_connections_per_ip = 2);
        assert_eq!(admission.admit(ip(1), now), Ok(()));
        assert_eq!(admission.admit(ip(1), now), Ok(()));
        assert_eq!(admission.admit(ip(1), now), Err(Denial::ConnectionsPerIp));
        assert_eq!(admission.admit(ip(2), now), Ok(()));
        admission.leave(ip(1));
        assert_eq!(admission.admit(ip(1), now), Ok(()));
    }

    #[test]
    fn an_address_has_its_burst_and_then_its_rate() {
        let (mut admission, now) = admission(|_| {});
        for _ in 0..100 {
            assert_eq!(admission.admit(ip(1), now), Ok(()));
            admission.leave(ip(1));
        }
        assert_eq!(admission.admit(ip(1), now), Err(Denial::RatePerIp));
        assert_eq!(admission.admit(ip(1), now + millis(49)), Err(Denial::RatePerIp));
        assert_eq!(admission.admit(ip(1), now + millis(50)), Ok(()));
        assert_eq!(admission.admit(ip(1), now + millis(50)), Err(Denial::RatePerIp));
        assert_eq!(admission.admit(ip(2), now), Ok(()));
        let later = now + Duration::from_mins(1);
        assert!((0..100).all(|_| admission.admit(ip(1), later).is_ok()));
        assert_eq!(admission.admit(ip(1), later), Err(Denial::RatePerIp));
    }

    #[test]
    fn who_exceeds_a_rate_is_given_a_place_in_the_queue_of_all_or_of_its_address() {
        let (mut admission, now) = admission(|config| config.retry_after = Duration::from_secs(3));
        while admission.admit(ip(1), now).is_ok() {}
        let mut places = |denial, number| {
            std::iter::from_fn(|| admission.take_place(denial, ip(number), now)).collect::<Vec<_>>()
        };
        let own = places(Denial::RatePerIp, 1);
        assert_eq!(own, [[1; 20], [2; 20], [3; 20]].concat());
        assert_eq!(places(Denial::Rate, 1), [[1; 1_000], [2; 1_000], [3; 1_000]].concat());
        // What ends at no known time has no queue, and an address that is not known has no rate that it exceeds.
        for (denial, number) in
            [(Denial::Connections, 1), (Denial::ConnectionsPerIp, 1), (Denial::RatePerIp, 2)]
        {
            assert_eq!(places(denial, number), [], "{denial:?}");
        }
    }

    #[test]
    fn all_together_have_a_rate_which_one_address_cannot_use_up() {
        let (mut admission, now) = admission(|_| {});
        for number in 0..100_000 {
            let _ = admission.admit(ip(number % 9), now);
        }
        assert_eq!(admission.connections(), 900);
        for number in 0..100 {
            assert_eq!(admission.admit(ip(100 + number), now), Ok(()));
        }
        assert_eq!(admission.admit(ip(500), now), Err(Denial::Rate));
        assert_eq!(admission.admit(ip(500), now + millis(1)), Ok(()));
        assert_eq!(admission.admit(ip(501), now + millis(1)), Err(Denial::Rate));
    }

    #[test]
    fn behind_a_proxy_one_client_cannot_use_up_the_rate_of_all() {
        let (mut admission, now) = admission(|config| config.max_connections = 10_000);
        for number in 0..2_000 {
            assert_eq!(admission.admit(None, now), Ok(()), "{number}");
            if admission.admit_ip(IpKey::V4(Ipv4Addr::LOCALHOST), now).is_err() {
                admission.leave(None);
            }
        }
        assert_eq!(admission.connections(), 100);
        for number in 0..900 {
            assert_eq!(admission.admit(None, now), Ok(()), "{number}");
            assert_eq!(admission.admit_ip(IpKey::V6(number), now), Ok(()), "{number}");
        }
        assert_eq!(admission.admit(None, now), Ok(()));
        assert_eq!(admission.admit_ip(IpKey::V6(900), now), Err(Denial::Rate));
    }

    #[test]
    fn who_is_turned_away_at_a_cap_pays_for_the_answer() {
        let one: fn(&mut ServerConfig) = |config| config.max_connections = 1;
        let one_per_ip: fn(&mut ServerConfig) = |config| config.max_connections_per_ip = 1;
        for adapt in [one, one_per_ip] {
            let (mut admission, now) = admission(adapt);
            assert_eq!(admission.admit(ip(1), now), Ok(()));
            for _ in 1..100 {
                let denial = admission.admit(ip(1), now).unwrap_err();
                assert!(matches!(denial, Denial::Connections | Denial::ConnectionsPerIp), "{denial:?}");
            }
            assert_eq!(admission.admit(ip(1), now), Err(Denial::RatePerIp));
            assert_eq!(admission.connections(), 1);
        }
    }

    #[test]
    fn the_subscribers_64_bits_of_ipv6_are_one_address_and_mapped_ipv4_is_ipv4() {
        let key = |text: &str| IpKey::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn the_table_of_addresses_stays_within_what_the_rates_allow() {
        let (mut admission, start) = admission(|_| {});
        let mut most = 0;
        for number in 0..300_000 {
            // Ten times the rate, each from an address of its own.
            let now = start + Duration::from_micros(100) * number;
            if admission.admit(ip(number), now).is_ok() {
                admission.leave(ip(number));
            }
            most = most.max(admission.visitors.len());
        }
        assert!(most <= MIN_SWEEP * 2, "{most}");
    }

    #[test]
    fn a_limit_of_zero_lets_nobody_in() {
        let now = Instant::now();
        for (adapt, denial) in [
            ((|config| config.max_connections = 0) as fn(&mut ServerConfig), Denial::Connections),
            (|config| config.max_connections_per_ip = 0, Denial::ConnectionsPerIp),
            (|config| config.max_handshakes_per_second = 0, Denial::Rate),
            (|config| config.max_handshakes_per_second_per_ip = 0, Denial::RatePerIp),
            (|config| config.handshake_burst_per_ip = 0, Denial::RatePerIp),
        ] {
            let (mut admission, _) = admission(adapt);
            assert_eq!(admission.admit(ip(1), now), Err(denial));
        }
    }
}
