//! tokio-websockets: echo. Batched, it may hold back 128 KiB before it flushes by itself.

use bench_peers::{MAX_MESSAGE_BYTES, Mode, Options, Step, echo, serve};
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder};

fn main() {
    let options = Options::from_args();
    let (mut config, mut mode) = (Config::default(), Mode::Singly);
    if options.batched {
        (config, mode) = (config.flush_threshold(128 << 10), Mode::Gather);
    }
    let limits = Limits::default().max_payload_len(Some(MAX_MESSAGE_BYTES));
    serve(options.listen, move |stream| async move {
        let (_, socket) = ServerBuilder::new().config(config).limits(limits).accept(stream).await?;
        echo(socket, mode, step).await
    });
}

fn step(received: Result<Message, Error>) -> Step<Message> {
    match received {
        Ok(message) if message.is_text() || message.is_binary() => Step::Echo(message),
        Ok(_) => Step::Skip,
        Err(_) => Step::End,
    }
}
