//! Two connections that talk over a link, operations, drops and the link's behaviour all as the bytes say.

use crate::deflate_params;
use arbitrary::{Arbitrary, Result, Unstructured};
use std::io::ErrorKind;
use std::time::Duration;
use testkit::{Ending, LinkConfig, Pair, Script, converse};
use tokio::runtime::Builder;
use vaiven::{Deflate, DeflateConfig};

/// Lets a client and a server talk.
pub fn operations(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok((pair, messages)) = pair(&mut u) else { return };
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(converse(&pair, Script::bytes(u.take_rest()), messages));
}

fn pair(u: &mut Unstructured<'_>) -> Result<(Pair, usize)> {
    let mut pair = Pair::default();
    let max_transfer = [1, 2, 7, 60, 1_000, 40_000, usize::MAX][usize::from(u8::arbitrary(u)? % 7)];
    pair.link = LinkConfig {
        capacity: usize::from(u8::arbitrary(u)?).pow(2) + 16,
        max_transfer,
        hesitation: u8::arbitrary(u)? / 2,
        hesitation_time: Duration::from_millis(u64::from(u8::arbitrary(u)? % 8)),
        latency: Duration::from_millis(u64::from(u8::arbitrary(u)? % 4)),
        client_to_server: ending(u)?,
        server_to_client: ending(u)?,
    };
    if bool::arbitrary(u)? {
        let mut config = DeflateConfig::server();
        config.min_bytes = usize::from(u8::arbitrary(u)?);
        pair.deflate = Some(Deflate { params: deflate_params(u)?, config });
    }
    for config in [&mut pair.client, &mut pair.server] {
        config.outbox_bytes = 1 + usize::from(u16::arbitrary(u)?) / 8;
        config.max_frame_bytes = bool::arbitrary(u)?.then_some(1 + usize::from(u16::arbitrary(u)?) / 32);
        // The slowest links take long for what may wait before the Close frame.
        config.close_timeout = Duration::from_mins(5);
        config.write_timeout = Duration::from_mins(5);
        config.limits.max_idle_frames = 10_000;
        // Frames of one byte are what the other side asked for.
        config.limits.max_fragments = u32::MAX;
    }
    let messages = if max_transfer < 60 || pair.link.capacity < 1_000 { 4 } else { 12 };
    Ok((pair, messages))
}

fn ending(u: &mut Unstructured<'_>) -> Result<Option<(u64, Ending)>> {
    let at = u64::from(u16::arbitrary(u)?);
    Ok(match u8::arbitrary(u)? {
        0..=9 => Some((at, Ending::Eof)),
        10..=19 => Some((at, Ending::Error(ErrorKind::ConnectionReset))),
        20..=29 => Some((at, Ending::Stall)),
        _ => None,
    })
}
