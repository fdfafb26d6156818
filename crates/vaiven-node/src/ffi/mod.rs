//! The foreign interfaces, made safe: Node-API, libuv, descriptors.
//!
//! Nothing outside of this folder says `unsafe`. A function that JavaScript calls is a plain Rust function
//! ([`Function`]); what it panics with, or fails with, becomes a JavaScript error at the one edge in `module`.

#![expect(unsafe_code, reason = "Node-API and libuv are C interfaces")]

#[cfg(unix)]
pub(crate) mod descriptor;
mod env;
mod memory;
mod module;
#[cfg(target_os = "linux")]
pub(crate) mod uv;

pub(crate) use env::{Env, Failure, Value, argument};
pub(crate) use memory::Memory;
pub(crate) use module::Function;
