//! What a run came to: one JSON object, or a page for people.

use super::exit::Exit;
use super::options::{Load, Plan};
use super::tally::{Quantiles, Tally};
use serde_json::{Value, json};
use std::fmt::{self, Display, Write};
use std::time::Duration;

/// Lateness of the load itself that is worth a word: above this, and above a tenth of the latency at the same
/// quantile.
const LATE: Duration = Duration::from_millis(1);
/// The share of its threads' time that the load may use before it is the bottleneck, in percent.
const BUSY_PERCENT: u128 = 90;

/// The part of the help that promises the fields of the JSON object.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("url", "what was connected to"),
    ("mode", "\"echo\" or \"room\""),
    ("load", "\"open\" (messages due at fixed times) or \"closed\" (--in-flight)"),
    ("message_bytes", "length of a message"),
    ("message_kind", "\"text\" or \"binary\""),
    ("rate_wanted_per_s", "messages per second in all, null for a closed load"),
    ("in_flight", "messages under way on each connection, null for an open load"),
    ("workers", "threads that made the load"),
    ("warm_up_s", "seconds before the measured part"),
    ("measured_s", "seconds of the measured part; all below is of it, connections apart"),
    ("interrupted", "whether a signal ended it"),
    ("connections.wanted", "how many were asked for"),
    ("connections.opened", "how many there were"),
    ("connections.failed", "how many there were not"),
    ("connections.per_s", "connections opened per second"),
    ("connect_us", "from dialling to the answer of the opening handshake"),
    ("messages.sent", "messages sent"),
    ("messages.unsent", "messages that were due and could not be sent"),
    ("messages.received", "messages that came back; in a room, deliveries"),
    ("messages.lost", "messages that did not, 5 s after the end"),
    ("messages.corrupt", "messages that came back with other bytes"),
    ("messages.per_s", "messages that arrived, per second"),
    ("messages.bytes_per_s", "their bytes, per second"),
    ("latency_us", "from the moment a message was due to its arrival"),
    ("generator.late_us", "how late this program itself sent; null for a closed load"),
    ("generator.cpu_s", "CPU seconds of this program, null where unknown"),
    ("generator.is_limit", "whether the load, not the server, was at its limit"),
    ("server.pid", "the process of --pid; without it, server is null"),
    ("server.cpu_s", "its CPU seconds, user and system"),
    ("server.cpu_s_per_million", "the same for a million messages that arrived; null for none"),
    ("server.rss_before_bytes", "its resident memory before the first connection"),
    ("server.rss_after_bytes", "and at the end of the measured part"),
    ("errors", "list of {kind, count, example}; empty when all was well"),
];

/// The fields of the JSON object, for the help.
pub(super) fn fields_help() -> String {
    let mut out =
        String::from("Fields of --json; those in _us are null or {p50, p99, p99_9, max} in microseconds:\n");
    for (name, meaning) in FIELDS {
        let _ = writeln!(out, "  {name:<25} {meaning}");
    }
    out
}

/// A process and what it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerUse {
    pub(super) pid: u32,
    pub(super) cpu: Duration,
    pub(super) rss_before: u64,
    pub(super) rss_after: u64,
}

/// The outcome of a run.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
    pub(super) tally: Tally,
    /// From the first connection that was begun to the last that was open.
    pub(super) connecting: Duration,
    /// The measured part, as long as it was.
    pub(super) measured: Duration,
    pub(super) was_interrupted: bool,
    /// CPU time of this program in the measured part.
    pub(super) own_cpu: Option<Duration>,
    pub(super) server: Option<ServerUse>,
}

