//! Servers that answer as the published test suites of the protocols, and of their official clients, ask for.
//!
//! ```console
//! $ cargo run --release --example conformance -- MODE PORT
//! ```

mod client;
mod eio;
mod eioclient;
mod loopback;
mod perf;
mod sio;
mod suite;

use std::process::ExitCode;

const USAGE: &str = "\
usage: conformance MODE PORT, where MODE is one of: eio sio client eioclient perf suite suite-recovery suite-msgpack";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, port] = &arguments[..] else { return fail(USAGE) };
    let Ok(port) = port.parse() else { return fail("PORT is a number up to 65535") };
    let served = match mode.as_str() {
        "eio" => eio::serve(port).await,
        "sio" => sio::serve(port).await,
        "client" => client::serve(port).await,
        "eioclient" => eioclient::serve(port).await,
        "perf" => perf::serve(port).await,
        "suite" => suite::serve(port, suite::Variant::Plain).await,
        "suite-recovery" => suite::serve(port, suite::Variant::Recovery).await,
        "suite-msgpack" => suite::serve(port, suite::Variant::MsgPack).await,
        _ => return fail(USAGE),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("port {port}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}
