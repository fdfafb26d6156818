//! A page and a WebSocket on one port of a hyper server: `cargo run --example hyper --features hyper`.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;
use vaiven::WebSocket;
use vaiven::server::{ServerConfig, refusal_response, upgrade};

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn respond(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/echo" {
        return Ok(Response::new(Full::from("The WebSocket is at /echo.\n")));
    }
    Ok(match upgrade(&mut request, &ServerConfig::default()) {
        Ok((response, socket)) => {
            tokio::spawn(async move { echo(socket.await?).await });
            response
        }
        Err(refusal) => refusal_response(&refusal),
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("ws://{}/echo", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(respond));
            if let Err(error) = connection.with_upgrades().await {
                eprintln!("{error}");
            }
        });
    }
}
