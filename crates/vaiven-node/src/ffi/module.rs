//! The edge between Node and Rust: the module that Node loads, and the way of every call into it.

use super::env::{Env, Failure, Value};
use crate::functions::{FUNCTIONS, Instance};
use napi_sys as sys;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// A function that JavaScript calls.
pub(crate) type Function = for<'a> fn(Env<'a>, &[Value<'a>]) -> Result<Value<'a>, Failure>;

/// The most arguments of a function.
const MAX_ARGUMENTS: usize = 12;

/// Called by Node when it loads the add-on, once for each thread that does.
#[unsafe(no_mangle)]
extern "C" fn napi_register_module_v1(env: sys::napi_env, exports: sys::napi_value) -> sys::napi_value {
    // SAFETY: Node is there, as it makes this call. The library is kept for the life of the process.
    std::mem::forget(unsafe { sys::setup() });
    let instance = Box::into_raw(Box::<Instance>::default()).cast();
    // SAFETY: the environment is that of this call; the finalizer frees what is set here.
    unsafe { sys::napi_set_instance_data(env, instance, Some(drop_instance), ptr::null_mut()) };
    for (name, function) in FUNCTIONS {
        let mut value = ptr::null_mut();
        let data = ptr::from_ref(function).cast_mut().cast::<c_void>();
        // SAFETY: the environment and the exports are those of this call; the name has the length that is passed;
        // the data point into a constant, which lives as long as the code.
        unsafe {
            let (text, len) = (name.as_ptr().cast(), isize::try_from(name.len()).unwrap_or(0));
            let made = sys::napi_create_function(env, text, len, Some(call), data, &raw mut value);
            let mut key = ptr::null_mut();
            let named = sys::napi_create_string_utf8(env, text, len, &raw mut key);
            if made == sys::Status::napi_ok && named == sys::Status::napi_ok {
                sys::napi_set_property(env, exports, key, value);
            }
        }
    }
    exports
}

/// The environment ends.
unsafe extern "C" fn drop_instance(_: sys::napi_env, instance: *mut c_void, _: *mut c_void) {
    // SAFETY: it is called once, with what `napi_register_module_v1` set, and no call can follow.
    drop(unsafe { Box::from_raw(instance.cast::<Instance>()) });
}

/// The way of every call: arguments in, the function, a value or an error out.
unsafe extern "C" fn call(raw_env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut raw = [ptr::null_mut(); MAX_ARGUMENTS];
    let mut count = MAX_ARGUMENTS;
    let mut data = ptr::null_mut();
    // SAFETY: Node passes the environment and the information of this very call, for which a scope is open; `data` is
    // what `napi_register_module_v1` gave it, a pointer to one of `FUNCTIONS`.
    let (env, function) = unsafe {
        let this = ptr::null_mut();
        sys::napi_get_cb_info(raw_env, info, &raw mut count, raw.as_mut_ptr(), this, &raw mut data);
        (Env::new(raw_env), *data.cast::<Function>())
    };
    // SAFETY: the values are the arguments of this call, valid in its scope.
    let arguments = raw.map(|raw| unsafe { Value::new(raw) });
    let arguments = &arguments[..count.min(MAX_ARGUMENTS)];
    let outcome = catch_unwind(AssertUnwindSafe(|| function(env, arguments)));
    let failure = match outcome {
        Ok(Ok(value)) => return value.raw(),
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Failure(format!("vaiven: a defect in the native core: {text}; please report it"))
        }
    };
    env.throw(&failure);
    ptr::null_mut()
}
