//! The signatures of tokens, checked by ring, which TLS uses too: jsonwebtoken leaves cryptography to a provider.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::signature::{RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use ring::{hmac, signature as algorithms};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes jsonwebtoken use ring. A program around this one may have chosen another provider before, which serves too.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

/// A key that is ready to check signatures of one algorithm.
struct RingVerifier {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Hmac(hmac::Key),
    Public(UnparsedPublicKey<Vec<u8>>),
    Rsa(&'static RsaParameters, RsaPublicKeyComponents<Vec<u8>>),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "jsonwebtoken asks for it")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let algorithm = *algorithm;
    let wanted = family(algorithm).ok_or(ErrorKind::UnsupportedAlgorithm)?;
    // A public key is no secret: what was signed with it as one is no signature.
    if key.family() != wanted {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let key = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            let parameters = rsa(algorithm).ok_or(ErrorKind::InvalidKeyFormat)?;
            Key::Rsa(parameters, RsaPublicKeyComponents { n: n.clone(), e: e.clone() })
        }
        DecodingKeyKind::SecretOrDer(bytes) => {
            if let Some(hash) = hash(algorithm) {
                Key::Hmac(hmac::Key::new(hash, bytes))
            } else {
                let parameters = public(algorithm).ok_or(ErrorKind::UnsupportedAlgorithm)?;
                Key::Public(UnparsedPublicKey::new(parameters, bytes.clone()))
            }
        }
    };
    Ok(Box::new(RingVerifier { algorithm, key }))
}

fn family(algorithm: Algorithm) -> Option<AlgorithmFamily> {
    use AlgorithmFamily::{Ec, Ed, Hmac, Rsa};
    [Hmac, Rsa, Ec, Ed].into_iter().find(|family| family.algorithms().contains(&algorithm))
}

fn hash(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::HS256 => Some(hmac::HMAC_SHA256),
        Algorithm::HS384 => Some(hmac::HMAC_SHA384),
        Algorithm::HS512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&algorithms::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&algorithms::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&algorithms::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&algorithms::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&algorithms::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&algorithms::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn public(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&algorithms::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Some(&algorithms::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Some(&algorithms::ED25519),
        _ => rsa(algorithm).map(|rsa| rsa as &dyn VerificationAlgorithm),
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match &self.key {
            Key::Hmac(key) => hmac::verify(key, message, signature),
            Key::Public(key) => key.verify(message, signature),
            Key::Rsa(parameters, key) => key.verify(parameters, message, signature),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
