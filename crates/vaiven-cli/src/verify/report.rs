//! What a run has shown, for people and for programs.

use super::exit::Exit;
use super::job::Findings;
use super::ledger::Sent;
use super::options::Plan;
use super::times::Times;
use serde_json::{Value, json};
use std::fmt;

/// All that was found.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
    pub(super) sent: &'a [Sent],
    pub(super) findings: Findings,
    pub(super) restarts: u64,
}

impl Report<'_> {
    /// Acknowledged messages, each counted for each subscriber.
    fn expected(&self) -> u64 {
        self.sent.iter().map(Sent::acknowledged).sum::<u64>() * self.plan.job.subscribers as u64
    }

    pub(super) fn exit(&self) -> Exit {
        let tally = self.findings.tally;
        let is_proven =
            tally.lost == 0 && tally.doubled == 0 && tally.out_of_order == 0 && self.expected() > 0;
        if is_proven { Exit::Proven } else { Exit::Broken }
    }

    fn delivered_percent(&self) -> f64 {
        let expected = self.expected();
        if expected == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
        let percent = self.findings.tally.delivered as f64 * 100.0 / expected as f64;
        // All but one of a million are not all.
        if self.findings.tally.lost > 0 { percent.min(99.99) } else { percent }
    }

    pub(super) fn json(&self) -> Value {
        let Findings { tally, complete, reconnects, unrecovered, faults, latency, replay, away } =
            &self.findings;
        let job = &self.plan.job;
        let count = |count: fn(&Sent) -> u64| self.sent.iter().map(count).sum::<u64>();
        json!({
            "protocol": job.protocol,
            "channel": job.channel,
            "subscribers": job.subscribers,
            "publishers": job.publishers,
            "seed": job.seed,
            "sent": count(|sent| sent.count),
            "acknowledged": count(Sent::acknowledged),
            "refused": count(|sent| sent.refused.len() as u64),
            "uncertain": count(|sent| sent.uncertain.len() as u64),
            "expected": self.expected(),
            "delivered": tally.delivered,
            "delivered_percent": self.delivered_percent(),
            "lost": tally.lost,
            "doubled": tally.doubled,
            "out_of_order": tally.out_of_order,
            "complete_subscribers": complete,
            "faults": faults,
            "restarts": self.restarts,
            "reconnects": reconnects,
            "unrecovered": unrecovered,
            "latency_ms": times(latency),
            "replay_ms": times(replay),
            "away_ms": times(away),
        })
    }
}

fn times(times: &Times) -> Value {
    json!({
        "count": times.count(),
        "p50": times.percentile(50.0),
        "p99": times.percentile(99.0),
        "max": times.percentile(100.0),
    })
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { tally, reconnects, unrecovered, faults, latency, replay, away, .. } = &self.findings;
        let acknowledged: u64 = self.sent.iter().map(Sent::acknowledged).sum();
        let refused: usize = self.sent.iter().map(|sent| sent.refused.len()).sum();
        let uncertain: usize = self.sent.iter().map(|sent| sent.uncertain.len()).sum();
        writeln!(
            f,
            "{acknowledged} messages acknowledged, {refused} refused, {uncertain} uncertain; {} subscribers",
            self.plan.job.subscribers
        )?;
        writeln!(
            f,
            "{faults} faults, {} restarts of the server, {reconnects} subscriptions resumed, {unrecovered} of them \
             told of a loss",
            self.restarts
        )?;
        writeln!(
            f,
            "delivered {} of {} ({:.2} %), lost {}, doubled {}, out of order {}",
            tally.delivered,
            self.expected(),
            self.delivered_percent(),
            tally.lost,
            tally.doubled,
            tally.out_of_order
        )?;
        for (name, times) in [("latency", latency), ("replay", replay), ("away", away)] {
            if times.count() > 0 {
                let [p50, p99, max] = [50.0, 99.0, 100.0].map(|percent| times.percentile(percent));
                writeln!(
                    f,
                    "{name:<8} p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms ({} times)",
                    times.count()
                )?;
            }
        }
        if self.exit() == Exit::Broken {
            writeln!(f, "run it again with --seed {} to have the same faults", self.plan.job.seed)?;
        }
        Ok(())
    }
}
