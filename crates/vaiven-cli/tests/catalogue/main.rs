//! The catalogue of hostile, broken and unlucky cases, played against the real server and the real client over
//! sockets. The rows are in `conformance/catalogue`.

mod client;
mod cut;
mod heads;
mod peer;
mod play;
mod row;
mod script;
mod server;
mod splits;
mod tls;
mod token;
mod wire;

use play::Play;
use row::{Role, Row, catalogue};
use script::Side;
use server::{Servers, Unsupported};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Rows that are played at the same time: most of them wait.
const PLAYERS: usize = 48;

/// Rows may be chosen: `CATALOGUE_ROWS=F17,H3` plays those alone.
fn chosen() -> Vec<Row> {
    let wanted = std::env::var("CATALOGUE_ROWS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|id| !id.is_empty()).collect();
    let mut rows = catalogue();
    rows.retain(|row| wanted.is_empty() || wanted.contains(&&*row.id));
    // The long ones first, so that the last one to end is not one that began late.
    rows.sort_by_key(|row| !row.is_slow());
    rows
}

/// Sides may be chosen: `CATALOGUE_ROLE=server` plays against servers alone.
fn is_chosen(side: Side) -> bool {
    let wanted = std::env::var("CATALOGUE_ROLE").unwrap_or_default();
    match side {
        Side::Client => wanted != "client",
        Side::Server => wanted != "server",
    }
}

fn sides(role: Role) -> &'static [Side] {
    match role {
        Role::Server => &[Side::Client],
        Role::Client => &[Side::Server],
        Role::Both => &[Side::Client, Side::Server],
        Role::Javascript if client::is_other() => &[Side::Server],
        Role::Javascript => &[],
    }
}

/// One play of a row, against one of the roles.
struct Job<'a> {
    row: &'a Row,
    side: Side,
    text: String,
}

impl<'a> Job<'a> {
    fn all(rows: &'a [Row]) -> Vec<Self> {
        let of = |row: &'a Row| {
            let plays = sides(row.role)
                .iter()
                .filter(|&&side| is_chosen(side) && !row.play.is_empty())
                .flat_map(move |&side| row.plays().into_iter().map(move |text| (side, text)));
            plays.map(move |(side, text)| Self { row, side, text })
        };
        rows.iter().flat_map(of).collect()
    }

    /// Plays it. Gives what went wrong.
    fn run(&self, servers: &Servers) -> Option<String> {
        let Self { row, side, text } = self;
        if *side == Side::Server && client::is_other() && !row.not_javascript.is_empty() {
            eprintln!("{} has another outcome by {}", row.id, row.not_javascript);
            return None;
        }
        if *side == Side::Server && client::lacks(&row.client) {
            eprintln!("{} is left out: the client lacks {:?}", row.id, row.client);
            return None;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if row.cut.is_some() {
                return cut::play(row, text, *side, servers);
            }
            let steps = script::parse(text, *side);
            let mut play = match side {
                Side::Client => Play::against_server(row, servers),
                Side::Server => Play::against_client(&row.client),
            };
            play.run(&steps).and_then(|()| play.panic().map_or(Ok(()), Err))
        }));
        let error = match outcome {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error,
            Err(panic) if panic.is::<Unsupported>() => {
                eprintln!("{} is left out: the server lacks {:?}", row.id, row.flags);
                return None;
            }
            Err(panic) => {
                panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "the runner panicked".to_owned())
            }
        };
        let tested = if *side == Side::Client { "server" } else { "client" };
        let shown = text.trim().replace('\n', " | ");
        Some(format!("{} ({tested}) {}\n    {error}\n    in {shown}", row.id, row.says))
    }
}

#[test]
fn every_case_ends_as_the_catalogue_says() {
    let rows = chosen();
    let jobs = Job::all(&rows);
    let servers = Servers::default();
    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..PLAYERS.min(jobs.len()) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failed = job.run(&servers);
                    failures.lock().unwrap_or_else(PoisonError::into_inner).extend(failed);
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.extend(servers.panics());
    failures.sort();
    assert!(failures.is_empty(), "{} failures:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn no_case_of_the_catalogue_is_missing() {
    let ids = row::ids(&catalogue());
    let wanted = [('H', 35), ('K', 18), ('F', 27), ('M', 12), ('Z', 8), ('C', 9)];
    let wanted =
        wanted.iter().flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number}")));
    let wanted = wanted.chain(["Z2b".to_owned()]);
    let missing: Vec<String> = wanted.filter(|id| !ids.contains_key(id)).collect();
    assert!(missing.is_empty(), "not in the catalogue: {missing:?}");
}

#[test]
fn every_row_can_be_read_and_either_runs_or_says_where_it_is_tested() {
    for row in catalogue() {
        assert!(!row.says.is_empty() && row.rfc.contains(' '), "{row:?}");
        assert_eq!(row.play.is_empty(), !row.elsewhere.is_empty(), "{row:?}");
        let sides = if row.role == Role::Javascript { &[Side::Server] } else { sides(row.role) };
        for side in sides {
            for play in row.plays() {
                script::parse(&play, *side);
            }
        }
    }
}
