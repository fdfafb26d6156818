//! The swell, which moves everything to and fro: a tick -> a push.
//!
//! Sine and cosine differ between machines in their last digits; parabolas do not, and nobody sees the difference.

use crate::Vector;

/// Ticks from crest to crest: 6 s.
const PERIOD: u32 = 180;
/// Ticks in which its direction turns once: 90 s.
const TURN: u32 = 2_700;
/// The push at its strongest, in units per tick and tick.
const STRENGTH: f32 = 0.16;

/// The push of the swell at a tick.
pub(crate) fn push(tick: u32) -> Vector {
    let direction = Vector::new(wave(tick.wrapping_add(TURN / 4), TURN), wave(tick, TURN));
    direction * (wave(tick, PERIOD) * STRENGTH)
}

/// A wave between -1 and 1 that begins anew after `period` ticks, and rises from 0.
fn wave(tick: u32, period: u32) -> f32 {
    let part = u16::try_from(tick % period).expect("periods are short");
    let length = f32::from(u16::try_from(period).expect("periods are short"));
    let phase = f32::from(part) / length * 2.0;
    if phase < 1.0 { 4.0 * phase * (1.0 - phase) } else { -4.0 * (phase - 1.0) * (2.0 - phase) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_as_far_to_as_fro() {
        let there: Vec<f32> = (0..PERIOD).map(|tick| wave(tick, PERIOD)).collect();
        let sum: f32 = there.iter().sum();
        assert!(sum.abs() < 0.01, "{sum}");
        assert!(there.iter().all(|value| (-1.0..=1.0).contains(value)));
        assert!(there.iter().any(|value| *value > 0.99) && there.iter().any(|value| *value < -0.99));
    }

    #[test]
    fn it_begins_anew_at_the_end_of_time() {
        assert!(push(u32::MAX).length() <= STRENGTH * 1.5);
    }
}
