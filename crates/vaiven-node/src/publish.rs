//! One message for many connections: framed once, compressed once for each size of window, and shared by their outboxes.

use crate::engine::Engine;
use crate::ffi::Failure;
use crate::outgoing::Manner;
use bytes::Bytes;
use vaiven_proto::{Message, OpCode, Prepared, Text};

impl Engine {
    /// Queues a message in each of `connections`, which are the numbers as JavaScript has them in memory, behind the
    /// messages that wait.
    ///
    /// # Errors
    /// The payload of a text message is not UTF-8.
    pub(crate) fn publish(
        &mut self,
        connections: &[u8],
        manner: Manner,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let payload = Bytes::copy_from_slice(payload);
        let len = payload.len();
        let message = match manner.opcode() {
            OpCode::Text => Message::text(Text::try_from(payload).map_err(|_| "the text is not UTF-8")?),
            _ => Message::binary(payload),
        };
        let prepared = Prepared::new(message);
        self.encode();
        for id in connections.as_chunks::<4>().0 {
            let id = u32::from_ne_bytes(*id);
            // Who went meanwhile, or has said its last, is left out; JavaScript counts what it gave.
            let Ok(connection) = self.connection(id) else { continue };
            if connection.encoder.prepared(&prepared, manner.compress()).is_ok() {
                connection.queued_bytes += len;
                self.add_amount(id, len);
                self.touch(id);
            }
        }
        Ok(())
    }
}
