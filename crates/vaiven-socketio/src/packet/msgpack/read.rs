//! MessagePack to a packet, whose data becomes JSON text and attachments.

use super::super::binary::{NUM, PLACEHOLDER};
use super::super::{
    Args, MAX_ACK_ID, Packet, PacketError, check_event_name, check_namespace, namespace_text,
};
use super::MAX_DEPTH;
use bytes::{Buf, Bytes};
use vaiven::Text;

/// Reads a packet.
pub(in super::super) fn decode(message: &Bytes, max_attachments: usize) -> Result<Packet, PacketError> {
    let mut reader = Reader { rest: message.clone(), max_attachments, attachments: Vec::new() };
    let Token::Map(members) = reader.token()? else { return Err(PacketError::MsgPack) };
    let (mut kind, mut namespace, mut id, mut data) = (None, None, None, Data::Absent);
    for _ in 0..members {
        match &*reader.text()? {
            "type" => kind = reader.integer()?,
            "nsp" => namespace = Some(reader.text()?),
            "id" => id = reader.ack_id()?,
            "data" => data = reader.data()?,
            _ => reader.skip()?,
        }
    }
    if reader.rest.has_remaining() {
        return Err(PacketError::MsgPack);
    }
    let namespace = namespace.ok_or(PacketError::Namespace)?;
    check_namespace(&namespace)?;
    let namespace = namespace_text(&namespace);
    match (kind, data) {
        (Some(0 | 1), _) if id.is_some() => Err(PacketError::AckId),
        (Some(0), Data::Absent) => Ok(Packet::Connect { namespace, auth: None }),
        (Some(0), Data::Object(_)) if !reader.attachments.is_empty() => Err(PacketError::Payload),
        (Some(0), Data::Object(json)) => Ok(Packet::Connect { namespace, auth: Some(Text::from(json)) }),
        (Some(1), Data::Absent) => Ok(Packet::Disconnect { namespace }),
        (Some(2), Data::Array { first, json }) => {
            let name = first.ok_or(PacketError::EventName)?;
            check_event_name(&name)?;
            let args = Args::from_parts(Text::from(json), reader.attachments);
            Ok(Packet::Event { namespace, id, name: Text::from(name), args })
        }
        (Some(3), Data::Array { first, mut json }) => {
            if let Some(first) = first {
                let mut elements = String::new();
                write_string(&mut elements, &first);
                if !json.is_empty() {
                    elements.push(',');
                }
                json.insert_str(0, &elements);
            }
            let args = Args::from_parts(Text::from(json), reader.attachments);
            Ok(Packet::Ack { namespace, id: id.ok_or(PacketError::AckId)?, args })
        }
        (Some(0..=3), _) => Err(PacketError::Payload),
        _ => Err(PacketError::Type),
    }
}

/// The member `data`, which each type of packet has in its own form.
enum Data {
    Absent,
    Object(String),
    /// The first element where it is text, and the JSON of the others, with commas between them.
    Array {
        first: Option<String>,
        json: String,
    },
    Other,
}

/// A value, or what it begins with.
#[derive(Clone, Copy)]
enum Token {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(usize),
    Binary(usize),
    Array(usize),
    Map(usize),
    /// Milliseconds since 1970.
    Date(i64),
}

struct Reader {
    rest: Bytes,
    max_attachments: usize,
    attachments: Vec<Bytes>,
}

