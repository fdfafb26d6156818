//! A JSON Web Token (RFC 7519) to an identity, or to the reason why it is none.
//!
//! The key is chosen by what is configured: nothing in a token leads to another one (`jku`, `x5u`, `jwk` and `x5c` are
//! not looked at), and a key of one family never checks the signature of another.

use super::grants::Grants;
use super::jwks::Jwks;
use super::keys::{self, Key};
use super::{AuthError, Identity, MAX_TOKEN_BYTES, crypto};
use crate::environment::WallClock;
use crate::settings::Settings;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// How far the clocks of the issuer and of this machine may differ, in seconds.
const LEEWAY: u64 = 30;
/// A moment after which nothing ends any more, in seconds since 1970: about the year 2600.
const END_OF_TIME: u64 = 20_000_000_000;
/// The largest NumericDate that is taken for one: no integer of 64 bits is larger.
const LAST_DATE: f64 = 18_446_744_073_709_551_615.0;

/// Checks tokens.
pub(super) struct Tokens {
    keys: Vec<Key>,
    jwks: Option<Jwks>,
    validation: Validation,
    clock: WallClock,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    jti: Option<String>,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    info: Option<Box<RawValue>>,
    #[serde(default)]
    channels: Grants,
}

impl Tokens {
    /// What the settings name; `None` where they name nothing.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub(super) fn new(settings: &Settings, clock: WallClock) -> Result<Option<Self>, String> {
        if !settings.checks_tokens() {
            return Ok(None);
        }
        crypto::install();
        let mut keys: Vec<_> = settings.token_secret.iter().map(|secret| Key::secret(&secret.0)).collect();
        if let Some(path) = &settings.token_public_key {
            keys.push(keys::public_key(path)?);
        }
        let mut validation = Validation::new(Algorithm::default());
        // Judged below, by the clock of the server.
        validation.validate_exp = false;
        let mut required = vec!["exp"];
        if let Some(issuer) = &settings.token_issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &settings.token_audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        let jwks = settings.token_jwks_url.clone().map(Jwks::new);
        Ok(Some(Self { keys, jwks, validation, clock }))
    }

    pub(super) async fn prepare(&self) {
        if let Some(jwks) = &self.jwks {
            jwks.prepare().await;
        }
    }

    /// Who bears this token.
    pub(super) async fn check(&self, token: &str) -> Result<Identity, AuthError> {
        let bad = AuthError::Unauthorized("the token is none that this server takes");
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Unauthorized("the token is too long"));
        }
        let header = decode_header(token).map_err(|_| bad.clone())?;
        // RFC 7515 section 4.1.11: what is critical and not understood makes a token invalid.
        if header.crit.is_some() {
            return Err(bad);
        }
        let mut outcome = Err(bad);
        for key in self.keys.iter().filter(|key| key.checks(header.alg)) {
            outcome = self.decode(token, key, header.alg);
            if outcome.is_ok() {
                return outcome;
            }
        }
        if let Some(jwks) = &self.jwks {
            for key in jwks.find(header.kid.as_deref(), header.alg).await? {
                outcome = self.decode(token, &key, header.alg);
                if outcome.is_ok() {
                    break;
                }
            }
        }
        outcome
    }

    fn decode(&self, token: &str, key: &Key, algorithm: Algorithm) -> Result<Identity, AuthError> {
        let mut validation = self.validation.clone();
        validation.algorithms = vec![algorithm];
        let decoded = decode::<Claims>(token, &key.decoding, &validation).map_err(|error| {
            AuthError::Unauthorized(match error.kind() {
                ErrorKind::InvalidAudience => "the token is for another audience",
                ErrorKind::InvalidIssuer => "the token is of another issuer",
                ErrorKind::InvalidSignature => "the token's signature is wrong",
                _ => "the token is none that this server takes",
            })
        })?;
        let Claims { sub, jti, exp, nbf, iat, info, channels } = decoded.claims;
        self.judge_times(exp, nbf)?;
        Ok(Identity {
            user: sub.filter(|sub| !sub.is_empty()).map(Arc::from),
            info: info.map(Arc::from),
            token_id: jti.map(Arc::from),
            issued_at: iat.map(seconds),
            expires_at: Some(seconds(exp)),
            is_known: true,
            grants: channels,
        })
    }

    /// Whether it holds now: RFC 7519 sections 4.1.4 and 4.1.5.
    fn judge_times(&self, exp: f64, nbf: Option<f64>) -> Result<(), AuthError> {
        let is_date = |date: f64| (0.0..=LAST_DATE).contains(&date);
        if !is_date(exp) || !nbf.is_none_or(is_date) {
            return Err(AuthError::Unauthorized("the token is none that this server takes"));
        }
        let now = self.clock.now().as_secs();
        if seconds(exp) + LEEWAY < now {
            return Err(AuthError::Unauthorized("the token has ended"));
        }
        if nbf.is_some_and(|nbf| seconds(nbf) > now + LEEWAY) {
            return Err(AuthError::Unauthorized("the token does not hold yet"));
        }
        Ok(())
    }
}

