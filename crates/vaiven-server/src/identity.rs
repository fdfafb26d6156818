//! Names of clients and secrets of sessions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

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
