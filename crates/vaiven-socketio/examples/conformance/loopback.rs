//! Where the servers listen: on this machine alone, by both of its addresses, since clients differ in which they take.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vaiven::server::{Server, ServerConfig};
use vaiven_socketio::engine::{Engine, serve};

/// Serves until the process is ended.
pub(crate) async fn serve_on_loopback(port: u16, engine: Engine) -> io::Result<()> {
    let v4 = listen(Ipv4Addr::LOCALHOST.into(), port).await?;
    match listen(Ipv6Addr::LOCALHOST.into(), port).await {
        Ok(v6) => {
            tokio::join!(serve(v4, engine.clone()), serve(v6, engine));
        }
        // A machine without IPv6 is no reason to fail.
        Err(_) => serve(v4, engine).await,
    }
    Ok(())
}

/// One machine makes all the connections of a test or a benchmark: limits for each address would be in the way.
async fn listen(ip: IpAddr, port: u16) -> io::Result<Server> {
    const MANY: u32 = 100_000;
    let mut config = ServerConfig::default();
    config.max_connections = 100_000;
    config.max_connections_per_ip = MANY;
    config.handshake_burst_per_ip = MANY;
    config.max_handshakes_per_second = MANY;
    config.max_handshakes_per_second_per_ip = MANY;
    Server::bind((ip, port), config).await
}
