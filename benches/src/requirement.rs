//! What Vaivén requires of itself, as a table, and whether a run shows it: rows of measurements become
//! one line for each requirement.

use crate::cell::{Cell, Work};
use crate::peer::Peer;
use crate::table::{Row, Spread, number};

/// How far above another crate a figure may be before it is behind: a difference below it is not seen
/// in as many rounds as a check has.
const TIE: f64 = 1.02;

/// A limit for one of our servers in one cell.
#[derive(Debug)]
pub(crate) struct Requirement {
    work: Work,
    /// The cell's name, as tables have it.
    cell: &'static str,
    peer: &'static str,
    yardstick: Yardstick,
    at_most: f64,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Yardstick {
    /// The raw limit of TCP in the same round.
    Raw,
    /// Each other crate in the same round.
    EveryCrate,
    /// Nothing: the figure itself.
    Nothing,
}

const fn raw(work: Work, cell: &'static str, peer: &'static str, at_most: f64) -> Requirement {
    Requirement { work, cell, peer, yardstick: Yardstick::Raw, at_most }
}

const fn best(work: Work, cell: &'static str) -> Requirement {
    Requirement { work, cell, peer: "vaiven", yardstick: Yardstick::EveryCrate, at_most: TIE }
}

const fn idle(work: Work, peer: &'static str, at_most: f64) -> Requirement {
    Requirement { work, cell: "N 10000", peer, yardstick: Yardstick::Nothing, at_most }
}

const fn below_others(work: Work, cell: &'static str) -> Requirement {
    Requirement { work, cell, peer: "vaiven-socketio", yardstick: Yardstick::EveryCrate, at_most: 1.0 }
}

static REQUIREMENTS: &[Requirement] = &[
    raw(Work::Echo, "20 B, N 200, P 1", "vaiven", 1.10),
    best(Work::Echo, "20 B, N 200, P 1"),
    best(Work::Echo, "1 KiB, N 200, P 1"),
    best(Work::Echo, "1 KiB text, N 200, P 1"),
    best(Work::Echo, "16 KiB, N 200, P 1"),
    raw(Work::Echo, "256 KiB, N 200, P 1", "vaiven", 1.30),
    best(Work::Echo, "1 MiB, N 200, P 1"),
    raw(Work::Echo, "20 B, N 200, P 16", "vaiven", 1.25),
    raw(Work::Echo, "1 KiB, N 200, P 16", "vaiven", 1.25),
    best(Work::Echo, "1 KiB text, N 200, P 16"),
    raw(Work::Echo, "16 KiB, N 200, P 16", "vaiven", 1.30),
    best(Work::Deflate, "1 KiB JSON, N 50, P 1"),
    best(Work::Deflate, "1 KiB JSON, N 50, P 16"),
    best(Work::Deflate, "1 KiB JSON, takeover, N 50, P 1"),
    best(Work::Deflate, "1 KiB JSON, takeover, N 50, P 16"),
    raw(Work::Fanout, "64 B, N 1000, w 1", "vaiven-serve", 1.15),
    raw(Work::Fanout, "64 B, N 1000, w 16", "vaiven-serve", 1.15),
    raw(Work::Fanout, "1 KiB, N 1000, w 1", "vaiven-serve", 1.15),
    raw(Work::Fanout, "1 KiB, N 1000, w 16", "vaiven-serve", 1.15),
    best(Work::Accept, "32 at a time"),
    idle(Work::Idle, "vaiven", 2.0),
    idle(Work::Idle, "vaiven-serve", 2.0),
    below_others(Work::SocketIoRoom, "64 B text, N 1000, w 1"),
    below_others(Work::SocketIoRoom, "64 B text, N 1000, w 16"),
    below_others(Work::SocketIoAcks, "N 200, P 1"),
    below_others(Work::SocketIoAcks, "N 200, P 16"),
    below_others(Work::SocketIoOpen, "32 at a time"),
    below_others(Work::SocketIoIdle, "N 10000"),
    idle(Work::SocketIoIdle, "vaiven-socketio", 4.0),
];

/// A requirement that a run has looked at.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// For the terminal.
    pub(crate) line: String,
    pub(crate) is_met: bool,
}

impl Requirement {
    fn is_about(&self, cell: &Cell) -> bool {
        self.work == cell.work && self.cell == cell.name()
    }

    fn needs(&self, peer: &Peer) -> bool {
        match self.yardstick {
            _ if peer.name == self.peer => true,
            Yardstick::Raw => peer.is_raw(),
            Yardstick::EveryCrate => !peer.is_ours(),
            Yardstick::Nothing => false,
        }
    }

    /// Whether a row has what the requirement compares, with figures or failed.
    fn is_looked_at(&self, row: &Row) -> bool {
        let has = |wanted: fn(&Peer) -> bool| row.columns.iter().any(|column| wanted(column.peer));
        self.is_about(&row.cell)
            && row.columns.iter().any(|column| column.peer.name == self.peer)
            && (self.yardstick != Yardstick::EveryCrate || has(|peer| !peer.is_ours() && !peer.is_raw()))
    }

