//! Rooms, and what is sent to them.

use crate::client::*;
use tokio::sync::mpsc;
use vaiven_socketio::{Ack, Data, Io, Namespace, Socket};

struct Fixture {
    io: Io,
    sockets: mpsc::UnboundedReceiver<Socket>,
}

impl Fixture {
    fn new() -> Self {
        let (namespace, sockets) = handed(Namespace::new());
        Self { io: server(namespace), sockets }
    }

    async fn join(&mut self, rooms: &[&str]) -> (Client, Socket) {
        let (client, _) = Client::join(&self.io).await;
        let socket = self.sockets.recv().await.expect("a socket");
        for room in rooms {
            socket.join(room);
        }
        (client, socket)
    }

    /// Sends everybody an end mark; what each one got before it is what it was meant to get.
    async fn heard(&self, client: &mut Client) -> Vec<String> {
        self.io.emit("end", ()).expect("sent");
        let mut heard = Vec::new();
        loop {
            match client.text().await.as_str() {
                r#"2["end"]"# => return heard,
                text => heard.push(text.trim_start_matches("2[\"").trim_end_matches("\"]").to_owned()),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_reaches_those_whom_it_means_once() {
    let mut fixture = Fixture::new();
    let (mut a, socket) = fixture.join(&["red", "round"]).await;
    let (mut b, _) = fixture.join(&["red"]).await;
    let (mut c, other) = fixture.join(&["round", "blue"]).await;
    socket.to("red").emit("red, not me", ()).expect("sent");
    socket.broadcast().emit("all, not me", ()).expect("sent");
    socket.everybody().emit("all", ()).expect("sent");
    fixture.io.to("red").to("round").emit("either", ()).expect("sent");
    fixture.io.to("round").except("red").emit("round, not red", ()).expect("sent");
    fixture.io.to(other.id().as_str()).emit("one", ()).expect("sent");
    fixture.io.to(other.id().as_str()).to("blue").emit("one once", ()).expect("sent");
    fixture.io.to("nowhere").emit("nobody", ()).expect("sent");
    assert_eq!(fixture.heard(&mut a).await, ["all", "either"]);
    assert_eq!(fixture.heard(&mut b).await, ["red, not me", "all, not me", "all", "either"]);
    assert_eq!(
        fixture.heard(&mut c).await,
        ["all, not me", "all", "either", "round, not red", "one", "one once"]
    );
}

#[tokio::test(start_paused = true)]
async fn rooms_are_left_and_forgotten() {
    let mut fixture = Fixture::new();
    let (mut a, socket) = fixture.join(&["x", "y", "x"]).await;
    assert_eq!(socket.rooms().iter().map(|room| &**room).collect::<Vec<_>>(), ["x", "y"]);
    socket.leave("x");
    socket.leave("never joined");
    fixture.io.to("x").emit("x", ()).expect("sent");
    fixture.io.to("y").emit("y", ()).expect("sent");
    assert_eq!(fixture.heard(&mut a).await, ["y"]);
    assert_eq!(fixture.io.to("y").sockets().len(), 1);
    fixture.io.to("y").join("z");
    assert_eq!(fixture.io.to("z").sockets(), std::slice::from_ref(&socket));
    fixture.io.to("z").leave("y");
    assert!(fixture.io.to("y").sockets().is_empty());
    a.lose();
    while socket.is_connected() {
        tokio::task::yield_now().await;
    }
    assert!(fixture.io.to("z").sockets().is_empty());
    assert!(socket.rooms().is_empty());
    socket.join("late");
    assert!(fixture.io.to("late").sockets().is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_members_hear_everything_in_the_same_order() {
    let namespace = Namespace::new()
        .on("join", async |socket: Socket, ack: Ack| {
            socket.join("room");
            ack.send(())
        })
        .on("say", async |socket: Socket, Data(text): Data<String>| {
            socket.everybody().to("room").emit("said", text)
        });
    let io = server(namespace);
    let mut clients = Vec::new();
    for _ in 0..5 {
        let (mut client, _) = Client::join(&io).await;
        client.send(r#"20["join"]"#).await;
        client.expect("30[]").await;
        clients.push(client);
    }
    for round in 0..20 {
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(&format!(r#"2["say","{index}-{round}"]"#)).await;
        }
    }
    let mut transcripts = Vec::new();
    for client in &mut clients {
        let mut transcript = Vec::new();
        for _ in 0..100 {
            transcript.push(client.text().await);
        }
        transcripts.push(transcript);
    }
    assert!(transcripts.windows(2).all(|pair| pair[0] == pair[1]));
}
