//! The command line.

use std::time::Duration;

use crate::Result;
use crate::cell::{Cell, Work};
use crate::meter::Span;
use crate::peer::{PEERS, Peer};
use crate::requirement;

pub(crate) const HELP: &str = "\
Measures Vaivén against its peers and against the raw limit of TCP, in one run.

Usage: cargo run --release --manifest-path benches/Cargo.toml -- [check] [WORK] [OPTIONS]

check       measure only what Vaivén requires of itself, say pass or MISS for each
            requirement, and fail where one is missed

Work:
  echo      messages in flight on connections
  deflate   the same with permessage-deflate
  fanout    a room, one publisher
  accept    connect, upgrade, close
  idle      memory of open connections
  socketio  the same for servers of Socket.IO: rooms, acknowledgements, opening, memory;
            also one by one, as socketio-room, -acks, -open and -idle
  all       everything, the default

Options:
  --peers LIST     only these, as in \"vaiven,sockudo*\", where * is any rest; raw is always with them
  --cells FILTER   only cells whose name contains this, as in \"N 200, P 16\"
  --runs N         rounds for each cell [default: 5, for a check 9 short ones]
  --quick          a short look: few cells, short spans, two rounds
  --write          write docs/performance.md even though the run was restricted by the above
  --help           this text
";

/// How much of the matrix to run, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Complete,
    Quick,
    /// What is required, in many short rounds: noise comes and goes within seconds.
    Check,
}

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    works: Vec<Work>,
    peers: Option<Vec<String>>,
    cells: Option<String>,
    runs: Option<usize>,
    scope: Scope,
    write: bool,
    pub(crate) help: bool,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            works: Vec::new(),
            peers: None,
            cells: None,
            runs: None,
            scope: Scope::Complete,
            write: false,
            help: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--peers" => options.peers = Some(value()?.split(',').map(str::to_owned).collect()),
                "--cells" => options.cells = Some(value()?),
                "--runs" => options.runs = Some(value()?.parse()?),
                "--quick" => options.scope = Scope::Quick,
                "--write" => options.write = true,
                "--help" | "-h" => options.help = true,
                "check" => options.scope = Scope::Check,
                "all" => options.works.extend(Work::all()),
                "socketio" => options.works.extend(Work::SOCKETIO),
                name => match Work::all().find(|work| work.name() == name) {
                    Some(work) => options.works.push(work),
                    None => return Err(format!("unknown argument {name}; see --help").into()),
                },
            }
        }
        if options.works.is_empty() {
            options.works.extend(Work::all());
        }
        if options.runs == Some(0) {
            return Err("--runs needs at least 1".into());
        }
        if options.all_peers().all(Peer::is_raw) {
            return Err("--peers names no peer".into());
        }
        Ok(options)
    }

    pub(crate) fn works(&self) -> &[Work] {
        &self.works
    }

    fn all_peers(&self) -> impl Iterator<Item = &'static Peer> {
        PEERS.iter().filter(|peer| {
            let is_named = |name: &String| match name.strip_suffix('*') {
                Some(start) => peer.name.starts_with(start),
                None => peer.name == name,
            };
            let chosen = |names: &Vec<String>| names.iter().any(is_named);
            peer.is_raw() || self.peers.as_ref().is_none_or(chosen)
        })
    }

    /// The chosen peers that can do any of the chosen work.
    pub(crate) fn peers(&self) -> Vec<&'static Peer> {
        self.all_peers().filter(|peer| self.works.iter().any(|work| peer.does(*work))).collect()
    }

    /// The chosen cells of a kind of work.
    pub(crate) fn cells(&self, work: Work) -> Vec<Cell> {
        let named = |cell: &Cell| self.cells.as_ref().is_none_or(|filter| cell.name().contains(filter));
        let in_scope = |cell: &Cell| match self.scope {
            Scope::Complete => true,
            Scope::Quick => cell.is_quick(),
            Scope::Check => PEERS.iter().any(|peer| requirement::needs(cell, peer)),
        };
        work.cells().into_iter().filter(|cell| named(cell) && in_scope(cell)).collect()
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.unwrap_or(match self.scope {
            Scope::Complete => 5,
            Scope::Quick => 2,
            Scope::Check => 9,
        })
    }

    pub(crate) fn span(&self) -> Span {
        let [warm_up, measured] = if self.scope == Scope::Complete { [300, 1000] } else { [100, 300] };
        Span { warm_up: Duration::from_millis(warm_up), measured: Duration::from_millis(measured) }
    }

    /// Whether only what is required is measured, and all of it must be met.
    pub(crate) fn checks(&self) -> bool {
        self.scope == Scope::Check
    }

    /// Whether the document is to have the result: always after a complete run.
    pub(crate) fn writes(&self) -> bool {
        let restricted = self.peers.is_some() || self.cells.is_some() || self.runs.is_some();
        self.write || (self.scope == Scope::Complete && !restricted)
    }
}