    /// The figure, and the name of what it is a multiple of: of several, the one that did best against it.
    fn figure(&self, row: &Row) -> Option<(Spread, &'static str)> {
        let column = row.columns.iter().find(|column| column.peer.name == self.peer)?;
        match self.yardstick {
            Yardstick::Raw => Some((row.ratio(column)?, "raw")),
            Yardstick::Nothing => Some((column.cost()?, "KiB")),
            Yardstick::EveryCrate => {
                let others = row.columns.iter().filter(|other| !other.peer.is_ours() && !other.peer.is_raw());
                let ratios = others.filter_map(|other| Some((column.ratio(other)?, other.peer.name)));
                ratios.max_by(|(one, _), (other, _)| one.median.total_cmp(&other.median))
            }
        }
    }

    /// What a row shows. A measurement that failed shows nothing, and the requirement is missed.
    fn judge(&self, row: &Row) -> Verdict {
        let Self { peer, at_most, .. } = self;
        let subject = format!("{}, {}: {peer}", self.work.name(), self.cell);
        let Some((figure, unit)) = self.figure(row) else {
            return Verdict { line: format!("MISS  {subject} was not measured"), is_met: false };
        };
        let is_met = figure.median <= *at_most;
        let verdict = if is_met { "pass" } else { "MISS" };
        let [median, min, max] = [figure.median, figure.min, figure.max].map(number);
        let times = if self.yardstick == Yardstick::Nothing { "" } else { "x " };
        let line =
            format!("{verdict}  {subject} {median} {times}{unit} ({min} - {max}), at most {at_most:.2}");
        Verdict { line, is_met }
    }
}

/// Whether any requirement is about this cell and needs this peer in it.
pub(crate) fn needs(cell: &Cell, peer: &Peer) -> bool {
    REQUIREMENTS.iter().any(|requirement| requirement.is_about(cell) && requirement.needs(peer))
}

/// What measured rows show, for the requirements that are about them.
pub(crate) fn judge(rows: &[Row]) -> Vec<Verdict> {
    let about = |row| REQUIREMENTS.iter().filter(move |requirement| requirement.is_looked_at(row));
    rows.iter().flat_map(|row| about(row).map(|requirement| requirement.judge(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::PEERS;
    use crate::table::Column;

    /// A row in which the peers of these names cost so much in each round.
    fn row(work: Work, cell: &str, costs: &[(&str, [f64; 3])]) -> Row {
        let cell = work.cells().into_iter().find(|other| other.name() == cell).expect("a cell of that name");
        let columns = costs.iter().map(|(name, rounds)| Column {
            peer: PEERS.iter().find(|peer| peer.name == *name).expect("a peer of that name"),
            rounds: rounds.iter().map(|cost| (*cost > 0.0).then_some(*cost)).collect(),
        });
        Row { cell, columns: columns.collect() }
    }

    #[track_caller]
    fn check(row: Row, expected: &[&str]) {
        let lines: Vec<String> = judge(&[row]).into_iter().map(|verdict| verdict.line).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn every_requirement_is_about_a_cell_and_a_peer_that_does_its_work() {
        for Requirement { work, cell, peer, .. } in REQUIREMENTS {
            assert!(work.cells().iter().any(|other| other.name() == *cell), "{cell}");
            assert!(PEERS.iter().any(|other| other.name == *peer && other.does(*work)), "{peer}, {cell}");
        }
    }

    #[test]
    fn a_figure_at_its_limit_passes_and_one_above_it_is_missed() {
        let cell = "20 B, N 200, P 16";
        check(
            row(Work::Echo, cell, &[("raw", [1.0; 3]), ("vaiven", [1.25, 1.1, 1.3])]),
            &["pass  echo, 20 B, N 200, P 16: vaiven 1.25 x raw (1.10 - 1.30), at most 1.25"],
        );
        check(
            row(Work::Echo, cell, &[("raw", [1.0; 3]), ("vaiven", [1.26, 1.1, 1.3])]),
            &["MISS  echo, 20 B, N 200, P 16: vaiven 1.26 x raw (1.10 - 1.30), at most 1.25"],
        );
    }

    #[test]
    fn of_the_other_crates_the_best_one_counts() {
        let costs = [("raw", [1.0; 3]), ("yawc", [10.0; 3]), ("sockudo", [5.0; 3]), ("vaiven", [6.0; 3])];
        check(
            row(Work::Deflate, "1 KiB JSON, N 50, P 1", &costs),
            &["MISS  deflate, 1 KiB JSON, N 50, P 1: vaiven 1.20 x sockudo (1.20 - 1.20), at most 1.02"],
        );
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        check(
            row(Work::Idle, "N 10000", &[("raw", [1.0; 3]), ("vaiven", [0.0; 3])]),
            &["MISS  idle, N 10000: vaiven was not measured"],
        );
    }
}
