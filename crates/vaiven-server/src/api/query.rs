//! Reading through the HTTP API: history, presence, channels. What is asked stands in the query of the URL.

use super::{ApiError, Result, json};
use crate::app::App;
use crate::http::Answer;
use crate::protocol::code::ErrorCode;
use crate::protocol::command::MAX_HISTORY;
use crate::protocol::reply::{Page, Person, Present, Said};
use http::Request;
use serde::Serialize;
use std::borrow::Cow;
use std::str::FromStr;
use vaiven_hub::{ChannelName, Epoch, HistoryError, HistoryQuery, Position};

/// The most channels that are listed at once.
const MAX_CHANNELS: usize = 1000;
/// The most channels whose counts are asked for at once.
const MAX_COUNTS: usize = 100;

/// The parameters of a request, each of them known.
pub(crate) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    /// Reads the query.
    ///
    /// # Errors
    /// A parameter that is not known.
    pub(crate) fn of<B>(request: &'a Request<B>, known: &[&str]) -> Result<Self> {
        let query = request.uri().query().unwrap_or_default();
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(&&**name)) {
            let name: String = name.chars().take(32).collect();
            return Err(ApiError::bad_request(format!("there is no parameter `{name}`")));
        }
        Ok(Self(pairs))
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// One that may be missing, and stands there once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(ApiError::bad_request(format!("`{name}` stands there twice"))),
        }
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        // `+1` is a space and a digit in a query, and no way to write a number here.
        let parsed = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        parsed.map(Some).ok_or_else(|| ApiError::bad_request(format!("`{name}` must be a whole number")))
    }

    /// The channel that is asked about.
    pub(crate) fn channel(&self) -> Result<ChannelName> {
        channel(self.one("channel")?.ok_or_else(|| ApiError::bad_request("`channel` is missing"))?)
    }

    /// How many at most; up to `most` where nothing is said.
    pub(super) fn limit(&self, most: usize) -> Result<usize> {
        match self.number::<usize>("limit")? {
            None => Ok(most),
            Some(limit) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(ApiError::bad_request(format!("`limit` must be from 1 to {most}"))),
        }
    }
}

/// A name that is one.
pub(super) fn channel(name: &str) -> Result<ChannelName> {
    ChannelName::parse(name).map_err(|error| ApiError::of(ErrorCode::ChannelName, error.to_string()))
}

fn no_history(error: HistoryError) -> ApiError {
    let code = match error {
        HistoryError::UnknownNamespace => ErrorCode::UnknownNamespace,
        HistoryError::NotKept => ErrorCode::NotKept,
        _ => ErrorCode::Unavailable,
    };
    ApiError::of(code, error.to_string())
}

pub(super) async fn history<B>(app: &App, request: &Request<B>) -> Result<Answer> {
    // Nothing of the request is held across the await.
    let (channel, query) = {
        let parameters = Parameters::of(request, &["channel", "epoch", "offset", "limit", "reverse"])?;
        let offset = parameters.number("offset")?;
        let since = match (parameters.one("epoch")?, offset) {
            (Some(epoch), Some(offset)) => Some(Position { epoch: Epoch::new(epoch), offset }),
            (None, None) => None,
            _ => return Err(ApiError::bad_request("`epoch` and `offset` belong together")),
        };
        let reverse = match parameters.one("reverse")? {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(ApiError::bad_request("`reverse` must be true or false")),
        };
        (
            parameters.channel()?,
            HistoryQuery { since, limit: parameters.limit(MAX_HISTORY as usize)?, reverse },
        )
    };
    let history = app.hub.history(&channel, query).await.map_err(no_history)?;
    Ok(json(&Page {
        id: None,
        channel: channel.as_str(),
        epoch: history.position.epoch.as_str(),
        offset: history.position.offset,
        publications: history.publications.iter().map(|one| Said::in_history(one)).collect(),
        more: history.more,
    }))
}

pub(super) fn presence<B>(app: &App, request: &Request<B>) -> Result<Answer> {
    let channel = Parameters::of(request, &["channel"])?.channel()?;
    let presence = app.hub.presence(&channel).map_err(no_history)?;
    let clients = presence.members.iter().map(Person::of).collect();
    Ok(json(&Present { id: None, channel: channel.as_str(), count: presence.count, clients }))
}

#[derive(Serialize)]
struct Counts<'a> {
    counts: Vec<ChannelCount<'a>>,
}

#[derive(Serialize)]
struct ChannelCount<'a> {
    channel: &'a str,
    count: usize,
}

pub(super) fn presence_counts<B>(app: &App, request: &Request<B>) -> Result<Answer> {
    let parameters = Parameters::of(request, &["channel"])?;
    let names = parameters.all("channel").map(channel).collect::<Result<Vec<_>>>()?;
    if names.is_empty() || names.len() > MAX_COUNTS {
        return Err(ApiError::bad_request(format!("1 to {MAX_COUNTS} times `channel`, please")));
    }
    let mut counts = Vec::with_capacity(names.len());
    for name in &names {
        let count = app.hub.presence(name).map_err(no_history)?.count;
        counts.push(ChannelCount { channel: name.as_str(), count });
    }
    Ok(json(&Counts { counts }))
}

#[derive(Serialize)]
struct Channels<'a> {
    channels: Vec<ChannelInfo<'a>>,
}

#[derive(Serialize)]
struct ChannelInfo<'a> {
    channel: &'a str,
    subscribers: usize,
    present: usize,
}

pub(super) fn channels<B>(app: &App, request: &Request<B>) -> Result<Answer> {
    let parameters = Parameters::of(request, &["pattern", "limit"])?;
    let limit = parameters.limit(MAX_CHANNELS)?;
    let mut found = app.hub.channels(parameters.one("pattern")?.unwrap_or("*"), limit);
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let shown = found.iter().map(|info| ChannelInfo {
        channel: info.name.as_str(),
        subscribers: info.subscribers,
        present: info.members,
    });
    Ok(json(&Channels { channels: shown.collect() }))
}
