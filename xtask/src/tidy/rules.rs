//! The rules of style, each a function from all sources to findings.

use super::Finding;
use super::source::Source;
use std::collections::BTreeMap;

/// A file of code longer than this is a finding.
const LONGEST_FILE: usize = 800;
/// A file of code longer than this is worth a note.
pub(crate) const LONG_FILE: usize = 500;
/// A function longer than this, from its first line to its last, is a finding.
const LONGEST_FUNCTION: usize = 70;

/// The files that may say `unsafe`, and why they must.
const UNSAFE_FILES: &[(&str, &str)] = &[
    ("crates/testkit/src/allocator.rs", "the interface of an allocator that counts is unsafe"),
    ("crates/vaiven-node/src/ffi/descriptor.rs", "a socket of Node's is named by its number"),
    ("crates/vaiven-node/src/ffi/env.rs", "values of JavaScript are handles of Node-API, a C interface"),
    ("crates/vaiven-node/src/ffi/memory.rs", "memory of ArrayBuffers is shared with JavaScript"),
    ("crates/vaiven-node/src/ffi/module.rs", "Node loads the add-on and calls it through a C interface"),
    ("crates/vaiven-node/src/ffi/uv.rs", "libuv is a C interface"),
    ("crates/vaiven-proto/src/mask.rs", "a safe loop compiled for AVX2 is called behind the check for it"),
    ("crates/vaiven-proto/src/text.rs", "validated octets become a str without a second validation"),
];

/// The crates in the order that data flows, each with those that it may import.
const IMPORTS: &[(&str, &[&str])] = &[
    ("vaiven-proto", &[]),
    ("vaiven", &["vaiven-proto"]),
    ("vaiven-socketio", &["vaiven-proto", "vaiven"]),
    ("vaiven-hub", &["vaiven-proto", "vaiven"]),
    ("vaiven-client", &["vaiven-proto", "vaiven"]),
    ("vaiven-arena", &[]),
    ("vaiven-demos", &["vaiven-hub", "vaiven-arena"]),
    ("vaiven-server", &["vaiven-proto", "vaiven", "vaiven-socketio", "vaiven-hub", "vaiven-demos"]),
    ("vaiven-cli", &["vaiven-proto", "vaiven", "vaiven-client", "vaiven-hub", "vaiven-server"]),
    ("vaiven-node", &["vaiven-proto"]),
    ("simulation", &["vaiven", "vaiven-client", "vaiven-hub", "vaiven-server"]),
];

/// What the protocol crate must not know, because it does no I/O and has no clock.
const NOT_IN_PROTO: &[&str] = &[
    "std::net",
    "io::Read",
    "io::Write",
    "io::prelude",
    "io::*",
    "Instant::now",
    "SystemTime::now",
    "tokio",
];

type Rule = fn(&[Source]) -> Vec<Finding>;

/// All rules.
pub(crate) const RULES: &[Rule] = &[
    file_length,
    function_length,
    import_direction,
    proto_without_io,
    unsafe_where_listed,
    no_leftovers,
    module_doc,
    no_machine_paths,
    white_space,
];

fn finding(rule: &'static str, source: &Source, line: usize, what: impl Into<String>) -> Finding {
    Finding { rule, path: source.path.clone(), line, what: what.into() }
}

fn file_length(sources: &[Source]) -> Vec<Finding> {
    let lengths =
        sources.iter().filter(|source| source.is_code()).map(|source| (source, source.lines().count()));
    lengths
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(source, lines)| {
            finding(
                "file-length",
                source,
                0,
                format!("{lines} lines, at most {LONGEST_FILE}: split it by its nouns"),
            )
        })
        .collect()
}

/// Relies on rustfmt: the brace that ends a function stands alone, as far in as the line that begins it.
fn function_length(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let lines: Vec<&str> = source.code.lines().map(str::trim_end).collect();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let end_line = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let has_body = lines[start..].iter().find_map(|line| match line.as_bytes().last() {
                Some(b'{') => Some(true),
                Some(b';' | b'}') => Some(false),
                _ => None,
            });
            if has_body != Some(true) {
                continue;
            }
            let length = lines[start..].iter().position(|line| **line == end_line).map_or(0, |end| end + 1);
            if length > LONGEST_FUNCTION {
                let what = format!("{name} has {length} lines, at most {LONGEST_FUNCTION}");
                findings.push(finding("function-length", source, start + 1, what));
            }
        }
    }
    findings
}

/// The name of the function that a line of code begins to define.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let is_qualifier =
        |word: &str| word.starts_with("pub") || ["async", "const", "unsafe", "extern", "in"].contains(&word);
    let word = words.find(|word| !is_qualifier(word) && !word.ends_with(')'))?;
    if word != "fn" {
        return None;
    }
    words.next().map(|name| name.split(['(', '<']).next().unwrap_or(name))
}

fn import_direction(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let Some((own, allowed)) = IMPORTS.iter().find(|(name, _)| in_crate(source, name)) else { continue };
        let others =
            IMPORTS.iter().map(|(name, _)| *name).filter(|name| name != own && !allowed.contains(name));
        for other in others {
            let what = format!("{own} must not import {other}");
            if source.path.ends_with("Cargo.toml") {
                let depends = |line: &str| dependency(line) == Some(other);
                let lines = source.lines().filter(|(_, line)| depends(line));
                findings
                    .extend(lines.map(|(line, _)| finding("import-direction", source, line, what.clone())));
            } else if source.is_rust() {
                let path = format!("{}::", other.replace('-', "_"));
                let lines = source.code_lines().filter(|(_, line)| has_word(line, &path));
                findings
                    .extend(lines.map(|(line, _)| finding("import-direction", source, line, what.clone())));
            }
        }
    }
    findings
}

