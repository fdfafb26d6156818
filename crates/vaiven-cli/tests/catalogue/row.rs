//! The rows of the catalogue, as they stand in the data files.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Who is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// `vaiven serve`.
    Server,
    /// `vaiven::Client`.
    Client,
    /// Both, each by the same play.
    Both,
    /// The class for JavaScript, where that is the other client that is played.
    Javascript,
}

/// Where a conversation is cut, once at every byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cut {
    /// The stream ends.
    Fin,
    /// The connection is reset.
    Rst,
}

/// How the client under test is set up, and what it does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClientSetup {
    /// The URL; `{host}` is the runner's address. `ws://{host}/` where it is not given.
    pub(crate) url: Option<String>,
    pub(crate) subprotocols: Vec<String>,
    /// `Name: value`, each.
    pub(crate) headers: Vec<String>,
    /// Whether permessage-deflate is offered.
    pub(crate) deflate: bool,
    /// Whether the offer lacks client_max_window_bits.
    pub(crate) without_client_window: bool,
    /// Whether redirects are followed.
    pub(crate) redirects: bool,
    pub(crate) max_message_bytes: Option<usize>,
    pub(crate) max_fragments: Option<u32>,
    /// Which roots it trusts: `authority`, that of the runner; else those of the system.
    pub(crate) trusts: Option<String>,
    /// `echo` (where it is not given), `close`, or `send-and-close BYTES`.
    pub(crate) does: Option<String>,
}

/// A case of the catalogue, or a variant of one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The id of the catalogue, as `H7`.
    pub(crate) id: String,
    /// What must happen, as a sentence.
    pub(crate) says: String,
    /// Where the rule stands.
    pub(crate) rfc: String,
    pub(crate) role: Role,
    /// Options of `vaiven serve`; rows with the same ones share a server.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    /// The server is this row's alone: its memory, its CPU time and its end are looked at.
    #[serde(default)]
    pub(crate) alone: bool,
    #[serde(default)]
    pub(crate) client: ClientSetup,
    /// The play is run once for each, in place of `{each}`.
    #[serde(default)]
    pub(crate) each: Vec<String>,
    /// The play is run once for each byte, in place of `{byte}`.
    #[serde(default)]
    pub(crate) every_byte: bool,
    /// It waits for many seconds: it is begun first.
    #[serde(default)]
    pub(crate) slow: bool,
    /// The play is cut at every byte of what it sends.
    pub(crate) cut: Option<Cut>,
    /// By which standard the class for JavaScript has another outcome, which is a row of its own.
    #[serde(default)]
    pub(crate) not_javascript: String,
    /// What happens, line by line.
    #[serde(default)]
    pub(crate) play: String,
    /// The rest is about where it is tested instead, for rows that do not run here.
    #[serde(default)]
    pub(crate) elsewhere: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

/// All rows, in the order of the files.
pub(crate) fn catalogue() -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/catalogue");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("the catalogue is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    paths.sort();
    paths
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).expect("it can be read");
            let file: File =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            file.row
        })
        .collect()
}

impl Row {
    /// Whether it is one that takes its time.
    pub(crate) fn is_slow(&self) -> bool {
        self.slow || self.every_byte || self.cut.is_some()
    }

    /// The plays: one, or one for each variant.
    pub(crate) fn plays(&self) -> Vec<String> {
        let variants = if self.each.is_empty() { vec![String::new()] } else { self.each.clone() };
        let each = variants.iter().map(|each| self.play.replace("{each}", each));
        if !self.every_byte {
            return each.collect();
        }
        each.flat_map(|play| (0..=255).map(move |byte| play.replace("{byte}", &format!("\\x{byte:02x}"))))
            .collect()
    }
}

/// The ids that the catalogue has, with how many rows each has.
pub(crate) fn ids(rows: &[Row]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for row in rows {
        *ids.entry(row.id.clone()).or_default() += 1;
    }
    ids
}
