//! Who is measured: the table of servers, and how each is built and started.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::cell::{Cell, Work};
use crate::{Result, cpu};

/// Name of the limit that the others are compared with.
pub(crate) const RAW: &str = "raw";

/// First argument by which the bench starts itself, to become a server.
pub(crate) const BECOME_SERVER: &str = "become-server";

/// Where a server's program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    /// `benches/peers`: other people's crates, and the raw limit.
    Peers,
    /// `benches/vaiven-peer`: the public API of our crate.
    Vaiven,
    /// `vaiven serve`, as people run it.
    Product,
    /// `packages/node/bench`: servers with a handler in JavaScript.
    Node,
    /// `tests/socketio/reference`: the official server of Socket.IO.
    Reference,
    /// The example `conformance` of our server of Socket.IO.
    SocketIo,
}

/// A server that can be measured.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) package: Package,
    program: &'static str,
    args: &'static [&'static str],
    works: &'static [Work],
}

const EVERYTHING: &[Work] = Work::WEBSOCKET;
const ECHO: &[Work] = &[Work::Echo];
const ECHO_DEFLATE: &[Work] = &[Work::Echo, Work::Deflate];
const ECHO_FANOUT: &[Work] = &[Work::Echo, Work::Fanout];
const ONE_BY_ONE: &[Work] = &[Work::Echo, Work::Accept, Work::Idle];

const NODE: &[Work] = &[Work::Echo, Work::Deflate, Work::Accept, Work::Idle];

const fn peer(name: &'static str, program: &'static str, args: &'static [&'static str]) -> Peer {
    Peer { name, package: Package::Peers, program, args, works: EVERYTHING }
}

/// All of them, in the order of the tables. The raw limit comes first.
pub(crate) static PEERS: &[Peer] = &[
    peer(RAW, "peer-raw", &[]),
    Peer {
        works: &[Work::Echo, Work::Fanout, Work::Accept, Work::Idle],
        ..peer("tungstenite", "peer-tungstenite", &[])
    },
    Peer { works: ONE_BY_ONE, ..peer("tungstenite-8k", "peer-tungstenite", &["--read-buffer", "8192"]) },
    Peer { works: ECHO_FANOUT, ..peer("tungstenite-batched", "peer-tungstenite", &["--batched"]) },
    Peer { works: ONE_BY_ONE, ..peer("fastwebsockets", "peer-fastwebsockets", &[]) },
    Peer { works: ONE_BY_ONE, ..peer("tokio-websockets", "peer-tokio-websockets", &[]) },
    Peer { works: ECHO, ..peer("tokio-websockets-batched", "peer-tokio-websockets", &["--batched"]) },
    peer("sockudo", "peer-sockudo", &[]),
    Peer {
        works: &[Work::Echo, Work::Deflate, Work::Fanout],
        ..peer("sockudo-batched", "peer-sockudo", &["--batched"])
    },
    Peer { works: &[Work::Echo, Work::Deflate, Work::Accept, Work::Idle], ..peer("yawc", "peer-yawc", &[]) },
    Peer { works: ECHO_DEFLATE, ..peer("yawc-batched", "peer-yawc", &["--batched"]) },
    Peer { package: Package::Vaiven, ..peer("vaiven", "vaiven-echo", &[]) },
    Peer {
        package: Package::Product,
        works: &[Work::Echo, Work::Fanout, Work::Accept, Work::Idle],
        ..peer("vaiven-serve", "vaiven", &["--profile", "autobahn"])
    },
    Peer { package: Package::Node, works: NODE, ..peer("node-ws", "node", &["echo.mjs", "ws"]) },
    Peer {
        package: Package::Node,
        works: NODE,
        ..peer("node-vaiven-ws", "node", &["echo.mjs", "vaiven-ws"])
    },
    Peer { package: Package::Node, works: NODE, ..peer("node-vaiven", "node", &["echo.mjs", "vaiven"]) },
    Peer {
        package: Package::Reference,
        works: Work::SOCKETIO,
        ..peer("socketio-node", "node", &["server.js", "perf"])
    },
    Peer { works: Work::SOCKETIO, ..peer("socketioxide", "peer-socketioxide", &[]) },
    Peer {
        package: Package::SocketIo,
        works: Work::SOCKETIO,
        ..peer("vaiven-socketio", "conformance", &["perf"])
    },
];

