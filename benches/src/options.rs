//! The command line.

use std::time::Duration;

use crate::Result;
use crate::cell::{Cell, Work};
use crate::meter::Span;
use crate::peer::{PEERS, Peer};

pub(crate) const HELP: &str = "\
Measures Vaivén against its peers and against the raw limit of TCP, in one run.

Usage: cargo run --release --manifest-path benches/Cargo.toml -- [WORK] [OPTIONS]

Work:
  echo      messages in flight on connections
  deflate   the same with permessage-deflate
  fanout    a room, one publisher
  accept    connect, upgrade, close
  idle      memory of open connections
  all       everything, the default

Options:
  --peers LIST     only these, as in \"vaiven,sockudo*\", where * is any rest; raw is always with them
  --cells FILTER   only cells whose name contains this, as in \"N 200, P 16\"
  --runs N         rounds for each cell [default: 5]
  --quick          a short look: few cells, short spans, two rounds
  --write          write docs/performance.md even though the run was restricted by the above
  --help           this text
";

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    works: Vec<Work>,
    peers: Option<Vec<String>>,
    cells: Option<String>,
    runs: Option<usize>,
    quick: bool,
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
            quick: false,
            write: false,
            help: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--peers" => options.peers = Some(value()?.split(',').map(str::to_owned).collect()),
                "--cells" => options.cells = Some(value()?),
                "--runs" => options.runs = Some(value()?.parse()?),
                "--quick" => options.quick = true,
                "--write" => options.write = true,
                "--help" | "-h" => options.help = true,
                "all" => options.works.extend(Work::ALL),
                name => match Work::ALL.into_iter().find(|work| work.name() == name) {
                    Some(work) => options.works.push(work),
                    None => return Err(format!("unknown argument {name}; see --help").into()),
                },
            }
        }
        if options.works.is_empty() {
            options.works.extend(Work::ALL);
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
        let chosen = |cell: &Cell| self.cells.as_ref().is_none_or(|filter| cell.name().contains(filter));
        work.cells().into_iter().filter(|cell| chosen(cell) && (!self.quick || cell.is_quick())).collect()
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.unwrap_or(if self.quick { 2 } else { 5 })
    }

    pub(crate) fn span(&self) -> Span {
        let [warm_up, measured] = if self.quick { [100, 300] } else { [300, 1000] };
        Span { warm_up: Duration::from_millis(warm_up), measured: Duration::from_millis(measured) }
    }

    /// Whether the document is to have the result: always after a complete run.
    pub(crate) fn writes(&self) -> bool {
        let restricted = self.peers.is_some() || self.cells.is_some() || self.runs.is_some() || self.quick;
        self.write || !restricted
    }
}
