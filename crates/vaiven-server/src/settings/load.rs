//! From file, environment and flags to settings. A flag counts before a variable, that before the file, and the
//! file before the profile.

use super::namespace::{self, DEFAULT};
use super::{
    Access, AllowedFrom, NAMESPACE_SETTINGS, Namespace, Origins, Problem, Profile, SETTINGS, Setting,
    Settings, Source, Value,
};
use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Settings as they were given, before they are judged.
#[derive(Debug, Default)]
pub struct Given {
    entries: Vec<(&'static Setting, Value, Source)>,
    /// Tables `[channels.NAME]`, by their names.
    namespaces: Vec<(String, Source)>,
    namespace_entries: Vec<(String, &'static Setting<Namespace>, Value, Source)>,
    problems: Vec<Problem>,
}

/// A configuration file cannot be read.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the configuration file cannot be read: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The standard's own variable for the collector of traces.
const OTLP_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Loads settings from a file, then from variables and flags, which are looked up by name.
///
/// # Errors
/// Every line of what is wrong, in the order in which it was given.
pub fn load(
    file: Option<&Path>,
    variable: impl Fn(&str) -> Option<String>,
    flag: impl Fn(&str) -> Option<String>,
) -> Result<Settings, Vec<String>> {
    let mut given = Given::default();
    if let Some(path) = file {
        given.read_file(path).map_err(|error| vec![error.to_string()])?;
    }
    // The name that all programs have for it; those of ours, which come behind, count before it.
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == "otlp_endpoint")
        && given.entries.iter().all(|(known, ..)| known.key != setting.key)
        && let Some(text) = variable(OTLP_VARIABLE)
    {
        given.push(setting, &text, Source::Variable(OTLP_VARIABLE.to_owned()));
    }
    for setting in SETTINGS {
        let name = setting.variable();
        if let Some(text) = variable(&name) {
            given.push(setting, &text, Source::Variable(name));
        }
    }
    for setting in SETTINGS {
        if let Some(text) = flag(&setting.flag()) {
            given.push(setting, &text, Source::Flag(format!("--{}", setting.flag())));
        }
    }
    given.into_settings().map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

impl Given {
    fn push(&mut self, setting: &'static Setting, text: &str, source: Source) {
        self.entries.push((setting, setting.kind.parse(text), source));
    }

    /// Takes what a file gives.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read. What is wrong in it is told by [`into_settings`](Self::into_settings).
    pub fn read_file(&mut self, path: &Path) -> Result<(), FileError> {
        let fail = |error| FileError { path: path.to_owned(), error };
        let length = fs::metadata(path).map_err(fail)?.len();
        if length > MAX_FILE_BYTES {
            return Err(fail(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes"))));
        }
        let text = fs::read_to_string(path).map_err(fail)?;
        self.read_text(path, &text);
        Ok(())
    }

    /// Takes what the text of a file gives.
    pub fn read_text(&mut self, path: &Path, text: &str) {
        let source = |span: Range<usize>| {
            let before = text.get(..span.start).unwrap_or(text);
            Source::File(path.to_owned(), before.matches('\n').count() + 1)
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        // What could be read of a file that is no TOML would only confuse.
        let is_whole = errors.is_empty();
        for error in errors {
            let span = error.span().unwrap_or_default();
            let (source, key) = (source(span.clone()), key_of_line(text, span.start));
            let why = error.message().lines().collect::<Vec<_>>().join(" ");
            self.problems.push(Problem { source, key, why });
        }
        for (key, value) in table.get_ref().iter().filter(|_| is_whole) {
            let line = source(key.span());
            if key.get_ref() == "channels" {
                self.read_channels(line, value, &source);
                continue;
            }
            let source = line;
            match entry(SETTINGS, key.get_ref(), value) {
                Ok((setting, value)) => self.entries.push((setting, value, source)),
                Err(why) => self.problems.push(Problem { source, key: key.get_ref().to_string(), why }),
            }
        }
    }

    /// Takes the tables of `[channels.NAME]`.
    fn read_channels(
        &mut self,
        line: Source,
        channels: &Spanned<DeValue<'_>>,
        source: &impl Fn(Range<usize>) -> Source,
    ) {
        let Some(tables) = channels.get_ref().as_table() else {
            let why = "must be tables, as [channels.default]".to_owned();
            return self.problems.push(Problem { source: line, key: "channels".to_owned(), why });
        };
        for (name, table) in tables {
            let (line, key) = (source(name.span()), format!("channels.{}", name.get_ref()));
            let name = name.get_ref();
            let problem = match table.get_ref().as_table() {
                _ if !namespace::is_name(name) => Some(
                    "a namespace is 1 to 64 bytes without colon, space, control character, * and >"
                        .to_owned(),
                ),
                None => Some(format!("must be a table, as [{key}]")),
                Some(_) => None,
            };
            if let Some(why) = problem {
                self.problems.push(Problem { source: line, key, why });
                continue;
            }
            self.namespaces.push((name.to_string(), line));
            for (field, value) in table.get_ref().as_table().into_iter().flatten() {
                let (line, key) = (source(field.span()), format!("{key}.{}", field.get_ref()));
                match entry(NAMESPACE_SETTINGS, field.get_ref(), value) {
                    Ok((setting, value)) => {
                        self.namespace_entries.push((name.to_string(), setting, value, line));
                    }
                    Err(why) => self.problems.push(Problem { source: line, key, why }),
                }
            }
        }
    }

    /// Makes the namespaces that were given: those that are built in as they are, others like the default one.
    fn set_namespaces(&mut self, settings: &mut Settings) {
        for (name, _) in &self.namespaces {
            let like = settings.channels.get(DEFAULT).cloned().unwrap_or_default();
            settings.channels.entry(name.clone()).or_insert(like);
        }
        for (name, setting, value, source) in &self.namespace_entries {
            let Some(namespace) = settings.channels.get_mut(name) else { continue };
            if let Err(why) = (setting.set)(namespace, value) {
                let key = format!("channels.{name}.{}", setting.key);
                self.problems.push(Problem { source: source.clone(), key, why });
            }
        }
    }

    /// The settings.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn into_settings(mut self) -> Result<Settings, Vec<Problem>> {
        let mut settings = Settings::default();
        for (setting, value, _) in self.entries.iter().filter(|(setting, ..)| setting.key == "profile") {
            // A wrong name is told below.
            let _ = (setting.set)(&mut settings, value);
        }
        settings = Settings::of(settings.profile);
        for (setting, value, source) in &self.entries {
            if let Err(why) = (setting.set)(&mut settings, value) {
                self.problems.push(Problem { source: source.clone(), key: setting.key.to_owned(), why });
            }
        }
        self.set_namespaces(&mut settings);
        self.check_pairs(&settings);
        self.check_authentication(&settings);
        if self.problems.is_empty() { Ok(settings) } else { Err(self.problems) }
    }

    /// What is wrong only together, or on this machine.
    fn check_pairs(&mut self, settings: &Settings) {
        match (&settings.tls_cert, &settings.tls_key) {
            (Some(_), None) => self.complain("tls_cert", without("tls_key")),
            (None, Some(_)) => self.complain("tls_key", without("tls_cert")),
            (Some(_), Some(key)) => {
                if key_access(key) == KeyAccess::WritableByAll {
                    let why = format!(
                        "{0} can be replaced by every user of this machine: chmod o= {0}",
                        key.display()
                    );
                    self.complain("tls_key", why);
                } else if let Err(error) = settings.tls() {
                    self.complain("tls_cert", error.to_string());
                }
            }
            (None, None) => {}
        }
        // The default is lowered to what the system allows; a number that someone chose is not.
        if let Some(files) = most_open_files()
            && settings.profile == Profile::Standard
            && settings.max_connections.saturating_add(SPARE_FILES) > files
        {
            let why = format!(
                "the system allows this process {files} open files, and {SPARE_FILES} are needed besides \
                 connections: raise that with ulimit -n {0}, or LimitNOFILE={0} in systemd",
                settings.max_connections.saturating_add(SPARE_FILES)
            );
            self.complain("max_connections", why);
        }
    }

    /// What is wrong about who may do what.
    fn check_authentication(&mut self, settings: &Settings) {
        if settings.token_cookie.is_some() && settings.origins == Origins::Any {
            let why = "\"*\" lets every page act as its visitor, whose cookie comes with its requests: \
                       list the origins, or leave token_cookie out";
            self.complain("origins", why.to_owned());
        }
        if settings.token_cookie.is_some() && !settings.checks_tokens() && settings.auth_url.is_none() {
            let why = "there is no way to check what the cookie holds: set token_secret, token_public_key, \
                       token_jwks_url or auth_url";
            self.complain("token_cookie", why.to_owned());
        }
        if let Some(path) = &settings.token_public_key
            && let Err(error) = crate::auth::read_public_key(path)
        {
            self.complain("token_public_key", error);
        }
        let lacking: Vec<_> = settings
            .channels
            .iter()
            .filter(|(_, namespace)| settings.auth_url.is_none() && namespace.asks(Access::Backend))
            .map(|(name, _)| name.clone())
            .collect();
        for name in lacking {
            let given = self.namespaces.iter().find(|(given, _)| *given == name);
            let source =
                given.map_or_else(|| Source::Flag("channels".to_owned()), |(_, source)| source.clone());
            let why = "asks the backend, and auth_url does not say where that is".to_owned();
            self.problems.push(Problem { source, key: format!("channels.{name}"), why });
        }
    }

    /// Notes what is wrong with a setting, if it was given.
    fn complain(&mut self, key: &str, why: String) {
        let entry = self.entries.iter().rev().find(|(setting, ..)| setting.key == key);
        if let Some((.., source)) = entry {
            self.problems.push(Problem { source: source.clone(), key: key.to_owned(), why });
        }
    }
}

fn without(other: &str) -> String {
    format!("{other} is missing, and neither is of use without the other")
}

/// Files that a server needs besides those of its connections.
const SPARE_FILES: usize = 512;

/// How many files the process may be allowed to have open; `None` where there is no such limit.
#[cfg(unix)]
fn most_open_files() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum?;
    Some(usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn most_open_files() -> Option<usize> {
    None
}

/// What users who neither own a private key nor are of its group may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyAccess {
    None,
    ReadableByAll,
    WritableByAll,
}

#[cfg(unix)]
fn key_access(path: &Path) -> KeyAccess {
    use std::os::unix::fs::PermissionsExt;
    match fs::metadata(path).map_or(0, |data| data.permissions().mode()) {
        mode if mode & 0o002 != 0 => KeyAccess::WritableByAll,
        mode if mode & 0o004 != 0 => KeyAccess::ReadableByAll,
        _ => KeyAccess::None,
    }
}

#[cfg(not(unix))]
fn key_access(_: &Path) -> KeyAccess {
    KeyAccess::None
}

/// What is right and may still be unwise, as sentences for the log. A private key that everybody may read is what
/// Docker and Kubernetes mount by default, in containers without other users, so it does not keep a server from
/// starting.
pub(crate) fn warnings(settings: &Settings) -> Vec<String> {
    let exposed = settings.tls_key.iter().filter(|key| key_access(key) == KeyAccess::ReadableByAll);
    let warning = |key: &PathBuf| {
        format!("tls_key: {0} can be read by every user of this machine: chmod o= {0}", key.display())
    };
    let in_the_clear = settings.admin_key.is_some()
        && settings.admin_from == AllowedFrom::Anywhere
        && settings.tls_cert.is_none();
    let clear = "admin_from: without TLS whoever is on the way can read the key of the admin page, unless a proxy \
                 speaks TLS for this server";
    exposed.map(warning).chain(in_the_clear.then(|| clear.to_owned())).collect()
}

/// A line of the file as a setting and its value.
fn entry<T>(
    settings: &'static [Setting<T>],
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<(&'static Setting<T>, Value), String> {
    let Some(setting) = settings.iter().find(|setting| setting.key == key) else {
        if value.get_ref().is_table() {
            let why =
                "there is no such table: all settings but [channels.NAME] stand at the top, without one";
            return Err(why.to_owned());
        }
        let likeness = |setting: &'static Setting<T>| (strsim::jaro_winkler(setting.key, key), setting.key);
        let nearest = settings.iter().map(likeness).max_by(|(a, _), (b, _)| a.total_cmp(b));
        let nearest = nearest.filter(|(likeness, _)| *likeness > 0.85);
        let meant = nearest.map_or_else(String::new, |(_, nearest)| format!("; did you mean {nearest}?"));
        return Err(format!("there is no such setting{meant}"));
    };
    let text = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            Value::Whole(i128::from_str_radix(&digits, number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => {
            Value::Decimal(number.as_str().replace('_', "").parse().unwrap_or(f64::NAN))
        }
        DeValue::Boolean(on) => Value::Switch(*on),
        DeValue::Array(items) => {
            let items: Option<_> = items.iter().map(|item| text(item.get_ref())).collect();
            Value::List(items.ok_or("must be a list of texts, as [\"a\", \"b\"]")?)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return Err("is no setting of this kind".to_owned()),
    };
    Ok((setting, value))
}

/// What stands before the equals sign of the line at an offset.
fn key_of_line(text: &str, at: usize) -> String {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    line.split('=').next().unwrap_or_default().trim().chars().take(64).collect()
}

/// The documentation of all settings, in Markdown.
pub fn documentation() -> String {
    let defaults = Settings::of(Profile::Standard);
    let mut out = String::from(INTRODUCTION);
    for setting in SETTINGS {
        let default = match setting.show(&defaults) {
            shown if shown.is_empty() => "Not set by default.".to_owned(),
            shown => format!("Default: `{shown}`."),
        };
        let _ = writeln!(out, "\n## `{}`\n\n{}. {default}\n", setting.key, setting.help);
        if !setting.reason.is_empty() {
            let _ = writeln!(out, "{}\n", setting.reason);
        }
        let _ = writeln!(out, "`--{} {}` · `{}`", setting.flag(), setting.placeholder, setting.variable());
    }
    out.push_str(CHANNELS);
    let built_in = &defaults.channels[DEFAULT];
    for setting in NAMESPACE_SETTINGS {
        let default = setting.show(built_in);
        let _ = writeln!(out, "\n### `{}`\n\n{}. Default: `{default}`.\n", setting.key, setting.help);
        let _ = writeln!(out, "{}", setting.reason);
    }
    out
}

const CHANNELS: &str = "
# Channels

A channel whose name has a colon belongs to the namespace before the first one: `prices:EUR` to `prices`. Every other
one belongs to the namespace `default`. What a namespace promises stands in the file, in a table of its own:

```toml
[channels.default]
history_count = 300

[channels.prices]
contract = \"latest\"
publish = \"nobody\"
```

Built in are `default` (reliable, with presence), `live` (volatile) and `latest` (latest), and for the game `arena`
(latest, published by the server alone) and `arena-input` (volatile, heard by the server alone). A table of one of these
names changes what it says and nothing else; every other namespace begins as `default` is. A channel of a namespace that
is neither built in nor in the file is refused with `unknown_namespace`.
";

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from the table of settings in crates/vaiven-server/src/settings/table.rs; a test compares the two. -->

Every setting has a default. It can be set in a TOML file that `--config FILE` or `VAIVEN_CONFIG` names, by an
environment variable, and by a flag. A flag counts before a variable, that before the file, and the file before the
profile.

```toml
listen = \"0.0.0.0:8080\"
origins = [\"https://app.example\"]
max_message_bytes = 131072
```

`vaiven serve --check-config` says what is wrong, one line for each thing, and ends with 78 if anything is; a server
that is started with it ends in the same way. In the file all keys stand at the top, before the tables of
[channels](#channels). Lists are separated by commas in variables and flags. Limits start at 1: 0 never means unlimited.
";
