//! What a delivery costs: a channel with a thousand sockets, against a loop that writes the same bytes to each.
//!
//! `cargo run --release -p vaiven-hub --example fanout` prints CPU microseconds per delivery of the thread that writes,
//! for publications one by one and sixteen at a time; the raw loop and the channels take turns.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use bytes::BytesMut;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use vaiven::{Config, Message, Role, WebSocket};
use vaiven_hub::{
    ChannelName, Contract, Hub, HubConfig, MemoryBroker, Namespace, NewPublication, PresenceChange,
    Publication, SenderOutlet, SubscribeOptions, Wire,
};

const SOCKETS: u32 = 1_000;
const BROADCASTS: u32 = 320;
const ROUNDS: usize = 5;

/// Data as it is.
#[derive(Debug)]
struct Bare;

impl Wire for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn publication(&self, _channel: &ChannelName, publication: &Publication) -> Vec<Message> {
        vec![Message::binary(publication.data.bytes().clone())]
    }

    fn presence(&self, _channel: &ChannelName, _change: &PresenceChange) -> Vec<Message> {
        Vec::new()
    }
}

/// CPU time of this thread in microseconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    f64::from(i32::try_from(time.tv_sec).unwrap()) * 1e6
        + f64::from(i32::try_from(time.tv_nsec).unwrap()) / 1e3
}

/// Sockets whose other ends a thread of its own reads.
async fn sockets() -> Vec<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for _ in 0..SOCKETS {
                let mut stream = TcpStream::connect(address).await.unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 4_096];
                    while stream.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
                });
            }
            std::future::pending::<()>().await;
        });
    });
    let mut streams = Vec::new();
    for _ in 0..SOCKETS {
        let stream = listener.accept().await.unwrap().0;
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    streams
}

async fn raw(streams: &[TcpStream], together: u32) -> f64 {
    let bytes = vec![0x61; 66 * together as usize];
    let begun = cpu();
    for _ in 0..BROADCASTS / together {
        for stream in streams {
            stream.writable().await.unwrap();
            assert_eq!(stream.try_write(&bytes).unwrap(), bytes.len());
        }
    }
    (cpu() - begun) / f64::from(BROADCASTS * SOCKETS)
}

async fn channel(hub: &Hub, name: &ChannelName, together: u32) -> f64 {
    let before = hub.figures().deliveries;
    let begun = cpu();
    for round in 1..=BROADCASTS / together {
        for publishing in (0..together)
            .map(|_| hub.publish(name, NewPublication::binary(vec![0x61; 64])))
            .collect::<Vec<_>>()
        {
            publishing.await.unwrap();
        }
        while hub.figures().deliveries < before + u64::from(round * together * SOCKETS) {
            tokio::task::yield_now().await;
        }
    }
    (cpu() - begun) / f64::from(BROADCASTS * SOCKETS)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let config = HubConfig::default().with_namespace("live", Namespace::new(Contract::Volatile));
    let hub = Hub::new(config, Arc::new(MemoryBroker::new()));
    let plain = sockets().await;
    let names = ["sala", "live:sala"].map(|name| ChannelName::parse(name).unwrap());
    let mut kept = Vec::new();
    for name in &names {
        for stream in sockets().await {
            let socket = WebSocket::from_transport(
                stream,
                Role::Server,
                BytesMut::new(),
                None,
                &Config::new(Role::Server),
            );
            let outlet = SenderOutlet::new(socket.sender());
            let mut subscription =
                hub.subscribe(name, SubscribeOptions::default(), outlet, &Bare).await.unwrap();
            assert!(subscription.replay().await.unwrap().is_none());
            kept.push((socket, subscription));
        }
    }
    println!("together  raw  reliable  volatile  (CPU microseconds per delivery)");
    for together in [16, 1] {
        for _ in 0..ROUNDS {
            let raw = raw(&plain, together).await;
            let reliable = channel(&hub, &names[0], together).await;
            let volatile = channel(&hub, &names[1], together).await;
            println!("{together:8} {raw:5.2} {reliable:9.2} {volatile:9.2}");
        }
    }
    assert_eq!(hub.figures().slow_consumers, 0, "the readers keep up");
}
