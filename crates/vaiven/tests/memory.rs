//! What a connection holds, counted by the allocator: no input makes it hold more than its limits say.
//!
//! Everything runs on one thread, whose counter is the measure; what the threads share for all connections (slabs,
//! zlib's states) is allocated once before the measuring begins.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::time::{Duration, Instant};
use testkit::{CountingAllocator, Held, Link, LinkConfig, Pair, Script, link};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vaiven::{Config, Deflate, DeflateParams, Error, Role, Transport, Violation, WebSocket};
use vaiven_proto::deflate::{Compression, DeflateConfig, Deflater, Inflater, WindowBits};
use vaiven_proto::{Decoder, Encoder, FrameHeader, Input, Limits, OpCode};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const KIB: isize = 1 << 10;
/// What threads share: two slabs of 512 KiB at most are in use at a time in these tests, and zlib's states.
const SHARED: isize = 1_500 * KIB;

const PARAMS: DeflateParams = DeflateParams {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: WindowBits::MAX,
    client_max_window_bits: WindowBits::MAX,
};

/// What `work` leaves held, and the most that it held in between.
fn measure<T>(work: impl FnOnce() -> T) -> (T, Held) {
    let before = Held::read().now;
    Held::reset_peak();
    let output = work();
    let Held { now, peak } = Held::read();
    (output, Held { now: now - before, peak: peak - before })
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = announced(first, payload.len() as u64);
    wire.extend_from_slice(payload);
    wire
}

/// The header of a client's frame, masked with zeros.
fn announced(first: u8, payload_len: u64) -> Vec<u8> {
    let mut wire = Vec::new();
    let masking_key = Some([0; 4]);
    FrameHeader { fin: true, rsv1: false, opcode: OpCode::Text, masking_key, payload_len }.write(&mut wire);
    wire[0] = first;
    wire
}

fn decoder(limits: Limits, deflate: bool) -> Decoder {
    let inflater = deflate.then(|| Inflater::new(Role::Server, &PARAMS));
    Decoder::new(Role::Server, limits, inflater, Instant::now())
}

/// Feeds the same bytes again and again until the decoder refuses, and drops what is decoded.
fn repeat(decoder: &mut Decoder, times: u32, wire: &[u8]) -> (u32, Option<Violation>) {
    for taken in 0..times {
        let mut input = Input::from(wire);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(violation) => return (taken, Some(violation)),
            }
        }
    }
    (times, None)
}

#[test]
fn announced_lengths_allocate_nothing() {
    let lengths = [1 << 20, (1 << 20) + 1, 1 << 31, 1 << 32, (1 << 63) - 1];
    for (index, len) in lengths.into_iter().enumerate() {
        for opening in [vec![], frame(0x02, b"abc")] {
            let mut decoder = decoder(Limits::server(), false);
            let wire =
                [opening.clone(), announced(if opening.is_empty() { 0x82 } else { 0x80 }, len)].concat();
            let ((_, violation), held) = measure(|| repeat(&mut decoder, 1, &wire));
            let expected = (index > 0 || !opening.is_empty()).then_some(Violation::MessageTooLarge);
            assert_eq!(violation, expected, "{len}");
            assert!(held.peak <= KIB, "{held:?} for {len}");
            let (_, held) = measure(|| decoder.payload_buffer().is_some());
            // 64 KiB to read into, and the record of who shares them.
            assert!(held.peak <= 64 * KIB + 64, "{held:?} for {len}");
        }
    }
}

#[test]
fn a_million_short_fragments_hold_their_payload_and_little_more() {
    // A server's cap ends it, at the fragment behind the cap.
    let mut server = decoder(Limits::server(), false);
    repeat(&mut server, 1, &frame(0x02, b"a"));
    let (outcome, held) = measure(|| repeat(&mut server, 1_000_000, &frame(0x00, b"a")));
    assert_eq!(outcome, (16_383, Some(Violation::TooManyFragments)));
    assert!(held.peak <= 48 * KIB, "{held:?}");
    assert!(held.now <= 0, "{held:?}");
    // A client has no such cap; its buffer is bounded all the same.
    let mut limits = Limits::client();
    limits.max_message_bytes = 1_000_001;
    let mut client = decoder(limits, false);
    let (outcome, held) = measure(|| {
        repeat(&mut client, 1, &frame(0x02, b"a"));
        repeat(&mut client, 1_000_000, &frame(0x00, b"a"))
    });
    assert_eq!(outcome, (1_000_000, None));
    assert!(held.peak <= 1_000_001 + 32 * KIB, "{held:?}");
}