impl Report<'_> {
    pub(super) fn exit(&self) -> Exit {
        match (self.was_interrupted, self.tally.opened, self.tally.is_clean()) {
            (true, ..) => Exit::Interrupted,
            (false, 0, _) => Exit::Unreachable,
            (false, _, false) => Exit::Faulty,
            (false, _, true) => Exit::Clean,
        }
    }

    pub(super) fn json(&self) -> Value {
        let Self { plan, tally, .. } = self;
        let (rate, in_flight) = match plan.load {
            Load::Open(schedule) => (Some(schedule.per_second()), None),
            Load::Closed { in_flight } => (None, Some(in_flight)),
        };
        let errors: Vec<_> = tally
            .faults
            .iter()
            .map(|(kind, fault)| json!({"kind": kind, "count": fault.count, "example": fault.example}))
            .collect();
        json!({
            "url": plan.url,
            "mode": if plan.is_room { "room" } else { "echo" },
            "load": if in_flight.is_some() { "closed" } else { "open" },
            "message_bytes": plan.payload.size(),
            "message_kind": plan.payload.kind().name(),
            "rate_wanted_per_s": rate,
            "in_flight": in_flight,
            "workers": plan.workers,
            "warm_up_s": plan.warm_up.as_secs_f64(),
            "measured_s": self.measured.as_secs_f64(),
            "interrupted": self.was_interrupted,
            "connections": {
                "wanted": plan.connections,
                "opened": tally.opened,
                "failed": tally.failed,
                "per_s": per_second(tally.opened, self.connecting),
            },
            "connect_us": quantiles_json(tally.connecting.quantiles()),
            "messages": {
                "sent": tally.sent,
                "unsent": tally.unsent(),
                "received": tally.received,
                "lost": tally.lost(),
                "corrupt": tally.corrupt,
                "per_s": per_second(tally.arrived, self.measured),
                "bytes_per_s": per_second(self.arrived_bytes(), self.measured),
            },
            "latency_us": quantiles_json(tally.latency.quantiles()),
            "generator": {
                "late_us": quantiles_json(tally.lateness.quantiles()),
                "cpu_s": self.own_cpu.map(|cpu| cpu.as_secs_f64()),
                "is_limit": self.is_generator_limit(),
            },
            "server": self.server.map(|server| json!({
                "pid": server.pid,
                "cpu_s": server.cpu.as_secs_f64(),
                "cpu_s_per_million": self.cpu_per_million(server),
                "rss_before_bytes": server.rss_before,
                "rss_after_bytes": server.rss_after,
            })),
            "errors": errors,
        })
    }

    fn arrived_bytes(&self) -> u64 {
        self.tally.arrived * self.plan.payload.size() as u64
    }

    fn cpu_per_million(&self, server: ServerUse) -> Option<f64> {
        let per_message = server.cpu.as_secs_f64() / as_float(self.tally.arrived);
        (self.tally.arrived > 0).then_some(per_message * 1e6)
    }

    /// Whether the load itself was late by more than a little, or had no time left.
    fn is_generator_limit(&self) -> bool {
        self.is_late() || self.is_busy()
    }

    fn is_late(&self) -> bool {
        let Some(late) = self.tally.lateness.quantiles() else { return false };
        let latency = self.tally.latency.quantiles().map_or(Duration::ZERO, |latency| latency.p99);
        late.p99 > LATE && late.p99 > latency / 10
    }

    fn is_busy(&self) -> bool {
        let all = self.measured.as_nanos() * self.plan.workers as u128;
        self.own_cpu.is_some_and(|cpu| all > 0 && cpu.as_nanos() * 100 > all * BUSY_PERCENT)
    }

    /// What the figures do not say by themselves.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_late() {
            notes.push(
                "this program did not send on time: part of the latency is its own. Lower -r, raise \
                 --workers, or run it on a machine of its own"
                    .to_owned(),
            );
        } else if self.is_busy() {
            notes.push(
                "this program used nearly all the time of its threads: the server may be able to do more. Raise \
                 --workers, or run it on a machine of its own"
                    .to_owned(),
            );
        }
        if self.tally.faults.count("closed_1008") > 0 {
            notes.push(
                "1008 is how a server ends connections that send too much: `vaiven serve` takes --message-rate and \
                 --message-burst for each connection, and --profile autobahn lifts them"
                    .to_owned(),
            );
        }
        if self.tally.faults.count("refused_429") + self.tally.faults.count("refused_503") > 0 {
            notes.push(
                "429 and 503 are how a server limits connections: try fewer (-c), or open them more slowly \
                 (--connect-rate)"
                    .to_owned(),
            );
        }
        notes
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        let tally = &self.tally;
        write!(f, "\nConnections  {} opened", grouped(tally.opened))?;
        if tally.failed > 0 {
            write!(f, ", {} failed", grouped(tally.failed))?;
        }
        writeln!(f, " in {} ({} per second)", span(self.connecting), rate(tally.opened, self.connecting))?;
        let missed = self.tally.unsent();
        write!(f, "Messages     {} sent, ", grouped(tally.sent))?;
        if missed > 0 {
            write!(f, "{} not sent, ", grouped(missed))?;
        }
        let back = if self.plan.is_room { "delivered" } else { "back" };
        write!(f, "{} {back}, {} lost", grouped(tally.received), grouped(tally.lost()))?;
        if tally.corrupt > 0 {
            write!(f, ", {} changed", grouped(tally.corrupt))?;
        }
        let bytes = float_bytes(per_second(self.arrived_bytes(), self.measured).unwrap_or(0.0));
        writeln!(f, "\nThroughput   {} messages per second, {bytes}/s", rate(tally.arrived, self.measured))?;
        writeln!(f, "\n{:<12} {:>9} {:>9} {:>9} {:>9}", "", "p50", "p99", "p99.9", "max")?;
        let since = match (self.plan.load, self.plan.is_room) {
            (Load::Open(_), false) => "from when a message was due to its echo",
            (Load::Open(_), true) => "from when a message was due to each delivery",
            (Load::Closed { .. }, _) => "from sending a message to its echo",
        };
        write_times(f, "Latency", tally.latency.quantiles(), since)?;
        write_times(f, "Connecting", tally.connecting.quantiles(), "TCP, TLS and opening handshake")?;
        if let Load::Open(_) = self.plan.load {
            let what = "how late this program itself sent";
            write_times(f, "Own delay", tally.lateness.quantiles(), what)?;
        }
        self.write_processes(f)?;
        for (index, (kind, fault)) in tally.faults.iter().enumerate() {
            let label = if index == 0 { "\nErrors       " } else { "             " };
            writeln!(f, "{label}{} × {kind}: {}", grouped(fault.count), fault.example)?;
        }
        for (index, note) in self.notes().iter().enumerate() {
            writeln!(f, "{}Note: {note}.", if index == 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan;
        let (size, kind) = (plan.payload.size(), plan.payload.kind().name());
        let what = if plan.is_room { "Deliveries in the room" } else { "Echoes of" };
        writeln!(f, "{what} {}", plan.url)?;
        let unit = if size == 1 { "byte" } else { "bytes" };
        match plan.load {
            Load::Open(schedule) => {
                write!(
                    f,
                    "{} messages per second, {size} {unit} of {kind} each",
                    grouped(schedule.per_second())
                )?;
            }
            Load::Closed { in_flight } => {
                write!(f, "{in_flight} under way on each connection, {size} {unit} of {kind} each")?;
            }
        }
        write!(f, "; measured for {}", span(self.measured))?;
        if self.was_interrupted {
            write!(f, " until it was interrupted")?;
        }
        writeln!(f)
    }

    fn write_processes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.server.is_some() || self.own_cpu.is_some() {
            writeln!(f)?;
        }
        if let Some(server) = self.server {
            write!(f, "Server CPU   {}", span(server.cpu))?;
            if let Some(per_million) = self.cpu_per_million(server) {
                write!(f, ", {per_million:.2} s per million messages")?;
            }
            writeln!(f)?;
            let [before, after] = [server.rss_before, server.rss_after].map(|rss| float_bytes(as_float(rss)));
            writeln!(f, "Server RAM   {before} before, {after} at the end")?;
        }
        if let Some(cpu) = self.own_cpu {
            let threads = self.plan.workers;
            let unit = if threads == 1 { "thread" } else { "threads" };
            writeln!(f, "Own CPU      {} on {threads} {unit}", span(cpu))?;
        }
        Ok(())
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, name: &str, times: Option<Quantiles>, what: &str) -> fmt::Result {
    let Some(Quantiles { p50, p99, p99_9, max }) = times else {
        return writeln!(f, "{name:<12} {0:>9} {0:>9} {0:>9} {0:>9}   {what}", "-");
    };
    write!(f, "{name:<12}")?;
    for time in [p50, p99, p99_9, max] {
        write!(f, " {:>9}", span(time))?;
    }
    writeln!(f, "   {what}")
}

