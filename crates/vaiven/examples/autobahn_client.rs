//! The client for the Autobahn|Testsuite's fuzzing server: runs every case, and asks for the report.
//!
//!     cargo run --release --example autobahn_client -- ws://127.0.0.1:9001 vaiven
//!     cargo run --release --example autobahn_client -- wss://localhost:9002 vaiven --ca ca.pem
//!
//! Without `--ca` the system's roots count, which `SSL_CERT_FILE` can name.

use std::error::Error;
use std::time::Duration;
use vaiven::client::{DialOptions, TlsConfig};
use vaiven::{Client, Config, DeflateConfig, Limits, Role, WebSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (base, agent, ca) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [base, agent] => (base, agent, None),
        [base, agent, "--ca", ca] => (base, agent, Some(ca)),
        _ => return Err("usage: autobahn_client URL AGENT [--ca FILE]".into()),
    };
    let client = client(ca)?;
    let (mut socket, _) = client.connect(&format!("{base}/getCaseCount")).await?;
    let count = socket.recv().await?.ok_or("the suite told no number of cases")?;
    let count: usize = count.as_text().ok_or("the number of cases is no text")?.parse()?;
    drop(socket);

    for case in 1..=count {
        let (mut socket, _) = client.connect(&format!("{base}/runCase?case={case}&agent={agent}")).await?;
        // Most cases end with an error: it is the suite that says whether it was the right one.
        if let Err(error) = echo(&mut socket).await {
            println!("case {case} of {count}: {error}");
        }
    }
    let (mut socket, _) = client.connect(&format!("{base}/updateReports?agent={agent}")).await?;
    while socket.recv().await?.is_some() {}
    Ok(())
}

fn client(ca: Option<&str>) -> Result<Client, Box<dyn Error>> {
    let mut options = DialOptions::default().without_proxy();
    if let Some(ca) = ca {
        options = options.tls(TlsConfig::builder().add_roots_pem(&std::fs::read(ca)?)?.build()?);
    }
    let mut config = Config::new(Role::Client);
    config.limits = Limits::autobahn();
    // The suite looks at the closing handshake, and some of its cases take their time.
    config.close_timeout = Duration::from_secs(30);
    let mut deflate = DeflateConfig::client();
    deflate.min_bytes = 0;
    Ok(Client::new().dial_options(options).config(config).deflate(deflate))
}

async fn echo(socket: &mut WebSocket) -> Result<(), vaiven::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}