fn in_crate(source: &Source, name: &str) -> bool {
    let folder = match name {
        "vaiven-arena" => "demos/arena".to_owned(),
        "vaiven-demos" => "demos".to_owned(),
        _ => format!("crates/{name}"),
    };
    source.path.strip_prefix(&folder).is_some_and(|path| path.starts_with('/'))
}

/// The crate that a line of a manifest depends on: `name = ..`, `name.workspace = ..` or `[dependencies.name]`.
fn dependency(line: &str) -> Option<&str> {
    let line = line.trim();
    if let Some(table) = line.strip_prefix('[') {
        return table.trim_end_matches(']').split_once("dependencies.").map(|(_, name)| name);
    }
    let key = line.split_once('=')?.0.trim();
    let key = key.strip_suffix(".workspace").unwrap_or(key);
    // `name = ".."` also names the package itself, but there the key is the word `name`.
    Some(key.trim_matches('"'))
}

fn proto_without_io(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("crates/vaiven-proto/src/")) {
        let imports = source.imports();
        let imports = imports.iter().map(|(number, path)| (*number, &**path));
        // A line is found once, whether by its text or by what it imports.
        let mut found = BTreeMap::new();
        for (number, code) in source.code_lines().chain(imports) {
            if let Some(name) = NOT_IN_PROTO.iter().find(|name| has_word(code, name)) {
                found.entry(number).or_insert(name);
            }
        }
        findings.extend(found.into_iter().map(|(number, name)| {
            let what = format!("{name}: the protocol does no I/O and has no clock");
            finding("proto-without-io", source, number, what)
        }));
    }
    findings
}

fn unsafe_where_listed(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let listed = UNSAFE_FILES.iter().any(|(path, _)| *path == source.path);
        let first = source.code_lines().find(|(_, line)| has_word(line, "unsafe"));
        match first {
            Some((line, _)) if !listed => {
                findings.push(finding(
                    "unsafe-files",
                    source,
                    line,
                    "unsafe in a file that is not listed for it",
                ));
            }
            None if listed => {
                findings.push(finding(
                    "unsafe-files",
                    source,
                    0,
                    "nothing unsafe is left: remove it from the list",
                ));
            }
            _ => {}
        }
    }
    findings
}

fn no_leftovers(sources: &[Source]) -> Vec<Finding> {
    // Put together here, so that this file does not find itself.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let macros = [concat!("unimplemented", "!"), concat!("todo", "!"), concat!("dbg", "!")];
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.is_generated()) {
        let is_mark = |line: &str| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ");
        let marks = source.lines().filter(|(_, line)| is_mark(line));
        findings.extend(
            marks.map(|(number, _)| finding("no-leftovers", source, number, "a mark of a merge is left")),
        );
        let in_text =
            source.lines().map(|(number, line)| (number, words.iter().find(|word| has_word(line, word))));
        let in_code = source
            .code_lines()
            .map(|(number, line)| (number, macros.iter().find(|name| has_word(line, name))));
        for (number, found) in in_text.chain(in_code) {
            let Some(name) = found else { continue };
            findings.push(finding("no-leftovers", source, number, format!("{name} is left")));
        }
    }
    findings
}

fn module_doc(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.is_rust() && !source.text.starts_with("//! "));
    rust.map(|source| finding("module-doc", source, 1, "begins without a module doc (`//! ...`)")).collect()
}

fn no_machine_paths(sources: &[Source]) -> Vec<Finding> {
    let folders = ["work", "home", "root", "Users"].map(|name| format!("/{name}/"));
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.is_generated()) {
        for (number, line) in source.lines() {
            let begins_a_path = |at: usize| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|c| {
                    !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '}' | '~' | '/' | '*')
                })
            };
            let found =
                folders.iter().find(|folder| line.match_indices(*folder).any(|(at, _)| begins_a_path(at)));
            if let Some(folder) = found {
                findings.push(finding(
                    "no-machine-paths",
                    source,
                    number,
                    format!("a path of one machine: {folder}"),
                ));
            }
        }
    }
    findings
}

fn white_space(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.is_generated()) {
        for (number, line) in source.lines() {
            let body = line.strip_suffix('\n').unwrap_or(line);
            if body.ends_with([' ', '\t', '\r']) {
                findings.push(finding("white-space", source, number, "white space at the end"));
            }
            if source.is_rust() && body.contains('\t') {
                findings.push(finding("white-space", source, number, "a tab"));
            }
        }
        if !source.text.is_empty() && (!source.text.ends_with('\n') || source.text.ends_with("\n\n")) {
            findings.push(finding(
                "white-space",
                source,
                source.lines().count(),
                "ends with no line break, or several",
            ));
        }
    }
    findings
}

/// Whether `word` stands in `line` with no letter, digit or underscore joined to it.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let starts_joined = word.starts_with(joins);
    let ends_joined = word.ends_with(joins);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !(starts_joined && before.is_some_and(joins) || ends_joined && after.is_some_and(joins))
    })
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
