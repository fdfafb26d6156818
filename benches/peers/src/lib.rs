//! What all peers share, so that they differ in nothing but their WebSocket crate: the command
//! line, a tokio runtime of one thread, `TCP_NODELAY`, and the two ways to echo.

use std::future::Future;
use std::net::SocketAddr;

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::net::{TcpListener, TcpStream};

/// Limit for messages that every peer is given: above the largest payload measured, 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// What the bench asks of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Answer together what was received together, instead of one by one.
    pub batched: bool,
    /// Accept permessage-deflate.
    pub deflate: bool,
    /// Send every message to all connections instead of back to its sender.
    pub fanout: bool,
    /// Read buffer in bytes, for crates that let one choose it.
    pub read_buffer: Option<usize>,
    /// Length in bytes of the client's frames; only the raw server needs to be told.
    pub frame: usize,
}

impl Options {
    /// Reads the command line.
    ///
    /// # Panics
    /// On anything it does not know: the caller is our own bench.
    pub fn from_args() -> Self {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            batched: false,
            deflate: false,
            fanout: false,
            read_buffer: None,
            frame: 0,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
            match arg.as_str() {
                "--listen" => options.listen = value().parse().expect("an address and port"),
                "--frame" => options.frame = value().parse().expect("a number of bytes"),
                "--read-buffer" => options.read_buffer = Some(value().parse().expect("a number of bytes")),
                "--batched" => options.batched = true,
                "--deflate" => options.deflate = true,
                "--fanout" => options.fanout = true,
                _ => panic!("unknown argument {arg}"),
            }
        }
        options
    }

    /// How most crates are asked to echo.
    pub fn mode(self) -> Mode {
        if self.batched { Mode::Feed } else { Mode::Singly }
    }
}

/// Accepts connections forever, each handled in a task of its own.
///
/// How a connection ends is not looked at: the load generator sees it from the other side.
pub fn serve<F, C>(listen: SocketAddr, mut connection: F)
where
    F: FnMut(TcpStream) -> C,
    C: Future + Send + 'static,
    C::Output: Send,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.expect("a free port");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("TCP_NODELAY");
            tokio::spawn(connection(stream));
        }
    });
}

/// What to do with something received.
#[derive(Debug)]
pub enum Step<M> {
    /// Send it back.
    Echo(M),
    /// Go on: a control frame that the crate has answered itself.
    Skip,
    /// Leave: an error.
    End,
}

/// How to echo.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Send each message back at once.
    Singly,
    /// Feed what can be received without waiting as it comes, then flush once.
    Feed,
    /// Receive what can be received without waiting, then feed it all and flush once: for a crate
    /// that flushes whenever it is asked for the next message.
    Gather,
}

/// Messages that are gathered at most.
const MAX_GATHERED: usize = 64;

/// Echoes until the peer is gone.
pub async fn echo<W, M>(mut socket: W, mode: Mode, step: impl Fn(W::Item) -> Step<M>) -> Result<(), W::Error>
where
    W: Stream + Sink<M> + Unpin,
{
    let mut gathered = Vec::new();
    let mut received = socket.next().await;
    while let Some(item) = received {
        match (step(item), mode) {
            (Step::Echo(message), Mode::Singly) => socket.send(message).await?,
            (Step::Echo(message), Mode::Feed) => socket.feed(message).await?,
            (Step::Echo(message), Mode::Gather) => gathered.push(message),
            (Step::Skip, _) => {}
            (Step::End, _) => break,
        }
        let may_wait = matches!(mode, Mode::Singly) || gathered.len() == MAX_GATHERED;
        let buffered = if may_wait { None } else { socket.next().now_or_never() };
        received = if let Some(received) = buffered {
            received
        } else {
            for message in gathered.drain(..) {
                socket.feed(message).await?;
            }
            if !matches!(mode, Mode::Singly) {
                socket.flush().await?;
            }
            socket.next().await
        };
    }
    Ok(())
}
