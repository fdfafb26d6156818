//! Compression of messages: permessage-deflate (RFC 7692).
