//! yawc behind hyper: echo, plain and with permessage-deflate. It validates text only when asked to.
//! Batched,
//! it has the buffers that its own benchmark gives it, and shares its compressors.

use std::future::ready;

use bench_peers::{MAX_MESSAGE_BYTES, Mode, Options as PeerOptions, Step, echo, serve};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use yawc::{DeflatePool, Frame, OpCode, Options, WebSocket, WebSocketError};

fn main() {
    let peer = PeerOptions::from_args();
    let mut options = Options::default().with_utf8().with_limits(MAX_MESSAGE_BYTES, 2 * MAX_MESSAGE_BYTES);
    if peer.batched {
        options = options.with_read_buffer_capacity(128 << 10).with_backpressure_boundary(64 << 10);
    }
    if peer.deflate {
        options = options.with_low_latency_compression();
        if peer.batched {
            options = options.with_deflate_pool(DeflatePool::new(1));
        }
    }
    serve(peer.listen, move |stream| {
        let options = options.clone();
        let service = service_fn(move |request| ready(accept(request, options.clone(), peer.mode())));
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades()
    });
}

fn accept(
    mut request: Request<Incoming>,
    options: Options,
    mode: Mode,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(async move { echo(upgraded.await?, mode, step).await });
    Ok(response)
}

fn step(frame: Frame) -> Step<Frame> {
    match frame.opcode() {
        OpCode::Text | OpCode::Binary => Step::Echo(frame),
        _ => Step::Skip,
    }
}
