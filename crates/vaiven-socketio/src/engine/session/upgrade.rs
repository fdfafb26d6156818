//! A session's way from polls to a WebSocket.

use super::{Session, Upgrade, wake};
use crate::engine::packet;
use vaiven::{Prepared, PreparedBatch, Receiver, Sender};

impl Session {
    /// A WebSocket is there; `false` where there is one already, or the session is over.
    pub(in crate::engine) fn begin_upgrade(&self) -> bool {
        let mut state = self.lock();
        let is_over = state.end.is_some();
        match &mut state.polling {
            Some(polling) if polling.upgrade == Upgrade::None && !is_over => {
                polling.upgrade = Upgrade::Begun;
                true
            }
            _ => false,
        }
    }

    /// The WebSocket works: the poll that waits is answered, and later ones are given nothing.
    pub(in crate::engine) fn probed(&self) {
        if let Some(polling) = &mut self.lock().polling {
            polling.upgrade = Upgrade::Probed;
            wake(&mut polling.poll);
        }
    }

    /// The WebSocket went away: polls go on.
    pub(in crate::engine) fn abandon_upgrade(&self) {
        if let Some(polling) = &mut self.lock().polling {
            polling.upgrade = Upgrade::None;
            wake(&mut polling.poll);
        }
    }

    /// Goes on over the WebSocket: what waits is sent first, and whatever is sent from now on comes behind it.
    pub(in crate::engine) fn upgrade(&self, socket: Sender, receiver: Receiver) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        let Some(mut polling) = state.polling.take() else { return };
        if !polling.outbox.is_empty() {
            // Together, since what is queued at once always fits where nothing waits.
            let packets = polling.outbox.drain(..);
            let packets =
                packets.map(|packet| if self.takes_only_text { packet::as_text(packet) } else { packet });
            let frames = packets.map(Prepared::new).collect();
            socket.try_send_batch(&PreparedBatch::new(frames));
        }
        let is_first = self.socket.set(socket).is_ok();
        debug_assert!(is_first, "a session is upgraded once");
        state.upgraded = Some(receiver);
        wake(&mut polling.poll);
        wake(&mut polling.post);
        wake(&mut state.receiver);
        state.wake_flushing();
    }
}
