//! Turns measurements into medians, spreads and ratios, and these into lines of text.

use crate::cell::Cell;
use crate::peer::Peer;

/// What was measured for one cell.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) cell: Cell,
    /// The yardstick comes first: the raw limit, or for Socket.IO the official server.
    pub(crate) columns: Vec<Column>,
}

/// What one peer did in a cell.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) peer: &'static Peer,
    /// One value per round; none where the measurement failed.
    pub(crate) rounds: Vec<Option<f64>>,
}

impl Column {
    /// The peer's cost over all rounds.
    pub(crate) fn cost(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().flatten().copied())
    }

    /// The peer's cost over that of another in the same round.
    pub(crate) fn ratio(&self, other: &Self) -> Option<Spread> {
        let rounds = self.rounds.iter().zip(&other.rounds);
        Spread::of(rounds.filter_map(|(cost, other)| Some((*cost)? / (*other)?)))
    }
}

/// The middle and the ends of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None of no values.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let lower = sorted[(sorted.len() - 1) / 2];
        Some(Self { median: f64::midpoint(lower, sorted[middle]), min, max })
    }
}

impl Row {
    /// What the others are multiples of.
    pub(crate) fn yardstick(&self) -> &'static str {
        self.columns.first().map_or("nothing", |column| column.peer.name)
    }

    /// The peer's cost over that of the yardstick in the same round.
    pub(crate) fn ratio(&self, column: &Column) -> Option<Spread> {
        column.ratio(self.columns.first()?)
    }

    /// Whether it is one of ours, and another's crate did better.
    pub(crate) fn is_behind(&self, column: &Column) -> bool {
        let others = self.columns.iter().filter(|other| !other.peer.is_ours() && !other.peer.is_raw());
        let best = others.filter_map(Column::cost).map(|cost| cost.median).reduce(f64::min);
        match (column.cost(), best) {
            (Some(cost), Some(best)) => column.peer.is_ours() && cost.median > best,
            _ => false,
        }
    }

    /// Lines for the terminal.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!(
            "{:<34} {:>8}  {:<17} {:>6}  {}\n",
            self.cell.name(),
            "median",
            "min - max",
            format!("x {}", self.yardstick()),
            "min - max"
        );
        for column in &self.columns {
            let name = column.peer.name;
            let line = match (column.cost(), self.ratio(column)) {
                (Some(cost), Some(ratio)) => format!(
                    "  {name:<32} {:>8}  {:<17} {:>6.2}  {:.2} - {:.2}{}\n",
                    number(cost.median),
                    format!("{} - {}", number(cost.min), number(cost.max)),
                    ratio.median,
                    ratio.min,
                    ratio.max,
                    if self.is_behind(column) { "  behind" } else { "" },
                ),
                _ => format!("  {name:<32} {:>8}\n", "failed"),
            };
            text.push_str(&line);
        }
        text
    }
}

/// A cost with three digits or so.
pub(crate) fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_takes_the_middle_of_odd_and_even_counts() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
    }
}