#[test]
fn a_million_empty_fragments_end_as_a_flood() {
    for limits in [Limits::server(), Limits::client()] {
        let mut decoder = decoder(limits, false);
        let (outcome, held) = measure(|| {
            repeat(&mut decoder, 1, &frame(0x02, b"a"));
            repeat(&mut decoder, 1_000_000, &frame(0x00, b""))
        });
        assert_eq!(outcome, (100, Some(Violation::FrameFlood)));
        assert!(held.peak <= KIB, "{held:?}");
    }
}

#[test]
fn one_pong_at_most_waits_for_a_peer_that_never_reads() {
    // Without a limit on idle frames, so that all of a million pings are answered or not.
    let mut limits = Limits::server();
    limits.max_idle_frames = u32::MAX;
    let mut decoder = decoder(limits, false);
    let mut encoder = Encoder::new(Role::Server, |_| {});
    let wire = frame(0x89, &[7; 125]);
    let ((), held) = measure(|| {
        for _ in 0..1_000_000 {
            let event = decoder.decode(&mut Input::from(&wire[..])).unwrap().unwrap();
            encoder.respond(&event);
        }
    });
    assert!(encoder.outbox().len() <= 127, "one pong is being written, another waits");
    assert!(held.peak <= 2 * KIB, "{held:?}");
}

#[test]
fn a_bomb_is_noticed_before_it_fills_more_than_a_message() {
    let mut deflater = Deflater::new(Role::Client, &PARAMS, &DeflateConfig::server());
    let mut bomb = Vec::new();
    assert_eq!(deflater.compress(&vec![0; 64 << 20], &mut bomb), Compression::Compressed);
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let third = bomb.len() / 3;
    let fragments = [frame(0x42, &bomb[..third]), frame(0x00, &bomb[third..])];
    for wire in [frame(0xc2, &bomb), fragments.concat()] {
        let mut decoder = decoder(Limits::server(), true);
        let mut input = Input::from(&wire[..]);
        let (decoded, held) = measure(|| decoder.decode(&mut input));
        assert_eq!(decoded, Err(Violation::MessageTooLarge));
        // The message, zlib's state and its buffer; realloc may hold the old half beside the new one.
        assert!(held.peak <= (1 << 20) + 128 * KIB, "{held:?}");
        assert!(decoder.held_bytes() == 0);
    }
}

