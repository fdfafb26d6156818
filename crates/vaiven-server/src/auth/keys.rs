//! Keys that check tokens: a secret, a public key in a file, or a JWKS.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use std::fs;
use std::path::Path;

/// The longest file with a public key.
const MAX_KEY_FILE_BYTES: u64 = 64 << 10;
/// The bytes of an Ed25519 public key.
const ED25519_BYTES: usize = 32;

/// A key, and the algorithm that it is for where it says so.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) decoding: DecodingKey,
    algorithm: Option<Algorithm>,
}

impl Key {
    /// A secret of the configuration.
    pub(super) fn secret(secret: &str) -> Self {
        Self { id: None, decoding: DecodingKey::from_secret(secret.as_bytes()), algorithm: None }
    }

    /// Whether it checks signatures of an algorithm. One of a family never checks those of another.
    pub(super) fn checks(&self, algorithm: Algorithm) -> bool {
        let of_family = self.decoding.family().algorithms().contains(&algorithm);
        of_family && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// A key of a JWKS; `None` where it is for something else, or none.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))) {
            return None;
        }
        // A secret is nothing to be published.
        if matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_)) {
            return None;
        }
        if let AlgorithmParameters::OctetKeyPair(pair) = &jwk.algorithm
            && pair.curve != EllipticCurve::Ed25519
        {
            return None;
        }
        let algorithm = match jwk.common.key_algorithm {
            Some(named) => Some(named.to_string().parse().ok()?),
            None => None,
        };
        let decoding = DecodingKey::from_jwk(jwk).ok().filter(is_whole)?;
        Some(Self { id: jwk.common.key_id.clone(), decoding, algorithm })
    }
}

/// The usable keys of a JWKS.
pub(super) fn from_jwks(json: &[u8]) -> Option<Vec<Key>> {
    let set: JwkSet = serde_json::from_slice(json).ok()?;
    Some(set.keys.iter().filter_map(Key::from_jwk).collect())
}

/// Whether a public key has the length that its kind has.
fn is_whole(key: &DecodingKey) -> bool {
    let len = key.try_get_as_bytes().map_or(0, <[u8]>::len);
    match key.family() {
        AlgorithmFamily::Ed => len == ED25519_BYTES,
        // An uncompressed point of P-256 or P-384.
        AlgorithmFamily::Ec => len == 65 || len == 97,
        AlgorithmFamily::Rsa | AlgorithmFamily::Hmac => true,
    }
}

/// Reads a public key in PEM: RSA, ECDSA on P-256 or P-384, or Ed25519.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn read_public_key(path: &Path) -> Result<(), String> {
    public_key(path).map(drop)
}

pub(super) fn public_key(path: &Path) -> Result<Key, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_KEY_FILE_BYTES {
        return Err(format!("{} is too long for a key", path.display()));
    }
    let pem = fs::read(path).map_err(unreadable)?;
    if pem.windows(11).any(|window| window == b"PRIVATE KEY") {
        return Err(format!("{} holds a private key; only the public one is needed here", path.display()));
    }
    let readers = [DecodingKey::from_rsa_pem, DecodingKey::from_ec_pem, DecodingKey::from_ed_pem];
    let key = readers.iter().find_map(|read| read(&pem).ok()).filter(is_whole);
    let decoding = key.ok_or_else(|| {
        format!(
            "{} holds no public key in PEM of RSA, ECDSA (P-256, P-384) or Ed25519 (`-----BEGIN PUBLIC KEY-----`)",
            path.display()
        )
    })?;
    Ok(Key { id: None, decoding, algorithm: None })
}