impl Peer {
    /// Whether it is one of ours.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self.package, Package::Peers | Package::Reference) && self.name != "node-ws"
    }

    pub(crate) fn is_raw(&self) -> bool {
        self.name == RAW
    }

    pub(crate) fn does(&self, work: Work) -> bool {
        self.works.contains(&work)
    }

    /// Where its endpoint for the work is.
    pub(crate) fn path(&self, work: Work) -> &'static str {
        match (self.package, work) {
            (Package::Product, Work::Fanout) => "/c/bench",
            (Package::Product, _) => "/echo",
            (_, work) if Work::SOCKETIO.contains(&work) => "/socket.io/?EIO=4&transport=websocket",
            _ => "/",
        }
    }

    fn command(&self, cell: &Cell, request_bytes: usize, listen: SocketAddr) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(BECOME_SERVER);
        let port = listen.port().to_string();
        if self.package == Package::Node {
            let [script, args @ ..] = self.args else { return Err("no script".into()) };
            command.arg(self.program).arg(self.package.programs().join(script)).args(args);
            command.args(["--listen", &listen.to_string()]);
            if cell.work == Work::Deflate {
                command.arg("--deflate");
            }
            return Ok(command);
        }
        if self.package == Package::Reference {
            let [script, args @ ..] = self.args else { return Err("no script".into()) };
            command.arg(self.program).arg(self.package.programs().join(script)).args(args).arg(port);
            return Ok(command);
        }
        command.arg(self.package.programs().join(self.program));
        if self.package == Package::SocketIo {
            command.args(self.args).arg(port);
            return Ok(command);
        }
        if self.package == Package::Product {
            command.args(["serve", "--listen", &listen.to_string(), "--history", "memory"]).args(self.args);
            return Ok(command);
        }
        command.args(["--listen", &listen.to_string()]).args(self.args);
        match cell.work {
            Work::Deflate => drop(command.arg("--deflate")),
            Work::Fanout => drop(command.arg("--fanout")),
            _ => {}
        }
        if self.is_raw() {
            command.args(["--frame", &request_bytes.to_string()]);
        }
        Ok(command)
    }
}

impl Package {
    pub(crate) const ALL: [Self; 6] =
        [Self::Peers, Self::Vaiven, Self::Product, Self::Node, Self::Reference, Self::SocketIo];

    fn manifest(self) -> PathBuf {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
        let is_of_product = matches!(self, Self::Product | Self::SocketIo);
        benches.join(if is_of_product { "../Cargo.toml" } else { "Cargo.toml" })
    }

    fn programs(self) -> PathBuf {
        match self {
            Self::Node => Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/node/bench"),
            Self::Reference => Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/socketio/reference"),
            Self::SocketIo => self.manifest().with_file_name("target/release/examples"),
            _ => self.manifest().with_file_name("target/release"),
        }
    }

    /// Builds its programs for release.
    pub(crate) fn build(self) -> Result<()> {
        let (package, what) = match self {
            Self::Node => return build_node_package(),
            Self::Reference => return install("../tests/socketio"),
            Self::Peers => ("bench-peers", "--bins"),
            Self::Vaiven => ("vaiven-peer", "--bins"),
            Self::Product => ("vaiven-cli", "--bins"),
            Self::SocketIo => ("vaiven-socketio", "--examples"),
        };
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", what, "--package", package, "--manifest-path"])
            .arg(self.manifest())
            .env_remove("CARGO_TARGET_DIR")
            .status()?;
        if status.success() { Ok(()) } else { Err(format!("{package} does not build").into()) }
    }
}

/// Builds the npm package, once its dependencies are there.
fn build_node_package() -> Result<()> {
    install("../packages/node")?;
    npm("../packages/node", &["run", "build"])
}

/// Installs the dependencies of a package of npm, unless they are there.
fn install(folder: &str) -> Result<()> {
    let is_there = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("node_modules").exists();
    if is_there { Ok(()) } else { npm(folder, &["ci"]) }
}

fn npm(folder: &str, arguments: &[&str]) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let status = Command::new("npm").args(arguments).current_dir(folder).status()?;
    if status.success() { Ok(()) } else { Err(format!("npm {} failed", arguments.join(" ")).into()) }
}

/// Becomes another program, on the server's core; it is killed when its parent, the bench, is gone.
pub(crate) fn become_server(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let program = arguments.next().ok_or("no program")?;
    cpu::pin(cpu::SERVER_CORE)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let error = Command::new(&program).args(arguments).exec();
    Err(format!("{program}: {error}").into())
}

/// A running server, on its own core. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts the peer for a cell and waits until it accepts.
    pub(crate) fn start(peer: &Peer, cell: &Cell, request_bytes: usize) -> Result<Self> {
        // A free port: the listener that found it is closed before the server starts.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = peer.command(cell, request_bytes, address)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut server = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("ended at once, {status}").into());
            }
            if Instant::now() > deadline {
                return Err("does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
