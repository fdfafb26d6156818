//! The table of settings.

use super::value::Field;
use super::{Kind, Namespace, Settings, Value};

/// A setting: its key in the file, from which its flag and its environment variable follow.
#[derive(Clone, Copy, Debug)]
pub struct Setting<T: 'static = Settings> {
    /// The key, as `max_message_bytes`.
    pub key: &'static str,
    /// What stands for the value in help texts, as `BYTES`.
    pub placeholder: &'static str,
    /// What it does, as a sentence without its full stop.
    pub help: &'static str,
    /// Why its default is what it is, as a sentence.
    pub reason: &'static str,
    /// How it is written.
    pub kind: Kind,
    pub(super) set: fn(&mut T, &Value) -> Result<(), String>,
    pub(super) show: fn(&T) -> String,
}

impl<T> Setting<T> {
    /// Its flag without the dashes in front: `max-message-bytes`.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Its environment variable: `VAIVEN_MAX_MESSAGE_BYTES`.
    pub fn variable(&self) -> String {
        format!("VAIVEN_{}", self.key.to_uppercase())
    }

    /// Its value in these settings, as the file has it; empty where it is not set.
    pub fn show(&self, settings: &T) -> String {
        (self.show)(settings)
    }
}

/// The kind of the field that a function gives access to.
const fn kind_of<S, T: Field>(_: fn(&S) -> &T) -> Kind {
    T::KIND
}

