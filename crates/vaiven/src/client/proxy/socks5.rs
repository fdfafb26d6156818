//! A tunnel through a SOCKS5 proxy (RFC 1928), with a user name and a password if need be (RFC 1929).
//!
//! Every part of an answer says how long it is, so exactly the answer is read.

use super::{Credentials, ProxyProblem};
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
const PASSWORD_VERSION: u8 = 1;

/// Ways to authenticate, RFC 1928 section 3.
const METHOD_NONE: u8 = 0;
const METHOD_PASSWORD: u8 = 2;
const METHOD_REFUSED: u8 = 0xff;

const COMMAND_CONNECT: u8 = 1;

/// Kinds of address, RFC 1928 section 5.
const KIND_V4: u8 = 1;
const KIND_NAME: u8 = 3;
const KIND_V6: u8 = 4;

/// The longest name, user name or password: lengths are one byte.
const MAX_PART_BYTES: usize = u8::MAX as usize;

/// What the proxy is to connect to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination<'a> {
    Ip(IpAddr),
    Name(&'a str),
}

/// Whether the credentials can be sent: RFC 1929 section 2 has one to 255 bytes for each half.
pub(super) fn check(credentials: Option<&Credentials>) -> Result<(), &'static str> {
    let fits = |part: &[u8]| (1..=MAX_PART_BYTES).contains(&part.len());
    match credentials {
        Some(both) if !fits(&both.user) || !fits(&both.password) => {
            Err("SOCKS5 wants a user name and a password of 1 to 255 bytes each")
        }
        _ => Ok(()),
    }
}

/// Asks for the way to the destination and reads the answer up to its end and not a byte further.
pub(super) async fn open(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    destination: Destination<'_>,
    port: u16,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyProblem> {
    negotiate(io, credentials).await?;
    let mut request = vec![VERSION, COMMAND_CONNECT, 0];
    match destination {
        Destination::Ip(IpAddr::V4(ip)) => {
            request.push(KIND_V4);
            request.extend_from_slice(&ip.octets());
        }
        Destination::Ip(IpAddr::V6(ip)) => {
            request.push(KIND_V6);
            request.extend_from_slice(&ip.octets());
        }
        Destination::Name(name) => {
            request.push(KIND_NAME);
            push_part(&mut request, name.as_bytes())?;
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    io.write_all(&request).await?;
    io.flush().await?;
    read_reply(io).await
}

/// RFC 1928 section 3: agrees on how to authenticate, and does it.
async fn negotiate(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: Option<&Credentials>,
) -> Result<(), ProxyProblem> {
    let methods: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, METHOD_NONE, METHOD_PASSWORD],
        None => &[VERSION, 1, METHOD_NONE],
    };
    io.write_all(methods).await?;
    io.flush().await?;
    let mut answer = [0; 2];
    io.read_exact(&mut answer[..1]).await?;
    if answer[0] != VERSION {
        return Err(ProxyProblem::InvalidAnswer("not SOCKS5"));
    }
    io.read_exact(&mut answer[1..]).await?;
    match (answer[1], credentials) {
        (METHOD_NONE, _) => Ok(()),
        (METHOD_PASSWORD, Some(credentials)) => authenticate(io, credentials).await,
        (METHOD_REFUSED, _) => Err(ProxyProblem::Unauthorized),
        _ => Err(ProxyProblem::InvalidAnswer("a way to authenticate that was not offered")),
    }
}

/// RFC 1929.
async fn authenticate(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: &Credentials,
) -> Result<(), ProxyProblem> {
    let mut request = vec![PASSWORD_VERSION];
    push_part(&mut request, &credentials.user)?;
    push_part(&mut request, &credentials.password)?;
    io.write_all(&request).await?;
    io.flush().await?;
    let mut answer = [0; 2];
    io.read_exact(&mut answer).await?;
    // Some proxies put the version of SOCKS in the first byte; the second one decides.
    if answer[1] == 0 { Ok(()) } else { Err(ProxyProblem::Unauthorized) }
}

async fn read_reply(io: &mut (impl AsyncRead + Unpin)) -> Result<(), ProxyProblem> {
    let mut head = [0; 2];
    io.read_exact(&mut head).await?;
    if head[0] != VERSION {
        return Err(ProxyProblem::InvalidAnswer("not SOCKS5"));
    }
    // A refusal ends the connection: what else it holds is not needed, and some proxies do not send it.
    if head[1] != 0 {
        return Err(ProxyProblem::Reply(head[1]));
    }
    io.read_exact(&mut head).await?;
    let address_bytes = match head[1] {
        KIND_V4 => 4,
        KIND_V6 => 16,
        KIND_NAME => usize::from(io.read_u8().await?),
        _ => return Err(ProxyProblem::InvalidAnswer("an unknown kind of address")),
    };
    let mut address_and_port = [0; MAX_PART_BYTES + 2];
    io.read_exact(&mut address_and_port[..address_bytes + 2]).await?;
    Ok(())
}

fn push_part(request: &mut Vec<u8>, part: &[u8]) -> Result<(), ProxyProblem> {
    // The lengths of user name and password were checked when the proxy's URL was read.
    let length = u8::try_from(part.len()).map_err(|_| ProxyProblem::HostTooLong)?;
    request.push(length);
    request.extend_from_slice(part);
    Ok(())
}

/// RFC 1928 section 6.
pub(super) fn reply_text(code: u8) -> &'static str {
    match code {
        1 => "that it failed",
        2 => "that its rules do not allow this connection",
        3 => "that the network cannot be reached",
        4 => "that the host cannot be reached",
        5 => "that the host refused the connection",
        6 => "that the connection took too long",
        7 => "that it does not support CONNECT",
        8 => "that it does not support this kind of address",
        _ => "with an unknown refusal",
    }
}

