//! The stable codes of `error` and `unsubscribed`, which the HTTP API shares.

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal),+ $(,)?) => {
        /// Why something was not done. docs/protocol.md says what a client does about each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum ErrorCode {
            $($variant),+
        }

        impl ErrorCode {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// The status with which the HTTP API says the same.
            pub(crate) const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status),+
                }
            }
        }
    };
}

codes! {
    BadRequest "bad_request" 400,
    UnknownType "unknown_type" 400,
    ChannelName "channel_name" 400,
    UnknownNamespace "unknown_namespace" 404,
    Unauthorized "unauthorized" 401,
    Forbidden "forbidden" 403,
    AlreadySubscribed "already_subscribed" 409,
    NotSubscribed "not_subscribed" 409,
    TooManyChannels "too_many_channels" 429,
    TooLarge "too_large" 413,
    NotKept "not_kept" 400,
    Conflict "conflict" 409,
    Rate "rate" 429,
    Unavailable "unavailable" 503,
    Internal "internal" 500,
}

#[cfg(test)]
impl ErrorCode {
    /// Those that the HTTP API answers with.
    pub(crate) const API: &[Self] = &[
        Self::BadRequest,
        Self::ChannelName,
        Self::UnknownNamespace,
        Self::TooLarge,
        Self::NotKept,
        Self::Conflict,
        Self::Rate,
        Self::Unavailable,
    ];
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_document_of_the_protocol() {
        let document = include_str!("../../../../docs/protocol.md");
        for code in ErrorCode::ALL {
            assert!(document.contains(&format!("`{}`", code.name())), "{}", code.name());
        }
    }
}
