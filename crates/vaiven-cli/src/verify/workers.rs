//! The processes with the subscribers, as the first one sees them.

use super::job::{Findings, Job, Order, Told};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// One of them.
#[derive(Debug)]
struct Worker {
    _child: Child,
    orders: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
    subscribers: usize,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Workers(Vec<Worker>);

impl Workers {
    /// Starts so many processes, each with its share of the subscribers.
    pub(super) async fn start(job: &Job, count: usize) -> Result<Self, String> {
        let program =
            std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut workers = Vec::new();
        for index in 0..count {
            let mut command = Command::new(&program);
            command.arg(super::WORKER).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = command.spawn().map_err(|error| format!("cannot start a process: {error}"))?;
            let (Some(orders), Some(told)) = (child.stdin.take(), child.stdout.take()) else {
                return Err("a process has no pipes".to_owned());
            };
            let subscribers = job.subscribers / count + usize::from(index < job.subscribers % count);
            let mut worker =
                Worker { _child: child, orders, told: BufReader::new(told).lines(), subscribers };
            let seed = job.seed.wrapping_add(index as u64);
            worker.order(&Order::Begin(Job { subscribers, seed, ..job.clone() })).await?;
            workers.push(worker);
        }
        Ok(Self(workers))
    }

    /// Waits until all subscribers are there; tells how many are each time that it changes.
    pub(super) async fn ready(&mut self, mut show: impl FnMut(usize)) -> Result<(), String> {
        let mut there = 0;
        for worker in &mut self.0 {
            loop {
                let Told::Ready(count) = worker.next().await? else {
                    return Err("a process was done before it began".to_owned());
                };
                show(there + count);
                if count == worker.subscribers {
                    there += count;
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn order(&mut self, order: &Order) -> Result<(), String> {
        for worker in &mut self.0 {
            worker.order(order).await?;
        }
        Ok(())
    }

    /// What all have found together.
    pub(super) async fn findings(mut self) -> Result<Findings, String> {
        let mut all = Findings::default();
        for worker in &mut self.0 {
            let found = loop {
                match worker.next().await? {
                    Told::Done(findings) => break findings,
                    Told::Ready(_) => {}
                    Told::Failed(why) => return Err(why),
                }
            };
            all.tally.add(found.tally);
            all.complete += found.complete;
            all.reconnects += found.reconnects;
            all.unrecovered += found.unrecovered;
            all.faults += found.faults;
            all.latency.add(&found.latency);
            all.replay.add(&found.replay);
            all.away.add(&found.away);
        }
        Ok(all)
    }
}

impl Worker {
    async fn order(&mut self, order: &Order) -> Result<(), String> {
        let mut line = serde_json::to_string(order).expect("it has no map with keys that are not strings");
        line.push('\n');
        self.orders
            .write_all(line.as_bytes())
            .await
            .map_err(|error| format!("a process takes no orders: {error}"))
    }

    async fn next(&mut self) -> Result<Told, String> {
        let line =
            self.told.next_line().await.map_err(|error| format!("a process cannot be heard: {error}"))?;
        let line = line.ok_or("a process has ended")?;
        match serde_json::from_str(&line).map_err(|error| format!("a process is not understood: {error}"))? {
            Told::Failed(why) => Err(why),
            told => Ok(told),
        }
    }
}
