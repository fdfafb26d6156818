//! Measures Vaivén against its peers and against the raw limit of TCP.
//!
//! For each cell of a matrix the servers take turns, several rounds, each time in a fresh process on
//! a core of its own; the load comes from this process on another core. What is measured is the
//! server's CPU time, and it is compared with what plain TCP needs for the same bytes in the same
//! round, so that a noisy machine disturbs both.
//!
//! In the order that data flows: [`options`] chooses [`cell`]s and [`peer`]s; a cell's [`payload`]
//! becomes frames in [`wire`]; [`echo`], [`fanout`], [`accept`] and [`idle`] drive a server through
//! [`client`] and [`poller`], and [`socketio`] one of Socket.IO, while [`meter`] reads [`cpu`]; [`table`] and [`document`] show the result, and
//! [`requirement`] judges it.

mod accept;
mod cell;
mod client;
mod cpu;
mod document;
mod echo;
mod fanout;
mod idle;
mod meter;
mod options;
mod payload;
mod peer;
mod poller;
mod requirement;
mod socketio;
mod table;
mod wire;

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cell::{Cell, Work};
use crate::client::Target;
use crate::meter::{Meter, Span};
use crate::options::{HELP, Options};
use crate::peer::{BECOME_SERVER, Package, Peer, Server, become_server};
use crate::table::{Column, Row};
use crate::wire::Exchange;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == BECOME_SERVER).is_some() {
        return become_server(arguments);
    }
    let options = Options::parse(arguments)?;
    if options.help {
        print!("{HELP}");
        return Ok(());
    }
    if cfg!(debug_assertions) {
        return Err("run with --release: the load generator must be cheap".into());
    }
    if options.writes() {
        options.works().iter().try_for_each(|work| document::check(*work))?;
    }
    let peers = options.peers();
    for package in Package::ALL {
        if peers.iter().any(|peer| peer.package == package) {
            package.build()?;
        }
    }
    allow_many_files()?;
    cpu::pin(cpu::LOAD_CORE)?;
    let mut verdicts = Vec::new();
    for work in options.works() {
        let rows = measure_work(*work, &options, &peers);
        verdicts.extend(requirement::judge(&rows));
        if options.writes() && !rows.is_empty() {
            document::write(*work, options.runs(), &rows)?;
        }
    }
    for verdict in &verdicts {
        println!("{}", verdict.line);
    }
    let missed = verdicts.iter().filter(|verdict| !verdict.is_met).count();
    match (options.checks(), verdicts.len(), missed) {
        (true, 0, _) => Err("nothing that is required was measured".into()),
        (true, all, 1..) => Err(format!("{missed} of {all} requirements are missed").into()),
        _ => Ok(()),
    }
}

/// Raises the soft limit of open files to the hard one, for us and for the servers.
fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

fn measure_work(work: Work, options: &Options, peers: &[&'static Peer]) -> Vec<Row> {
    let cells = options.cells(work);
    if !cells.is_empty() {
        println!("{}: {}\n", work.name(), work.unit());
    }
    let mut rows = Vec::new();
    for cell in cells {
        let row = measure_cell(cell, options, peers);
        println!("{}", row.to_text());
        rows.push(row);
    }
    rows
}

/// All peers in turn, and that several times.
fn measure_cell(cell: Cell, options: &Options, peers: &[&'static Peer]) -> Row {
    let wanted = |peer: &Peer| !options.checks() || requirement::needs(&cell, peer);
    let able = peers.iter().filter(|peer| peer.does(cell.work) && wanted(peer));
    let mut row = Row { cell, columns: able.map(|peer| Column { peer, rounds: Vec::new() }).collect() };
    for _ in 0..options.runs() {
        for column in &mut row.columns {
            let cost = measure(&cell, column.peer, options.span()).inspect_err(|error| {
                eprintln!("bench: {}, {}: {error}", column.peer.name, cell.name());
            });
            column.rounds.push(cost.ok());
        }
    }
    row
}

/// One peer, once, in a process of its own.
fn measure(cell: &Cell, peer: &Peer, span: Span) -> Result<f64> {
    let (opcode, payload) = (cell.payload.opcode(), cell.payload.bytes());
    let mut exchange = match cell.work {
        Work::Deflate => Exchange::deflated(opcode, &payload)?,
        _ => Exchange::plain(opcode, &payload),
    };
    if peer.is_raw() {
        exchange = exchange.to_raw();
    }
    let request_bytes =
        if cell.work == Work::Accept { wire::close_frame().len() } else { exchange.request.len() };
    let server = Server::start(peer, cell, request_bytes)?;
    let target = Target { address: server.address, path: peer.path(cell.work), deflate: cell.deflate };
    let (connections, in_flight) = (cell.connections, cell.in_flight);
    let start = || Meter::start(server.pid(), span);
    match cell.work {
        Work::Echo | Work::Deflate => echo::run(&target, &exchange, connections, in_flight, start),
        Work::Fanout => fanout::run(&target, &exchange, connections, in_flight, start),
        Work::Accept => accept::run(&target, connections, start),
        Work::Idle => idle::run(&target, &exchange, connections, server.pid()),
        Work::SocketIoRoom => socketio::room(&target, &payload, connections, in_flight, start),
        Work::SocketIoAcks => socketio::acks(&target, connections, in_flight, start),
        Work::SocketIoOpen => socketio::open(&target, connections, start),
        Work::SocketIoIdle => socketio::idle(&target, connections, server.pid()),
    }
}