/// Whether another time may do better: all but the proxy's own rules and abilities.
pub(super) fn is_transient(code: u8) -> bool {
    matches!(code, 1 | 3..=6)
}

/// Whether another address of the host may do better.
pub(super) fn is_about_the_address(code: u8) -> bool {
    is_transient(code) || code == 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    const ANA: &str = "ana";
    const SECRET: &str = "secret";

    fn credentials() -> Credentials {
        Credentials { user: ANA.into(), password: SECRET.into() }
    }

    /// Lets a proxy answer with `answer`; gives the result, what the proxy was sent, and what is left behind the
    /// answer.
    async fn ask(
        destination: Destination<'_>,
        credentials: Option<&Credentials>,
        answer: &[u8],
    ) -> (Result<(), ProxyProblem>, Vec<u8>, Vec<u8>) {
        let (mut near, mut far) = duplex(4096);
        far.write_all(answer).await.unwrap();
        far.shutdown().await.unwrap();
        let result = open(&mut near, destination, 443, credentials).await;
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        drop(near);
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        (result, sent, rest)
    }

    #[tokio::test]
    async fn a_name_is_given_to_the_proxy_as_a_name() {
        let (result, sent, rest) =
            ask(Destination::Name("a.test"), None, b"\x05\0\x05\0\0\x01\x7f\0\0\x01\0\x50hi").await;
        assert!(result.is_ok());
        assert_eq!(sent, b"\x05\x01\0\x05\x01\0\x03\x06a.test\x01\xbb");
        assert_eq!(rest, b"hi");
    }

    #[tokio::test]
    async fn addresses_are_given_in_their_own_kind() {
        let v4 = Destination::Ip([192, 0, 2, 1].into());
        let (_, sent, _) = ask(v4, None, b"\x05\0").await;
        assert_eq!(sent, b"\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x01\x01\xbb");
        let v6 = Destination::Ip("2001:db8::1".parse().unwrap());
        let (_, sent, _) = ask(v6, None, b"\x05\0").await;
        assert_eq!(sent, b"\x05\x01\0\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb");
    }

    #[tokio::test]
    async fn the_bound_address_of_every_kind_is_read_and_nothing_behind_it() {
        let mut v6 = b"\x05\0\x05\0\0\x04".to_vec();
        v6.extend_from_slice(&[0; 18]);
        let mut name = b"\x05\0\x05\0\0\x03\xff".to_vec();
        name.extend_from_slice(&[b'a'; 257]);
        for mut answer in [v6, name, b"\x05\0\x05\0\0\x03\0\0\0".to_vec()] {
            answer.extend_from_slice(b"hi");
            let (result, _, rest) = ask(Destination::Name("a"), None, &answer).await;
            assert!(result.is_ok());
            assert_eq!(rest, b"hi");
        }
    }

    #[tokio::test]
    async fn credentials_are_offered_and_sent_only_when_asked_for() {
        let ours = credentials();
        let (result, sent, _) =
            ask(Destination::Name("a"), Some(&ours), b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0").await;
        assert!(result.is_ok());
        assert_eq!(sent, b"\x05\x02\0\x02\x01\x03ana\x06secret\x05\x01\0\x03\x01a\x01\xbb");
        let (result, sent, _) =
            ask(Destination::Name("a"), Some(&ours), b"\x05\0\x05\0\0\x01\0\0\0\0\0\0").await;
        assert!(result.is_ok());
        assert_eq!(sent, b"\x05\x02\0\x02\x05\x01\0\x03\x01a\x01\xbb");
    }

    #[tokio::test]
    async fn refusals_and_nonsense_are_told_apart() {
        let ours = credentials();
        for (answer, with, expected) in [
            (&b"\x05\xff"[..], None, "does not accept the user name and password, or requires them"),
            (b"\x05\x02\x01\x01", Some(&ours), "does not accept the user name and password"),
            (b"\x05\x02", None, "not offered"),
            (b"\x05\x01", Some(&ours), "not offered"),
            (b"HTTP/1.1 400", None, "not SOCKS5"),
            (b"\x05\0\x04\0", None, "not SOCKS5"),
            (b"\x05\0\x05\0\0\x09", None, "unknown kind of address"),
            (b"\x05\0\x05\x05", None, "the host refused the connection (reply code 5)"),
            (b"\x05\0\x05\x02\0\x01", None, "its rules do not allow this connection (reply code 2)"),
            (b"\x05\0\x05\xfe", None, "an unknown refusal (reply code 254)"),
            (b"\x05\0\x05", None, "closed the connection before it answered"),
            (b"", None, "closed the connection before it answered"),
        ] {
            let message = ask(Destination::Name("a"), with, answer).await.0.unwrap_err().to_string();
            assert!(message.contains(expected), "{answer:?}: {message}");
            assert!(!message.contains(SECRET), "{message}");
        }
    }

    #[tokio::test]
    async fn names_have_255_bytes_at_most() {
        for (length, fits) in [(254, true), (255, true), (256, false)] {
            let answer = b"\x05\0\x05\0\0\x01\0\0\0\0\0\0";
            let (result, ..) = ask(Destination::Name(&"a".repeat(length)), None, answer).await;
            assert_eq!(result.is_ok(), fits, "{length}");
        }
    }
}
