//! What one side wants of permessage-deflate, and how both sides come to an agreement (RFC 7692 sections 5 and 7.1).

use super::params::{ClientWindow, DeflateParams, NAME, NegotiationError, Parameters, WindowBits};
use crate::handshake::extension::Extension;

/// What this side wants of compression.
///
/// ```
/// use vaiven_proto::deflate::DeflateConfig;
/// use vaiven_proto::handshake::extension::Extension;
///
/// let client = DeflateConfig::client();
/// assert_eq!(client.offer(), "permessage-deflate; client_max_window_bits");
///
/// let offer = Extension { name: "permessage-deflate", params: vec![("client_max_window_bits", None)] };
/// let (params, answer) = DeflateConfig::server().accept(&[offer]).unwrap();
/// assert_eq!(params.client_max_window_bits.bits(), 12);
/// assert!(answer.ends_with("; client_max_window_bits=12"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateConfig {
    /// Whether the server shall compress every message on its own. A server's word is final; a client that sets it
    /// makes it a condition of its offer.
    pub server_no_context_takeover: bool,
    /// Whether the client shall compress every message on its own. A server's word is final; a client that sets it
    /// does so whatever the server answers.
    pub client_no_context_takeover: bool,
    /// How far back the server's messages may refer. A client asks for less than 15 as a condition of its offer.
    ///
    /// With context takeover a compressor moves a table of 128 KiB along whenever it has gone through a window: 15
    /// bits, which take 112 KiB more for each connection, spare an eighth of an echo's time against 12 bits.
    pub server_max_window_bits: WindowBits,
    /// How far back the client's messages may refer. A server can ask this only of a client that offered the
    /// parameter; a client offers it with `Some`, and gives a number with it when it is below 15.
    pub client_max_window_bits: Option<WindowBits>,
    /// zlib's level, 1 (fast) to 9 (small); what lies outside counts as the nearer end.
    pub level: u8,
    /// A message shorter than this, in bytes, goes uncompressed. 0 compresses also the empty message.
    pub min_bytes: usize,
}

impl DeflateConfig {
    /// A server's defaults.
    ///
    /// * no context takeover on either side: an idle connection then owns no compression state at all, where a
    ///   compressor that stays takes more than 150 KiB;
    /// * windows of 12 bits: the text messages of this field repeat themselves within 4 KiB, and the windows of a
    ///   compressor and a decompressor still fit a processor's first cache;
    /// * level 1: on 1 KiB of JSON (`benches/deflate.rs`) it makes 359 bytes in 3.5 us, level 2 272 in 8.9 us, level 6
    ///   261 in 11 us, and what it makes inflates in half the time;
    /// * `min_bytes` 1,024: below that a message fits the network's packet anyhow, and compression costs more time
    ///   than the bytes that it saves.
    pub const fn server() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: WindowBits::of(12),
            client_max_window_bits: Some(WindowBits::of(12)),
            level: DEFAULT_LEVEL,
            min_bytes: DEFAULT_MIN_BYTES,
        }
    }

    /// A client's defaults: context takeover and full windows, because a client has few connections and the server
    /// decides; `client_max_window_bits` is offered, because a server may ask for a small window only then. Level and
    /// `min_bytes` as for [`server`](Self::server).
    pub const fn client() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: Some(WindowBits::MAX),
            level: DEFAULT_LEVEL,
            min_bytes: DEFAULT_MIN_BYTES,
        }
    }

    /// The element that a client puts into `Sec-WebSocket-Extensions`.
    pub fn offer(&self) -> String {
        self.offered().to_element()
    }

    /// A server's choice: the first offer that is valid, what follows from it, and the element of the answer.
    ///
    /// An offer with an unknown, repeated or invalid parameter is declined, as RFC 7692 section 7 asks; the next one
    /// is looked at. `None`: go on without compression.
    pub fn accept(&self, offers: &[Extension<'_>]) -> Option<(DeflateParams, String)> {
        let mut named = offers.iter().filter(|offer| offer.name == NAME);
        let offer = named.find_map(|offer| Parameters::parse(offer).ok())?;
        let server_bits =
            offer.server_max_window_bits.unwrap_or(WindowBits::MAX).min(self.server_max_window_bits);
        let wanted = self.client_max_window_bits.unwrap_or(WindowBits::MAX);
        // Only a client that offered the parameter understands it in the answer (section 7.1.2.2).
        let client_bits =
            offer.client_max_window_bits.map_or(WindowBits::MAX, |hint| hint.bits().min(wanted));
        let answer = Parameters {
            server_no_context_takeover: offer.server_no_context_takeover || self.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: (offer.server_max_window_bits.is_some() || server_bits < WindowBits::MAX)
                .then_some(server_bits),
            client_max_window_bits: (client_bits < WindowBits::MAX)
                .then_some(ClientWindow::Bits(client_bits)),
        };
        let params = DeflateParams {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: answer.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        };
        Some((params, answer.to_element()))
    }

    /// A client's check of the answer to [`offer`](Self::offer): `None` where the server declined compression.
    ///
    /// # Errors
    /// [`NegotiationError`] when the answer does not fit the offer: the client fails the connection.
    pub fn confirm(&self, answer: &[Extension<'_>]) -> Result<Option<DeflateParams>, NegotiationError> {
        let answer = match answer {
            [] => return Ok(None),
            [one] if one.name == NAME => Parameters::parse(one)?,
            many if many.iter().all(|one| one.name == NAME) => {
                return Err(NegotiationError::RepeatedExtension);
            }
            _ => return Err(NegotiationError::UnofferedExtension),
        };
        let offer = self.offered();
        if offer.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(NegotiationError::IgnoredOffer);
        }
        let server_bits = match (offer.server_max_window_bits, answer.server_max_window_bits) {
            (Some(_), None) => return Err(NegotiationError::IgnoredOffer),
            (Some(asked), Some(given)) if given > asked => return Err(NegotiationError::IgnoredOffer),
            (_, given) => given.unwrap_or(WindowBits::MAX),
        };
        let client_bits = match (offer.client_max_window_bits, answer.client_max_window_bits) {
            (None, None) => WindowBits::MAX,
            (None, Some(_)) => return Err(NegotiationError::UnofferedParameter),
            (Some(_), Some(ClientWindow::Any)) => return Err(NegotiationError::InvalidParameterValue),
            (Some(hint), Some(ClientWindow::Bits(given))) if given > hint.bits() => {
                return Err(NegotiationError::IgnoredOffer);
            }
            (Some(_), Some(ClientWindow::Bits(given))) => given,
            // What the client announced with its hint holds without an answer too (section 7.1.2.2).
            (Some(hint), None) => hint.bits(),
        };
        Ok(Some(DeflateParams {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: answer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        }))
    }

    /// The offer as parameters: a window of 15 bits goes without saying.
    fn offered(&self) -> Parameters {
        let server_bits = self.server_max_window_bits;
        Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: (server_bits < WindowBits::MAX).then_some(server_bits),
            client_max_window_bits: self.client_max_window_bits.map(|bits| {
                if bits < WindowBits::MAX { ClientWindow::Bits(bits) } else { ClientWindow::Any }
            }),
        }
    }
}

/// Level 1: see [`DeflateConfig::server`].
const DEFAULT_LEVEL: u8 = 1;

/// 1 KiB: see [`DeflateConfig::server`].
const DEFAULT_MIN_BYTES: usize = 1024;
