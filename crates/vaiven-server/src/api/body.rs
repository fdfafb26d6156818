//! The body of a request: bytes within bounds of length, time and depth, to what they say.

use super::ApiError;
use crate::app::App;
use crate::protocol::json::{MAX_DEPTH, has_doubled_keys, is_too_deep};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

/// The longest body.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// Reads a body of JSON.
///
/// # Errors
/// The answer to one that is too long, too slow, or something else.
pub(crate) async fn read(app: &App, request: Request<Incoming>) -> Result<Bytes, ApiError> {
    check_type(&request)?;
    read_bytes(app, request, MAX_BODY_BYTES).await
}

/// Reads a body of any type.
///
/// # Errors
/// The answer to one that is too long or too slow.
pub(crate) async fn read_bytes(
    app: &App,
    request: Request<Incoming>,
    max_bytes: usize,
) -> Result<Bytes, ApiError> {
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > max_bytes as u64) {
        return Err(too_long());
    }
    let body = Limited::new(request.into_body(), max_bytes).collect();
    match tokio::time::timeout(app.settings.body_timeout, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(ApiError::bad_request("the body ends early")),
        Err(_) => {
            let message = format!("the body did not arrive in {} s", app.settings.body_timeout.as_secs_f32());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", message).with(CONNECTION, "close"))
        }
    }
}

fn check_type(request: &Request<Incoming>) -> Result<(), ApiError> {
    let refuse = |why| ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", why);
    if request.headers().contains_key(CONTENT_ENCODING) {
        return Err(refuse("the body must not be compressed"));
    }
    let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(refuse("the body must be application/json"))
}

fn too_long() -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is longer than 1 MiB")
        .with(CONNECTION, "close")
}

/// What a body of JSON says. It is read strictly: what is not known, or said twice, may be a mistake about something
/// that matters.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if is_too_deep(body) {
        return Err(ApiError::bad_request(format!("JSON that nests deeper than {MAX_DEPTH}")));
    }
    // serde would take an array for the fields of a struct in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::bad_request("the body must be one JSON object"));
    }
    if has_doubled_keys(body) {
        return Err(ApiError::bad_request("an object has the same key twice"));
    }
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))
}
