//! What a path means. Everything else is 404, a badly encoded path too.

use crate::admin::Part;
use crate::metrics::RouteLabel;
use percent_encoding::percent_decode_str;
use vaiven_demos::File;
use vaiven_hub::ChannelName;

/// What is served at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A file of the demos' pages.
    Page(&'static File),
    /// A channel for plain WebSockets, by its decoded name.
    Room(String),
    /// Clients of `vaiven.v1.json`.
    V1,
    /// Clients of Socket.IO, over whatever transport.
    SocketIo,
    /// The same as Server-Sent Events.
    Events,
    /// Where a client of these sends its messages.
    Commands,
    /// The HTTP API, by what follows `/api/v1/`.
    Api(String),
    /// The admin page, and what it asks for.
    Admin(Part),
    /// Every message comes back to its sender.
    Echo,
    /// Whether the server runs.
    Health,
    /// Whether the server takes connections.
    Ready,
    /// Figures for Prometheus.
    Metrics,
}

impl Route {
    /// What a path means, without its query.
    pub(crate) fn of(path: &str) -> Option<Self> {
        if let Some(room) = path.strip_prefix("/c/") {
            return room_name(room).map(Self::Room);
        }
        if let Some(api) = path.strip_prefix("/api/v1/") {
            return Some(Self::Api(api.to_owned()));
        }
        match path {
            "/v1" => Some(Self::V1),
            "/socket.io/" | "/socket.io" => Some(Self::SocketIo),
            "/v1/events" => Some(Self::Events),
            "/v1/commands" => Some(Self::Commands),
            "/echo" => Some(Self::Echo),
            "/health" => Some(Self::Health),
            "/ready" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            _ => Part::at(path).map(Self::Admin).or_else(|| File::at(path).map(Self::Page)),
        }
    }

    /// Whether WebSockets connect there.
    pub(crate) fn is_websocket(&self) -> bool {
        matches!(self, Self::Room(_) | Self::Echo | Self::V1)
    }

    /// What WebSockets and streams of this route are counted under. A reference, since each of them keeps it.
    pub(crate) fn label(&self) -> &'static RouteLabel {
        match self {
            Self::Room(_) => &RouteLabel { route: "/c/{room}" },
            Self::V1 => &RouteLabel { route: "/v1" },
            Self::SocketIo => &RouteLabel { route: "/socket.io" },
            Self::Events => &RouteLabel { route: "/v1/events" },
            Self::Echo => &RouteLabel { route: "/echo" },
            _ => &RouteLabel { route: "none" },
        }
    }

    /// The route with its parameters left out: a label for metrics.
    pub(crate) fn pattern(&self) -> &'static str {
        match self {
            Self::Room(_) | Self::V1 | Self::SocketIo | Self::Events | Self::Echo => self.label().route,
            Self::Page(file) => file.path,
            Self::Commands => "/v1/commands",
            Self::Api(_) => "/api/v1",
            Self::Admin(part) => part.path(),
            Self::Health => "/health",
            Self::Ready => "/ready",
            Self::Metrics => "/metrics",
        }
    }
}

/// Decodes a segment of a path to the name of a room, which is that of a channel.
fn room_name(segment: &str) -> Option<String> {
    let well_encoded = segment.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes();
        let mut is_digit = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        is_digit() && is_digit()
    });
    if !well_encoded || segment.contains('/') {
        return None;
    }
    let name = percent_decode_str(segment).decode_utf8().ok()?;
    ChannelName::parse(&name).is_ok().then(|| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_room(path: &str, name: &str) {
        assert_eq!(Route::of(path), Some(Route::Room(name.to_owned())), "{path}");
    }

    #[test]
    fn rooms_are_named_by_the_decoded_path() {
        check_room("/c/sala", "sala");
        check_room("/c/a%2Fb%2fc", "a/b/c");
        check_room("/c/caf%C3%A9", "café");
        check_room("/c/café", "café");
        check_room("/c/%25", "%");
        check_room("/c/__proto__", "__proto__");
        let longest = "x".repeat(255);
        check_room(&format!("/c/{longest}"), &longest);
        check_room(&format!("/c/{}", "%78".repeat(255)), &longest);
    }

    #[test]
    fn what_names_no_room_leads_nowhere() {
        for path in [
            "/c/", "/c", "/c/a/b", "/c/a/", "/c/%", "/c/%4", "/c/%4g", "/c/%%41", "/c/%zz", "/c/%FF",
            "/c/%C3",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
        for path in ["/c/%00", "/c/a%0Ab", "/c/%7F", "/c/%C2%85", "/c/\u{7f}", "/c/a%20b", "/c/*", "/c/%3E"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
        assert_eq!(Route::of(&format!("/c/{}", "x".repeat(256))), None);
        assert_eq!(Route::of(&format!("/c/{}", "%C3%A9".repeat(128))), None);
    }

    #[test]
    fn fixed_paths_are_matched_whole() {
        for path in [
            "/",
            "/arena",
            "/admin",
            "/admin/state",
            "/admin/tail",
            "/admin/disconnect",
            "/demos/admin/admin.js",
            "/demos/chat/chat.js",
            "/demos/shared/base.css",
            "/echo",
            "/health",
            "/ready",
            "/metrics",
            "/v1",
            "/v1/events",
            "/v1/commands",
        ] {
            assert_eq!(Route::of(path).map(|route| route.pattern()), Some(path));
        }
        for path in [
            "",
            "*",
            "//",
            "/echo/",
            "/Echo",
            "/admin/",
            "/index.html",
            "/arena/",
            "/%65cho",
            "/../echo",
            "/metrics%",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
