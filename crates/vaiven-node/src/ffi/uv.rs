//! Node's own event loop: a descriptor that libuv watches, and the way from there into JavaScript.
//!
//! libuv is no part of Node-API, so its functions are looked up when they are needed: a runtime without them reads its
//! sockets itself and passes the bytes on.

use super::env::{Env, Failure, Value, check};
use crate::functions::Instance;
use napi_sys as sys;
use std::ffi::{c_int, c_uint, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::OnceLock;

/// `UV_POLL` of `uv_handle_type`, unchanged since libuv 1.0.
const UV_POLL: c_uint = 8;
/// `UV_READABLE` of `uv_poll_event`.
const UV_READABLE: c_int = 1;

/// A `uv_poll_t`; libuv says at run time how large it is. Its first word is the caller's to use.
type Handle = *mut *mut c_void;
type Callback = unsafe extern "C" fn(Handle);

/// The functions of libuv that are used here.
struct Uv {
    handle_size: unsafe extern "C" fn(c_uint) -> usize,
    poll_init: unsafe extern "C" fn(*mut sys::uv_loop_s, Handle, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(Handle, c_int, unsafe extern "C" fn(Handle, c_int, c_int)) -> c_int,
    poll_stop: unsafe extern "C" fn(Handle) -> c_int,
    close: unsafe extern "C" fn(Handle, Callback),
    reference: Callback,
    unreference: Callback,
}

impl Uv {
    /// `None` where the runtime does not export them.
    fn of_this_process() -> Option<&'static Self> {
        static UV: OnceLock<Option<Uv>> = OnceLock::new();
        UV.get_or_init(|| {
            let process = libloading::os::unix::Library::this();
            // SAFETY: each name is that of a function of libuv with the signature of its field (uv.h, stable in all of
            // libuv 1); the process never unloads them.
            unsafe {
                Some(Self {
                    handle_size: *process.get(b"uv_handle_size\0").ok()?,
                    poll_init: *process.get(b"uv_poll_init\0").ok()?,
                    poll_start: *process.get(b"uv_poll_start\0").ok()?,
                    poll_stop: *process.get(b"uv_poll_stop\0").ok()?,
                    close: *process.get(b"uv_close\0").ok()?,
                    reference: *process.get(b"uv_ref\0").ok()?,
                    unreference: *process.get(b"uv_unref\0").ok()?,
                })
            }
        })
        .as_ref()
    }
}

/// A way into JavaScript from the event loop.
pub(crate) struct Dispatch {
    env: sys::napi_env,
    function: sys::napi_ref,
    context: sys::napi_async_context,
}

impl Dispatch {
    fn new(env: Env<'_>, function: Value<'_>) -> Result<Self, Failure> {
        let (mut reference, mut context) = (ptr::null_mut(), ptr::null_mut());
        let name = env.text("vaiven")?;
        // SAFETY: the environment is the running one and the values of an open scope. Neither the reference nor the
        // context is given back: both are needed until the environment ends.
        unsafe {
            let made = sys::napi_create_reference(env.raw(), function.raw(), 1, &raw mut reference);
            check(made, "a function was expected")?;
            let made = sys::napi_async_init(env.raw(), ptr::null_mut(), name.raw(), &raw mut context);
            check(made, "an asynchronous context cannot be made")?;
        }
        Ok(Self { env: env.raw(), function: reference, context })
    }

    /// Calls the function as a task of its own: microtasks and ticks run before this returns. What it throws goes where
    /// uncaught exceptions go.
    pub(crate) fn call(&self) {
        let mut scope = ptr::null_mut();
        // SAFETY: libuv calls on the thread of the environment, which has not ended; every value belongs to the scope
        // that is opened here.
        unsafe {
            if sys::napi_open_handle_scope(self.env, &raw mut scope) != sys::Status::napi_ok {
                return;
            }
            let (mut function, mut global) = (ptr::null_mut(), ptr::null_mut());
            sys::napi_get_reference_value(self.env, self.function, &raw mut function);
            sys::napi_get_global(self.env, &raw mut global);
            let arguments = ptr::null();
            let result = ptr::null_mut();
            let status =
                sys::napi_make_callback(self.env, self.context, global, function, 0, arguments, result);
            let mut pending = false;
            sys::napi_is_exception_pending(self.env, &raw mut pending);
            if status != sys::Status::napi_ok && pending {
                let mut exception = ptr::null_mut();
                sys::napi_get_and_clear_last_exception(self.env, &raw mut exception);
                sys::napi_fatal_exception(self.env, exception);
            }
            sys::napi_close_handle_scope(self.env, scope);
        }
    }
}

/// What to do when the descriptor is readable.
pub(crate) type OnReady = fn(&Instance, &Dispatch);

/// What the handle points to.
struct Watched {
    instance: *const Instance,
    dispatch: Dispatch,
    on_ready: OnReady,
    /// The handle's own memory, in words that are aligned as its first one.
    memory: Vec<u64>,
    cleanup: sys::napi_async_cleanup_hook_handle,
}

/// A descriptor that Node's event loop watches until the environment ends.
pub(crate) struct Poll {
    handle: Handle,
}

impl Poll {
    /// Watches `fd`, which must stay open; `function` is what [`Dispatch::call`] calls. It does not keep the process
    /// alive until [`keep_alive`](Self::keep_alive) says so. `None` where the runtime has no libuv.
    pub(crate) fn start(
        env: Env<'_>,
        fd: BorrowedFd<'_>,
        function: Value<'_>,
        on_ready: OnReady,
    ) -> Result<Option<Self>, Failure> {
        let Some(uv) = Uv::of_this_process() else { return Ok(None) };
        let mut event_loop = ptr::null_mut();
        // SAFETY: the environment is the running one.
        let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), &raw mut event_loop) };
        if status != sys::Status::napi_ok || event_loop.is_null() {
            return Ok(None);
        }
        let dispatch = Dispatch::new(env, function)?;
        // SAFETY: it takes no memory, but a constant.
        let bytes = unsafe { (uv.handle_size)(UV_POLL) };
        let mut memory = vec![0_u64; bytes.div_ceil(size_of::<u64>())];
        let handle: Handle = memory.as_mut_ptr().cast();
        let instance = ptr::from_ref(env.instance()?);
        let cleanup = ptr::null_mut();
        let watched = Box::new(Watched { instance, dispatch, on_ready, memory, cleanup });
        // SAFETY: the handle has the size that libuv asks for and stays where it is until it is closed; the descriptor
        // is open; its first word becomes the pointer that the callbacks below read. The hook ends it all before the
        // environment does.
        unsafe {
            if (uv.poll_init)(event_loop, handle, fd.as_raw_fd()) != 0 {
                return Err(Failure::from("libuv cannot watch the descriptor"));
            }
            let watched = Box::into_raw(watched);
            *handle = watched.cast();
            let cleanup = &raw mut (*watched).cleanup;
            sys::napi_add_async_cleanup_hook(env.raw(), Some(clean_up), watched.cast(), cleanup);
            (uv.poll_start)(handle, UV_READABLE, readable);
            (uv.unreference)(handle);
        }
        Ok(Some(Self { handle }))
    }

    /// Whether the process stays alive for the sake of this descriptor.
    pub(crate) fn keep_alive(&self, alive: bool) {
        let Some(uv) = Uv::of_this_process() else { return };
        // SAFETY: the handle is closed only when the environment ends, and JavaScript, which asks for this, before.
        unsafe { if alive { (uv.reference)(self.handle) } else { (uv.unreference)(self.handle) } }
    }
}

