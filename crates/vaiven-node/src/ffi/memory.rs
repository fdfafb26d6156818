//! Memory that JavaScript allocated and lends to the engine for good: an ArrayBuffer, seen from both sides.
//!
//! Both sides run on one thread and never at once: JavaScript runs only while the engine waits for a call of it to
//! return, and the engine borrows itself, and thereby this memory, anew after such a call.

use super::env::{Env, Failure, Value, check};
use napi_sys as sys;
use std::ptr::{self, NonNull};

/// The memory of one ArrayBuffer. A strong reference keeps it where it is for the life of the environment.
#[derive(Debug)]
pub(crate) struct Memory {
    data: NonNull<u8>,
    bytes: usize,
}

impl Memory {
    /// The memory of `value`, which must be an ArrayBuffer that is never detached.
    pub(crate) fn of(env: Env<'_>, value: Value<'_>) -> Result<Self, Failure> {
        let (mut data, mut bytes, mut reference) = (ptr::null_mut(), 0, ptr::null_mut());
        // SAFETY: the environment is the running one and the value of an open scope.
        let status =
            unsafe { sys::napi_get_arraybuffer_info(env.raw(), value.raw(), &raw mut data, &raw mut bytes) };
        check(status, "an ArrayBuffer was expected")?;
        // The reference is not given back: the engine lives as long as its environment.
        // SAFETY: as above.
        let status = unsafe { sys::napi_create_reference(env.raw(), value.raw(), 1, &raw mut reference) };
        check(status, "an ArrayBuffer cannot be kept")?;
        let data = NonNull::new(data.cast::<u8>()).ok_or("an ArrayBuffer is empty")?;
        if !data.cast::<f64>().is_aligned() {
            return Err(Failure::from("an ArrayBuffer is not aligned to eight bytes"));
        }
        Ok(Self { data, bytes })
    }

    /// The memory as bytes.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the reference keeps the buffer alive, and engine.ts marks it as untransferable, so that it is not
        // detached; nobody else looks at it while this borrow lives, as the module's description says.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.bytes) }
    }

    /// The memory as 32-bit numbers.
    #[inline]
    pub(crate) fn words(&mut self) -> &mut [i32] {
        // SAFETY: as for `bytes`; it is aligned to eight bytes, and every pattern of bits is a number.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr().cast(), self.bytes / size_of::<i32>()) }
    }

    /// The memory as 64-bit floating-point numbers.
    #[inline]
    pub(crate) fn doubles(&mut self) -> &mut [f64] {
        // SAFETY: as for `words`.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr().cast(), self.bytes / size_of::<f64>()) }
    }
}
