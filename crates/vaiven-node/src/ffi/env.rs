//! Values of JavaScript to values of Rust, and back.

use crate::functions::Instance;
use bytes::Bytes;
use napi_sys as sys;
use std::ffi::c_void;
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
pub(super) fn check(status: sys::napi_status, what: &str) -> Result<(), Failure> {
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

    /// The elements of an array.
    pub(crate) fn elements(self, array: Value<'a>) -> Result<Vec<Value<'a>>, Failure> {
        let mut len = 0;
        // SAFETY: the environment is the running one and the value of an open scope.
        let status = unsafe { sys::napi_get_array_length(self.raw, array.raw, &raw mut len) };
        check(status, "an array was expected")?;
        let element = |index| {
            let mut raw = ptr::null_mut();
            // SAFETY: as above.
            let status = unsafe { sys::napi_get_element(self.raw, array.raw, index, &raw mut raw) };
            check(status, "an element was expected").map(|()| Self::value(raw))
        };
        (0..len).map(element).collect()
    }

    /// A property of an object.
    pub(crate) fn property(self, object: Value<'a>, name: &str) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        let key = self.text(name)?;
        // SAFETY: the environment is the running one and the values of an open scope.
        let status = unsafe { sys::napi_get_property(self.raw, object.raw, key.raw, &raw mut raw) };
        check(status, "an object was expected")?;
        Ok(Self::value(raw))
    }

    /// Whether it is `null`.
    pub(crate) fn is_null(self, value: Value<'a>) -> Result<bool, Failure> {
        let mut kind = 0;
        // SAFETY: the environment is the running one and the value of an open scope.
        check(unsafe { sys::napi_typeof(self.raw, value.raw, &raw mut kind) }, "a value was expected")?;
        Ok(kind == sys::ValueType::napi_null)
    }

    /// An array of these elements.
    pub(crate) fn array(self, elements: &[Value<'a>]) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is the running one.
        check(unsafe { sys::napi_create_array(self.raw, &raw mut raw) }, "an array cannot be made")?;
        for (element, index) in elements.iter().zip(0..) {
            // SAFETY: the environment is the running one and the values of an open scope.
            let status = unsafe { sys::napi_set_element(self.raw, raw, index, element.raw) };
            check(status, "an element cannot be set")?;
        }
        Ok(Self::value(raw))
    }

    /// An object of these properties.
    pub(crate) fn object(self, properties: &[(&str, Value<'a>)]) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is the running one.
        check(unsafe { sys::napi_create_object(self.raw, &raw mut raw) }, "an object cannot be made")?;
        for (name, value) in properties {
            let key = self.text(name)?;
            // SAFETY: the environment is the running one and the values of an open scope.
            let status = unsafe { sys::napi_set_property(self.raw, raw, key.raw, value.raw) };
            check(status, "a property cannot be set")?;
        }
        Ok(Self::value(raw))
    }

    /// A whole number.
    pub(crate) fn integer(self, value: Value<'a>) -> Result<i64, Failure> {
        let mut number = 0;
        // SAFETY: the environment is the running one and the value of an open scope.
        let status = unsafe { sys::napi_get_value_int64(self.raw, value.raw, &raw mut number) };
        check(status, "a number was expected")?;
        Ok(number)
    }

    /// A number that is a length, an index or an identifier.
    pub(crate) fn index<T: TryFrom<i64>>(self, value: Value<'a>) -> Result<T, Failure> {
        T::try_from(self.integer(value)?).map_err(|_| Failure::from("a number is out of range"))
    }

    /// Whether a boolean is true.
    pub(crate) fn truth(self, value: Value<'a>) -> Result<bool, Failure> {
        let mut truth = false;
        // SAFETY: the environment is the running one and the value of an open scope.
        let status = unsafe { sys::napi_get_value_bool(self.raw, value.raw, &raw mut truth) };
        check(status, "a boolean was expected")?;
        Ok(truth)
    }

    /// The bytes of a Buffer or another Uint8Array, for as long as no JavaScript runs.
    pub(crate) fn bytes(self, value: Value<'a>) -> Result<&'a mut [u8], Failure> {
        let (mut kind, mut len, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: the environment is the running one and the value of an open scope; what is not asked for is null.
        let status = unsafe {
            let (buffer, offset) = (ptr::null_mut(), ptr::null_mut());
            sys::napi_get_typedarray_info(
                self.raw,
                value.raw,
                &raw mut kind,
                &raw mut len,
                &raw mut data,
                buffer,
                offset,
            )
        };
        check(status, "a Uint8Array was expected")?;
        if kind != sys::TypedarrayType::uint8_array {
            return Err(Failure::from("a Uint8Array was expected"));
        }
        if len == 0 || data.is_null() {
            return Ok(&mut []);
        }
        // SAFETY: the array has this many bytes, and lives as long as the scope that its handle belongs to. Nobody else
        // looks at them meanwhile: no function of this add-on calls JavaScript while it holds an argument, no array is
        // passed twice, and memory that is lent to the engine is passed to `decodeText` alone, which leaves the engine be.
        Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), len) })
    }

    /// A number.
    pub(crate) fn number(self, number: usize) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        // Exact: lengths and counts are far below 2^53.
        let number = i64::try_from(number).map_err(|_| Failure::from("a number is too large"))?;
        // SAFETY: the environment is the running one.
        check(unsafe { sys::napi_create_int64(self.raw, number, &raw mut raw) }, "a number cannot be made")?;
        Ok(Self::value(raw))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(self, boolean: bool) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is the running one.
        check(unsafe { sys::napi_get_boolean(self.raw, boolean, &raw mut raw) }, "there is no boolean")?;
        Ok(Self::value(raw))
    }

    /// `undefined`.
    pub(crate) fn undefined(self) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is the running one.
        check(unsafe { sys::napi_get_undefined(self.raw, &raw mut raw) }, "there is no undefined")?;
        Ok(Self::value(raw))
    }

    /// A Buffer that takes the bytes over, where the runtime allows memory that is not its own; else a copy.
    pub(crate) fn buffer(self, bytes: Bytes) -> Result<Value<'a>, Failure> {
        let mut raw = ptr::null_mut();
        let (data, len) = (bytes.as_ptr().cast_mut().cast::<c_void>(), bytes.len());
        let owner = Box::into_raw(Box::new(bytes)).cast::<c_void>();
        // SAFETY: the owner keeps the bytes where they are until the finalizer frees it. JavaScript may write to them:
        // they are the payload of one message, which nobody else has.
        let status = unsafe {
            sys::napi_create_external_buffer(self.raw, len, data, Some(drop_bytes), owner, &raw mut raw)
        };
        if status != sys::Status::napi_ok {
            // SAFETY: nothing was made of the owner, which came from a box above.
            let bytes = unsafe { Box::from_raw(owner.cast::<Bytes>()) };
            // SAFETY: the environment is the running one, and the bytes have the length that is passed.
            let status = unsafe {
                let data = bytes.as_ptr().cast();
                sys::napi_create_buffer_copy(self.raw, len, data, ptr::null_mut(), &raw mut raw)
            };
            check(status, "a buffer cannot be made")?;
        }
        Ok(Self::value(raw))
    }

    /// What this environment keeps for the add-on.
    pub(crate) fn instance(self) -> Result<&'a Instance, Failure> {
        let mut data = ptr::null_mut();
        // SAFETY: the environment is the running one.
        check(unsafe { sys::napi_get_instance_data(self.raw, &raw mut data) }, "the add-on is unloaded")?;
        // SAFETY: `napi_register_module_v1` set it to a boxed instance, which lives until the environment ends; there
        // are only shared references to it.
        unsafe { data.cast::<Instance>().as_ref() }.ok_or_else(|| Failure::from("the add-on is unloaded"))
    }

    pub(super) fn raw(self) -> sys::napi_env {
        self.raw
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

/// Frees the bytes of a Buffer that was collected.
unsafe extern "C" fn drop_bytes(_: sys::napi_env, _: *mut c_void, owner: *mut c_void) {
    // SAFETY: it is called once, with the owner that `Env::buffer` made.
    drop(unsafe { Box::from_raw(owner.cast::<Bytes>()) });
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