/// libuv: the descriptor is readable, or in error, which the read will show.
unsafe extern "C" fn readable(handle: Handle, _status: c_int, _events: c_int) {
    // SAFETY: the first word was set by `start` to what lives until `closed`, and the instance lives longer: the
    // environment waits for the hook.
    let (watched, instance) = unsafe {
        let watched = &*(*handle).cast::<Watched>();
        (watched, &*watched.instance)
    };
    // A panic must not unwind into libuv. It has been printed by then, and the engine is free for the next event.
    let work = std::panic::AssertUnwindSafe(|| (watched.on_ready)(instance, &watched.dispatch));
    let _ = std::panic::catch_unwind(work);
}

/// Node: the environment ends.
unsafe extern "C" fn clean_up(_: sys::napi_async_cleanup_hook_handle, watched: *mut c_void) {
    let Some(uv) = Uv::of_this_process() else { return };
    // SAFETY: it is called once, with what `start` made and `closed` has not freed yet.
    unsafe {
        let handle: Handle = (*watched.cast::<Watched>()).memory.as_mut_ptr().cast();
        (uv.poll_stop)(handle);
        (uv.close)(handle, closed);
    }
}

/// libuv: it will not touch the handle again.
unsafe extern "C" fn closed(handle: Handle) {
    // SAFETY: the first word still is what `start` made, and nobody uses it after this.
    unsafe {
        let watched = Box::from_raw((*handle).cast::<Watched>());
        sys::napi_remove_async_cleanup_hook(watched.cleanup);
    }
}
