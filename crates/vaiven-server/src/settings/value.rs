//! Values as they are written, and the types that settings have.

use super::{
    Access, AllowedFrom, AllowedHosts, Anonymous, Contract, Fsync, HistoryIn, LogFormat, LogLevel, Origins,
    Profile, Secret,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;
use vaiven::server::{ForwardedField, IpNetwork};
use vaiven_hub::ChannelName;

/// A value as it was written in a file, in a variable or behind a flag.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Text(String),
    Whole(i128),
    Decimal(f64),
    Switch(bool),
    List(Vec<String>),
}

/// How a setting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from 1 on.
    Whole,
    /// A number of seconds above 0, fractions too.
    Seconds,
    /// `true` or `false`; a flag without a value is `true`.
    Switch,
    /// Texts: an array in the file, separated by commas elsewhere.
    List,
}

impl Kind {
    /// The value in a variable or behind a flag. What does not fit stays a text, which the setting then refuses.
    pub(super) fn parse(self, text: &str) -> Value {
        let parsed = match self {
            Self::Text | Self::Choice(_) => None,
            Self::Whole => text.parse().ok().map(Value::Whole),
            Self::Seconds => text.parse().ok().map(Value::Decimal),
            Self::Switch => text.parse().ok().map(Value::Switch),
            Self::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::List(items.map(str::to_owned).collect()))
            }
        };
        parsed.unwrap_or_else(|| Value::Text(text.to_owned()))
    }

    fn expected(self) -> String {
        match self {
            Self::Text => "must be a text in quotes".to_owned(),
            Self::Choice(words) => format!("must be {}", words.map_join(" or ")),
            Self::Whole => "must be a whole number from 1 on".to_owned(),
            Self::Seconds => "must be a number of seconds above 0".to_owned(),
            Self::Switch => "must be true or false".to_owned(),
            Self::List => "must be a list of texts, as [\"a\", \"b\"]".to_owned(),
        }
    }
}

trait MapJoin {
    fn map_join(&self, between: &str) -> String;
}

impl MapJoin for [&str] {
    fn map_join(&self, between: &str) -> String {
        self.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(between)
    }
}

/// A type that a setting has.
pub(super) trait Field: Sized {
    const KIND: Kind;

    /// Reads a value, or says what it must be.
    fn read(value: &Value) -> Result<Self, String>;

    /// Writes it as the file has it; empty where it is not set.
    fn show(&self) -> String;
}

fn text<T: Field>(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(T::KIND.expected()),
    }
}

/// A whole number in the range of a type.
fn whole<T: Field + TryFrom<i128>>(value: &Value, most: T) -> Result<T, String>
where
    i128: TryFrom<T>,
{
    let Value::Whole(number) = value else { return Err(T::KIND.expected()) };
    match *number {
        0 => Err("must be at least 1: 0 never means unlimited".to_owned()),
        number if number < 0 => Err("must be at least 1".to_owned()),
        number => T::try_from(number).map_err(|_| {
            let most =
                i128::try_from(most).map_or_else(|_| "less".to_owned(), |most| format!("at most {most}"));
            format!("must be {most}")
        }),
    }
}

impl Field for usize {
    const KIND: Kind = Kind::Whole;

    fn read(value: &Value) -> Result<Self, String> {
        whole(value, Self::MAX)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Field for Option<usize> {
    const KIND: Kind = Kind::Whole;

    fn read(value: &Value) -> Result<Self, String> {
        whole(value, usize::MAX).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, usize::to_string)
    }
}

impl Field for u32 {
    const KIND: Kind = Kind::Whole;

