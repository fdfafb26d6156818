//! Echo: a number of messages in flight on each connection. Whenever a read completes some, as many
//! new ones go out with one write.

use std::net::TcpStream;

use crate::Result;
use crate::client::{Stock, Target, receive};
use crate::meter::Meter;
use crate::poller::Poller;
use crate::wire::{AnswerReader, Exchange};

struct Connection {
    stream: TcpStream,
    reader: AnswerReader,
    /// Bytes of requests that the socket has not taken yet.
    owed: usize,
}

/// Runs until the meter has seen enough; the server's CPU microseconds per message.
pub(crate) fn run(
    target: &Target,
    exchange: &Exchange,
    connections: usize,
    in_flight: usize,
    start: impl FnOnce() -> Meter,
) -> Result<f64> {
    let stock = Stock::new(&exchange.request, in_flight);
    let mut poller = Poller::new()?;
    let mut open = Vec::with_capacity(connections);
    for token in 0..connections {
        let stream = target.open()?;
        stream.set_nonblocking(true)?;
        poller.add(&stream, token)?;
        // The first round of each connection is compared byte by byte.
        open.push(Connection { stream, reader: AnswerReader::new(in_flight), owed: 0 });
    }
    for connection in &mut open {
        connection.owed = in_flight * stock.frame_len();
        stock.send(&connection.stream, &mut connection.owed)?;
    }
    let mut buffer = vec![0; 256 << 10];
    let mut meter = start();
    loop {
        let mut done = 0;
        for token in poller.wait()? {
            let Connection { stream, reader, owed } = &mut open[token];
            receive(stream, &mut buffer, |bytes| {
                let finished = reader.read(&exchange.answer, bytes)?;
                done += finished;
                *owed += finished * stock.frame_len();
                Ok(stock.send(stream, owed)?)
            })?;
            stock.send(stream, owed)?;
        }
        if let Some(cost) = meter.count(done)? {
            return Ok(cost);
        }
    }
}
