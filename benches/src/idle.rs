//! Idle connections: what a server keeps for each once it has had one message and waits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::client::Target;
use crate::wire::{AnswerReader, Exchange};
use crate::{Result, cpu};

/// KiB of the server's private memory per connection, beyond what the first one took.
pub(crate) fn run(target: &Target, exchange: &Exchange, connections: usize, pid: u32) -> Result<f64> {
    let mut open = vec![talk_once(target, exchange)?];
    let before = settled_bytes(pid)?;
    for _ in 0..connections {
        open.push(talk_once(target, exchange)?);
    }
    let after = settled_bytes(pid)?;
    Ok(after.saturating_sub(before) as f64 / 1024.0 / connections as f64)
}

fn talk_once(target: &Target, exchange: &Exchange) -> Result<TcpStream> {
    let mut stream = target.open()?;
    stream.write_all(&exchange.request)?;
    let mut reader = AnswerReader::new(1);
    let mut chunk = [0; 1024];
    loop {
        match stream.read(&mut chunk)? {
            0 => return Err("closed instead of answering".into()),
            n if reader.read(&exchange.answer, &chunk[..n])? == 1 => return Ok(stream),
            _ => {}
        }
    }
}

/// The server's private memory once it has had time to settle.
pub(crate) fn settled_bytes(pid: u32) -> Result<u64> {
    std::thread::sleep(Duration::from_millis(500));
    cpu::private_bytes(pid)
}
