//! Compressed messages: the standard's examples, zlib's own output, round trips, bombs and broken streams (RFC 7692
//! section 7.2), each whole, byte by byte and at seeded splits.
#![expect(clippy::unwrap_used, reason = "clippy knows helpers of integration tests as no tests")]

use vaiven_proto::deflate::{Compression, DeflateConfig, DeflateParams, Deflater, Inflater, WindowBits};
use vaiven_proto::{Role, Violation};

const LIMIT: usize = 1 << 20;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// Text of few words, so that references of every distance occur; now and then what does not compress.
    fn message(&mut self, length: usize) -> Vec<u8> {
        let mut message = Vec::with_capacity(length + 16);
        let noisy = self.below(8) == 0;
        while message.len() < length {
            if noisy {
                message.extend(self.next().to_le_bytes());
            } else {
                message.extend(format!("{{\"id\":{},\"to\":\"sala\"}},", self.below(500)).bytes());
            }
        }
        message.truncate(length);
        message
    }
}

fn params(takeover: bool, window: u8) -> DeflateParams {
    let window = WindowBits::new(window).unwrap();
    DeflateParams {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        server_max_window_bits: window,
        client_max_window_bits: window,
    }
}

fn config(level: u8) -> DeflateConfig {
    let mut config = DeflateConfig::server();
    config.level = level;
    config.min_bytes = 0;
    config
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|d| d.try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// How a message is cut into pieces.
#[derive(Clone, Copy, Debug)]
enum Split {
    Whole,
    Bytes,
    Seeded(u64),
}

const SPLITS: [Split; 5] =
    [Split::Whole, Split::Bytes, Split::Seeded(7), Split::Seeded(0x5eed), Split::Seeded(1 << 40)];

fn inflate(inflater: &mut Inflater, input: &[u8], split: Split, limit: usize) -> Result<Vec<u8>, Violation> {
    let mut out = Vec::new();
    let mut random = Random(if let Split::Seeded(seed) = split { seed } else { 1 });
    let mut rest = input;
    while !rest.is_empty() {
        let length = match split {
            Split::Whole => rest.len(),
            Split::Bytes => 1,
            Split::Seeded(_) => random.below(rest.len().min(3000)) + 1,
        };
        let (piece, later) = rest.split_at(length);
        let result = inflater.inflate(piece, &mut out, limit);
        assert!(out.len() <= limit && out.capacity() <= limit.max(1), "{} of {limit}", out.capacity());
        result?;
        rest = later;
    }
    let result = inflater.finish(&mut out, limit);
    assert!(out.len() <= limit && out.capacity() <= limit.max(1));
    result.map(|()| out)
}

/// The message, or the rule that it breaks.
type Outcome<'a> = Result<&'a [u8], Violation>;

/// A conversation of compressed messages, each with its outcome, at every split and in both roles.
#[track_caller]
fn check(params: DeflateParams, limit: usize, messages: &[(&[u8], Outcome<'_>)]) {
    for role in [Role::Client, Role::Server] {
        for split in SPLITS {
            let mut inflater = Inflater::new(role, &params);
            for (index, (input, expected)) in messages.iter().enumerate() {
                let result = inflate(&mut inflater, input, split, limit);
                assert_eq!(
                    result.as_deref().map_err(|&e| e),
                    *expected,
                    "{role:?} {split:?} message {index}"
                );
            }
        }
    }
}

const BAD: Outcome<'static> = Err(Violation::InvalidDeflate);
const LARGE: Outcome<'static> = Err(Violation::MessageTooLarge);

#[test]
fn examples_of_the_standard_inflate() {
    let hello: Result<&[u8], _> = Ok(b"Hello");
    for takeover in [false, true] {
        for example in [
            "f2 48 cd c9 c9 07 00",
            "00 05 00 fa ff 48 65 6c 6c 6f 00",
            "f3 48 cd c9 c9 07 00 00",
            "f2 48 05 00 00 00 ff ff ca c9 c9 07 00",
        ] {
            check(params(takeover, 15), 5, &[(&hex(example), hello), (&hex(example), hello)]);
        }
    }
    let shared = hex("f2 00 11 00 00");
    let first = hex("f2 48 cd c9 c9 07 00");
    check(params(true, 15), 5, &[(&first, hello), (&shared, hello), (&shared, hello)]);
    check(params(false, 15), 5, &[(&first, hello), (&shared, BAD)]);
}

#[test]
fn empty_messages_inflate_in_every_form() {
    let empty: Result<&[u8], _> = Ok(b"");
    for form in ["00", "", "02 00", "01 00 00 ff ff", "03 00", "03 00 00", "00 00 00 ff ff 00"] {
        for limit in [0, 1, 100] {
            check(params(true, 9), limit, &[(&hex(form), empty), (&hex(form), empty)]);
        }
    }
}

#[test]
fn hello_deflates_as_in_the_standard() {
    let mut config = config(6);
    let mut deflater = Deflater::new(Role::Client, &params(true, 15), &config);
    let mut out = b"header".to_vec();
    assert_eq!(deflater.compress(b"", &mut out), Compression::Compressed);
    assert_eq!(out, b"header\x00");
    // "Hello" alone does not get smaller, so it goes out as it is.
    assert_eq!(deflater.compress(b"Hello", &mut out), Compression::Skipped);
    assert_eq!(out, b"header\x00");
    config.min_bytes = 11;
    let mut deflater = Deflater::new(Role::Client, &params(true, 15), &config);
    assert_eq!(deflater.compress(b"aaaaaaaaaa", &mut out), Compression::Skipped);
    assert_eq!(deflater.compress(b"aaaaaaaaaaa", &mut out), Compression::Compressed);
    let mut inflater = Inflater::new(Role::Server, &params(true, 15));
    assert_eq!(inflate(&mut inflater, &out[7..], Split::Whole, 11).unwrap(), b"aaaaaaaaaaa");
}

/// Output of zlib 1.2.13 through Python: `compressobj(level, DEFLATED, -wbits, 8, strategy)`, `Z_SYNC_FLUSH`, tail cut.
#[test]
fn streams_of_zlib_inflate() {
    let buy: &[u8] = br#"{"op":"buy","price":101.25,"user":"ana"}"#;
    let sell: &[u8] = br#"{"op":"sell","price":101.75,"user":"ana"}"#;
    let other: &[u8] = br#"{"op":"buy","price":99.5,"user":"benito"}"#;
    let first = hex("aa56ca2f50b2524a2aad54d2512a28ca4c4e55b2323430d43332d5512a2d4e2d02ca25e6252ad50200");
    let second = hex("aa86a82b4ecdc94155688ea61000");
    let third = hex("aac662a0a5a51e4255526a5e6649be522d00");
    for window in [9, 12, 15] {
        check(params(true, window), 64, &[(&first, Ok(buy)), (&second, Ok(sell)), (&third, Ok(other))]);
    }
    check(params(false, 15), 64, &[(&first, Ok(buy)), (&second, BAD)]);
    let stored =
        hex("002800d7ff7b226f70223a22627579222c227072696365223a3130312e32352c2275736572223a22616e61227d00");
    check(params(true, 9), 40, &[(&stored, Ok(buy)), (&second, Err(Violation::MessageTooLarge))]);
    let huffman = hex(
        "04c1410ac3201040d1bbfcb5482c48c9dc466516425019eb228877ef7b9b3e10f27a710cab45917005ff898e35d510524b9c4d1f08539f07\
         c7b05a140957f0dfe858530d21b5c4d9f48190d78b63582d8adcb78f8e35d510b2b6faeb9c4d1f0879bd3886d5a248b882ff44c79a6a08a9\
         25cea60f84a9cf8363582d8a842bf86f74aca986905ae26cfa40c8ebc531ac1645eedb47c79a6a08595bfd75ce1f",
    );
    let plain = [buy, sell, other, buy, sell, other].concat();
    check(params(false, 9), 1000, &[(&huffman, Ok(&plain))]);
}

/// Squares up to 119, and the same between two sentences that are 602 bytes apart.
#[test]
fn a_reference_beyond_the_agreed_window_is_invalid_and_one_within_is_not() {
    let squares: String = (0..120).map(|i| (i * i).to_string() + ",").collect();
    let sentence = "vaiven goes back and forth; ";
    let dynamic = hex(
        "7c924b8e15310c45b7520bf020fec449c46a1e4d43b790ba25406ffd9c5bcc1925155fdbc7d7f57cbc3f5f3fae1f9fafbfafaf8f979fd7e3\
         e3dbf5fdf3d79fb72fd730b7b263de16d3b2ad8e75d976f3412c38ab88a23848d0c4e4dcc7320a3dd9e8aa3877d98c6373b535bae65c7c2f\
         de37f183eeb4ea92e8830aee9472d5f4a0b8a7ba94da4df56d01b4481644be4b0c10c610858b38c6b1c85116351c3232a2755b7adb8a1e74\
         a98ca4bea0214fea655139d52317dd72d3370f043560295155c257056935ccb534adc6988379a66be0d4c4446c6ae6b9743bbcf5204a96e3\
         26193dc9ed4595ded45b63ca1c32163d6d4dfaae05c13ab06c59bf03be5dda45c3bc37f44773a0e006256e32e5d9e3de95cc1a71df6bc8e0\
         4681cd88dd95e71ea97bc9476f59ea5beec6bf4da73c8f29fb63691371eea5dcfbc99af782b4b53c5a6039133dfff367fd05",
    );
    let message = format!("{sentence}{squares}{sentence}");
    let simple = hex("2a4bcc2c4bcd5348cf4f2d56484a4cce5648cc4b5148cb2f2ac9b056d01d05a38006a00c4f9a0300");
    let dashes = format!("{sentence}{}{sentence}", "-".repeat(600));
    for takeover in [false, true] {
        for (stream, message) in [(&dynamic, &message), (&simple, &dashes)] {
            for window in 10..=15 {
                check(params(takeover, window), LIMIT, &[(stream, Ok(message.as_bytes()))]);
            }
            for window in [8, 9] {
                check(params(takeover, window), LIMIT, &[(stream, BAD)]);
                // Where the limit is reached before the reference, the limit decides, at every split.
                check(params(takeover, window), 600, &[(stream, LARGE)]);
                check(params(takeover, window), message.len() - 1, &[(stream, BAD)]);
            }
        }
    }
}

#[test]
fn every_message_comes_back_at_every_window_level_and_role() {
    let mut random = Random(0x00da_7a5e_ed00);
    for window in 8..=15 {
        for takeover in [false, true] {
            for level in [1, 2, 3, 6, 9] {
                for (sender, receiver) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
                    let params = params(takeover, window);
                    let mut deflater = Deflater::new(sender, &params, &config(level));
                    let mut inflater = Inflater::new(receiver, &params);
                    for round in 0..12 {
                        let length = [0, 1, 5, 100, 300, 1024, 5000, 40_000, 200][random.below(9)];
                        let extra = random.below(length + 1);
                        let message = random.message(length + extra);
                        let mut compressed = Vec::new();
                        if round % 5 == 4 {
                            deflater.release_idle();
                        }
                        if deflater.compress(&message, &mut compressed) == Compression::Skipped {
                            assert!(compressed.is_empty());
                            continue;
                        }
                        assert!(compressed.len() < message.len().max(2));
                        let split = SPLITS[random.below(SPLITS.len())];
                        let result = inflate(&mut inflater, &compressed, split, message.len());
                        assert_eq!(
                            result.unwrap(),
                            message,
                            "{window} {takeover} {level} {sender:?} {split:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_skipped_message_does_not_disturb_the_shared_window() {
    let mut random = Random(99);
    let noise: Vec<u8> = (0..512).flat_map(|_| random.next().to_le_bytes()).collect();
    let text = random.message(3000);
    let mut with_noise = text.clone();
    with_noise.extend(&noise);
    let params = params(true, 15);
    let mut deflater = Deflater::new(Role::Server, &params, &config(1));
    let mut inflater = Inflater::new(Role::Client, &params);
    for (message, expected) in [
        (&text, Compression::Compressed),
        (&noise, Compression::Skipped),
        (&with_noise, Compression::Compressed),
        (&noise, Compression::Compressed),
    ] {
        let mut compressed = Vec::new();
        assert_eq!(deflater.compress(message, &mut compressed), expected);
        if expected == Compression::Compressed {
            assert_eq!(&inflate(&mut inflater, &compressed, Split::Whole, LIMIT).unwrap(), message);
        }
    }
}

#[test]
fn the_limit_counts_what_comes_out() {
    let message = Random(5).message(40_000);
    let mut compressed = Vec::new();
    let mut deflater = Deflater::new(Role::Server, &params(false, 12), &config(6));
    assert_eq!(deflater.compress(&message, &mut compressed), Compression::Compressed);
    check(params(false, 12), 39_999, &[(&compressed, LARGE)]);
    check(params(false, 12), 40_000, &[(&compressed, Ok(&message))]);
    check(params(false, 12), 40_001, &[(&compressed, Ok(&message))]);
}

#[test]
fn bombs_stop_at_the_limit_in_one_piece_in_many_and_over_messages() {
    let mut bomb = Vec::new();
    let mut deflater = Deflater::new(Role::Server, &params(true, 15), &config(9));
    assert_eq!(deflater.compress(&vec![0; 50_000_000], &mut bomb), Compression::Compressed);
    assert!(bomb.len() < 60_000);
    for limit in [0, 1, 4096, 65_536, 1_000_000] {
        check(params(false, 15), limit, &[(&bomb, LARGE)]);
        check(params(true, 12), limit, &[(&bomb, LARGE)]);
    }
    // Small references into a shared window: each message is within the limit until one is not.
    let zeros = vec![0; 65_536];
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut deflater = Deflater::new(Role::Server, &params(true, 15), &config(9));
    assert_eq!(deflater.compress(&zeros, &mut first), Compression::Compressed);
    assert_eq!(deflater.compress(&vec![0; 65_537], &mut second), Compression::Compressed);
    check(params(true, 15), 65_536, &[(&first, Ok(&zeros)), (&second, LARGE)]);
}

#[test]
fn a_flood_of_empty_blocks_is_too_large() {
    let stored = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(100_000);
    let fixed = [0x02, 0x08, 0x20, 0x80, 0x00].repeat(100_000);
    for flood in [stored, fixed] {
        check(params(true, 12), LIMIT, &[(&flood, LARGE)]);
    }
    // What an honest sender that flushes after each byte writes is accepted.
    let flushed: Vec<u8> = (0..20_000).flat_map(|_| hex("4a 04 00 00 00 ff ff")).chain([0x00]).collect();
    check(params(true, 12), 20_000, &[(&flushed, Ok(&vec![b'a'; 20_000]))]);
}

#[test]
fn what_is_not_deflate_is_invalid() {
    for stream in [
        "06",
        "07",
        "ff ff ff ff",
        "00 05 00 fa fe 48 65 6c 6c 6f 00",
        "00 05 00 fa ff 48 65 6c",
        "f2 48 cd c9",
        "f2 48 cd c9 c9",
        "f3 48 cd c9 c9 07 00 07",
        "04 c1 41 0a",
        "04 00 00 00 00 00 00 00",
        "22 00 11 00 00",
        "f2 00 ff 00 00",
    ] {
        check(params(true, 15), LIMIT, &[(&hex(stream), BAD)]);
        check(params(false, 9), LIMIT, &[(&hex(stream), BAD)]);
    }
}

#[test]
fn noise_gets_the_same_answer_at_every_split_and_never_a_panic() {
    let mut random = Random(0xbad_5eed);
    for window in [8, 9, 12, 15] {
        for _ in 0..300 {
            let mut stream = Vec::new();
            let message = random.message(3000);
            let mut deflater = Deflater::new(Role::Server, &params(false, 15), &config(6));
            if deflater.compress(&message, &mut stream) == Compression::Skipped {
                stream = message;
            }
            for _ in 0..random.below(4) {
                let at = random.below(stream.len());
                stream[at] ^= 1 << random.below(8);
            }
            stream.truncate(random.below(stream.len()) + 1);
            let limit = random.below(6000);
            let outcomes = SPLITS.map(|split| {
                inflate(&mut Inflater::new(Role::Client, &params(false, window)), &stream, split, limit)
            });
            for outcome in &outcomes {
                assert_eq!(*outcome, outcomes[0]);
            }
        }
    }
}

#[test]
fn final_blocks_may_be_followed_by_more_and_keep_the_window() {
    let hello = hex("f3 48 cd c9 c9 07 00");
    let twice = [&hello[..], &hello[..], &[0x00]].concat();
    // The second stream refers back five bytes, into the first.
    let shared = [&hello[..], &hex("f2 00 11 00 00")].concat();
    for takeover in [false, true] {
        check(params(takeover, 12), 10, &[(&twice, Ok(b"HelloHello")), (&hello, Ok(b"Hello"))]);
        check(params(takeover, 12), 10, &[(&shared, Ok(b"HelloHello"))]);
    }
    let next = hex("f2 00 11 00 00");
    check(params(true, 12), 10, &[(&hello, Ok(b"Hello")), (&next, Ok(b"Hello"))]);
}

#[test]
fn an_idle_connection_without_takeover_owns_nothing() {
    let params = params(false, 12);
    let mut deflater = Deflater::new(Role::Server, &params, &config(1));
    let mut inflater = Inflater::new(Role::Client, &params);
    let message = Random(3).message(10_001);
    let mut compressed = Vec::new();
    assert_eq!(deflater.compress(&message, &mut compressed), Compression::Compressed);
    assert_eq!((deflater.memory(), inflater.memory()), (0, 0));
    let (piece, rest) = compressed.split_at(100);
    let mut out = Vec::new();
    inflater.inflate(piece, &mut out, LIMIT).unwrap();
    assert!((1..128 * 1024).contains(&inflater.memory()));
    inflater.inflate(rest, &mut out, LIMIT).unwrap();
    inflater.finish(&mut out, LIMIT).unwrap();
    assert_eq!(inflater.memory(), 0);
    assert_eq!(out, message);
}

#[test]
fn an_idle_connection_with_takeover_owns_one_window_after_release() {
    for window in [8, 9, 12, 15] {
        let params = params(true, window);
        let mut deflater = Deflater::new(Role::Server, &params, &config(1));
        let mut inflater = Inflater::new(Role::Client, &params);
        let mut random = Random(11);
        for round in 0..20 {
            let message = format!("{round}{}", "vaiven ".repeat(random.below(4000) + 10)).into_bytes();
            let mut compressed = Vec::new();
            assert_eq!(deflater.compress(&message, &mut compressed), Compression::Compressed);
            assert_eq!(
                inflate(&mut inflater, &compressed, Split::Seeded(round + 1), LIMIT).unwrap(),
                message
            );
            assert!(deflater.memory() > 128 * 1024);
            assert!(inflater.memory() <= 1 << window.max(9));
            if round % 3 == 0 {
                deflater.release_idle();
                assert_eq!(deflater.memory(), 0);
            }
        }
    }
}
