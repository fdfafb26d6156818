//! Namespaces: what the channels whose names begin alike promise, and to whom.

use std::collections::BTreeMap;
use std::time::Duration;

/// The namespace of channels whose names have no colon.
pub(crate) const DEFAULT: &str = "default";
/// The most bytes of a namespace's name.
const MAX_NAME_BYTES: usize = 64;

/// What the channels of a namespace promise. [`NAMESPACE_SETTINGS`](super::NAMESPACE_SETTINGS) describes each field.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the table describes them")]
#[non_exhaustive]
pub struct Namespace {
    pub contract: Contract,
    pub presence: bool,
    pub history_count: usize,
    pub history_age: Duration,
    pub history_bytes: usize,
    pub max_keys: usize,
    pub max_data_bytes: usize,
    pub subscribe: Access,
    pub publish: Access,
}

/// How a channel delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// Kept in order, acknowledged when it is, replayed to who comes back.
    Reliable,
    /// The newest publication of each key.
    Latest,
    /// To all who listen now.
    Volatile,
}

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every client.
    Anyone,
    /// Clients with a token.
    Users,
    /// Clients whose token lists the channel.
    Listed,
    /// Clients whom the backend admits.
    Backend,
    /// No client: the HTTP API alone.
    Nobody,
}

impl Default for Namespace {
    fn default() -> Self {
        Self {
            contract: Contract::Reliable,
            presence: true,
            history_count: 1000,
            history_age: Duration::from_hours(24),
            history_bytes: 16 << 20,
            max_keys: 10_000,
            max_data_bytes: 128 << 10,
            subscribe: Access::Anyone,
            publish: Access::Anyone,
        }
    }
}

impl Namespace {
    /// Whether anything of it is decided in this way.
    pub(crate) fn asks(&self, access: Access) -> bool {
        self.subscribe == access || self.publish == access
    }
}

/// The namespaces that are there without any configuration.
pub(super) fn built_in() -> BTreeMap<String, Namespace> {
    let of = |contract| Namespace { contract, ..Namespace::default() };
    let live = Namespace { presence: false, ..of(Contract::Volatile) };
    BTreeMap::from([
        (DEFAULT.to_owned(), of(Contract::Reliable)),
        ("live".to_owned(), live),
        ("latest".to_owned(), of(Contract::Latest)),
    ])
}

/// Whether a namespace may have this name.
pub(super) fn is_name(name: &str) -> bool {
    let is_wrong = |c: char| c.is_control() || matches!(c, ':' | ' ' | '*' | '>');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.contains(is_wrong)
}
