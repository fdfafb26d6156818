//! Asynchronous functions to handlers, whose parameters are taken from what happened.

use super::extract::{EventContext, FromEvent, Rejection};
use std::fmt::Display;
use std::pin::Pin;

/// The future of a handler.
pub(super) type Handling<O> = Pin<Box<dyn Future<Output = O> + Send>>;

/// An asynchronous function with up to eight parameters that are [taken from the event](FromEvent).
///
/// ```
/// use vaiven_socketio::{Ack, Data, Namespace, Socket};
/// let chat = Namespace::new().on("message", async |socket: Socket, Data(text): Data<String>, ack: Ack| {
///     socket.broadcast().emit("message", &text)?;
///     ack.send("delivered")
/// });
/// # let _ = chat;
/// ```
pub trait Handler<Parameters, Output>: Send + Sync + 'static {
    /// Takes the parameters and begins.
    ///
    /// # Errors
    /// [`Rejection`]: a parameter cannot be taken, so the handler does not run.
    fn call(
        &self,
        context: &mut EventContext,
    ) -> Result<Pin<Box<dyn Future<Output = Output> + Send>>, Rejection>;
}

macro_rules! impl_handler {
    ($($parameter:ident),*) => {
        impl<F, Fut, Output, $($parameter),*> Handler<($($parameter,)*), Output> for F
        where
            F: Fn($($parameter),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Output> + Send + 'static,
            $($parameter: FromEvent,)*
        {
            #[allow(unused_variables, reason = "a handler without parameters looks at nothing")]
            fn call(&self, context: &mut EventContext) -> Result<Handling<Output>, Rejection> {
                Ok(Box::pin(self($($parameter::from_event(context)?),*)))
            }
        }
    };
}

impl_handler!();
impl_handler!(A);
impl_handler!(A, B);
impl_handler!(A, B, C);
impl_handler!(A, B, C, D);
impl_handler!(A, B, C, D, E);
impl_handler!(A, B, C, D, E, G);
impl_handler!(A, B, C, D, E, G, H);
impl_handler!(A, B, C, D, E, G, H, I);

/// What a handler may end with: nothing, or a result whose error is written to the log.
pub trait Outcome: Send + 'static {
    /// What went wrong.
    fn into_error(self) -> Option<String>;
}

impl Outcome for () {
    fn into_error(self) -> Option<String> {
        None
    }
}

impl<E: Display + Send + 'static> Outcome for Result<(), E> {
    fn into_error(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// A handler of any parameters.
pub(super) type Erased<O> = Box<dyn Fn(&mut EventContext) -> Result<Handling<O>, Rejection> + Send + Sync>;

pub(super) fn erase<P, O>(handler: impl Handler<P, O>) -> Erased<O> {
    Box::new(move |context| handler.call(context))
}

/// As [`erase`], for handlers whose errors are only logged.
pub(super) fn erase_outcome<P, O: Outcome>(handler: impl Handler<P, O>) -> Erased<()> {
    Box::new(move |context| {
        let handling = handler.call(context)?;
        let event = context.name().clone();
        Ok(Box::pin(async move {
            if let Some(error) = handling.await.into_error() {
                tracing::warn!(event = event.as_str(), error, "a handler failed");
            }
        }))
    })
}
