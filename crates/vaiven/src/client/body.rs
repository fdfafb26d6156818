//! The body of an answer that refuses (RFC 9112 section 6): as much of it as is worth showing.
//!
//! It is often the only place where a server says what it does not like. A body that is long, slow or malformed is
//! cut where it is; it never delays or changes the refusal by more than the limits here.

use crate::Transport;
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};
use vaiven_proto::handshake::ResponseHead;

/// Bytes of a body that are kept at most: more than any sentence for a log.
pub(super) const MAX_BODY_BYTES: usize = 4 << 10;
/// Bytes that are read for it at most, the framing of chunks included.
const MAX_RAW_BYTES: usize = 2 * MAX_BODY_BYTES;
/// How long to wait for it behind the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilEnd,
}

impl Framing {
    fn of(head: &ResponseHead) -> Self {
        let fields = head.fields();
        if fields.tokens("transfer-encoding").any(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
            return Self::Chunked;
        }
        let length = fields.single_text("content-length").and_then(|value| value.parse().ok());
        length.map_or(Self::UntilEnd, Self::Length)
    }

    /// The body in what was received so far, and whether that is all of it that is wanted.
    fn body(self, raw: &[u8]) -> (Vec<u8>, bool) {
        let (mut body, is_complete) = match self {
            Self::Length(length) => (raw.iter().take(length).copied().collect(), raw.len() >= length),
            Self::Chunked => dechunk(raw),
            Self::UntilEnd => (raw.to_vec(), false),
        };
        let is_enough = body.len() >= MAX_BODY_BYTES;
        body.truncate(MAX_BODY_BYTES);
        (body, is_complete || is_enough || raw.len() >= MAX_RAW_BYTES)
    }
}

/// Reads the body that follows this head. `received` is what came behind it already.
pub(super) async fn read(
    transport: &mut Transport,
    head: &ResponseHead,
    mut received: BytesMut,
    deadline: Instant,
) -> Bytes {
    let deadline = deadline.min(Instant::now() + BODY_TIMEOUT);
    let framing = Framing::of(head);
    loop {
        let (body, is_done) = framing.body(&received);
        if is_done {
            return body.into();
        }
        received.reserve(1 << 10);
        match timeout_at(deadline, transport.read_buf(&mut received)).await {
            Ok(Ok(read)) if read > 0 => {}
            _ => return body.into(),
        }
    }
}

/// RFC 9112 section 7.1: the data of the chunks that are here, and whether the last one is among them. What is
/// malformed ends it.
fn dechunk(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|two| two == b"\r\n") {
        let (line, rest) = raw.split_at(end);
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(size @ 1..) = size else { return (body, true) };
        let (_, data) = rest.split_at(2);
        body.extend(data.iter().take(size));
        if body.len() >= MAX_BODY_BYTES {
            return (body, true);
        }
        match size.checked_add(2).and_then(|next| data.get(next..)) {
            Some(next) => raw = next,
            None => break,
        }
    }
    (body, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(framing: Framing, raw: &[u8], body: &[u8], is_done: bool) {
        assert_eq!(framing.body(raw), (body.to_vec(), is_done), "{framing:?} {}", raw.escape_ascii());
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        check(Framing::Length(0), b"", b"", true);
        check(Framing::Length(3), b"no", b"no", false);
        check(Framing::Length(3), b"no!", b"no!", true);
        check(Framing::Length(3), b"no!more", b"no!", true);
        check(Framing::UntilEnd, b"no", b"no", false);
    }

    #[test]
    fn chunks_are_joined() {
        let whole = b"2\r\nno\r\n3;a=b\r\n!!!\r\n0\r\n\r\n";
        check(Framing::Chunked, whole, b"no!!!", true);
        for end in 0..whole.len() {
            let (part, _) = whole.split_at(end);
            let (body, _) = Framing::Chunked.body(part);
            assert!(b"no!!!".starts_with(&body), "{}", part.escape_ascii());
        }
        for bad in [&b"zz\r\n"[..], b"\r\n", b"-1\r\nno", b"11111111111111111\r\nno"] {
            check(Framing::Chunked, bad, b"", true);
        }
        check(Framing::Chunked, b"ffffffffffffffff\r\nno", b"no", false);
    }

    #[test]
    fn a_long_body_is_cut() {
        for (length, is_done) in
            [(MAX_BODY_BYTES - 1, false), (MAX_BODY_BYTES, true), (MAX_BODY_BYTES + 1, true)]
        {
            let (body, done) = Framing::UntilEnd.body(&vec![b'a'; length]);
            assert_eq!((body.len(), done), (length.min(MAX_BODY_BYTES), is_done));
        }
        let chunks = b"1\r\na\r\n".repeat(MAX_RAW_BYTES);
        assert!(Framing::Chunked.body(chunks.split_at(MAX_RAW_BYTES).0).1, "the framing counts too");
    }
}
