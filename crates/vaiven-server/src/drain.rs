//! The end of a server: nobody else comes in, what is under way is answered, and each client is told when to come back.

use crate::app::App;
use crate::session::Farewell;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use vaiven::CloseCode;
use vaiven::server::DrainOptions;

/// The longest time over which connections are told that the server stops, so that they do not all come back at once.
/// No more than two thirds of `drain_timeout`.
const SPREAD: Duration = Duration::from_secs(20);
/// Up to this many connections are told at once.
const AT_ONCE: usize = 100;
/// How often some are told.
const INTERVAL: Duration = Duration::from_millis(100);
/// Connections per second that a server takes back without trouble: their slots are spread accordingly.
const COMEBACKS: u32 = 500;
/// The least time after which a client comes back: another process takes a moment to start.
const FIRST_COMEBACK: Duration = Duration::from_millis(500);

/// Why the server stops.
const REASON: &str = "the server stops";

/// How far the end of a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Running,
    /// Nobody is let in, and sessions are ended. Connections of HTTP that stand are answered once more: a load balancer
    /// that asks over one of them hears that the server is not ready.
    Stopping,
    /// They are closed too, unless an answer is under way.
    Closing,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had not closed in time and were dropped.
    pub dropped: usize,
}

/// Ends all connections with this code, within `drain_timeout`.
pub(crate) async fn drain(app: &App, code: CloseCode) -> Drained {
    app.stage.send_replace(Stage::Stopping);
    app.handle.close_listener(code, REASON);
    let begun = Instant::now();
    let timeout = app.settings.drain_timeout;
    // A session says its last words by itself, which the drain behind this would cut short.
    let leaving = async {
        say_farewell(app, code, SPREAD.min(timeout / 3 * 2)).await;
        app.sessions.all_gone().await;
    };
    // Who is told late, or does not answer, has the rest of the time.
    let _ = tokio::time::timeout(timeout / 6 * 5, leaving).await;
    app.stage.send_replace(Stage::Closing);
    let mut options = DrainOptions::default().at_once();
    options.code = code;
    options.reason.push_str(REASON);
    options.timeout = timeout.saturating_sub(begun.elapsed());
    Drained { dropped: app.handle.drain(options).await.aborted }
}

/// Tells every client, in batches, each with another time to come back.
async fn say_farewell(app: &App, code: CloseCode, over: Duration) {
    let leavers = app.sessions.leavers();
    let count = leavers.len();
    let over = if count <= AT_ONCE { Duration::ZERO } else { over };
    let batches = usize::try_from(over.as_millis() / INTERVAL.as_millis()).unwrap_or(0).max(1);
    let batch = count.div_ceil(batches).max(1);
    let slots = Duration::from_secs(1) * u32::try_from(count).unwrap_or(u32::MAX) / COMEBACKS;
    let slot = |number: usize| {
        let share = u32::try_from(number).unwrap_or(u32::MAX);
        let own = slots * share / u32::try_from(count).unwrap_or(u32::MAX).max(1);
        (code == CloseCode::RESTART).then(|| FIRST_COMEBACK + own + INTERVAL.mul_f64(app.chance.fraction()))
    };
    for (number, leave) in leavers.enumerate() {
        if number > 0 && number % batch == 0 {
            sleep(INTERVAL).await;
        }
        leave(Farewell { code, reason: REASON, retry: slot(number) });
    }
}
