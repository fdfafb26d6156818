//! The HTTP API at `/api/v1/`, for the operator's own programs: publish, read, send away.
//!
//! In the order that data flows: a [`key`] lets a request in, [`ROUTES`] says what its path and method mean, [`body`]
//! reads it within bounds, [`publish`], [`query`] and [`people`] do it. Every answer is JSON; what was not done says so
//! in an [`ApiError`] with a stable code.

pub(crate) mod body;
pub(crate) mod key;
mod people;
mod publish;
pub(crate) mod query;

use crate::app::App;
use crate::http::{Answer, with_type};
use crate::protocol::code::ErrorCode;
use crate::protocol::reply::to_json;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use serde::Serialize;
use std::borrow::Cow;
use vaiven_hub::PublishError;

/// What is served, as OpenAPI 3.1. A test compares it with [`ROUTES`].
const OPENAPI: &str = include_str!("openapi.json");

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Publish,
    Batch,
    Broadcast,
    History,
    Presence,
    PresenceCounts,
    Channels,
    Clients,
    Disconnect,
    Revoke,
    Info,
    OpenApi,
}

/// Every path below `/api/v1/`, with its method.
static ROUTES: [(&str, Method, Operation); 12] = [
    ("publish", Method::POST, Operation::Publish),
    ("batch", Method::POST, Operation::Batch),
    ("broadcast", Method::POST, Operation::Broadcast),
    ("history", Method::GET, Operation::History),
    ("presence", Method::GET, Operation::Presence),
    ("presence/counts", Method::GET, Operation::PresenceCounts),
    ("channels", Method::GET, Operation::Channels),
    ("clients", Method::GET, Operation::Clients),
    ("disconnect", Method::POST, Operation::Disconnect),
    ("revoke", Method::POST, Operation::Revoke),
    ("info", Method::GET, Operation::Info),
    ("openapi.json", Method::GET, Operation::OpenApi),
];

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    field: Option<(header::HeaderName, &'static str)>,
}

type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), field: None }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(ErrorCode::BadRequest, message)
    }

    /// One that clients of the protocol are told in the same word.
    pub(crate) fn of(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::from_u16(code.status()).expect("the table has valid ones");
        let mut error = Self::new(status, code.name(), message);
        if code == ErrorCode::Unavailable || code == ErrorCode::Rate {
            error = error.with(header::RETRY_AFTER, "1");
        }
        error
    }

    pub(crate) fn with(self, name: header::HeaderName, value: &'static str) -> Self {
        Self { field: Some((name, value)), ..self }
    }

    pub(crate) fn to_answer(&self) -> Answer {
        let shown = Shown { error: self.shown() };
        let mut answer = json(&shown);
        *answer.status_mut() = self.status;
        if let Some((name, value)) = &self.field {
            answer.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
        }
        answer
    }

    fn shown(&self) -> ShownError<'_> {
        ShownError { code: self.code, message: &self.message }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        Self::of(crate::session::publish_code(&error).0, error.to_string())
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    error: ShownError<'a>,
}

#[derive(Serialize)]
struct ShownError<'a> {
    code: &'a str,
    message: &'a str,
}

/// Answers a request for what is below `/api/v1/`.
pub(crate) async fn answer(app: &App, path: &str, request: Request<Incoming>) -> Answer {
    match serve(app, path, request).await {
        Ok(answer) => answer,
        Err(error) => error.to_answer(),
    }
}

async fn serve(app: &App, path: &str, request: Request<Incoming>) -> Result<Answer> {
    // What the API looks like is no secret.
    if path != "openapi.json" {
        app.keys.check(request.headers())?;
    }
    let of_path = || ROUTES.iter().filter(|(known, ..)| *known == path);
    let asked = of_path().find(|(_, method, _)| method == request.method());
    let Some((.., operation)) = asked else {
        return Err(match of_path().next() {
            Some((_, Method::POST, _)) => not_allowed("POST"),
            Some(_) => not_allowed("GET"),
            None => ApiError::new(StatusCode::NOT_FOUND, "not_found", "nothing is served at this path"),
        });
    };
    match operation {
        Operation::Publish => publish::one(app, request).await,
        Operation::Batch => publish::batch(app, request).await,
        Operation::Broadcast => publish::broadcast(app, request).await,
        Operation::History => query::history(app, &request).await,
        Operation::Presence => query::presence(app, &request),
        Operation::PresenceCounts => query::presence_counts(app, &request),
        Operation::Channels => query::channels(app, &request),
        Operation::Clients => people::list(app, &request),
        Operation::Disconnect => people::disconnect(app, request).await,
        Operation::Revoke => people::revoke(app, request).await,
        Operation::Info => Ok(people::info(app)),
        Operation::OpenApi => Ok(with_type("application/json", Bytes::from_static(OPENAPI.as_bytes()))),
    }
}

fn not_allowed(method: &'static str) -> ApiError {
    let message = format!("use the method {method}");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message).with(header::ALLOW, method)
}

/// An answer in JSON.
pub(crate) fn json(value: &impl Serialize) -> Answer {
    with_type("application/json", Bytes::from(to_json(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described: Vec<_> = description["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let served: Vec<_> =
            ROUTES.iter().map(|(path, method, _)| (format!("/api/v1/{path}"), method.to_string())).collect();
        assert_eq!(described, served);
        let codes = description["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]
            ["enum"]
            .as_array()
            .unwrap();
        for code in ErrorCode::API {
            assert!(codes.contains(&code.name().into()), "{}", code.name());
        }
    }
}
