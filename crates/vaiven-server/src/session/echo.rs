//! The echo: every message goes back to its sender.

use super::End;
use super::inbox::Inbox;
use vaiven::WebSocket;

/// Echoes until the connection ends. What has to wait for room does so on the heap, so that a task that merely may
/// have to keeps no place for it.
pub(super) async fn echo(socket: &mut WebSocket, inbox: &mut Inbox<'_>) -> Result<(), End> {
    inbox.echoes = true;
    loop {
        let refused = match inbox.next(socket).await? {
            Some(message) => socket.try_send(message).err(),
            None => return Ok(()),
        };
        if let Some(refused) = refused
            && inbox.hold(Box::pin(socket.send(refused.into_message()))).await.is_err()
        {
            // It is closing; what still arrives is not answered.
            inbox.count();
            inbox.echoes = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::app::App;
    use std::time::Duration;
    use vaiven::Message;

    #[tokio::test]
    async fn what_arrives_while_the_server_cannot_answer_is_not_too_fast() {
        let mut settings = Settings::default();
        (settings.message_rate, settings.message_burst) = (200, 4);
        let app = App::for_test(settings);
        let (client, mut server) = vaiven::pair();
        let serving = tokio::spawn(async move { echo(&mut server, &mut Inbox::new(&app)).await.is_ok() });
        let (sender, mut receiver) = client.split();
        // As much as the server takes without being read from, and half of that again.
        let sending = tokio::spawn(async move {
            for _ in 0..48 {
                sender.send(Message::binary(vec![0; 32 << 10])).await.unwrap();
                // Half the rate.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            sender.close(None);
        });
        tokio::time::sleep(Duration::from_millis(600)).await;
        let mut echoed = 0;
        while let Ok(Some(_)) = receiver.recv().await {
            echoed += 1;
        }
        sending.await.unwrap();
        assert_eq!(echoed, 48);
        assert!(serving.await.unwrap());
    }
}
