//! Names of clients and secrets of sessions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use std::net::IpAddr;
use vaiven_hub::Maker;

/// Bytes of a name: as many as nobody finds a second session for.
const NAME_BYTES: usize = 12;
/// Bytes of a secret.
const SECRET_BYTES: usize = 24;

/// The name under which others know a client: the same for the same session of the same user, on every server and
/// after every restart, and no way back to the session's secret.
pub(crate) fn client_name(session: &str, user: Option<&str>) -> String {
    let mut text = Vec::with_capacity(64);
    text.extend_from_slice(b"vaiven client\0");
    text.extend_from_slice(session.as_bytes());
    // A user may be named anything; a session has no such byte.
    text.push(0);
    if let Some(user) = user {
        text.push(1);
        text.extend_from_slice(user.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, &text).as_ref()[..NAME_BYTES])
}

/// With whose channels those count that a client makes: its user's, or those of its address, of IPv6 the 64 bits that one
/// subscriber is given. Where neither is known, all such clients count together.
pub(crate) fn maker(user: Option<&str>, address: Option<IpAddr>) -> Maker {
    let address = address.map(|address| match address.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    });
    match user {
        Some(user) => Maker::new([b"user ", user.as_bytes()].concat()),
        None => Maker::new([&b"address "[..], &address.unwrap_or_default().to_be_bytes()].concat()),
    }
}

/// A name that never was.
pub(crate) fn random_name() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; NAME_BYTES]>())
}

/// A secret that nobody guesses.
pub(crate) fn random_secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; SECRET_BYTES]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_is_a_user_or_else_an_address() {
        let ip = |text: &str| Some(text.parse().unwrap());
        let ana = maker(Some("ana"), ip("192.0.2.1"));
        assert_eq!(ana, maker(Some("ana"), ip("192.0.2.2")));
        assert_ne!(ana, maker(Some("eva"), ip("192.0.2.1")));
        assert_ne!(ana, maker(None, ip("192.0.2.1")));
        assert_eq!(maker(None, ip("2001:db8:1:2::1")), maker(None, ip("2001:db8:1:2:ffff::9")));
        assert_ne!(maker(None, ip("2001:db8:1:2::1")), maker(None, ip("2001:db8:1:3::1")));
        assert_eq!(maker(None, ip("::ffff:192.0.2.1")), maker(None, ip("192.0.2.1")));
    }

    #[test]
    fn a_client_has_one_name_for_a_session_of_a_user() {
        let name = client_name("0123456789abcdef", None);
        // What was told to others once must mean the same client after an update.
        assert_eq!(name, client_name("0123456789abcdef", None));
        assert_eq!(name.len(), 16);
        let others =
            [("0123456789abcdeg", None), ("0123456789abcdef", Some("")), ("0123456789abcdef", Some("ana"))];
        for (session, user) in others {
            assert_ne!(name, client_name(session, user), "{session} {user:?}");
        }
        assert_ne!(random_name(), random_name());
        assert!((16..=64).contains(&random_secret().len()));
    }
}
