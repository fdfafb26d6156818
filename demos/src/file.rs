//! The files of the pages: a path of a request -> what is served there.
//!
//! A file has the path that it has in the repository; the two pages have short ones beside.

/// A file of a page.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is served.
    pub path: &'static str,
    /// Its content type.
    pub content_type: &'static str,
    /// Its content.
    pub body: &'static [u8],
}

/// The files that are served, each as `path of the request => file`. To add one, add its line.
macro_rules! files {
    ($($path:literal => $file:literal,)*) => {
        &[$(File { path: $path, content_type: content_type($file), body: include_bytes!(concat!("../", $file)) },)*]
    };
}

static FILES: &[File] = files! {
    "/" => "chat/index.html",
    "/admin" => "admin/index.html",
    "/demos/admin/admin.css" => "admin/admin.css",
    "/demos/admin/admin.js" => "admin/admin.js",
    "/demos/admin/service.js" => "admin/service.js",
    "/demos/admin/words.js" => "admin/words.js",
    "/demos/chat/chat.css" => "chat/chat.css",
    "/demos/chat/chat.js" => "chat/chat.js",
    "/demos/chat/conversation.js" => "chat/conversation.js",
    "/demos/chat/people.js" => "chat/people.js",
    "/demos/chat/pictures.js" => "chat/pictures.js",
    "/demos/chat/words.js" => "chat/words.js",
    "/arena" => "arena/page/index.html",
    "/demos/arena/arena.css" => "arena/page/arena.css",
    "/demos/arena/arena.js" => "arena/page/arena.js",
    "/demos/arena/helm.js" => "arena/page/helm.js",
    "/demos/arena/scene.js" => "arena/page/scene.js",
    "/demos/arena/snapshot.js" => "arena/page/snapshot.js",
    "/demos/arena/timeline.js" => "arena/page/timeline.js",
    "/demos/arena/words.js" => "arena/page/words.js",
    "/demos/shared/base.css" => "shared/base.css",
    "/demos/shared/icon.svg" => "shared/icon.svg",
    "/demos/shared/icon-unread.svg" => "shared/icon-unread.svg",
    "/demos/shared/language.js" => "shared/language.js",
    "/demos/shared/link.js" => "shared/link.js",
    "/demos/shared/names.js" => "shared/names.js",
    "/demos/shared/storage.js" => "shared/storage.js",
    "/demos/shared/vaiven-client.min.js" => "shared/vaiven-client.min.js",
};

impl File {
    /// The file that is served at a path.
    pub fn at(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// All files.
    pub fn all() -> &'static [Self] {
        FILES
    }
}

/// The content type of what has a name that ends like this one.
const fn content_type(file: &str) -> &'static str {
    match file.as_bytes() {
        [.., b'h', b't', b'm', b'l'] => "text/html; charset=utf-8",
        [.., b'.', b'j', b's'] => "text/javascript; charset=utf-8",
        [.., b'.', b'c', b's', b's'] => "text/css; charset=utf-8",
        [.., b'.', b's', b'v', b'g'] => "image/svg+xml",
        _ => panic!("no content type is known for this file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn text(file: &File) -> &'static str {
        std::str::from_utf8(file.body).unwrap()
    }

    /// What stands in quotation marks behind a word.
    fn quoted<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(word).skip(1).filter_map(|rest| {
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            rest[1..].split(quote).next()
        })
    }

    #[test]
    fn every_path_is_served_once() {
        let paths: HashSet<_> = FILES.iter().map(|file| file.path).collect();
        assert_eq!(paths.len(), FILES.len());
        assert_eq!(File::at("/").map(|file| file.content_type), Some("text/html; charset=utf-8"));
        assert_eq!(File::at("/arena/"), None);
    }

    #[test]
    fn what_the_pages_and_their_modules_refer_to_is_served() {
        let mut references = 0;
        for file in FILES {
            let folder = file.path.rsplit_once('/').unwrap().0;
            let words = if file.content_type.starts_with("text/html") {
                &["src=", "href="][..]
            } else if file.path.ends_with(".min.js") {
                continue;
            } else {
                &["from "][..]
            };
            for reference in words.iter().flat_map(|word| quoted(text(file), word)) {
                if reference.starts_with('#') {
                    continue;
                }
                let path = match reference.strip_prefix("../") {
                    Some(rest) => format!("{}/{rest}", folder.rsplit_once('/').unwrap().0),
                    None => format!("{folder}/{}", reference.trim_start_matches("./")),
                };
                assert!(File::at(&path).is_some(), "{} refers to {reference}, which is {path}", file.path);
                references += 1;
            }
        }
        assert!(references > FILES.len());
    }

    #[test]
    fn pages_have_no_script_or_style_of_their_own_and_nothing_from_elsewhere() {
        for file in FILES.iter().filter(|file| file.content_type.starts_with("text/html")) {
            let text = text(file);
            for forbidden in
                ["<style", "style=", " onclick=", " onload=", "src=\"http", "href=\"http", "<script>"]
            {
                assert!(!text.contains(forbidden), "{}: {forbidden}", file.path);
            }
        }
    }
}
