//! Values of JavaScript to values of Rust, and back.

use napi_sys as sys;
use std::marker::PhantomData;
use std::ptr;

/// The JavaScript that called, for the length of the call.
#[derive(Clone, Copy)]
pub(crate) struct Env<'a> {
    raw: sys::napi_env,
    /// A scope of handles is open for this long.
    scope: PhantomData<&'a ()>,
}

/// A value of JavaScript, for the length of the call that it came with or was made in.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    raw: sys::napi_value,
    scope: PhantomData<&'a ()>,
}

/// Why a call fails; JavaScript gets an error that says so, unless one is being thrown already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl From<&str> for Failure {
    fn from(what: &str) -> Self {
        Self(what.to_owned())
    }
}

/// What a call of Node-API gave back.
fn check(status: sys::napi_status, what: &str) -> Result<(), Failure> {
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(Failure(format!("{what} (Node-API status {status})")))
    }
}

impl<'a> Env<'a> {
    /// # Safety
    /// `raw` is the environment of the running thread, and a scope of handles is open for `'a`.
    pub(super) unsafe fn new(raw: sys::napi_env) -> Self {
        Self { raw, scope: PhantomData }
    }

    fn value(raw: sys::napi_value) -> Value<'a> {
        Value { raw, scope: PhantomData }
    }

    /// The characters of a string; lone surrogates become U+FFFD.
    pub(crate) fn string(self, value: Value<'a>) -> Result<String, Failure> {
        let mut len = 0;
        // SAFETY: the handles are of an open scope; a null buffer asks for the length alone.
        let status =
            unsafe { sys::napi_get_value_string_utf8(self.raw, value.raw, ptr::null_mut(), 0, &raw mut len) };
        check(status, "a string was expected")?;
        let mut bytes = vec![0; len + 1];
        // SAFETY: the buffer has the length that is passed, which includes the NUL that Node-API appends.
        let status = unsafe {
            let buffer = bytes.as_mut_ptr().cast();
            sys::napi_get_value_string_utf8(self.raw, value.raw, buffer, bytes.len(), &raw mut len)
        };
        check(status, "a string was expected")?;
        bytes.truncate(len);
        String::from_utf8(bytes).map_err(|_| Failure::from("a string is not UTF-8"))
    }

    /// A string.
    pub(crate) fn text(self, text: &str) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        let len = isize::try_from(text.len()).map_err(|_| Failure::from("a string is too long"))?;
        // SAFETY: the text has the length that is passed, and the environment is the running one.
        let status =
            unsafe { sys::napi_create_string_utf8(self.raw, text.as_ptr().cast(), len, &raw mut raw) };
        check(status, "a string cannot be made")?;
        Ok(Self::value(raw))
    }

    /// `null`.
    pub(crate) fn null(self) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is the running one.
        check(unsafe { sys::napi_get_null(self.raw, &raw mut raw) }, "there is no null")?;
        Ok(Self::value(raw))
    }

    /// Makes JavaScript throw an error as the call returns, unless it throws already.
    pub(super) fn throw(self, failure: &Failure) {
        let mut pending = false;
        let message: Vec<u8> = failure.0.bytes().filter(|byte| *byte != 0).chain([0]).collect();
        // SAFETY: the message ends with the only NUL in it, and the environment is the running one.
        unsafe {
            sys::napi_is_exception_pending(self.raw, &raw mut pending);
            if !pending {
                sys::napi_throw_error(self.raw, ptr::null(), message.as_ptr().cast());
            }
        }
    }
}

/// The argument at `index`.
pub(crate) fn argument<'a>(arguments: &[Value<'a>], index: usize) -> Result<Value<'a>, Failure> {
    arguments.get(index).copied().ok_or_else(|| Failure(format!("argument {index} is missing")))
}

impl Value<'_> {
    /// # Safety
    /// `raw` belongs to a scope of handles that is open for `'a`.
    pub(super) unsafe fn new(raw: sys::napi_value) -> Self {
        Self { raw, scope: PhantomData }
    }

    pub(super) fn raw(self) -> sys::napi_value {
        self.raw
    }
}
