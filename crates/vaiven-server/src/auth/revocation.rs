//! What was granted and holds no longer: all earlier tokens of a user, or one token by its `jti`. Kept in memory, for
//! as long as such tokens could still be shown.

use super::Identity;
use crate::environment::WallClock;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most revocations that are kept; beyond it those go first that end first.
const MAX_REVOCATIONS: usize = 100_000;

/// Revocations by user and by token.
#[derive(Debug)]
pub(crate) struct Revocations {
    clock: WallClock,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// When a user's tokens were revoked, and until when that is remembered; in seconds since 1970.
    users: HashMap<Box<str>, (u64, u64)>,
    tokens: HashMap<Box<str>, u64>,
}

impl Revocations {
    pub(super) fn new(clock: WallClock) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    /// Revokes what a user was granted up to now.
    pub(crate) fn revoke_user(&self, user: &str, remember: Duration) {
        let now = self.clock.now().as_secs();
        let mut kept = self.lock();
        make_room(&mut kept.users, now, |(_, until)| *until);
        kept.users.insert(user.into(), (now, now.saturating_add(remember.as_secs())));
    }

    /// Revokes one token.
    pub(crate) fn revoke_token(&self, token_id: &str, remember: Duration) {
        let now = self.clock.now().as_secs();
        let mut kept = self.lock();
        make_room(&mut kept.tokens, now, |until| *until);
        kept.tokens.insert(token_id.into(), now.saturating_add(remember.as_secs()));
    }

    /// Whether an identity rests on something that was revoked. A token that does not say when it was issued may be as
    /// old as any.
    pub(crate) fn is_revoked(&self, identity: &Identity) -> bool {
        let now = self.clock.now().as_secs();
        let kept = self.lock();
        let by_user = identity.user.as_deref().and_then(|user| kept.users.get(user));
        let by_token = identity.token_id.as_deref().and_then(|id| kept.tokens.get(id));
        by_user
            .is_some_and(|(at, until)| *until > now && identity.issued_at.is_none_or(|issued| issued <= *at))
            || by_token.is_some_and(|until| *until > now)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room<T>(kept: &mut HashMap<Box<str>, T>, now: u64, until: impl Fn(&T) -> u64) {
    if kept.len() < MAX_REVOCATIONS {
        return;
    }
    kept.retain(|_, entry| until(entry) > now);
    if kept.len() >= MAX_REVOCATIONS {
        let soonest = kept.iter().min_by_key(|(_, entry)| until(entry)).map(|(name, _)| name.clone());
        soonest.map(|name| kept.remove(&name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(user: &str, id: &str, issued_at: Option<u64>) -> Identity {
        Identity { user: Some(user.into()), token_id: Some(id.into()), issued_at, ..Identity::default() }
    }

    #[test]
    fn a_user_is_revoked_up_to_now_and_a_token_by_its_name() {
        let (revocations, now) =
            (Revocations::new(WallClock::default()), WallClock::default().now().as_secs());
        revocations.revoke_user("ana", Duration::from_hours(1));
        revocations.revoke_token("t1", Duration::from_hours(1));
        assert!(revocations.is_revoked(&identity("ana", "t2", Some(now))));
        assert!(revocations.is_revoked(&identity("ana", "t2", None)));
        assert!(!revocations.is_revoked(&identity("ana", "t2", Some(now + 5))));
        assert!(revocations.is_revoked(&identity("luis", "t1", Some(now + 5))));
        assert!(!revocations.is_revoked(&identity("luis", "t2", None)));
    }

    #[test]
    fn what_is_remembered_no_longer_holds_again() {
        let revocations = Revocations::new(WallClock::default());
        revocations.revoke_user("ana", Duration::ZERO);
        revocations.revoke_token("t1", Duration::ZERO);
        assert!(!revocations.is_revoked(&identity("ana", "t1", None)));
    }
}
