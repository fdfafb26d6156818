//! Workers that are late, in a room of the real server.

use super::super::command;
use super::super::options::Options;
use super::*;
use clap::FromArgMatches;
use std::pin::pin;
use std::sync::atomic::Ordering;
use tokio::sync::Notify;
use vaiven_server::{Server, Settings};

/// Long enough for a message to go through the server and back, had one been sent.
const LATE: Duration = Duration::from_millis(300);

/// When the worker of the listeners stops, as a thread does that gets no processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    /// Before its connections have their parts.
    ToGetReady,
    /// Before it hears when the run starts.
    ToStart,
}

/// The server is not waited for: it ends with its runtime.
async fn room() -> String {
    let mut settings = Settings::default();
    settings.listen.set_port(0);
    let server = Server::bind(settings).await.unwrap();
    let url = format!("ws://{}/c/late", server.local_addr());
    tokio::spawn(server.run(std::future::pending()));
    url
}

/// A worker that stops when it is `held`, while its connections go on receiving, until it is `released`.
async fn run_held(job: Arc<Job>, post: Post, held: Arc<Notify>, released: Arc<Notify>) {
    let mut run = pin!(worker::run(job, post));
    tokio::select! {
        biased;
        () = held.notified() => {}
        () = &mut run => return,
    }
    released.notified().await;
    run.await;
}

async fn check(late: Late) {
    let url = room().await;
    let args = ["bench", &url, "--no-proxy", "--room", "-c", "4", "--workers", "2", "-r", "100"];
    let times = ["-d", "200ms", "--warm-up", "0"];
    let matches = command().try_get_matches_from([&args[..], &times].concat()).unwrap();
    let job = Arc::new(Job::new(Options::from_arg_matches(&matches).unwrap().plan().unwrap()));
    let (mut workers, posts) = Workers::new(2);
    let (held, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let [first, second] = posts.try_into().unwrap();
    tokio::task::spawn_local(worker::run(Arc::clone(&job), first));
    tokio::task::spawn_local(run_held(Arc::clone(&job), second, Arc::clone(&held), Arc::clone(&released)));
    let counts = workers.opened().await;
    assert_eq!(counts, [2, 2]);
    if late == Late::ToGetReady {
        held.notify_one();
        let mut begun = pin!(workers.begin(&job, &counts));
        assert!(tokio::time::timeout(LATE, &mut begun).await.is_err(), "it began without a worker");
        assert_eq!(job.published.load(Ordering::Relaxed), 0);
        released.notify_one();
        begun.await;
    } else {
        workers.begin(&job, &counts).await;
        held.notify_one();
        tokio::time::sleep(LATE).await;
        released.notify_one();
    }
    let tally = workers.tally().await;
    assert!(tally.is_clean(), "{late:?}: {tally:?}");
    // Twenty messages to three who listen.
    assert_eq!((tally.sent, tally.received), (20, 60), "{late:?}");
}

#[test]
fn the_publisher_waits_for_a_worker_that_is_late() {
    for late in [Late::ToGetReady, Late::ToStart] {
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(check(late));
        runtime.shutdown_background();
    }
}
