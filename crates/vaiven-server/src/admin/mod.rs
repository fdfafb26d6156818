//! The admin page at `/admin`, and what it asks for: the [`state`] of the server, the messages of a channel as they come
//! ([`tail`]), and that a connection ends.
//!
//! There is nothing at these paths unless `admin_key` is set. The page itself is no secret; everything else needs the
//! key, in a header that no other page can make a browser send.

mod state;
mod tail;

use crate::api::body::{parse, read};
use crate::api::query::Parameters;
use crate::api::{ApiError, json};
use crate::app::App;
use crate::http::{Answer, file, is_forwarded};
use crate::server::Peer;
use crate::session::{SENT_AWAY, Which};
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vaiven_demos::File;

pub(crate) use tail::Tails;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Page,
    State,
    Tail,
    Disconnect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisconnectRequest {
    /// Its number in the state.
    connection: u64,
}

#[derive(Serialize)]
struct Disconnected {
    disconnected: usize,
}

impl Part {
    /// What is served at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/admin" => Some(Self::Page),
            "/admin/state" => Some(Self::State),
            "/admin/tail" => Some(Self::Tail),
            "/admin/disconnect" => Some(Self::Disconnect),
            _ => None,
        }
    }

    /// Its path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Page => "/admin",
            Self::State => "/admin/state",
            Self::Tail => "/admin/tail",
            Self::Disconnect => "/admin/disconnect",
        }
    }

    fn method(self) -> Method {
        if self == Self::Disconnect { Method::POST } else { Method::GET }
    }
}

/// Answers a request where there is an admin page.
pub(crate) async fn answer(app: &Arc<App>, part: Part, request: Request<Incoming>, peer: Peer) -> Answer {
    serve(app, part, request, peer).await.unwrap_or_else(|error| error.to_answer())
}

async fn serve(
    app: &Arc<App>,
    part: Part,
    request: Request<Incoming>,
    peer: Peer,
) -> Result<Answer, ApiError> {
    if !app.settings.admin_from.admits(peer.ip, is_forwarded(request.headers())) {
        let why = "the admin page is for this machine only; to open it to every address, set admin_from = \
                   \"anywhere\"";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", why));
    }
    let method = request.method();
    if *method != part.method() && !(part == Part::Page && method == Method::HEAD) {
        let (why, allow) = if part == Part::Disconnect {
            ("use the method POST", "POST")
        } else {
            ("use the method GET", "GET")
        };
        let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why);
        return Err(error.with(header::ALLOW, allow));
    }
    if part != Part::Page {
        app.admin_key.check(request.headers())?;
    }
    match part {
        Part::Page => {
            let page = File::at(part.path()).expect("it is in the table");
            let mut answer = file(&request, page);
            answer.headers_mut().insert("x-robots-tag", HeaderValue::from_static("noindex"));
            Ok(answer)
        }
        Part::State => {
            let parameters = Parameters::of(&request, &["find"])?;
            Ok(json(&state::State::of(app, parameters.one("find")?)))
        }
        Part::Tail => {
            let channel = Parameters::of(&request, &["channel"])?.channel()?;
            tail::open(app, &channel).await
        }
        Part::Disconnect => {
            let DisconnectRequest { connection } = parse(&read(app, request).await?)?;
            let disconnected = app.sessions.send_away(&Which::Number(connection), &SENT_AWAY);
            Ok(json(&Disconnected { disconnected }))
        }
    }
}