    fn read(value: &Value) -> Result<Self, String> {
        whole(value, Self::MAX)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// The longest time that can be set: a day.
const MAX_SECONDS: f64 = 86_400.0;

impl Field for Duration {
    const KIND: Kind = Kind::Seconds;

    fn read(value: &Value) -> Result<Self, String> {
        let seconds = match value {
            Value::Whole(number) => {
                f64::from(i32::try_from(*number).unwrap_or(if *number < 0 { -1 } else { i32::MAX }))
            }
            Value::Decimal(number) => *number,
            _ => return Err(Self::KIND.expected()),
        };
        if seconds > MAX_SECONDS {
            return Err(format!("must be at most {MAX_SECONDS} seconds"));
        }
        let duration = Self::try_from_secs_f64(seconds).map_err(|_| Self::KIND.expected())?;
        if duration < Self::from_millis(1) {
            return Err("must be at least 0.001 seconds: 0 never means unlimited".to_owned());
        }
        Ok(duration)
    }

    fn show(&self) -> String {
        self.as_secs_f64().to_string()
    }
}

impl Field for bool {
    const KIND: Kind = Kind::Switch;

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Switch(on) => Ok(*on),
            _ => Err(Self::KIND.expected()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Field for Option<PathBuf> {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, String> {
        match text::<Self>(value)? {
            "" => Err("must name a file".to_owned()),
            path => Ok(Some(path.into())),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, |path| format!("\"{}\"", path.display()))
    }
}

impl Field for PathBuf {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, String> {
        match text::<Self>(value)? {
            "" => Err("must name a directory".to_owned()),
            path => Ok(path.into()),
        }
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.display())
    }
}

impl Field for Option<String> {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, String> {
        match text::<Self>(value)? {
            "" => Err("must not be empty".to_owned()),
            text => Ok(Some(text.to_owned())),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, |text| format!("\"{text}\""))
    }
}

/// The fewest bytes of a secret, which are as many as the shortest hash of a token has: with fewer it can be guessed.
const MIN_SECRET_BYTES: usize = 32;

fn secret(text: &str) -> Result<Secret, String> {
    if text.len() < MIN_SECRET_BYTES {
        return Err(format!(
            "must be at least {MIN_SECRET_BYTES} bytes, or it can be guessed: openssl rand -hex 32 makes one"
        ));
    }
    Ok(Secret(text.to_owned()))
}

impl Field for ChannelName {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, String> {
        let name = text::<Self>(value)?;
        Self::parse(name).map_err(|error| format!("`{name}` is no name of a room: {error}"))
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.as_str())
    }
}

impl Field for Option<Secret> {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, String> {
        secret(text::<Self>(value)?).map(Some)
    }

    /// A secret is not shown.
    fn show(&self) -> String {
        String::new()
    }
}

impl Field for Vec<Secret> {
    const KIND: Kind = Kind::List;

    fn read(value: &Value) -> Result<Self, String> {
        let Value::List(list) = value else { return Err(Self::KIND.expected()) };
        list.iter().map(|text| secret(text).map_err(|why| format!("each {why}"))).collect()
    }

    /// A secret is not shown.
    fn show(&self) -> String {
        if self.is_empty() { "[]".to_owned() } else { String::new() }
    }
}

impl Field for Option<Url> {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, String> {
        let url = Url::parse(text::<Self>(value)?).map_err(|error| format!("must be a URL: {error}"))?;
        let is_here = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        match url.scheme() {
            "https" => Ok(Some(url)),
            // What does not leave the machine cannot be changed on its way.
            "http" if is_here => Ok(Some(url)),
            _ => Err("must be an https URL, or http on this machine".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, |url| format!("\"{url}\""))
    }
}

impl Field for SocketAddr {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let address = numeric.as_deref().unwrap_or(text).parse();
        address.map_err(|_| {
            "must be an IP address and a port, as 127.0.0.1:8080, 0.0.0.0:80 for every network, or [::1]:8080"
                .to_owned()
        })
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Field for Origins {
    const KIND: Kind = Kind::List;

    fn read(value: &Value) -> Result<Self, String> {
        let Value::List(list) = value else { return Err(Self::KIND.expected()) };
        if list.iter().any(|origin| origin == "*") {
            return match &list[..] {
                [_] => Ok(Self::Any),
                _ => Err("\"*\" allows every page, so it must stand alone".to_owned()),
            };
        }
        let parsed = list.iter().map(|origin| origin.parse().map_err(|error| format!("{error}")));
        parsed.collect::<Result<_, _>>().map(Self::SameAnd)
    }

    fn show(&self) -> String {
        match self {
            Self::Any => "[\"*\"]".to_owned(),
            Self::SameAnd(list) => {
                let list: Vec<_> = list.iter().map(|origin| format!("\"{origin}\"")).collect();
                format!("[{}]", list.join(", "))
            }
        }
    }
}

impl Field for AllowedHosts {
    const KIND: Kind = Kind::List;

    fn read(value: &Value) -> Result<Self, String> {
        let Value::List(list) = value else { return Err(Self::KIND.expected()) };
        match &list[..] {
            [] => Ok(Self::Auto),
            [star] if star == "*" => Ok(Self::Any),
            list if list.iter().any(|host| host == "*") => {
                Err("\"*\" allows every name, so it must stand alone".to_owned())
            }
            list => {
                let parsed = list.iter().map(|host| host.parse().map_err(|error| format!("{error}")));
                parsed.collect::<Result<_, _>>().map(Self::LoopbackAnd)
            }
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "[]".to_owned(),
            Self::Any => "[\"*\"]".to_owned(),
            Self::LoopbackAnd(list) => {
                let list: Vec<_> = list.iter().map(|host| format!("\"{host}\"")).collect();
                format!("[{}]", list.join(", "))
            }
        }
    }
}

impl Field for Vec<IpNetwork> {
    const KIND: Kind = Kind::List;

    fn read(value: &Value) -> Result<Self, String> {
        let Value::List(list) = value else { return Err(Self::KIND.expected()) };
        list.iter().map(|network| network.parse().map_err(|error| format!("{error}"))).collect()
    }

    fn show(&self) -> String {
        let list: Vec<_> = self.iter().map(|network| format!("\"{network}\"")).collect();
        format!("[{}]", list.join(", "))
    }
}

/// Types that are one word of a few.
macro_rules! choice {
    ($type:ident { $($word:literal => $variant:ident),+ $(,)? }) => {
        impl Field for $type {
            const KIND: Kind = Kind::Choice(&[$($word),+]);

            fn read(value: &Value) -> Result<Self, String> {
                match text::<Self>(value)? {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Self::KIND.expected()),
                }
            }

            fn show(&self) -> String {
                match self {
                    $(Self::$variant => format!("\"{}\"", $word),)+
                }
            }
        }
    };
}

choice!(Profile { "standard" => Standard, "autobahn" => Autobahn });
choice!(AllowedFrom { "loopback" => Loopback, "anywhere" => Anywhere });
choice!(ForwardedField { "x-forwarded-for" => XForwardedFor, "forwarded" => Forwarded });
choice!(HistoryIn { "disk" => Disk, "memory" => Memory });
choice!(Fsync { "always" => Always, "interval" => Interval, "never" => Never });
choice!(Anonymous { "auto" => Auto, "allowed" => Allowed, "refused" => Refused });
choice!(Contract { "reliable" => Reliable, "latest" => Latest, "volatile" => Volatile });
choice!(Access {
    "anyone" => Anyone,
    "users" => Users,
    "listed" => Listed,
    "backend" => Backend,
    "nobody" => Nobody,
});
choice!(LogFormat { "human" => Human, "json" => Json });
choice!(LogLevel { "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug, "trace" => Trace });
