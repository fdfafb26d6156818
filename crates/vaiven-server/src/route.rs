//! What a path means. Everything else is 404, a badly encoded path too.

use crate::pages::Page;
use percent_encoding::percent_decode_str;

/// The most bytes of a room's name.
const MAX_ROOM_NAME_BYTES: usize = 255;

/// What is served at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A file of the chat page.
    Page(&'static Page),
    /// A room, by its decoded name.
    Room(String),
    /// Every message comes back to its sender.
    Echo,
    /// Whether the server takes connections.
    Health,
    /// Figures for Prometheus.
    Metrics,
}

impl Route {
    /// What a path means, without its query.
    pub(crate) fn of(path: &str) -> Option<Self> {
        if let Some(room) = path.strip_prefix("/c/") {
            return room_name(room).map(Self::Room);
        }
        match path {
            "/echo" => Some(Self::Echo),
            "/health" => Some(Self::Health),
            "/metrics" => Some(Self::Metrics),
            _ => Page::at(path).map(Self::Page),
        }
    }

    /// Whether WebSockets connect there.
    pub(crate) fn is_websocket(&self) -> bool {
        matches!(self, Self::Room(_) | Self::Echo)
    }

    /// The route with its parameters left out: a label for metrics.
    pub(crate) fn pattern(&self) -> &'static str {
        match self {
            Self::Page(page) => page.path,
            Self::Room(_) => "/c/{room}",
            Self::Echo => "/echo",
            Self::Health => "/health",
            Self::Metrics => "/metrics",
        }
    }
}

/// Decodes a segment of a path to the name of a room: UTF-8, 1 to 255 bytes, no control characters.
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
    let fits = (1..=MAX_ROOM_NAME_BYTES).contains(&name.len()) && !name.contains(char::is_control);
    fits.then(|| name.into_owned())
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
        check_room("/c/a%20b", "a b");
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
        for path in ["/c/%00", "/c/a%0Ab", "/c/%7F", "/c/%C2%85", "/c/\u{7f}"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
        assert_eq!(Route::of(&format!("/c/{}", "x".repeat(256))), None);
        assert_eq!(Route::of(&format!("/c/{}", "%C3%A9".repeat(128))), None);
    }

    #[test]
    fn fixed_paths_are_matched_whole() {
        for path in ["/", "/chat.js", "/chat.css", "/echo", "/health", "/metrics"] {
            assert_eq!(Route::of(path).map(|route| route.pattern()), Some(path));
        }
        for path in
            ["", "*", "//", "/echo/", "/Echo", "/index.html", "/chat.js/", "/%65cho", "/../echo", "/metrics%"]
        {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
