//! `vaiven connect` as scripts and people use it: a real process, real pipes, a real terminal, and a scratch server.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod pipes;
mod server;
#[cfg(target_os = "linux")]
mod terminal;
