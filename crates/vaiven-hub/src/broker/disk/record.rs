//! A publication as it lies in the store: bytes that say by themselves whether they are what was written.

use crate::{ChannelName, Data, Epoch, Position, Publication, Publisher};
use bytes::Bytes;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

const BINARY: u8 = 1;
const REMOVED: u8 = 2;
const KEY: u8 = 4;
const CLIENT: u8 = 8;
const USER: u8 = 16;

/// Writes a publication behind a checksum over its channel, its place and its content.
pub(super) fn encode(
    channel: &ChannelName,
    epoch: &Epoch,
    offset: u64,
    publication: &Publication,
) -> Vec<u8> {
    let publisher = publication.publisher.as_ref();
    let names = [
        (KEY, publication.key.as_deref()),
        (CLIENT, publisher.map(|by| &*by.client)),
        (USER, publisher.and_then(|by| by.user.as_deref())),
    ];
    let mut flags = if publication.removed { REMOVED } else { 0 };
    if matches!(publication.data, Data::Binary(_)) {
        flags |= BINARY;
    }
    let mut record = vec![0; 8];
    record.push(flags);
    record.extend(publication.time.to_le_bytes());
    for (flag, name) in names {
        let Some(name) = name else { continue };
        record[8] |= flag;
        let len = u32::try_from(name.len()).unwrap_or(u32::MAX);
        record.extend(len.to_le_bytes());
        record.extend(name.as_bytes());
    }
    record.extend_from_slice(publication.data.bytes());
    let checksum = checksum(channel, epoch, offset, &record[8..]);
    record[..8].copy_from_slice(&checksum.to_le_bytes());
    record
}

/// Reads a publication; `None` when the record is not what was written for this place.
pub(super) fn decode(
    channel: &ChannelName,
    position: Position,
    key_epoch: &Epoch,
    record: &[u8],
) -> Option<Publication> {
    let (found, mut rest) = record.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*found) != checksum(channel, key_epoch, position.offset, rest) {
        return None;
    }
    let flags = *take(&mut rest, 1)?.first()?;
    let time = u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?);
    let mut name = |flag: u8| -> Option<Option<Arc<str>>> {
        if flags & flag == 0 {
            return Some(None);
        }
        let len = u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?);
        let text = std::str::from_utf8(take(&mut rest, usize::try_from(len).ok()?)?).ok()?;
        Some(Some(text.into()))
    };
    let (key, client, user) = (name(KEY)?, name(CLIENT)?, name(USER)?);
    let data = Bytes::copy_from_slice(rest);
    Some(Publication {
        position: Some(position),
        data: if flags & BINARY == 0 { Data::Json(data) } else { Data::Binary(data) },
        key,
        removed: flags & REMOVED != 0,
        ephemeral: false,
        publisher: client.map(|client| Publisher { client, user }),
        time,
    })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, remaining) = rest.split_at_checked(len)?;
    *rest = remaining;
    Some(taken)
}

fn checksum(channel: &ChannelName, epoch: &Epoch, offset: u64, content: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    for name in [channel.as_str(), epoch.as_str()] {
        hash.update(&(name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
    }
    hash.update(&offset.to_le_bytes());
    hash.update(content);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (ChannelName, Epoch, Publication) {
        let epoch = Epoch::new("e");
        let publication = Publication {
            position: Some(Position { epoch: epoch.clone(), offset: 7 }),
            data: Data::Binary(Bytes::from_static(b"\0hola")),
            key: Some("k".into()),
            removed: true,
            ephemeral: false,
            publisher: Some(Publisher { client: "ana".into(), user: Some("u".into()) }),
            time: 1_234,
        };
        (ChannelName::parse("sala").unwrap(), epoch, publication)
    }

    #[test]
    fn a_record_gives_back_what_was_written() {
        let (channel, epoch, publication) = place();
        let plain = Publication {
            data: Data::Json(Bytes::new()),
            key: None,
            removed: false,
            publisher: None,
            ..publication.clone()
        };
        for publication in [publication, plain] {
            let record = encode(&channel, &epoch, 7, &publication);
            let position = publication.position.clone().unwrap();
            assert_eq!(decode(&channel, position, &epoch, &record), Some(publication));
        }
    }

    #[test]
    fn a_record_that_was_changed_cut_or_moved_is_none() {
        let (channel, epoch, publication) = place();
        let at = |offset| Position { epoch: epoch.clone(), offset };
        let record = encode(&channel, &epoch, 7, &publication);
        for byte in 0..record.len() {
            let mut changed = record.clone();
            changed[byte] ^= 0x10;
            assert_eq!(decode(&channel, at(7), &epoch, &changed), None, "byte {byte}");
            assert_eq!(decode(&channel, at(7), &epoch, &record[..byte]), None, "cut at {byte}");
        }
        assert_eq!(decode(&channel, at(8), &epoch, &record), None);
        assert_eq!(decode(&channel, at(7), &Epoch::new("f"), &record), None);
        assert_eq!(decode(&ChannelName::parse("otra").unwrap(), at(7), &epoch, &record), None);
    }
}
