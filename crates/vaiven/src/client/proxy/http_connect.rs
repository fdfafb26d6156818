//! A tunnel through an HTTP proxy: the CONNECT method (RFC 9110 section 9.3.6).

use super::ProxyProblem;
use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest head of an answer; interim answers before it count too.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most header fields in the head of an answer.
const MAX_FIELDS: usize = 100;

/// Asks for the way to `authority`, a host and a port, and reads the answer up to its end and not a byte further.
pub(super) async fn open(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    authority: &str,
    authorization: Option<&HeaderValue>,
) -> Result<(), ProxyProblem> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(value) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    io.write_all(&request).await?;
    io.flush().await?;

    let mut budget = MAX_HEAD_BYTES;
    loop {
        let head = read_head(io, &mut budget).await?;
        let status = parse_status(&head)?;
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            continue;
        }
        // A 2xx to CONNECT has no content, whatever its fields say: the tunnel begins behind the head.
        return if status.is_success() { Ok(()) } else { Err(ProxyProblem::Status(status)) };
    }
}

/// Reads one head, byte by byte: it comes once per connection, and what stands behind it must stay where it is, in
/// the socket or in the TLS stream, so that a caller can have the bare `TcpStream` back.
async fn read_head(io: &mut (impl AsyncRead + Unpin), budget: &mut usize) -> Result<Vec<u8>, ProxyProblem> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == 5 && head != b"HTTP/" {
            return Err(ProxyProblem::InvalidAnswer("not HTTP"));
        }
        *budget = budget.checked_sub(1).ok_or(ProxyProblem::AnswerTooLarge)?;
        head.push(io.read_u8().await?);
    }
    Ok(head)
}

fn parse_status(head: &[u8]) -> Result<StatusCode, ProxyProblem> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(ProxyProblem::AnswerTooLarge),
        _ => return Err(ProxyProblem::InvalidAnswer("malformed HTTP")),
    }
    response
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or(ProxyProblem::InvalidAnswer("no valid status code"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    /// Lets a proxy answer with `answer`; gives the result and what is left to read behind the answer.
    async fn ask(answer: &[u8], chunk: usize) -> (Result<(), ProxyProblem>, Vec<u8>) {
        let (mut near, mut far) = duplex(64 * 1024);
        for part in answer.chunks(chunk) {
            far.write_all(part).await.unwrap();
        }
        far.shutdown().await.unwrap();
        let result = open(&mut near, "a.example:443", None).await;
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        (result, rest)
    }

    #[tokio::test]
    async fn bytes_behind_the_answer_are_left_for_the_host() {
        for chunk in 1..50 {
            let answer = b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n\r\n\r\nhello";
            let (result, rest) = ask(answer, chunk).await;
            assert!(result.is_ok());
            assert_eq!(rest, b"\r\n\r\nhello");
        }
    }

    #[tokio::test]
    async fn content_that_a_success_announces_is_not_skipped() {
        let (result, rest) = ask(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 7).await;
        assert!(result.is_ok());
        assert_eq!(rest, b"hello");
    }

    #[tokio::test]
    async fn interim_answers_are_skipped() {
        let (result, rest) = ask(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", 9).await;
        assert!(result.is_ok());
        assert_eq!(rest, b"x");
    }

    #[track_caller]
    fn check_text(result: Result<(), ProxyProblem>, expected: &str) {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[tokio::test]
    async fn refusals_and_nonsense_are_told_apart() {
        for (answer, expected) in [
            (&b"HTTP/1.1 407 Hm\r\n\r\n"[..], "407 Proxy Authentication Required; check the user name"),
            (b"HTTP/1.1 403 Nope\r\nContent-Length: 2\r\n\r\nno", "403 Forbidden"),
            (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "302 Found"),
            (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101"),
            (b"SSH-2.0-x\r\n\r\n", "not HTTP"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", "malformed"),
            (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed"),
            (b"HTTP/1.1 200 OK\r\n", "closed the connection before it answered"),
            (b"", "closed the connection before it answered"),
        ] {
            check_text(ask(answer, 4096).await.0, expected);
        }
    }

    #[tokio::test]
    async fn a_head_may_have_16_kib_and_no_byte_more() {
        for (length, fits) in
            [(MAX_HEAD_BYTES - 1, true), (MAX_HEAD_BYTES, true), (MAX_HEAD_BYTES + 1, false)]
        {
            let frame = "HTTP/1.1 200 OK\r\nX: \r\n\r\n".len();
            let answer = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(length - frame));
            let (result, _) = ask(answer.as_bytes(), 4096).await;
            assert_eq!(result.is_ok(), fits, "{length}");
        }
    }

    #[tokio::test]
    async fn a_head_may_have_100_fields_and_none_more() {
        for (count, fits) in [(99, true), (100, true), (101, false)] {
            let answer = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(count));
            let (result, _) = ask(answer.as_bytes(), 4096).await;
            assert_eq!(result.is_ok(), fits, "{count}");
        }
    }

    #[tokio::test]
    async fn every_byte_in_an_answer_is_an_answer_and_never_a_panic() {
        for byte in 0..=255_u8 {
            for template in [
                &b"HTTP/1.1 2?0 OK\r\n\r\n"[..],
                b"HTTP/1.1 200 OK\r\nX: a?b\r\n\r\n",
                b"?TTP/1.1 200\r\n\r\n",
            ] {
                let answer: Vec<u8> =
                    template.iter().map(|&own| if own == b'?' { byte } else { own }).collect();
                let _answered = ask(&answer, 4096).await;
            }
        }
    }
}