impl Reader {
    fn token(&mut self) -> Result<Token, PacketError> {
        let first = self.take(1)?.get_u8();
        Ok(match first {
            0x00..=0x7f => Token::Unsigned(first.into()),
            0x80..=0x8f => Token::Map(usize::from(first & 0x0f)),
            0x90..=0x9f => Token::Array(usize::from(first & 0x0f)),
            0xa0..=0xbf => Token::Text(usize::from(first & 0x1f)),
            0xc0 => Token::Nil,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4..=0xc6 => Token::Binary(self.len(first - 0xc4)?),
            0xc7..=0xc9 => {
                let len = self.len(first - 0xc7)?;
                self.extension(len)?
            }
            0xca => Token::Float(self.take(4)?.get_f32().into()),
            0xcb => Token::Float(self.take(8)?.get_f64()),
            0xcc => Token::Unsigned(self.take(1)?.get_u8().into()),
            0xcd => Token::Unsigned(self.take(2)?.get_u16().into()),
            0xce => Token::Unsigned(self.take(4)?.get_u32().into()),
            0xcf => Token::Unsigned(self.take(8)?.get_u64()),
            0xd0 => Token::Signed(self.take(1)?.get_i8().into()),
            0xd1 => Token::Signed(self.take(2)?.get_i16().into()),
            0xd2 => Token::Signed(self.take(4)?.get_i32().into()),
            0xd3 => Token::Signed(self.take(8)?.get_i64()),
            0xd4..=0xd8 => self.fixed_extension(1 << (first - 0xd4))?,
            0xd9..=0xdb => Token::Text(self.len(first - 0xd9)?),
            0xdc | 0xdd => Token::Array(self.len(first - 0xdc + 1)?),
            0xde | 0xdf => Token::Map(self.len(first - 0xde + 1)?),
            0xe0..=0xff => Token::Signed(i64::from(first) - 256),
            0xc1 => return Err(PacketError::MsgPack),
        })
    }

    fn take(&mut self, len: usize) -> Result<Bytes, PacketError> {
        if self.rest.len() < len { Err(PacketError::MsgPack) } else { Ok(self.rest.split_to(len)) }
    }

    /// A length of one, two or four bytes.
    fn len(&mut self, width: u8) -> Result<usize, PacketError> {
        let len = match width {
            0 => self.take(1)?.get_u8().into(),
            1 => self.take(2)?.get_u16().into(),
            _ => usize::try_from(self.take(4)?.get_u32()).map_err(|_| PacketError::MsgPack)?,
        };
        Ok(len)
    }

    /// notepack.io writes an `ArrayBuffer` as an extension of type 0.
    fn extension(&mut self, len: usize) -> Result<Token, PacketError> {
        if self.take(1)?.get_i8() == 0 { Ok(Token::Binary(len)) } else { Err(PacketError::MsgPack) }
    }

    /// notepack.io writes `undefined` and dates as extensions of type 0 with one and with eight bytes.
    fn fixed_extension(&mut self, len: usize) -> Result<Token, PacketError> {
        let kind = self.take(1)?.get_i8();
        let mut bytes = self.take(len)?;
        match (kind, len) {
            (0, 1) => Ok(Token::Nil),
            (0, 8) => Ok(Token::Date(bytes.get_i64())),
            _ => Err(PacketError::MsgPack),
        }
    }

    fn string(&mut self, len: usize) -> Result<String, PacketError> {
        String::from_utf8(self.take(len)?.into()).map_err(|_| PacketError::MsgPack)
    }

    fn text(&mut self) -> Result<String, PacketError> {
        match self.token()? {
            Token::Text(len) => self.string(len),
            _ => Err(PacketError::MsgPack),
        }
    }

    fn integer(&mut self) -> Result<Option<u64>, PacketError> {
        Ok(match self.token()? {
            Token::Unsigned(value) => Some(value),
            _ => None,
        })
    }

    /// `undefined` is written out by some, and means that there is none. JavaScript writes large numbers as floats.
    fn ack_id(&mut self) -> Result<Option<u64>, PacketError> {
        match self.token()? {
            Token::Nil => Ok(None),
            Token::Unsigned(id) if id <= MAX_ACK_ID => Ok(Some(id)),
            _ => Err(PacketError::AckId),
        }
    }

    fn data(&mut self) -> Result<Data, PacketError> {
        let mut json = String::new();
        match self.token()? {
            Token::Nil => Ok(Data::Absent),
            token @ Token::Map(_) => {
                self.write(token, &mut json, 0)?;
                Ok(Data::Object(json))
            }
            Token::Array(len) => {
                let mut first = None;
                for index in 0..len {
                    match self.token()? {
                        Token::Text(len) if index == 0 => first = Some(self.string(len)?),
                        token => {
                            separate(&mut json);
                            self.write(token, &mut json, 1)?;
                        }
                    }
                }
                Ok(Data::Array { first, json })
            }
            token => {
                self.write(token, &mut json, 0)?;
                Ok(Data::Other)
            }
        }
    }