#[test]
fn messages_that_inflate_from_what_came_before_stay_within_their_limit() {
    let mut limits = Limits::server();
    limits.max_message_bytes = 60_000;
    let mut decoder = decoder(limits, true);
    let mut deflater = Deflater::new(Role::Client, &PARAMS, &DeflateConfig::server());
    let mut wire = Vec::new();
    for (len, fits) in [(60_000, true), (60_000, true), (60_001, false)] {
        let mut payload = Vec::new();
        assert_eq!(deflater.compress(&vec![b'a'; len], &mut payload), Compression::Compressed);
        wire.clear();
        wire.extend(frame(0xc2, &payload));
        let mut input = Input::from(&wire[..]);
        let (decoded, held) = measure(|| decoder.decode(&mut input).map(|event| event.is_some()));
        assert_eq!(decoded, if fits { Ok(true) } else { Err(Violation::MessageTooLarge) });
        assert!(held.peak <= 60_000 + 160 * KIB, "{held:?}");
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(test)
}

fn server(stream: Link, deflate: Option<Deflate>) -> WebSocket {
    let config = Config::new(Role::Server);
    WebSocket::from_transport(
        Transport::other(stream),
        Role::Server,
        bytes::BytesMut::new(),
        deflate,
        &config,
    )
}

#[test]
fn a_thousand_partial_messages_hold_what_has_arrived() {
    const CONNECTIONS: isize = 1_000;
    run(async {
        // A header that announces much, and some of the payload behind it.
        for (announces, arrived) in
            [(1 << 20, 0), (1 << 20, 100), (1 << 20, 40_000), (400 << 10, 100), (60_000, 100)]
        {
            let pairs: Vec<(Link, Link)> = (0..CONNECTIONS)
                .map(|_| link(Script::seed(1), &LinkConfig { capacity: 1 << 20, ..LinkConfig::default() }))
                .collect();
            let before = Held::read().now;
            let mut clients = Vec::new();
            let mut tasks = Vec::new();
            for (mut client, stream) in pairs {
                let mut socket = server(stream, None);
                tasks.push(tokio::spawn(async move { socket.recv().await.map(|_| ()) }));
                client.write_all(&[announced(0x82, announces), vec![0; arrived]].concat()).await.unwrap();
                clients.push(client);
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let each = (Held::read().now - before - SHARED) / CONNECTIONS;
            // Room to read on into: 64 KiB, or eight times what has arrived, up to the limit.
            let arrived_bytes = isize::try_from(arrived).unwrap();
            let most = arrived_bytes + (8 * arrived_bytes).max(64 * KIB) + 4 * KIB;
            assert!(each <= most, "{each} bytes each with {arrived} of {announces} arrived");
            // Nobody sends on: each ends, and gives back what it held.
            tokio::time::sleep(Duration::from_secs(32)).await;
            for task in tasks {
                let end = task.await.unwrap();
                assert!(matches!(end, Err(Error::Violation(Violation::PartialMessageTimeout))), "{end:?}");
            }
            drop(clients);
            let left = Held::read().now - before;
            assert!(left <= SHARED, "{left} bytes are left");
        }
    });
}

#[test]
fn an_idle_connection_holds_two_kibibytes_at_most() {
    const CONNECTIONS: isize = 1_000;
    run(async {
        // The transport is the test's own, and no part of what is measured: sockets have their memory in the kernel.
        let pairs: Vec<(Link, Link)> =
            (0..=CONNECTIONS).map(|_| link(Script::seed(1), &LinkConfig::default())).collect();
        let mut clients = Vec::new();
        let mut tasks = Vec::new();
        let mut before = 0;
        for (index, (mut client, stream)) in pairs.into_iter().enumerate() {
            if index == 1 {
                // The first one has made what all share.
                before = Held::read().now;
            }
            let mut socket = server(stream, None);
            tasks.push(tokio::spawn(async move {
                while let Ok(Some(message)) = socket.recv().await {
                    let _ = socket.send(message).await;
                }
            }));
            // It is idle after some traffic, not because it never had any.
            client.write_all(&frame(0x82, &[1; 1_000])).await.unwrap();
            let mut echo = [0; 1_004];
            client.read_exact(&mut echo).await.unwrap();
            clients.push(client);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let each = (Held::read().now - before) / CONNECTIONS;
        println!("an idle connection holds {each} bytes");
        assert!(each <= 2 * KIB, "{each} bytes each");
        drop((clients, tasks));
    });
}

#[test]
fn a_stream_that_never_catches_up_holds_its_outbox_and_no_more() {
    run(async {
        let mut pair = Pair::default();
        pair.server.outbox_bytes = 64 << 10;
        pair.link = LinkConfig { capacity: 1 << 10, ..LinkConfig::default() };
        let (mut client, server) = pair.connect(Script::seed(1));
        let (sender, mut receiver) = server.split();
        tokio::spawn(async move { while let Ok(Some(_)) = receiver.recv().await {} });
        let sending = tokio::spawn(async move {
            for _ in 0..100_000 {
                sender.send(vec![7; 100]).await.unwrap();
            }
            sender
        });
        let before = Held::read().now;
        Held::reset_peak();
        for _ in 0..100_000 {
            client.recv().await.unwrap().unwrap();
        }
        let held = Held::read().peak - before;
        assert!(held <= 4 * 64 * KIB + SHARED, "{held} bytes");
        drop(sending.await.unwrap());
    });
}