/// A NumericDate as whole seconds, no later than the end of time.
fn seconds(date: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float saturates, and nobody minds a part of a second"
    )]
    let whole = date as u64;
    whole.min(END_OF_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::hmac;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn encode(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn hs256(secret: &[u8], header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes())))
    }

    fn now(offset: i64) -> i64 {
        i64::try_from(WallClock::default().now().as_secs()).unwrap() + offset
    }

    fn tokens(change: impl FnOnce(&mut Settings)) -> Tokens {
        let token_secret = Some(Secret(SECRET.to_owned()));
        let mut settings = Settings { token_secret, ..Settings::default() };
        change(&mut settings);
        Tokens::new(&settings, WallClock::default()).unwrap().unwrap()
    }

    const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    #[tokio::test]
    async fn a_good_token_says_who_and_what() {
        let claims = format!(
            r#"{{"sub":"ana","exp":{},"jti":"t1","iat":1.5,"info":{{"name":"Ana"}},"channels":{{"publish":["a:*"]}}}}"#,
            now(60)
        );
        let identity = tokens(|_| {}).check(&hs256(SECRET.as_bytes(), HEADER, &claims)).await.unwrap();
        assert_eq!((identity.user.as_deref(), identity.token_id.as_deref()), (Some("ana"), Some("t1")));
        assert_eq!(identity.info.unwrap().get(), r#"{"name":"Ana"}"#);
        assert!(identity.is_known && identity.grants.lists(super::super::Action::Publish, "a:1"));
        assert_eq!((identity.issued_at, identity.expires_at), (Some(1), u64::try_from(now(60)).ok()));
    }

    /// Every row is a token that must not be taken, under a server that asks for issuer and audience.
    #[tokio::test]
    async fn tokens_that_are_not_to_be_trusted_are_not() {
        let strict = tokens(|settings| {
            settings.token_issuer = Some("us".to_owned());
            settings.token_audience = Some("vaiven".to_owned());
        });
        let claims = |exp: String| format!(r#"{{"sub":"a","iss":"us","aud":"vaiven","exp":{exp}}}"#);
        let good = claims(now(60).to_string());
        let sign = |claims: &str| hs256(SECRET.as_bytes(), HEADER, claims);
        assert!(strict.check(&sign(&good)).await.is_ok());
        let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&good));
        let rows = [
            ("alg none", unsigned.clone()),
            ("alg none with a signature", format!("{unsigned}AAAA")),
            ("alg None", format!("{}.{}.", encode(r#"{"alg":"None"}"#), encode(&good))),
            ("no signature", sign(&good).rsplit_once('.').unwrap().0.to_owned() + "."),
            ("another secret", hs256(b"another secret", HEADER, &good)),
            ("exp a string", sign(&claims(format!("\"{}\"", now(60))))),
            ("exp beyond floats", sign(&claims("1e400".to_owned()))),
            ("exp beyond integers", sign(&claims("1e308".to_owned()))),
            ("exp negative", sign(&claims("-1".to_owned()))),
            ("exp null", sign(&claims("null".to_owned()))),
            ("exp missing", sign(r#"{"sub":"a","iss":"us","aud":"vaiven"}"#)),
            ("expired", sign(&claims(now(-32).to_string()))),
            ("not yet", sign(&good.replace("{\"sub\"", &format!("{{\"nbf\":{},\"sub\"", now(40))))),
            ("another audience", sign(&good.replace("vaiven", "other"))),
            ("no audience", sign(&good.replace("\"aud\":\"vaiven\",", ""))),
            ("audience of another type", sign(&good.replace("\"vaiven\"", "5"))),
            ("another issuer", sign(&good.replace("\"us\"", "\"them\""))),
            ("no issuer", sign(&good.replace("\"iss\":\"us\",", ""))),
            ("a critical header", hs256(SECRET.as_bytes(), r#"{"alg":"HS256","crit":["b64"]}"#, &good)),
            ("another algorithm", hs256(SECRET.as_bytes(), r#"{"alg":"HS512"}"#, &good)),
            ("an unknown algorithm", hs256(SECRET.as_bytes(), r#"{"alg":"HS1"}"#, &good)),
            ("no token", String::new()),
            ("dots", "..".to_owned()),
            ("four parts", sign(&good) + ".x"),
            ("too long", sign(&good.replace("\"a\"", &format!("\"{}\"", "a".repeat(MAX_TOKEN_BYTES))))),
        ];
        for (name, token) in rows {
            let refused = strict.check(&token).await;
            assert!(matches!(refused, Err(AuthError::Unauthorized(_))), "{name}: {refused:?}");
        }
        // Within the leeway, and with headers that lead elsewhere and are not followed.
        for (name, token) in [
            ("just expired", sign(&claims(now(-28).to_string()))),
            ("many audiences", sign(&good.replace("\"vaiven\"", "[\"a\",\"vaiven\"]"))),
            (
                "jku and x5u",
                hs256(
                    SECRET.as_bytes(),
                    r#"{"alg":"HS256","jku":"http://127.0.0.1:1","x5u":"http://127.0.0.1:1"}"#,
                    &good,
                ),
            ),
        ] {
            assert!(strict.check(&token).await.is_ok(), "{name}");
        }
    }

    fn ed25519() -> (Ed25519KeyPair, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        // SubjectPublicKeyInfo of RFC 8410.
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(pair.public_key().as_ref());
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        (pair, format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"))
    }

    #[tokio::test]
    async fn a_public_key_checks_signatures_and_is_no_secret() {
        let (pair, pem) = ed25519();
        let file = std::env::temp_dir().join(format!("vaiven-key-{}.pem", std::process::id()));
        std::fs::write(&file, &pem).unwrap();
        let tokens = tokens(|settings| {
            settings.token_secret = None;
            settings.token_public_key = Some(file.clone());
        });
        std::fs::remove_file(&file).unwrap();
        let claims = format!(r#"{{"sub":"ana","exp":{}}}"#, now(60));
        let message = format!("{}.{}", encode(r#"{"alg":"EdDSA"}"#), encode(&claims));
        let token = format!("{message}.{}", encode(pair.sign(message.as_bytes())));
        assert!(tokens.check(&token).await.is_ok());
        // What everyone knows does not make it a signature.
        for secret in [pem.as_bytes(), pair.public_key().as_ref()] {
            assert!(tokens.check(&hs256(secret, HEADER, &claims)).await.is_err());
        }
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let token = format!("{message}.{}", encode(other.sign(message.as_bytes())));
        assert!(tokens.check(&token).await.is_err());
    }

    #[test]
    fn keys_of_a_set_that_are_not_whole_or_not_for_this_are_left_out() {
        let x = encode([7; 32]);
        for (key, expected) in [
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{x}"}}"#), 1),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{}"}}"#, encode([7; 31])), 0),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{}"}}"#, encode([7; 33])), 0),
            (r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":""}"#.to_owned(), 0),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","use":"enc","x":"{x}"}}"#), 0),
            (format!(r#"{{"kty":"oct","k":"{x}"}}"#), 0),
            (r#"{"kty":"new","x":"1"}"#.to_owned(), 0),
        ] {
            let set = keys::from_jwks(format!(r#"{{"keys":[{key}]}}"#).as_bytes());
            assert_eq!(set.map(|keys| keys.len()), Some(expected), "{key}");
        }
        assert!(keys::from_jwks(b"{}").is_none());
    }
}
