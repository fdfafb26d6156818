//! Tokens that are signed with private keys: every kind that is taken, and what must not pass for one.

use crate::support::{TestServer, closed};
use crate::token::backend;
use crate::v1::Client;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use ring::{hmac, rsa};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A key for tests alone: everybody has it. Nothing here could make another one of this kind.
const RSA_PEM: &str = include_str!("rsa-private.pem");

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Somebody who signs tokens.
struct Issuer {
    /// How it signs, by the name of the algorithm.
    algorithms: Vec<(&'static str, Sign)>,
    public_pem: String,
    jwk: Value,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    fn rsa() -> Self {
        let der = STANDARD.decode(RSA_PEM.lines().filter(|line| !line.starts_with('-')).collect::<String>());
        let der = der.unwrap();
        let encodings: [(&str, &'static dyn RsaEncoding); 6] = [
            ("RS256", &RSA_PKCS1_SHA256),
            ("RS384", &RSA_PKCS1_SHA384),
            ("RS512", &RSA_PKCS1_SHA512),
            ("PS256", &RSA_PSS_SHA256),
            ("PS384", &RSA_PSS_SHA384),
            ("PS512", &RSA_PSS_SHA512),
        ];
        let algorithms = encodings.map(|(name, encoding)| {
            let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
            let sign: Sign = Box::new(move |message| {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            });
            (name, sign)
        });
        let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
        let parts = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
        // SubjectPublicKeyInfo of 2048 bits (RFC 8017, appendix A.1).
        let mut spki =
            vec![0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];
        spki.extend([0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00]);
        spki.extend(pair.public_key().as_ref());
        let body: Vec<_> = STANDARD
            .encode(spki)
            .into_bytes()
            .chunks(64)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        Self {
            algorithms: algorithms.into(),
            public_pem: format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                body.join("\n")
            ),
            jwk: json!({"kty": "RSA", "kid": "rsa", "n": encode(parts.n), "e": encode(parts.e)}),
        }
    }

    fn ecdsa(name: &'static str) -> Self {
        let (made, curve, signing): (_, _, &'static EcdsaSigningAlgorithm) = match name {
            "ES256" => (&rcgen::PKCS_ECDSA_P256_SHA256, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            _ => (&rcgen::PKCS_ECDSA_P384_SHA384, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        };
        let made = rcgen::KeyPair::generate_for(made).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, &made.serialize_der(), &SystemRandom::new()).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({"kty": "EC", "crv": curve, "kid": name, "x": encode(x), "y": encode(y)});
        let sign: Sign =
            Box::new(move |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec());
        Self { algorithms: vec![(name, sign)], public_pem: made.public_key_pem(), jwk }
    }

    fn ed25519() -> Self {
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&made.serialize_der()).unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(pair.public_key())});
        let sign: Sign = Box::new(move |message| pair.sign(message).as_ref().to_vec());
        Self { algorithms: vec![("EdDSA", sign)], public_pem: made.public_key_pem(), jwk }
    }

    fn all() -> [Self; 4] {
        [Self::rsa(), Self::ecdsa("ES256"), Self::ecdsa("ES384"), Self::ed25519()]
    }

    /// A token that holds for a minute, under a name of a key.
    fn token(&self, at: usize, kid: &str, user: &str) -> String {
        let (name, sign) = &self.algorithms[at];
        let message = format!("{}.{}", encode(json!({"alg": name, "kid": kid}).to_string()), claims(user));
        format!("{message}.{}", encode(sign(message.as_bytes())))
    }

    fn kid(&self) -> &str {
        self.jwk["kid"].as_str().unwrap()
    }
}

fn claims(user: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    encode(json!({"sub": user, "exp": now + 60}).to_string())
}

/// A server that knows the public key of an issuer from a file.
async fn server_with_key(pem: &str, name: &str) -> TestServer {
    let file: PathBuf = std::env::temp_dir().join(format!("vaiven-{name}-{}.pem", std::process::id()));
    std::fs::write(&file, pem).unwrap();
    let server = TestServer::with(|settings| settings.token_public_key = Some(file.clone())).await;
    std::fs::remove_file(file).unwrap();
    server
}

/// Who the server says that a client with this token is; or the code with which it is sent away.
async fn connect(server: &TestServer, token: &str) -> Result<String, u16> {
    let mut client = Client::connect(server).await;
    client.send(json!({"type": "connect", "token": token})).await;
    let first = client.next().await;
    if first["type"] == "welcome" {
        return Ok(first["user"].as_str().unwrap().to_owned());
    }
    Err(closed(&mut client.socket).await.0)
}

