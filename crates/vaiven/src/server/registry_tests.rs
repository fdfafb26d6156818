//! Ten thousand clients that come back together, on virtual time: those that obey are let in within the longest
//! `Retry-After`.

use super::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

const CLIENTS: u32 = 10_000;

/// Clients that lose their server at the same moment.
struct Crowd {
    /// The time over which their first tries are spread.
    spread: Duration,
    /// How long it takes to tell one of them that it is refused.
    telling: Duration,
    seed: u64,
}

/// What became of a client.
struct Admitted {
    after: Duration,
    tries: u32,
    /// How often it was refused without being told.
    untold: u32,
}

/// A client that does as it is told, and else comes back after a random time up to a limit that doubles.
async fn come_back(
    shared: Arc<Shared>,
    number: u32,
    first: Duration,
    telling: Duration,
    mut random: SmallRng,
) -> (Permit, Admitted) {
    let start = Instant::now();
    let (mut tries, mut untold) = (0, 0);
    tokio::time::sleep(first).await;
    loop {
        tries += 1;
        match shared.admit(Some(IpAddr::from(number.to_be_bytes()))) {
            Ok(permit) => return (permit, Admitted { after: start.elapsed(), tries, untold }),
            Err(TurnedAway { refusal, refusing: Some(place) }) => {
                tokio::time::sleep(telling.mul_f64(random.random())).await;
                drop(place);
                let seconds =
                    refusal.fields().find(|(name, _)| *name == "Retry-After").expect("it is told when").1;
                tokio::time::sleep(Duration::from_secs(seconds.parse().expect("whole seconds"))).await;
            }
            Err(TurnedAway { refusing: None, .. }) => {
                untold += 1;
                let limit = Duration::from_millis(250 << (tries - 1).min(6));
                tokio::time::sleep(limit.mul_f64(random.random())).await;
            }
        }
    }
}

async fn admit_all(crowd: &Crowd, adapt: impl FnOnce(&mut ServerConfig)) -> Vec<Admitted> {
    let mut config = ServerConfig { max_connections: CLIENTS as usize, ..ServerConfig::default() };
    adapt(&mut config);
    let shared = Shared::new(Arc::new(config), None);
    // The machine that runs the test may be allowed fewer files than a server of this size.
    lock(&shared.admission).lift_max_connections();
    let mut random = SmallRng::seed_from_u64(crowd.seed);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let first = crowd.spread.mul_f64(random.random());
        let own = SmallRng::seed_from_u64(random.random());
        clients.spawn(come_back(Arc::clone(&shared), number, first, crowd.telling, own));
    }
    clients.join_all().await.into_iter().map(|(_, admitted)| admitted).collect()
}

fn tries(admitted: &[Admitted]) -> BTreeMap<u32, usize> {
    let mut tries = BTreeMap::new();
    for client in admitted {
        *tries.entry(client.tries).or_default() += 1;
    }
    tries
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_that_come_back_in_a_second_and_obey_are_in_within_ten_most_at_their_second_try() {
    for seed in 0..4 {
        for spread in [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1)] {
            let crowd = Crowd { spread, telling: Duration::from_millis(5), seed };
            let admitted = admit_all(&crowd, |config| config.max_refusals = CLIENTS as usize).await;
            let last = admitted.iter().map(|client| client.after).max().expect("there are clients");
            let tries = tries(&admitted);
            assert!(last < Duration::from_secs(10), "seed {seed}, {spread:?}: {last:?} {tries:?}");
            assert!(tries[&1] + tries[&2] >= 9_000, "seed {seed}, {spread:?}: {tries:?}");
            assert!(tries.keys().all(|tries| *tries <= 3), "seed {seed}, {spread:?}: {tries:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_were_refused_without_a_word_are_in_within_ten_seconds_too() {
    for seed in 0..4 {
        for (spread, telling) in [(0, 10), (250, 50), (1_000, 100)] {
            let [spread, telling] = [spread, telling].map(Duration::from_millis);
            let admitted = admit_all(&Crowd { spread, telling, seed }, |_| {}).await;
            let last = admitted.iter().map(|client| client.after).max().expect("there are clients");
            let untold = admitted.iter().filter(|client| client.untold > 0).count();
            assert!(
                untold > 1_000,
                "seed {seed}, {spread:?}: the bound of refusals is not at work: {untold}"
            );
            assert!(
                last <= Duration::from_millis(10_500),
                "seed {seed}, {spread:?}: {last:?} {:?}",
                tries(&admitted)
            );
        }
    }
}
