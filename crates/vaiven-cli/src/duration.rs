//! Spans of time on the command line: `500ms`, `2.5s`, `3m`, `1h`; a bare number means seconds.

use std::time::Duration;

/// Longer makes no sense to wait for, and all sums with it stay within the clock.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// Reads a span of time above zero.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let (number, unit) = text.split_at(digits.len());
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("the unit is none of ms, s, m, h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "write a number and a unit, as 500ms or 2.5s".to_owned())?;
    let span = Duration::try_from_secs_f64(number * seconds).map_err(|_| "it is out of range".to_owned())?;
    if span.is_zero() || span > LONGEST {
        return Err("it must be above zero, and a year at most".to_owned());
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text).ok(), expected.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn spans_have_a_unit_or_are_seconds() {
        check("500ms", Some(500));
        check("2.5s", Some(2500));
        check("2", Some(2000));
        check("3m", Some(180_000));
        check("1h", Some(3_600_000));
        for bad in ["", "s", "5x", "-1s", "0", "0ms", "1e30", "nan", "inf", "9000h", "5 s"] {
            check(bad, None);
        }
    }
}
