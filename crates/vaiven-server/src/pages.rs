//! The files of the chat page, in the binary.

use std::hash::{DefaultHasher, Hasher};

/// What a page may do: nothing from elsewhere, sockets to anywhere, pictures that it made itself.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; \
    img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file of the chat page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: &'static [u8],
}

static PAGES: [Page; 3] = [
    Page { path: "/", content_type: "text/html; charset=utf-8", body: include_bytes!("../pages/index.html") },
    Page {
        path: "/chat.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_bytes!("../pages/chat.js"),
    },
    Page {
        path: "/chat.css",
        content_type: "text/css; charset=utf-8",
        body: include_bytes!("../pages/chat.css"),
    },
];

impl Page {
    /// The file at a path.
    pub(crate) fn at(path: &str) -> Option<&'static Self> {
        PAGES.iter().find(|page| page.path == path)
    }

    /// A tag that changes with the content, for caches.
    pub(crate) fn entity_tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.body);
        format!("\"{:016x}\"", hasher.finish())
    }
}