macro_rules! settings {
    ($(#[$doc:meta])* $name:ident of $type:ty {
        $($key:ident: $placeholder:literal, $help:literal, $reason:literal;)+
    }) => {
        $(#[$doc])*
        pub static $name: &[Setting<$type>] = &[$(Setting {
            key: stringify!($key),
            placeholder: $placeholder,
            help: $help,
            reason: $reason,
            kind: kind_of(|settings: &$type| &settings.$key),
            set: |settings, value| {
                settings.$key = Field::read(value)?;
                Ok(())
            },
            show: |settings| settings.$key.show(),
        }),+];
    };
}

settings! {
    /// All settings, in the order of their documentation.
    SETTINGS of Settings {
        listen: "ADDRESS",
            "Address and port to listen on; 0.0.0.0 and [::] stand for every network",
            "Only this machine: what is merely tried out is not open to the network.";
        profile: "NAME",
            "Set of limits to start from",
            "`standard` holds against strangers. `autobahn` lifts the limits for the Autobahn|Testsuite and for benchmarks: messages of 64 MiB in 1,048,576 fragments, no rate to speak of, compression.";
        allowed_hosts: "HOSTS",
            "Names by which the server may be reached besides localhost, as app.example, or .app.example with all names below it; * allows every name",
            "On a loopback address without TLS the names and addresses of this machine alone: else a foreign page could let its own name lead to this machine (DNS rebinding), and the browser would take the server for that page's own. Elsewhere every name: under TLS the browser has checked it, and by which names a network calls the server is not known; list them to be strict there too. A proxy on the same machine that passes on the Host of its clients needs its name here, or tells as one of trusted_proxies that they came by https.";
        origins: "ORIGINS",
            "Pages that may connect besides the server's own, as https://app.example; * allows every page",
            "A browser lets any page connect to any server, in its visitor's name; only the server can refuse. Programs that are no browsers send no Origin and are let in.";
        tls_cert: "FILE",
            "Certificate chain for TLS (wss, https), in PEM; needs tls_key",
            "Without it the server speaks in the clear, for use on one machine or behind a proxy. With it browsers are told to use nothing but TLS for a year (HSTS), except at localhost and at IP addresses.";
        tls_key: "FILE",
            "Private key of the certificate, in PEM",
            "One that every user of the machine may read is warned of in the log, as it is what Docker and Kubernetes mount; one that every user may replace is refused.";
        trusted_proxies: "NETWORKS",
            "Proxies whose word about the client's address counts, as 10.0.0.0/8",
            "None: anybody can send the field. Behind a proxy that is not listed all clients have the proxy's address, and share its limits.";
        forwarded_field: "FIELD",
            "Field in which those proxies name the client",
            "What most proxies write. Only one is read, since a proxy passes on what a client wrote in the other.";
        data_dir: "DIRECTORY",
            "Where the history of channels is kept; made when needed",
            "Beside the program, where it is found again.";
        history: "WHERE",
            "Whether the history of channels is kept on disk or in memory alone",
            "`disk`: what was acknowledged outlives the program. `memory` forgets everything when it ends.";
        fsync: "WHEN",
            "When what was published is forced to the disk",
            "`always`, before it is acknowledged: nothing is lost when the power fails. `interval` does so once a second and may lose that second, `never` leaves it to the system; either outlives a crash of the program.";
        history_total_bytes: "BYTES",
            "Most bytes of the history of all channels together",
            "4 GiB; the oldest publications go first.";
        max_kept_channels: "COUNT",
            "Most channels that the store on disk knows",
            "Some 150 MB of names and places. Where there is no room those go first whose history is over; where none is over, a publication to one channel more is refused with `unavailable`.";
        max_new_channels: "COUNT",
            "Most channels of a namespace that one user, or one address of clients without a token, may make in the time for which the namespace keeps what is published",
            "Far more than people make in a day, and a tenth of max_rooms: no one fills the server with names. A channel is made by the first publication to it that is kept. One more is refused with `rate`; the HTTP API makes as many as it likes.";
        max_channels_per_client: "COUNT",
            "Most channels that a client may be subscribed to",
            "A page shows a handful. One more is refused with `too_many_channels`.";
        anonymous: "WHO",
            "Whether clients without a token are let in: `allowed`, `refused`, or `auto`",
            "`auto` lets everyone in until a way to check tokens is configured, and nobody from then on.";
        token_secret: "TEXT",
            "Secret of tokens (JWT) that are signed with HS256, HS384 or HS512",
            "None: 32 bytes at least, better set in the environment than here.";
        token_public_key: "FILE",
            "Public key of tokens that are signed with RS, PS, ES or EdDSA algorithms, in PEM",
            "None: the server then only checks tokens and could not make any.";
        token_jwks_url: "URL",
            "Where the public keys of tokens are fetched (JWKS), over https",
            "None. It is read when the server starts, when a token names a key that is not known, and never more than once a minute.";
        token_issuer: "TEXT",
            "Issuer (`iss`) that a token must have",
            "None is asked for.";
        token_audience: "TEXT",
            "Audience (`aud`) that a token must have",
            "None is asked for, and a token that names one is refused.";
        token_cookie: "NAME",
            "Cookie in which a browser brings the token",
            "None. With it every request must come from an allowed origin, since cookies come with those of foreign pages too.";
        auth_url: "URL",
            "Backend that is asked who a client is and what it may do",
            "None. It is asked by POST when a client connects, and for channels whose rule is `backend`.";
        auth_timeout: "SECONDS",
            "How long the backend may take to answer",
            "Longer than a query of a database; then the answer is no.";
        socketio_room: "ROOM",
            "Room that clients of Socket.IO are in that name none: their namespace `/`",
            "So that a front end which only calls `io()` works at once. Every other room is the namespace `/c/ROOM`.";
        socketio_url: "URL",
            "Backend that is told what clients of Socket.IO say in the namespace `/`, and says what comes of it",
            "None, and then it is published in `socketio_room`. docs/socketio.md says what is asked and what may be answered.";
        api_keys: "KEYS",
            "Keys of the HTTP API, of which each request needs one",
            "None, and then the HTTP API is closed. 32 characters at least, better set in the environment than here.";
        metrics_from: "WHO",
            "Who may read /metrics",
            "This machine alone, and nobody through a proxy: figures tell strangers what is going on.";
        admin_key: "KEY",
            "Key of the admin page at /admin, which shows what goes on and disconnects clients",
            "None, and then there is no such page: what nobody asked for cannot be found by others, and a key that the server made up itself would stand in logs and be another one after each restart. 32 characters at least, better set in the environment than here.";
        admin_from: "WHO",
            "Who may ask for the admin page, with the key",
            "This machine alone, and nobody through a proxy; `ssh -L 8080:127.0.0.1:8080` brings it to another one. With `anywhere` the key goes over the network, so use TLS.";
        log_format: "FORMAT",
            "How log lines look",
            "Lines for people; `json` is for programs that collect them.";
        log_level: "LEVEL",
            "From which weight on something is logged",
            "What someone who runs the server wants to know, and nothing per connection.";
        otlp_endpoint: "URL",
            "Collector of OpenTelemetry to which traces are sent, over HTTP, as http://127.0.0.1:4318",
            "None, and then nothing is traced. The variable OTEL_EXPORTER_OTLP_ENDPOINT says the same where nothing else does, and OTEL_EXPORTER_OTLP_HEADERS and OTEL_SERVICE_NAME count. Spans are there for handshakes, requests, publications over the HTTP API, commits of the store and questions to auth_url, without payloads, tokens and names of channels.";
        trace_one_in: "COUNT",
            "One trace in so many is sent; 1 sends all",
            "A busy server has more requests than anybody looks at. A request with a key of the HTTP API that continues a trace (`traceparent`) is sent where that one is, and auth_url is told the trace of its question.";
        compression: "BOOL",
            "Whether messages are compressed where the client offers it (permessage-deflate)",
            "Off: it costs memory and time, and mixing secrets with foreign text under compression leaks them.";
        max_message_bytes: "BYTES",
            "Longest message that a client may send, after decompression",
            "64 KiB, enough for text, for signalling and for small pictures. A longer one closes with 1009.";
        max_fragments: "COUNT",
            "Most frames of one message",
            "Far beyond what a client of good will splits 64 KiB into. More close with 1008.";
        max_idle_frames: "COUNT",
            "Most frames in 10 seconds that bring no message further: pings, pongs, empty ones",
            "Far above any keepalive. More close with 1008.";
        message_rate: "COUNT",
            "Messages per second that a client may send in the long run",
            "Faster than people write and most games tick. More close with 1008.";
        message_burst: "COUNT",
            "Messages that a client may send at once",
            "Two seconds' worth, for what piled up while a connection was slow.";
        outbox_bytes: "BYTES",
            "Bytes that may wait for a client that reads slowly",
            "1 MiB, some seconds of a busy room. When it is full the client is closed with 1013 and may come back; the others never wait for it.";
        max_rooms: "COUNT",
            "Most rooms at a time",
            "As many as connections by default. A handshake for one more is answered with 503.";
        max_room_members: "COUNT",
            "Most members of one room",
            "A message to a room costs a write for each of them. A handshake for one more is answered with 503.";
        max_memory_bytes: "BYTES",
            "Memory of the process above four fifths of which no WebSocket and no stream of events is let in",
            "The limit that the system has set for the service or container (cgroup v2), or none. They are answered with 503; those who are there go on, and so do pages, health and metrics. What one client may hold is bounded, but not what all may hold together: better some are turned away than all lost when the system ends the process. It works on Linux.";
        max_connections: "COUNT",
            "Most connections at a time",
            "Never more than the process may open files, less 512. One more is answered with 503.";
        max_connections_per_ip: "COUNT",
            "Most connections of one address at a time; of IPv6 the first 64 bits count",
            "A large office behind one address fits. One more is answered with 429.";
        handshake_rate: "COUNT",
            "Connections per second that are taken in all",
            "What a core or two do with TLS, so that those who are connected do not starve while everyone comes back at once. More are answered with 503 and a place in the queue, as the seconds of `Retry-After`, or under TLS, where an answer costs as much as a connection, closed without one.";
        handshake_rate_per_ip: "COUNT",
            "Connections per second that one address may open in the long run",
            "A person with a browser opens a handful. More are answered with 429, or under TLS closed without an answer.";
        handshake_burst_per_ip: "COUNT",
            "Connections that one address may open at once",
            "An office after a power cut.";
        write_timeout: "SECONDS",
            "How long a client may take nothing of what waits for it",
            "Longer than a phone needs to change networks. Then the connection is dropped. Under TLS progress is seen in steps of up to 64 KiB: whoever takes less than that in this time takes nothing.";
        handshake_timeout: "SECONDS",
            "How long the opening handshake, and each request for a page, may take",
            "A phone on a bad network needs a few seconds.";
        body_timeout: "SECONDS",
            "How long the body of a request may take",
            "1 MiB over a slow line. Then the request is answered with 408.";
        tls_timeout: "SECONDS",
            "How long the TLS handshake may take",
            "Half of the whole opening handshake.";
        close_timeout: "SECONDS",
            "How long the closing handshake may take",
            "Time for what was still on its way.";
        ping_interval: "SECONDS",
            "Silence after which a client is pinged",
            "Well below the 60 seconds after which common proxies cut a silent connection.";
        ping_timeout: "SECONDS",
            "Silence after a ping that ends the connection",
            "A client that is gone is noticed after 35 seconds at most.";
        drain_timeout: "SECONDS",
            "How long closing all connections may take when the server stops",
            "What service managers allow by default before they kill. The listener is closed at once, so whoever probes with a new connection is refused; over one that is kept alive /ready says 503 until the sessions are gone.";
    }
}

settings! {
    /// What a table `[channels.NAME]` may say about the channels of a namespace.
    NAMESPACE_SETTINGS of Namespace {
        contract: "CONTRACT",
            "What is promised: `reliable`, `latest` or `volatile`",
            "`reliable`: kept, numbered and replayed. `latest` keeps the newest publication of each key, `volatile` keeps nothing.";
        presence: "BOOL",
            "Whether clients can see who is there",
            "On, as a chat shows it.";
        history_count: "COUNT",
            "Most publications that a channel keeps",
            "More than three screens of a busy chat.";
        history_age: "SECONDS",
            "How long a channel keeps a publication",
            "A day: who comes back within it has missed nothing.";
        history_bytes: "BYTES",
            "Most bytes that a channel keeps",
            "16 times as much as one client may have waiting for it.";
        max_keys: "COUNT",
            "Most keys of a `latest` channel",
            "A crowded game.";
        max_data_bytes: "BYTES",
            "Longest `data` of a publication",
            "Twice as long as a message may be, since a plain text grows when it is quoted.";
        subscribe: "WHO",
            "Who may subscribe, and read history and presence: `anyone`, `users` with a token, who is `listed` in the token, whom the `backend` admits, or `nobody`",
            "Everyone, so that the first steps need no token.";
        publish: "WHO",
            "Who may publish, in the same words; the HTTP API always may",
            "Everyone, as above.";
    }
}
