//! What the add-on exports: the one list of functions that JavaScript sees.

use crate::ffi::Function;
use crate::handshake;

/// Every function by the name that `native.ts` declares it under.
pub(crate) const FUNCTIONS: &[(&str, Function)] = &[("acceptKey", handshake::accept_key)];
