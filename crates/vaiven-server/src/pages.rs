//! How the pages of the demos are served: what they may do in a browser, and how caches know them.

use std::hash::{DefaultHasher, Hasher};
use vaiven_demos::File;

/// What a page may do: nothing from elsewhere, sockets to anywhere, pictures that it made itself.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; \
    img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A tag that changes with the content, for caches.
pub(crate) fn entity_tag(file: &File) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(file.body);
    format!("\"{:016x}\"", hasher.finish())
}
