//! Sends each argument to an echo server and prints what comes back.
//!
//!     cargo run --example echo_client -- ws://127.0.0.1:8080/echo hola ¿qué tal?

use vaiven::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:8080/echo".to_owned());

    let mut socket = vaiven::connect(&url).await?;
    for message in arguments {
        socket.send(message).await?;
        match socket.recv().await? {
            Some(echo) => println!("{}", echo.as_text().unwrap_or("(binary)")),
            None => break,
        }
    }
    socket.close(1000, "").await
}
