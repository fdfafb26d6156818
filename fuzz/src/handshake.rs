//! Opening handshakes of both sides, whole and in pieces: the same outcome, and only what was offered is accepted.

use crate::pieces;
use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::BytesMut;
use vaiven_proto::deflate::DeflateConfig;
use vaiven_proto::handshake::{
    ClientRequest, HandshakeError, HeadLimits, HeadScanner, OriginPolicy, Refusal, RequestHead, Scheme,
};

/// A request to a server: the answer, or the refusal, is the same however it is cut.
pub fn handshake_server(data: &[u8]) {
    let _ = check_server(&mut Unstructured::new(data));
}

fn check_server(u: &mut Unstructured<'_>) -> Result<()> {
    let limits = limits(u)?;
    let cuts: Vec<u8> = Vec::arbitrary(u)?;
    let head = fields(u, b"GET / HTTP/1.1\r\n", REQUEST_FIELDS)?;
    let answer = serve(limits, std::iter::once(&head[..]));
    assert_eq!(serve(limits, pieces(&head, &cuts)), answer);
    assert_eq!(serve(limits, pieces(&head, &[0])), answer, "byte by byte");
    Ok(())
}

/// The answer and what stood behind the request; `None` where that is not complete.
fn serve<'a>(limits: HeadLimits, pieces: impl Iterator<Item = &'a [u8]>) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut scanner = HeadScanner::new(limits);
    let mut received = BytesMut::new();
    let mut taken = None;
    for piece in pieces {
        received.extend_from_slice(piece);
        if taken.is_none() {
            taken = RequestHead::take(&mut scanner, &mut received).transpose();
        }
    }
    let mut out = BytesMut::new();
    match taken? {
        Ok(head) => match accept(&head, &mut out) {
            Ok(()) => assert!(out.starts_with(b"HTTP/1.1 101 ")),
            Err(refusal) => refusal.write(&mut out),
        },
        Err(error) => {
            // What broke the head is not behind it, so the rest is of no interest.
            received.clear();
            Refusal::from(error).write(&mut out);
        }
    }
    assert!(out.ends_with(b"\r\n\r\n") || !out.starts_with(b"HTTP/1.1 101 "));
    Some((out.to_vec(), received.to_vec()))
}

fn accept(head: &RequestHead, out: &mut BytesMut) -> std::result::Result<(), Refusal> {
    let upgrade = head.upgrade()?;
    OriginPolicy::same_origin()
        .allow_absent()
        .check(upgrade.origin(), upgrade.host(), Scheme::Http)
        .map_err(|refusal| Refusal::forbidden_origin(&refusal))?;
    let mut acceptance = upgrade.accept();
    if let Some(first) = upgrade.subprotocols().first() {
        acceptance.subprotocol(first).expect("it was offered");
    }
    assert!(acceptance.subprotocol("never offered").is_err());
    if let Some((_, answer)) = DeflateConfig::server().accept(upgrade.extensions()) {
        acceptance.extensions(answer).expect("it answers an offer");
    }
    acceptance.write(out);
    Ok(())
}

/// A response to a client.
pub fn handshake_client(data: &[u8]) {
    let _ = check_client(&mut Unstructured::new(data));
}

fn check_client(u: &mut Unstructured<'_>) -> Result<()> {
    let limits = limits(u)?;
    let cuts: Vec<u8> = Vec::arbitrary(u)?;
    let mut request =
        ClientRequest::new("example.com", "/chat", *b"the sample nonce").expect("a valid request");
    let config = DeflateConfig::client();
    if bool::arbitrary(u)? {
        request.extensions(&config.offer()).expect("a valid offer");
        request
            .subprotocol("chat")
            .and_then(|request| request.subprotocol("superchat"))
            .expect("valid names");
    }
    let response = fields(u, b"HTTP/1.1 101 Switching Protocols\r\n", RESPONSE_FIELDS)?;
    let outcome = dial(&request, &config, limits, std::iter::once(&response[..]));
    assert_eq!(dial(&request, &config, limits, pieces(&response, &cuts)), outcome);
    assert_eq!(dial(&request, &config, limits, pieces(&response, &[0])), outcome, "byte by byte");
    Ok(())
}

type Dialled = std::result::Result<(Option<String>, String), HandshakeError>;

/// What was agreed and what stood behind the response; `None` where that is not complete.
fn dial<'a>(
    request: &ClientRequest,
    config: &DeflateConfig,
    limits: HeadLimits,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Option<(Dialled, Vec<u8>)> {
    let mut reader = request.response_reader(limits);
    let mut received = BytesMut::new();
    let mut taken = None;
    for piece in pieces {
        received.extend_from_slice(piece);
        if taken.is_none() {
            taken = reader.take(&mut received).transpose();
        }
    }
    let dialled = taken?.map(|accepted| {
        let subprotocol = accepted.subprotocol().map(str::to_owned);
        assert!(subprotocol.as_deref().is_none_or(|name| ["chat", "superchat"].contains(&name)));
        (subprotocol, format!("{:?}", config.confirm(&accepted.extensions())))
    });
    if dialled.is_err() {
        received.clear();
    }
    Some((dialled, received.to_vec()))
}

fn limits(u: &mut Unstructured<'_>) -> Result<HeadLimits> {
    let limits = HeadLimits::default();
    Ok(if bool::arbitrary(u)? {
        let max_bytes = 1 + usize::from(u16::arbitrary(u)?);
        limits
            .with_max_bytes(max_bytes)
            .with_max_fields(usize::from(u8::arbitrary(u)?))
            .with_max_line_bytes(max_bytes / 2)
    } else {
        limits
    })
}

/// Fields of a right request.
const REQUEST_FIELDS: &[&[u8]] = &[
    b"Host: example.com\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: Upgrade\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Sec-WebSocket-Protocol: chat, superchat\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    b"Origin: http://example.com\r\n",
];

/// Fields of a right response.
const RESPONSE_FIELDS: &[&[u8]] = &[
    b"Upgrade: websocket\r\n",
    b"Connection: Upgrade\r\n",
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    b"Sec-WebSocket-Protocol: chat\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n",
];

/// A head that is right but for what the bytes say: fields are left out, doubled, or replaced by anything.
fn fields(u: &mut Unstructured<'_>, start: &[u8], right: &[&[u8]]) -> Result<Vec<u8>> {
    let mut head = match u8::arbitrary(u)? {
        0..=15 => <&[u8]>::arbitrary(u)?.to_vec(),
        _ => start.to_vec(),
    };
    for field in right {
        match u8::arbitrary(u)? {
            0..=15 => {}
            16..=23 => head.extend([*field, *field].concat()),
            24..=63 => {
                let name = field.split(|byte| *byte == b':').next().unwrap_or_default();
                head.extend([name, b":", <&[u8]>::arbitrary(u)?, b"\r\n"].concat());
            }
            64..=79 => head.extend_from_slice(<&[u8]>::arbitrary(u)?),
            _ => head.extend_from_slice(field),
        }
    }
    if !head.is_empty() {
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(u.bytes(u.len())?);
    Ok(head)
}
