//! Messages of clients of `vaiven.v1.json`: what the server takes them for, against a second reader.

use serde_json::Value;
use serde_json::value::RawValue;
use vaiven::Message;
use vaiven_server::fuzzing::{Taken, v1_command as take};

/// The most objects and arrays within each other, as docs/protocol.md has it.
const MAX_DEPTH: usize = 64;
/// The greatest number of an answer.
const MAX_ID: u64 = (1 << 53) - 1;

/// The first byte says whether the rest is a text or a binary message.
pub fn v1_command(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    if *kind % 2 == 0 {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let taken = take(&Message::text(text));
            assert_ne!(taken, Taken::NotJson, "only a binary message is");
            check(bytes, None, &taken);
        }
        return;
    }
    let taken = take(&Message::binary(bytes.to_vec()));
    let end = bytes.iter().position(|byte| *byte == b'\n').filter(|end| {
        let line = &bytes[..*end];
        line.first() == Some(&b'{') && std::str::from_utf8(line).is_ok()
    });
    match end {
        Some(end) => check(&bytes[..end], Some(&bytes[end + 1..]), &taken),
        None => assert_eq!(taken, Taken::NotJson),
    }
}

/// Compares what a message was taken for with what its JSON says, and the bytes behind it.
fn check(json: &[u8], binary: Option<&[u8]>, taken: &Taken) {
    assert_eq!(*taken == Taken::TooDeep, depth(json) > MAX_DEPTH, "{taken:?}");
    let Taken::Command { id, data } = taken else { return };
    let whole: &RawValue = serde_json::from_slice(json).expect("a command is JSON");
    // A number that is too large for 64 bits and half of a surrogate pair are JSON too, by its grammar. What they mean
    // is for those to say who read the data; the server passes them on.
    let Ok(value) = serde_json::from_str::<Value>(whole.get()) else { return };
    assert!(value.is_object());
    assert_eq!(value.get("id").and_then(Value::as_u64), *id);
    assert!(id.is_none_or(|id| id <= MAX_ID));
    let publishes = value["type"] == "publish";
    assert_eq!(data.is_some(), publishes);
    match data {
        Some(Ok(data)) => {
            assert!(binary.is_none());
            let data: Value = serde_json::from_slice(data).expect("what is published is JSON");
            assert_eq!(value.get("data").unwrap_or(&Value::Null), &data);
        }
        Some(Err(data)) => assert_eq!(Some(&data[..]), binary),
        None => assert!(binary.is_none(), "only a publication has bytes"),
    }
}

/// How deep the brackets nest that are in no string.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for byte in json {
        match (is_quoted, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => is_quoted = !is_quoted,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
