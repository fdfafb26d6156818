//! Each rule is seen to find what it is for, and to leave alone what only looks like it.

use super::*;

fn lines_found(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    let sources = [Source::new(path.to_owned(), text.to_owned())];
    rule(&sources).into_iter().map(|finding| finding.line).collect()
}

#[track_caller]
fn check(rule: Rule, path: &str, text: &str, expected: &[usize]) {
    assert_eq!(lines_found(rule, path, text), expected, "in {path}: {text}");
}

const LIB: &str = "crates/vaiven/src/lib.rs";
const PROTO: &str = "crates/vaiven-proto/src/frame.rs";

#[test]
fn file_of_801_lines_is_found() {
    check(file_length, LIB, &"//\n".repeat(LONGEST_FILE), &[]);
    check(file_length, LIB, &"//\n".repeat(LONGEST_FILE + 1), &[0]);
    check(file_length, "docs/performance.md", &"a\n".repeat(LONGEST_FILE + 1), &[]);
}

#[test]
fn function_of_71_lines_is_found() {
    let function = |lines: usize| {
        format!("impl A {{\n    pub fn f(&self) {{\n{}    }}\n}}\n", "        g();\n".repeat(lines - 2))
    };
    check(function_length, LIB, &function(LONGEST_FUNCTION), &[]);
    check(function_length, LIB, &function(LONGEST_FUNCTION + 1), &[2]);
}

#[test]
fn signature_over_lines_counts_as_well() {
    let body = "    g();\n".repeat(LONGEST_FUNCTION - 4);
    let text = format!("pub(in crate::a) async fn f(\n    a: u8,\n    b: u8,\n) {{\n{body}}}\n");
    check(function_length, LIB, &text, &[1]);
}

#[test]
fn functions_without_a_body_have_no_length() {
    let text = format!(
        "trait A {{\n    fn f(&self);\n    fn g() {{}}\n{}}}\n",
        "    // h\n".repeat(LONGEST_FUNCTION)
    );
    check(function_length, LIB, &text, &[]);
}

#[test]
fn word_fn_in_a_string_or_type_begins_no_function() {
    assert_eq!(function_name("let f: fn(u8) = g;"), None);
    assert_eq!(function_name("    pub(crate) const unsafe fn f<T>(t: T) {"), Some("f"));
    check(function_length, LIB, &format!("const A: &str = \"\nfn f() {{\n{}}}\";\n", "a\n".repeat(90)), &[]);
}

#[test]
fn import_against_the_flow_is_found_in_code() {
    check(import_direction, PROTO, "use vaiven::WebSocket;\n", &[1]);
    check(import_direction, "crates/vaiven/src/lib.rs", "use vaiven_server::Room;\n", &[1]);
    check(
        import_direction,
        "crates/vaiven-server/src/lib.rs",
        "use vaiven::WebSocket;\nuse vaiven_proto::Role;\n",
        &[],
    );
    check(import_direction, PROTO, "// vaiven::WebSocket is built on this.\nuse vaiven_proto::Role;\n", &[]);
}

#[test]
fn import_against_the_flow_is_found_in_a_manifest() {
    let path = "crates/vaiven-proto/Cargo.toml";
    check(
        import_direction,
        path,
        "[package]\nname = \"vaiven-proto\"\n[dependencies]\nvaiven.workspace = true\n",
        &[4],
    );
    check(import_direction, path, "[dev-dependencies]\nvaiven-hub = { path = \"../vaiven-hub\" }\n", &[2]);
    check(import_direction, path, "[dependencies.vaiven-cli]\n", &[1]);
    check(import_direction, "crates/vaiven/Cargo.toml", "vaiven-proto.workspace = true\n", &[]);
}

