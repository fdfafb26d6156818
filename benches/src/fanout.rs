//! Fan-out: the first member of a room publishes, all members receive. A number of broadcasts is in
//! flight; whenever some have reached everybody, as many new ones go out with one write.

use std::time::Duration;

use crate::Result;
use crate::client::{Stock, Target, receive};
use crate::meter::Meter;
use crate::poller::Poller;
use crate::wire::{AnswerReader, Exchange};

/// Runs until the meter has seen enough; the server's CPU microseconds per delivery.
pub(crate) fn run(
    target: &Target,
    exchange: &Exchange,
    members: usize,
    in_flight: usize,
    start: impl FnOnce() -> Meter,
) -> Result<f64> {
    let stock = Stock::new(&exchange.request, in_flight);
    let mut poller = Poller::new()?;
    let mut room = Vec::with_capacity(members);
    for token in 0..members {
        let stream = target.open()?;
        stream.set_nonblocking(true)?;
        poller.add(&stream, token)?;
        room.push((stream, AnswerReader::new(in_flight), 0));
    }
    // A server may answer the handshake a moment before it has put the member into the room.
    std::thread::sleep(Duration::from_millis(50));

    let mut owed = in_flight * stock.frame_len();
    stock.send(&room[0].0, &mut owed)?;
    // Members that have received the broadcast in each place of the window.
    let mut reached = vec![0; in_flight];
    let mut buffer = vec![0; 64 << 10];
    let mut meter = start();
    loop {
        let mut deliveries = 0;
        for token in poller.wait()? {
            let (stream, reader, received) = &mut room[token];
            receive(stream, &mut buffer, |bytes| {
                for _ in 0..reader.read(&exchange.answer, bytes)? {
                    deliveries += 1;
                    reached[*received % in_flight] += 1;
                    *received += 1;
                }
                Ok(())
            })?;
        }
        for reached in reached.iter_mut().filter(|reached| **reached == members) {
            *reached = 0;
            owed += stock.frame_len();
        }
        stock.send(&room[0].0, &mut owed)?;
        if let Some(cost) = meter.count(deliveries)? {
            return Ok(cost);
        }
    }
}
