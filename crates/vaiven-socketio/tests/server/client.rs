//! A client of the tests, which says what it is told to, and answers pings by itself.

use http::Request;
use std::net::SocketAddr;
use tokio::sync::mpsc;
use vaiven::server::{Server, ServerConfig};
use vaiven::{Message, WebSocket};
use vaiven_socketio::engine::{Head, serve};
use vaiven_socketio::{DisconnectReason, Io, IoConfig, Namespace, Socket};

pub(crate) struct Client {
    socket: WebSocket,
}

impl Client {
    /// Connects in memory.
    pub(crate) async fn open(io: &Io) -> Self {
        Self::open_at(io, "/socket.io/?EIO=4&transport=websocket").await
    }

    pub(crate) async fn open_at(io: &Io, target: &str) -> Self {
        let request = Request::builder().uri(target).header("host", "localhost");
        let request = request.header("upgrade", "websocket").body(()).expect("a request");
        let (parts, ()) = request.into_parts();
        let opening = io.engine().open_websocket(&Head::of_parts(&parts)).await.expect("a session");
        let (client, server) = vaiven::pair();
        tokio::spawn(opening.run(server));
        Self::begin(client).await
    }

    /// Connects through a real socket.
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        Self::begin(vaiven::connect(&url).await.expect("the server accepts")).await
    }

    async fn begin(mut socket: WebSocket) -> Self {
        let open = socket.recv().await.expect("it stands").expect("it is open");
        assert!(open.as_text().expect("text").starts_with('0'), "{open:?}");
        Self { socket }
    }

    /// Connects and joins the main namespace.
    pub(crate) async fn join(io: &Io) -> (Self, String) {
        let mut client = Self::open(io).await;
        let sid = client.connect("0").await;
        (client, sid)
    }

    /// Sends CONNECT; gives the id of the socket.
    pub(crate) async fn connect(&mut self, packet: &str) -> String {
        self.send(packet).await;
        let reply = self.json().await;
        reply["sid"].as_str().expect("the namespace is joined").to_owned()
    }

    /// Sends a packet's text.
    pub(crate) async fn send(&mut self, packet: &str) {
        self.socket.send(format!("4{packet}")).await.expect("the connection stands");
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        self.socket.send(bytes.to_vec()).await.expect("the connection stands");
    }

    /// The next message, without the type that Engine.IO gives it; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            let message = self.socket.recv().await.ok()??;
            match message.as_text() {
                Some("2") => self.socket.send("3").await.ok()?,
                Some(text) => return Some(Message::text(text.strip_prefix('4').expect("a message"))),
                None => return Some(message),
            }
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        let message = self.next().await.expect("a message");
        message.as_text().expect("text").to_owned()
    }

    /// The JSON of the next packet.
    pub(crate) async fn json(&mut self) -> serde_json::Value {
        let text = self.text().await;
        let start = text.find(['{', '[']).expect("a payload");
        serde_json::from_str(&text[start..]).expect("JSON")
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let message = self.next().await;
            assert_eq!(message.as_ref().and_then(Message::as_text), Some(text), "{place}");
        }
    }

    /// Waits until the server ends the connection; gives what it said before.
    pub(crate) async fn end(&mut self) -> Vec<Message> {
        let mut last_words = Vec::new();
        while let Some(message) = self.next().await {
            last_words.push(message);
        }
        last_words
    }

    /// Loses the connection without a word.
    pub(crate) fn lose(self) {
        self.socket.abort();
    }
}

/// What happens to the sockets of a namespace.
pub(crate) type Ends = mpsc::UnboundedReceiver<DisconnectReason>;

/// Tells why sockets leave.
pub(crate) fn told(namespace: Namespace) -> (Namespace, Ends) {
    let (tell, ends) = mpsc::unbounded_channel();
    let namespace = namespace.on_disconnect(move |reason: DisconnectReason| {
        let tell = tell.clone();
        async move {
            tell.send(reason).expect("the test listens");
        }
    });
    (namespace, ends)
}

/// Gives the server's sockets to the test.
pub(crate) fn handed(namespace: Namespace) -> (Namespace, mpsc::UnboundedReceiver<Socket>) {
    let (hand, sockets) = mpsc::unbounded_channel();
    let namespace = namespace.on_connect(move |socket: Socket| {
        let hand = hand.clone();
        async move {
            hand.send(socket).expect("the test listens");
        }
    });
    (namespace, sockets)
}

pub(crate) fn server(namespace: Namespace) -> Io {
    Io::builder().namespace("/", namespace).build()
}

pub(crate) fn server_with(config: IoConfig, namespace: Namespace) -> Io {
    Io::builder().config(config).namespace("/", namespace).build()
}

/// Listens on a real socket.
pub(crate) async fn listen(io: &Io) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0", ServerConfig::default()).await.expect("a port is free");
    let address = server.local_addr().expect("it listens");
    tokio::spawn(serve(server, io.engine().clone()));
    address
}