#[test]
fn input_output_and_clocks_are_found_in_the_protocol() {
    check(proto_without_io, PROTO, "use std::net::TcpStream;\n", &[1]);
    check(proto_without_io, PROTO, "use std::io::Read;\nuse std::io::{self, Write};\n", &[1, 2]);
    check(proto_without_io, PROTO, "let now = Instant::now();\nlet then = SystemTime::now();\n", &[1, 2]);
    check(proto_without_io, PROTO, "use tokio::spawn;\n", &[1]);
    check(
        proto_without_io,
        PROTO,
        "fn handle_timeout(now: Instant) {} // not Instant::now()\nuse std::io::IoSlice;\n",
        &[],
    );
    check(proto_without_io, LIB, "use tokio::spawn;\n", &[]);
}

#[test]
fn input_and_output_are_found_in_groups_of_imports() {
    for text in [
        "use std::{net::TcpStream, fmt};\n",
        "use std::{fmt, net};\n",
        "use std::{io::{self, Read as _}};\n",
        "use std::io::{IoSlice, Write};\n",
        "use std::io::*;\n",
        "use std::{io::prelude::*};\n",
        "use ::{tokio as t};\n",
    ] {
        check(proto_without_io, PROTO, text, &[1]);
    }
    let lines =
        "use std::{\n    fmt,\n    io::{\n        IoSlice,\n        Read,\n    },\n    net::IpAddr,\n};\n";
    check(proto_without_io, PROTO, lines, &[5, 7]);
    check(proto_without_io, PROTO, "use std::{cell::RefCell, io::IoSlice};\nuse bytes::{Buf, Read};\n", &[]);
}

#[test]
fn unsafe_outside_the_list_is_found() {
    check(unsafe_where_listed, LIB, "fn f() {\n    unsafe { g() }\n}\n", &[2]);
    check(unsafe_where_listed, LIB, "#![forbid(unsafe_code)]\n// unsafe\n", &[]);
    check(unsafe_where_listed, UNSAFE_FILES[0].0, "unsafe { g() }\n", &[]);
}

#[test]
fn file_listed_without_need_is_found() {
    check(unsafe_where_listed, UNSAFE_FILES[0].0, "fn f() {}\n", &[0]);
}

#[test]
fn leftovers_are_found() {
    check(no_leftovers, LIB, concat!("a\n// TO", "DO: b\n"), &[2]);
    check(no_leftovers, "README.md", concat!("FIX", "ME\n"), &[1]);
    check(no_leftovers, "README.md", "a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n", &[2, 6]);
    check(
        no_leftovers,
        LIB,
        concat!("    todo", "!()\n    dbg", "!(a)\n    unimplemented", "!()\n"),
        &[1, 2, 3],
    );
    check(no_leftovers, "LEEME.md", "¡Esto es todo!\n", &[]);
    check(no_leftovers, "Cargo.lock", concat!("XX", "X\n"), &[]);
}

#[test]
fn missing_module_doc_is_found() {
    check(module_doc, LIB, "use std::fmt;\n", &[1]);
    check(module_doc, LIB, "//!\n//! Late.\n", &[1]);
    check(module_doc, LIB, "//! What it is.\n", &[]);
    check(module_doc, "build.py", "import os\n", &[]);
}

#[test]
fn paths_of_one_machine_are_found() {
    let path = |name: &str| format!("a\ncd /{name}/b\n");
    for name in ["work", "home", "root", "Users"] {
        check(no_machine_paths, "README.md", &path(name), &[2]);
    }
    check(no_machine_paths, "README.md", concat!("see frame/", "work/b and https://a.org/", "home/\n"), &[]);
}

#[test]
fn white_space_at_the_end_is_found() {
    check(white_space, "README.md", "a \nb\t\nc\r\nd\n", &[1, 2, 3]);
    check(white_space, LIB, "\tf();\n", &[1]);
    check(white_space, LIB, "f();", &[1]);
    check(white_space, LIB, "f();\n\n", &[2]);
    check(white_space, LIB, "f();\n", &[]);
}
