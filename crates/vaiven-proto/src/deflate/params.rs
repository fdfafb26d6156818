//! One element of `Sec-WebSocket-Extensions` to its permessage-deflate parameters (RFC 7692 section 7.1).
//!
//! Syntax and meaning of the four parameters only; which of them to offer and to accept is for
//! [`DeflateConfig`](super::DeflateConfig).

use crate::handshake::extension::Extension;
use std::fmt;

/// The base-2 logarithm of an LZ77 window: 8 to 15, for 256 bytes to 32 KiB (RFC 7692 section 7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 8: 256 bytes. zlib cannot compress into so small a window by name, but its 9-bit compressor never refers back
    /// further than 512 - 262 = 250 bytes, so that is what stands in for it.
    pub const MIN: Self = Self(8);
    /// 15: 32 KiB, what holds where nothing was agreed.
    pub const MAX: Self = Self(15);

    /// `None` when `bits` is not between 8 and 15.
    ///
    /// ```
    /// use vaiven_proto::deflate::WindowBits;
    /// assert_eq!(WindowBits::new(12).unwrap().bytes(), 4096);
    /// assert_eq!(WindowBits::new(16), None);
    /// ```
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            8..=15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// A constant window of this crate's own.
    pub(super) const fn of(bits: u8) -> Self {
        match Self::new(bits) {
            Some(bits) => bits,
            None => panic!("a constant between 8 and 15"),
        }
    }

    /// The logarithm, 8 to 15.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The size of the window in bytes.
    pub const fn bytes(self) -> usize {
        1 << self.0
    }

    /// Decimal without a leading zero, as the standard writes it.
    fn parse(value: &str) -> Option<Self> {
        match value.as_bytes() {
            [digit @ b'8'..=b'9'] => Self::new(digit - b'0'),
            [b'1', digit @ b'0'..=b'5'] => Self::new(10 + (digit - b'0')),
            _ => None,
        }
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What both sides agreed to (RFC 7692 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeflateParams {
    /// The server compresses every message on its own.
    pub server_no_context_takeover: bool,
    /// The client compresses every message on its own.
    pub client_no_context_takeover: bool,
    /// How far back the server's messages may refer.
    pub server_max_window_bits: WindowBits,
    /// How far back the client's messages may refer.
    pub client_max_window_bits: WindowBits,
}

/// Why a server's answer to the offer of compression is wrong (RFC 7692 sections 5.1 and 7.1): the client fails the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NegotiationError {
    /// An extension that was not offered.
    UnofferedExtension,
    /// permessage-deflate twice.
    RepeatedExtension,
    /// A parameter that the standard does not define, or `client_max_window_bits` where it was not offered.
    UnofferedParameter,
    /// A parameter twice.
    RepeatedParameter,
    /// A window that is not 8 to 15 or has a leading zero, or a value where none may be.
    InvalidParameterValue,
    /// A parameter that was offered as a condition is missing, or its window is larger than the offered one.
    IgnoredOffer,
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnofferedExtension => {
                "the server agreed to an extension that was not offered (RFC 6455 4.1)"
            }
            Self::RepeatedExtension => "the server agreed to permessage-deflate twice (RFC 7692 5)",
            Self::UnofferedParameter => {
                "the server set a compression parameter that was not offered (RFC 7692 7.1)"
            }
            Self::RepeatedParameter => "the server repeated a compression parameter (RFC 7692 7.1)",
            Self::InvalidParameterValue => "a compression parameter has an invalid value (RFC 7692 7.1)",
            Self::IgnoredOffer => "the server accepted compression without its conditions (RFC 7692 7.1)",
        })
    }
}

impl std::error::Error for NegotiationError {}

/// The name of the extension.
pub(super) const NAME: &str = "permessage-deflate";

/// The parameters of one element, syntax checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<WindowBits>,
    pub(super) client_max_window_bits: Option<ClientWindow>,
}

/// The value of `client_max_window_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientWindow {
    /// None, which only an offer may have: the client will keep to whatever the server asks.
    Any,
    /// The largest window that the client will use, or may use.
    Bits(WindowBits),
}

impl ClientWindow {
    /// The bound that the value states.
    pub(super) fn bits(self) -> WindowBits {
        match self {
            Self::Any => WindowBits::MAX,
            Self::Bits(bits) => bits,
        }
    }
}

impl Parameters {
    /// Reads the parameters of an offer or of an answer.
    pub(super) fn parse(extension: &Extension<'_>) -> Result<Self, NegotiationError> {
        let mut parameters = Self::default();
        for &(name, value) in &extension.params {
            let repeated = match name {
                "server_no_context_takeover" => set_flag(&mut parameters.server_no_context_takeover, value)?,
                "client_no_context_takeover" => set_flag(&mut parameters.client_no_context_takeover, value)?,
                "server_max_window_bits" => {
                    let bits = parse_bits(value.unwrap_or_default())?;
                    parameters.server_max_window_bits.replace(bits).is_some()
                }
                "client_max_window_bits" => {
                    let window = match value {
                        None => ClientWindow::Any,
                        Some(value) => ClientWindow::Bits(parse_bits(value)?),
                    };
                    parameters.client_max_window_bits.replace(window).is_some()
                }
                _ => return Err(NegotiationError::UnofferedParameter),
            };
            if repeated {
                return Err(NegotiationError::RepeatedParameter);
            }
        }
        Ok(parameters)
    }

    /// Writes the element, in the order of the standard.
    pub(super) fn to_element(self) -> String {
        let mut element = String::from(NAME);
        if self.server_no_context_takeover {
            element.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            element.push_str("; client_no_context_takeover");
        }
        if let Some(bits) = self.server_max_window_bits {
            element.push_str("; server_max_window_bits=");
            element.push_str(&bits.to_string());
        }
        match self.client_max_window_bits {
            None => {}
            Some(ClientWindow::Any) => element.push_str("; client_max_window_bits"),
            Some(ClientWindow::Bits(bits)) => {
                element.push_str("; client_max_window_bits=");
                element.push_str(&bits.to_string());
            }
        }
        element
    }
}

/// Sets a parameter that has no value; true when it was set before.
fn set_flag(flag: &mut bool, value: Option<&str>) -> Result<bool, NegotiationError> {
    match value {
        None => Ok(std::mem::replace(flag, true)),
        Some(_) => Err(NegotiationError::InvalidParameterValue),
    }
}

/// The value of a parameter that states a window.
fn parse_bits(value: &str) -> Result<WindowBits, NegotiationError> {
    WindowBits::parse(value).ok_or(NegotiationError::InvalidParameterValue)
}