    fn skip(&mut self) -> Result<(), PacketError> {
        let token = self.token()?;
        let before = self.attachments.len();
        self.write(token, &mut String::new(), 0)?;
        self.attachments.truncate(before);
        Ok(())
    }

    /// Writes a value as JSON; bytes become attachments.
    fn write(&mut self, token: Token, json: &mut String, depth: usize) -> Result<(), PacketError> {
        match token {
            Token::Nil => json.push_str("null"),
            Token::Bool(value) => json.push_str(if value { "true" } else { "false" }),
            Token::Unsigned(value) => json.push_str(&value.to_string()),
            Token::Signed(value) => json.push_str(&value.to_string()),
            Token::Float(value) => json.push_str(&float(value)),
            Token::Text(len) => write_string(json, &self.string(len)?),
            Token::Date(milliseconds) => json.push_str(&date(milliseconds)),
            Token::Binary(len) => {
                let index = self.attachments.len();
                if index >= self.max_attachments {
                    return Err(PacketError::TooManyAttachments);
                }
                let bytes = self.take(len)?;
                self.attachments.push(bytes);
                for part in ["{\"", PLACEHOLDER, "\":true,\"", NUM, "\":", &index.to_string(), "}"] {
                    json.push_str(part);
                }
            }
            Token::Array(_) | Token::Map(_) if depth >= MAX_DEPTH => return Err(PacketError::MsgPack),
            Token::Array(len) => {
                json.push('[');
                for index in 0..len {
                    if index > 0 {
                        json.push(',');
                    }
                    let token = self.token()?;
                    self.write(token, json, depth + 1)?;
                }
                json.push(']');
            }
            Token::Map(len) => {
                json.push('{');
                for index in 0..len {
                    if index > 0 {
                        json.push(',');
                    }
                    self.write_member(json, depth)?;
                }
                json.push('}');
            }
        }
        Ok(())
    }

    fn write_member(&mut self, json: &mut String, depth: usize) -> Result<(), PacketError> {
        let key = self.text()?;
        // What is meant as data here would be taken for an attachment further on.
        if key == PLACEHOLDER {
            return Err(PacketError::Placeholder);
        }
        write_string(json, &key);
        json.push(':');
        let token = self.token()?;
        self.write(token, json, depth + 1)
    }
}

fn separate(json: &mut String) {
    if !json.is_empty() {
        json.push(',');
    }
}

fn write_string(json: &mut String, text: &str) {
    json.push_str(&serde_json::to_string(text).expect("text is written as JSON"));
}

fn float(value: f64) -> String {
    serde_json::to_string(&value).expect("a number is written as JSON")
}

/// The text that JavaScript's `Date.prototype.toISOString` gives, in quotes; `null` for what is no date there.
fn date(milliseconds: i64) -> String {
    const DAY: i64 = 86_400_000;
    const MAX_DAYS: u64 = 100_000_000;
    // ECMA-262 section 21.4.1.1: a hundred million days on either side of 1970.
    if milliseconds.unsigned_abs() > MAX_DAYS * DAY.unsigned_abs() {
        return "null".to_owned();
    }
    let (days, time) = (milliseconds.div_euclid(DAY), milliseconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let year = if (0..=9999).contains(&year) { format!("{year:04}") } else { format!("{year:+07}") };
    let (hour, minute, second) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    format!("\"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z\"", time % 1000)
}

/// Year, month and day of a number of days since 1970: years are counted from March, so that the day that some have
/// and others have not is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_javascript_writes_them() {
        assert_eq!(date(0), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(date(951_782_400_123), "\"2000-02-29T00:00:00.123Z\"");
        assert_eq!(date(-1), "\"1969-12-31T23:59:59.999Z\"");
        assert_eq!(date(8_640_000_000_000_000), "\"+275760-09-13T00:00:00.000Z\"");
        assert_eq!(date(-62_198_755_200_000), "\"-000001-01-01T00:00:00.000Z\"");
        assert_eq!(date(i64::MAX), "null");
        assert_eq!(date(i64::MIN), "null");
    }
}