#[tokio::test]
async fn signatures_of_every_kind_of_key_are_taken_and_no_others() {
    for issuer in Issuer::all() {
        let server = server_with_key(&issuer.public_pem, issuer.kid()).await;
        for at in 0..issuer.algorithms.len() {
            let name = issuer.algorithms[at].0;
            let good = issuer.token(at, "any", "ana");
            assert_eq!(connect(&server, &good).await, Ok("ana".to_owned()), "{name}");
            // The signature of something else.
            let parts: Vec<_> = good.split('.').collect();
            let forged = format!("{}.{}.{}", parts[0], claims("luis"), parts[2]);
            assert_eq!(connect(&server, &forged).await, Err(3000), "{name}");
            // The signature under the name of another algorithm.
            for other in ["RS256", "PS256", "ES256", "ES384", "EdDSA", "HS256", "none"] {
                let head = encode(json!({"alg": other}).to_string());
                let renamed = format!("{head}.{}.{}", parts[1], parts[2]);
                assert_eq!(connect(&server, &renamed).await, Err(3000), "{name} as {other}");
            }
        }
    }
}

/// T2: what everybody may know of a key makes no signature.
#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
    for issuer in Issuer::all() {
        let server = server_with_key(&issuer.public_pem, &format!("public-{}", issuer.kid())).await;
        let pem = &issuer.public_pem;
        let der =
            STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
        for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), &der, &der[24.min(der.len())..]] {
            for (name, hash) in
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
            {
                let message = format!("{}.{}", encode(json!({"alg": name}).to_string()), claims("ana"));
                let tag = hmac::sign(&hmac::Key::new(hash, secret), message.as_bytes());
                let token = format!("{message}.{}", encode(tag));
                assert_eq!(connect(&server, &token).await, Err(3000), "{name}");
                let fields = format!("Authorization: Bearer {token}\r\n");
                let answer = server.ask(&server.upgrade("/v1", &fields)).await;
                assert!(answer.starts_with("HTTP/1.1 401 "), "{name}: {answer}");
            }
        }
    }
}

/// A server that fetches these keys.
async fn server_with_jwks(
    issuers: &[&Issuer],
) -> (TestServer, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let keys: Vec<_> = issuers.iter().map(|issuer| &issuer.jwk).collect();
    let body = json!({ "keys": keys }).to_string();
    let (url, count) = backend(move |_| (200, body.clone())).await;
    (TestServer::with(|settings| settings.token_jwks_url = Some(url.parse().unwrap())).await, count)
}

/// T9: a name of a key says which one it is, and whoever signs with another one under this name is somebody else.
#[tokio::test]
async fn a_key_is_taken_from_the_set_by_its_name_and_stands_for_nobody_else() {
    let issuers = Issuer::all();
    let (server, count) = server_with_jwks(&issuers.each_ref()).await;
    for issuer in &issuers {
        for at in 0..issuer.algorithms.len() {
            let token = issuer.token(at, issuer.kid(), "ana");
            assert_eq!(connect(&server, &token).await, Ok("ana".to_owned()), "{}", issuer.algorithms[at].0);
        }
        // Under the names of the others.
        for other in issuers.iter().map(Issuer::kid).filter(|kid| *kid != issuer.kid()) {
            assert_eq!(connect(&server, &issuer.token(0, other, "ana")).await, Err(3000), "as {other}");
        }
    }
    // Other tenants, whose keys have the same names.
    for stranger in [Issuer::ecdsa("ES256"), Issuer::ecdsa("ES384"), Issuer::ed25519()] {
        let token = stranger.token(0, stranger.kid(), "ana");
        assert_eq!(connect(&server, &token).await, Err(3000), "{}", stranger.kid());
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

/// T10: however many unknown keys tokens name, the issuer is asked once a minute, and good tokens are taken meanwhile.
#[tokio::test]
async fn unknown_names_of_keys_cost_the_issuer_one_request_a_minute() {
    let issuer = Issuer::ed25519();
    let (server, count) = server_with_jwks(&[&issuer]).await;
    let begun = Instant::now();
    assert_eq!(connect(&server, &issuer.token(0, issuer.kid(), "ana")).await, Ok("ana".to_owned()));
    let mut wire = server.wire().await;
    for number in 0..10_000 {
        let token = issuer.token(0, &format!("unknown-{number}"), "ana");
        wire.send(&server.get("/v1/events", &format!("Authorization: Bearer {token}\r\n"))).await;
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    assert_eq!(connect(&server, &issuer.token(0, issuer.kid(), "ana")).await, Ok("ana".to_owned()));
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    let asked = count.load(Ordering::Relaxed);
    assert!((1..=1 + minutes).contains(&asked), "asked {asked} times in {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_mins(10));
}
