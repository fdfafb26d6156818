//! The engine as a service of tower, which axum mounts at a path.

use super::{Engine, EngineBody};
use bytes::Buf;
use http::{Request, Response};
use http_body::Body;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// Mounted at the path that clients ask for:
///
/// ```
/// use axum::Router;
/// use vaiven_socketio::engine::{Connection, Engine, EngineConfig};
///
/// let engine = Engine::new(EngineConfig::default(), |mut connection: Connection| async move {
///     while let Some(message) = connection.recv().await {
///         println!("{message:?}");
///     }
/// });
/// let router: Router = Router::new().route_service("/engine.io/", engine);
/// # let _ = router;
/// ```
impl<B> Service<Request<B>> for Engine
where
    B: Body + Send + 'static,
    B::Data: Buf + Send,
    B::Error: Send,
{
    type Response = Response<EngineBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let engine = self.clone();
        Box::pin(async move { Ok(engine.handle(request).await) })
    }
}