fn quantiles_json(quantiles: Option<Quantiles>) -> Value {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    quantiles.map_or(Value::Null, |Quantiles { p50, p99, p99_9, max }| {
        json!({"p50": micros(p50), "p99": micros(p99), "p99_9": micros(p99_9), "max": micros(max)})
    })
}

/// `None` where no time passed.
fn per_second(count: u64, span: Duration) -> Option<f64> {
    (!span.is_zero()).then(|| as_float(count) / span.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
fn as_float(count: u64) -> f64 {
    count as f64
}

fn rate(count: u64, span: Duration) -> String {
    per_second(count, span).map_or_else(|| "-".to_owned(), grouped_float)
}

/// A time in three digits.
fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if span.is_zero() {
        return "0 s".to_owned();
    }
    let (number, unit) = match seconds {
        0.0..1e-6 => (seconds * 1e9, "ns"),
        1e-6..1e-3 => (seconds * 1e6, "µs"),
        1e-3..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
    format!("{number:.digits$} {unit}")
}

fn float_bytes(mut number: f64) -> String {
    for unit in ["B", "KiB", "MiB"] {
        if number < 1023.95 {
            return format!("{number:.digits$} {unit}", digits = usize::from(unit != "B"));
        }
        number /= 1024.0;
    }
    format!("{number:.1} GiB")
}

/// A number with commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn grouped_float(number: f64) -> String {
    if number < 100.0 {
        return format!("{number:.1}");
    }
    let whole = format!("{number:.0}");
    whole.parse().map_or(whole, grouped)
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
