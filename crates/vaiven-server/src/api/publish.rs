//! Publishing through the HTTP API: one publication, many, or one to many channels.

use super::body::{parse, read};
use super::{ApiError, Result, ShownError, json};
use crate::app::App;
use crate::http::Answer;
use crate::protocol::code::ErrorCode;
use crate::traces;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use tracing::Instrument;
use vaiven_hub::{ChannelName, Data, IdempotencyKey, NewPublication, PublishError, Published};

/// The most publications of one request.
const MAX_PUBLICATIONS: usize = 1000;
/// The longest `Idempotency-Key`: what follows it within a batch fits too.
const MAX_KEY_BYTES: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneRequest {
    channel: String,
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
    base64: Option<String>,
    key: Option<String>,
    #[serde(default)]
    remove: bool,
    #[serde(default)]
    ephemeral: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchRequest {
    publications: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BroadcastRequest {
    channels: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
    base64: Option<String>,
    key: Option<String>,
    #[serde(default)]
    remove: bool,
    #[serde(default)]
    ephemeral: bool,
}

/// `null` is data like any other.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// What became of a publication.
#[derive(Default, Serialize)]
struct Outcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

#[derive(Serialize)]
struct Results<'a> {
    results: Vec<OneResult<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OneResult<'a> {
    Done(Outcome),
    Failed { error: ShownError<'a> },
}

type Order = (ChannelName, NewPublication);

pub(super) async fn one(app: &App, request: Request<Incoming>) -> Result<Answer> {
    let key = idempotency_key(request.headers())?;
    let body = read(app, request).await?;
    let order = order(parse(&body)?, key.as_deref())?;
    let published = app.hub.publish(&order.0, order.1).instrument(traces::publish(1)).await?;
    Ok(json(&Outcome::of(published)))
}

pub(super) async fn batch(app: &App, request: Request<Incoming>) -> Result<Answer> {
    let key = idempotency_key(request.headers())?;
    let body = read(app, request).await?;
    let BatchRequest { publications } = parse(&body)?;
    check_count(publications.len())?;
    let mut orders = Vec::with_capacity(publications.len());
    for (index, publication) in publications.iter().enumerate() {
        let key = key.as_ref().map(|key| format!("{key}/{index}"));
        let at =
            |error: ApiError| ApiError { message: format!("[{index}]: {}", error.message).into(), ..error };
        let one = parse(publication.get().as_bytes()).map_err(at)?;
        orders.push(order(one, key.as_deref()).map_err(at)?);
    }
    Ok(results(publish_all(app, orders).await))
}

async fn publish_all(app: &App, orders: Vec<Order>) -> Vec<std::result::Result<Published, PublishError>> {
    let span = traces::publish(orders.len());
    app.hub.publish_many(orders).instrument(span).await
}

pub(super) async fn broadcast(app: &App, request: Request<Incoming>) -> Result<Answer> {
    let key = idempotency_key(request.headers())?;
    let body = read(app, request).await?;
    let BroadcastRequest { channels, data, base64, key: data_key, remove, ephemeral } = parse(&body)?;
    check_count(channels.len())?;
    let mut orders = Vec::with_capacity(channels.len());
    for channel in channels {
        let (data, base64, data_key) = (data.clone(), base64.clone(), data_key.clone());
        orders.push(order(
            OneRequest { channel, data, base64, key: data_key, remove, ephemeral },
            key.as_deref(),
        )?);
    }
    Ok(results(publish_all(app, orders).await))
}

fn check_count(count: usize) -> Result<()> {
    if count > MAX_PUBLICATIONS {
        let message = format!("at most {MAX_PUBLICATIONS} publications at once");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge.name(), message));
    }
    Ok(())
}

/// What is to be published, and where. Nothing was published before all of a request was found right.
fn order(request: OneRequest, idempotency: Option<&str>) -> Result<Order> {
    let OneRequest { channel, data, base64, key, remove, ephemeral } = request;
    let channel = super::query::channel(&channel)?;
    let data = match (data, base64) {
        (Some(json), None) => Data::Json(Bytes::from(Box::<str>::from(json).into_boxed_bytes())),
        (None, Some(base64)) => match STANDARD.decode(base64) {
            Ok(bytes) => Data::Binary(bytes.into()),
            Err(_) => return Err(ApiError::bad_request("`base64` is not base64")),
        },
        (None, None) if remove => Data::Json(Bytes::from_static(b"null")),
        _ => return Err(ApiError::bad_request("either `data` or `base64` is needed")),
    };
    if remove && key.is_none() {
        return Err(ApiError::bad_request("`remove` needs the `key` that is to go"));
    }
    // Keys of clients begin with their names, which have no `api:` in front.
    let idempotency = idempotency.and_then(|key| IdempotencyKey::new(&format!("api:{key}")));
    let publication = NewPublication {
        key: key.map(Arc::from),
        remove,
        ephemeral,
        idempotency,
        ..NewPublication::new(data)
    };
    Ok((channel, publication))
}

/// The name under which a request is done once.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=MAX_KEY_BYTES).contains(&text.len()));
    let bad = || {
        ApiError::bad_request(format!("`Idempotency-Key` must be 1 to {MAX_KEY_BYTES} characters of ASCII"))
    };
    text.map(|text| Some(text.to_owned())).ok_or_else(bad)
}

fn results(outcomes: Vec<std::result::Result<Published, PublishError>>) -> Answer {
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map_err(ApiError::from)).collect();
    let results = outcomes.iter().map(|outcome| match outcome {
        Ok(published) => OneResult::Done(Outcome::of(published.clone())),
        Err(error) => OneResult::Failed { error: error.shown() },
    });
    json(&Results { results: results.collect() })
}

impl Outcome {
    fn of(published: Published) -> Self {
        let Published { position, duplicate, .. } = published;
        Self {
            epoch: position.as_ref().map(|position| position.epoch.as_str().to_owned()),
            offset: position.map(|position| position.offset),
            duplicate,
        }
    }
}
