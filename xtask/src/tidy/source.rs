//! One file, as written and as code alone: text -> lines without comments and without what strings hold.

/// A text file of the workspace.
pub(crate) struct Source {
    /// From the root of the workspace, with `/` between.
    pub(crate) path: String,
    /// As written.
    pub(crate) text: String,
    /// Rust only: `text` with comments and the contents of literals blanked, line for line.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let code = if extension(&path) == "rs" { blank(&text) } else { String::new() };
        Self { path, text, code }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.split_inclusive('\n').enumerate().map(|(index, line)| (index + 1, line))
    }

    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Rust only: the paths that `use` declarations bring in, written out where groups shorten them, each with the line
    /// of its last part.
    pub(crate) fn imports(&self) -> Vec<(usize, String)> {
        let mut imports = Vec::new();
        for (at, _) in self.code.match_indices("use") {
            let (before, after) = (&self.code[..at], &self.code[at + "use".len()..]);
            // Neither `reuse`, `used` nor the `use<..>` of a bound.
            if !before.ends_with(is_word_part) && after.starts_with(char::is_whitespace) {
                resolve(after, before.matches('\n').count() + 1, &mut imports);
            }
        }
        imports
    }

    pub(crate) fn is_rust(&self) -> bool {
        extension(&self.path) == "rs"
    }

    /// Whether people write it by hand to be run: what has a length worth limiting.
    pub(crate) fn is_code(&self) -> bool {
        ["rs", "js", "mjs", "ts", "css", "py", "sh"].contains(&extension(&self.path))
    }

    /// Whether tools write it.
    pub(crate) fn is_generated(&self) -> bool {
        extension(&self.path) == "lock" || self.path.ends_with("package-lock.json")
    }
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Resolves the groups of one `use` declaration, whose tree `text` begins with, on this line.
fn resolve(text: &str, mut line: usize, imports: &mut Vec<(usize, String)>) {
    let mut path = String::new();
    let mut begun = line;
    // The length of the path in front of each open group.
    let mut prefixes = Vec::new();
    for c in text.chars() {
        let prefix = prefixes.last().copied().unwrap_or(0);
        match c {
            '{' => prefixes.push(path.len()),
            ',' | '}' | ';' => {
                if path.len() > prefix {
                    imports.push((begun, path.clone()));
                }
                if c == '}' {
                    prefixes.pop();
                }
                path.truncate(prefixes.last().copied().unwrap_or(0));
            }
            '\n' => line += 1,
            // Only the space around `as` is between words.
            c if c.is_whitespace() && !path.ends_with(is_word_part) => {}
            c => {
                if path.len() == prefix {
                    begun = line;
                }
                path.push(c);
            }
        }
        if c == ';' {
            return;
        }
    }
}

fn extension(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Blanks comments and the contents of strings and character literals. Line breaks stay where they are.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(is_word_part);
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            character(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !after_word) {
            length
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let (taken, remaining) = rest.split_at(length);
        code.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = remaining;
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of a literal that starts with its quotation mark and knows escapes.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == mark {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// The length of a character literal, or 1 for the mark of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => quoted(text, '\''),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The length of `r"..."`, `r#"..."#`, `br"..."` and so on, if that is what the text starts with.
fn raw_string(text: &str) -> Option<usize> {
    let start =
        text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let body = start.trim_start_matches('#');
    let marks = start.len() - body.len();
    let body = body.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(text.len() - body.len() + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str) {
        assert_eq!(blank(text), code);
    }

    #[test]
    fn comments_are_blanked() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ \n d */ e", "a              \n      e");
    }

    #[test]
    fn contents_of_literals_are_blanked() {
        check(r#"f("a\"b", c)"#, "f(      , c)");
        check(r##"f(r#"a"b"#, c)"##, "f(        , c)");
        check(r"f('\'', c)", "f(    , c)");
        check("f('\"', c)", "f(   , c)");
    }

    #[test]
    fn groups_of_imports_are_resolved() {
        let check = |text: &str, expected: &[(usize, &str)]| {
            let imports = Source::new("a.rs".to_owned(), text.to_owned()).imports();
            let imports: Vec<_> = imports.iter().map(|(line, path)| (*line, &**path)).collect();
            assert_eq!(imports, expected, "{text}");
        };
        check("//\npub use a::b;\nuse c;", &[(2, "a::b"), (3, "c")]);
        check(
            "use a::{b, c::{self, d}, e::*};",
            &[(1, "a::b"), (1, "a::c::self"), (1, "a::c::d"), (1, "a::e::*")],
        );
        check(
            "use {\n    a::{\n        b,\n        c,\n    },\n    d,\n};\n",
            &[(3, "a::b"), (4, "a::c"), (6, "d")],
        );
        check("use a::{b as c, d as _};", &[(1, "a::b as c"), (1, "a::d as _")]);
        check("reuse a; fn f() -> impl A + use<'a> { used } // use b;", &[]);
    }

    #[test]
    fn lifetimes_and_identifiers_are_code() {
        check("fn f<'a>(r: &'a str) {}", "fn f< a>(r: & a str) {}");
        check("for x in y {}", "for x in y {}");
    }
}
