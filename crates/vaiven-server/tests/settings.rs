//! Where settings come from, and what is said when they are wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use vaiven_server::Settings;
use vaiven_server::settings::{Given, LogFormat, Origins, Profile, SETTINGS, documentation, load};

fn read(text: &str) -> Result<Settings, Vec<String>> {
    let mut given = Given::default();
    given.read_text(Path::new("vaiven.toml"), text);
    given.into_settings().map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// The text of a file is refused with exactly these lines.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    assert_eq!(read(text).unwrap_err(), expected, "{text}");
}

#[test]
fn what_is_wrong_is_told_with_file_line_key_and_why() {
    refused("max_rooms = 0", &["vaiven.toml:1: max_rooms: must be at least 1: 0 never means unlimited"]);
    refused("\n\n max_rooms = -1", &["vaiven.toml:3: max_rooms: must be at least 1"]);
    refused("max_fragments = 4294967296", &["vaiven.toml:1: max_fragments: must be at most 4294967295"]);
    refused(
        "max_rooms = 99999999999999999999999999",
        &["vaiven.toml:1: max_rooms: must be at most 18446744073709551615"],
    );
    refused("max_rooms = \"5\"", &["vaiven.toml:1: max_rooms: must be a whole number from 1 on"]);
    refused("max_rooms = 5.5", &["vaiven.toml:1: max_rooms: must be a whole number from 1 on"]);
    refused("listen = 8080", &["vaiven.toml:1: listen: must be a text in quotes"]);
    refused("compression = 1", &["vaiven.toml:1: compression: must be true or false"]);
    refused(
        "origins = \"https://a.example\"",
        &["vaiven.toml:1: origins: must be a list of texts, as [\"a\", \"b\"]"],
    );
    refused("origins = [1]", &["vaiven.toml:1: origins: must be a list of texts, as [\"a\", \"b\"]"]);
    refused("log_format = \"xml\"", &["vaiven.toml:1: log_format: must be \"human\" or \"json\""]);
    refused(
        "ping_timeout = 0",
        &["vaiven.toml:1: ping_timeout: must be at least 0.001 seconds: 0 never means unlimited"],
    );
    refused("ping_timeout = -1", &["vaiven.toml:1: ping_timeout: must be a number of seconds above 0"]);
    refused("ping_timeout = nan", &["vaiven.toml:1: ping_timeout: must be a number of seconds above 0"]);
    refused("ping_timeout = inf", &["vaiven.toml:1: ping_timeout: must be at most 86400 seconds"]);
    refused("ping_timeout = 99999999999", &["vaiven.toml:1: ping_timeout: must be at most 86400 seconds"]);
    refused("maxrooms = 1", &["vaiven.toml:1: maxrooms: there is no such setting; did you mean max_rooms?"]);
    refused("colour = 1", &["vaiven.toml:1: colour: there is no such setting"]);
    refused("max_rooms = 1\nmax_rooms = 2", &["vaiven.toml:2: max_rooms: duplicate key"]);
    refused(
        "[limits]\nmax_rooms = 1",
        &[
            "vaiven.toml:1: limits: there is no such table: all settings but [channels.NAME] stand at the top, \
             without one",
        ],
    );
    refused("max_rooms = 1970-01-01", &["vaiven.toml:1: max_rooms: is no setting of this kind"]);
    refused(
        "origins = [\"*\", \"https://a.example\"]",
        &["vaiven.toml:1: origins: \"*\" allows every page, so it must stand alone"],
    );
    refused(
        "tls_key = \"a\"",
        &["vaiven.toml:1: tls_key: tls_cert is missing, and neither is of use without the other"],
    );
}

#[test]
fn what_is_wrong_with_a_namespace_is_told_in_the_same_way() {
    let rows = [
        ("channels = 1", "1: channels: must be tables, as [channels.default]"),
        ("[channels]\na = 1", "2: channels.a: must be a table, as [channels.a]"),
        (
            "[channels.\"a:b\"]",
            "1: channels.a:b: a namespace is 1 to 64 bytes without colon, space, control character, * and >",
        ),
        ("[channels.a]\ncolour = 1", "2: channels.a.colour: there is no such setting"),
        (
            "[channels.a]\ncontrakt = \"latest\"",
            "2: channels.a.contrakt: there is no such setting; did you mean contract?",
        ),
        (
            "[channels.a]\ncontract = \"kept\"",
            "2: channels.a.contract: must be \"reliable\" or \"latest\" or \"volatile\"",
        ),
        (
            "[channels.a]\nhistory_count = 0",
            "2: channels.a.history_count: must be at least 1: 0 never means unlimited",
        ),
        ("[channels.a]\npresence = true\npresence = false", "3: presence: duplicate key"),
        (
            "[channels.a]\npublish = \"backend\"",
            "1: channels.a: asks the backend, and auth_url does not say where that is",
        ),
    ];
    for (text, expected) in rows {
        refused(text, &[&format!("vaiven.toml:{expected}")]);
    }
}

#[test]
fn namespaces_are_built_in_changed_or_like_the_default_one() {
    use vaiven_server::settings::{Access, Contract};
    let settings = read(
        "[channels.default]\nhistory_count = 7\n[channels.live]\npublish = \"users\"\n[channels.prices]\n\
         contract = \"latest\"\n",
    )
    .unwrap();
    let names: Vec<_> = settings.channels.keys().map(String::as_str).collect();
    assert_eq!(names, ["arena", "arena-input", "default", "latest", "live", "prices"]);
    assert_eq!(settings.channels["default"].history_count, 7);
    let live = &settings.channels["live"];
    assert_eq!(
        (live.contract, live.publish, live.subscribe),
        (Contract::Volatile, Access::Users, Access::Anyone)
    );
    assert_eq!(settings.channels["prices"].contract, Contract::Latest);
    assert_eq!(settings.channels["prices"].presence, settings.channels["default"].presence);
}

#[test]
fn secrets_are_long_and_cookies_come_from_known_origins() {
    let long = "s".repeat(32);
    assert!(read(&format!("token_secret = \"{long}\"\napi_keys = [\"{long}\"]")).is_ok());
    let why = "must be at least 32 bytes, or it can be guessed: openssl rand -hex 32 makes one";
    refused(&format!("token_secret = \"{}\"", &long[1..]), &[&format!("vaiven.toml:1: token_secret: {why}")]);
    refused(&format!("api_keys = [\"{}\"]", &long[1..]), &[&format!("vaiven.toml:1: api_keys: each {why}")]);
    let cookie = format!("token_secret = \"{long}\"\ntoken_cookie = \"token\"\n");
    assert!(read(&cookie).is_ok());
    let problems = read(&format!("{cookie}origins = [\"*\"]")).unwrap_err();
    assert!(problems[0].starts_with("vaiven.toml:3: origins: \"*\" lets every page"), "{problems:?}");
    let problems = read("token_cookie = \"token\"").unwrap_err();
    assert!(problems[0].starts_with("vaiven.toml:1: token_cookie: there is no way"), "{problems:?}");
    for (url, expected) in [
        ("https://a.example/keys", true),
        ("http://127.0.0.1:1/keys", true),
        ("http://localhost/keys", true),
        ("http://a.example/keys", false),
        ("ftp://a.example/keys", false),
        ("keys", false),
    ] {
        assert_eq!(read(&format!("token_jwks_url = \"{url}\"")).is_ok(), expected, "{url}");
    }
}

#[test]
fn a_public_key_is_read_before_the_server_starts() {
    let files = Files::new("public-key");
    for (name, text, expected) in [
        ("missing.pem", None, "cannot be read"),
        ("text.pem", Some("hola"), "holds no public key in PEM"),
        (
            "private.pem",
            Some("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"),
            "holds a private key",
        ),
    ] {
        let path = files.0.join(name);
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let problems = read(&format!("token_public_key = {path:?}")).unwrap_err();
        assert!(problems[0].starts_with("vaiven.toml:1: token_public_key: "), "{problems:?}");
        assert!(problems[0].contains(expected), "{problems:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let problems = read("listen = \"here\"\nmax_rooms = 0\nnews = 1\n").unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
    // A file that is no TOML is told about as that alone.
    let problems = read("listen = \"here\nmax_rooms = 0").unwrap_err();
    assert!(problems.len() == 1 && problems[0].starts_with("vaiven.toml:1: listen: "), "{problems:?}");
}

#[test]
fn every_setting_takes_the_value_that_it_shows() {
    for profile in [Profile::Standard, Profile::Autobahn] {
        let settings = Settings::of(profile);
        let lines = SETTINGS.iter().map(|setting| (setting, setting.show(&settings)));
        let set = lines.filter(|(_, shown)| !shown.is_empty());
        let lines: Vec<_> = set.map(|(setting, shown)| format!("{} = {shown}", setting.key)).collect();
        let file = lines.join("\n");
        assert_eq!(read(&file).unwrap(), settings, "{file}");
    }
    assert_eq!(read("").unwrap(), Settings::default());
}

#[test]
fn a_flag_counts_before_a_variable_that_before_the_file_and_that_before_the_profile() {
    let file = std::env::temp_dir().join(format!("vaiven-settings-{}.toml", std::process::id()));
    std::fs::write(&file, "profile = \"autobahn\"\nmax_rooms = 1\nmessage_rate = 1\noutbox_bytes = 1\n")
        .unwrap();
    let variables = HashMap::from([("VAIVEN_MAX_ROOMS", "2"), ("VAIVEN_MESSAGE_RATE", "2")]);
    let flags = HashMap::from([("max-rooms", "3")]);
    let settings = load(
        Some(&file),
        |name| variables.get(name).map(ToString::to_string),
        |name| flags.get(name).map(ToString::to_string),
    );
    std::fs::remove_file(&file).unwrap();
    let settings = settings.unwrap();
    assert_eq!((settings.max_rooms, settings.message_rate, settings.outbox_bytes), (3, 2, 1));
    assert_eq!(settings.max_message_bytes, Settings::of(Profile::Autobahn).max_message_bytes);
}

#[test]
fn values_outside_of_a_file_are_plain_text() {
    let variables = HashMap::from([
        ("VAIVEN_LISTEN", "localhost:9"),
        ("VAIVEN_ORIGINS", "https://a.example, https://b.example:8443"),
        ("VAIVEN_COMPRESSION", "true"),
        ("VAIVEN_PING_TIMEOUT", "2.5"),
        ("VAIVEN_LOG_FORMAT", "json"),
    ]);
    let settings = load(None, |name| variables.get(name).map(ToString::to_string), |_| None).unwrap();
    assert_eq!(settings.listen, "127.0.0.1:9".parse().unwrap());
    let origins = ["https://a.example", "https://b.example:8443"].map(|origin| origin.parse().unwrap());
    assert_eq!(settings.origins, Origins::SameAnd(origins.to_vec()));
    assert_eq!(settings.ping_timeout, Duration::from_millis(2500));
    assert_eq!((settings.compression, settings.log_format), (true, LogFormat::Json));

    let wrong = |name: &str| (name == "VAIVEN_MAX_ROOMS").then(|| "many".to_owned());
    let flag = |name: &str| (name == "max-fragments").then(|| "0".to_owned());
    assert_eq!(
        load(None, wrong, flag).unwrap_err(),
        [
            "VAIVEN_MAX_ROOMS: max_rooms: must be a whole number from 1 on",
            "--max-fragments: max_fragments: must be at least 1: 0 never means unlimited",
        ]
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let problems = load(Some(Path::new("/nowhere/vaiven.toml")), |_| None, |_| None).unwrap_err();
    assert!(
        problems[0].starts_with("/nowhere/vaiven.toml: the configuration file cannot be read"),
        "{problems:?}"
    );
}

#[test]
fn the_standards_variable_for_a_collector_counts_where_nothing_else_names_one() {
    let standard =
        |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://localhost:4318".to_owned());
    let both = |name: &str| match name {
        "VAIVEN_OTLP_ENDPOINT" => Some("https://ours.example".to_owned()),
        name => standard(name),
    };
    let endpoint =
        |settings: Result<Settings, Vec<String>>| settings.unwrap().otlp_endpoint.map(|url| url.to_string());
    assert_eq!(endpoint(load(None, |_| None, |_| None)), None);
    assert_eq!(endpoint(load(None, standard, |_| None)).as_deref(), Some("http://localhost:4318/"));
    assert_eq!(endpoint(load(None, both, |_| None)).as_deref(), Some("https://ours.example/"));
    let files = Files::new("collector");
    let file = files.write("collector.toml", "otlp_endpoint = \"https://file.example\"\n");
    let from_file = load(Some(Path::new(&file)), standard, |_| None);
    assert_eq!(endpoint(from_file).as_deref(), Some("https://file.example/"));
    let wrong = |name: &str| standard(name).map(|_| "no URL".to_owned());
    let problems = load(None, wrong, |_| None).unwrap_err();
    assert!(problems[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: otlp_endpoint"), "{problems:?}");
}

#[test]
fn the_documentation_of_the_settings_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, documentation()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == documentation(),
        "docs/configuration.md is out of date: run this test with WRITE_DOCS=1"
    );
}

/// Files for a test, in a folder of its own that is gone afterwards.
struct Files(std::path::PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vaiven-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // A folder that stays is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
#[test]
fn a_certificate_that_cannot_be_used_is_told_with_its_line() {
    let files = Files::new("certificates");
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (ours, other) = (make(), make());
    let cert = files.write("cert.pem", &ours.cert.pem());
    let key = files.write("key.pem", &ours.signing_key.serialize_pem());
    let wrong_key = files.write("other.pem", &other.signing_key.serialize_pem());
    let no_key = files.write("empty.pem", "");
    let file = |cert: &str, key: &str| format!("tls_cert = \"{cert}\"\ntls_key = \"{key}\"");
    assert!(read(&file(&cert, &key)).is_ok());
    for (cert, key, why) in [
        (&*cert, &*wrong_key, "is not that of the first certificate"),
        (&cert, &no_key, "holds no private key"),
        (&no_key, &key, "holds no certificate"),
        (&cert, "/nowhere/key.pem", "/nowhere/key.pem cannot be read"),
    ] {
        let problems = read(&file(cert, key)).unwrap_err();
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        assert!(problem.starts_with("vaiven.toml:1: tls_cert: ") && problem.contains(why), "{problem}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_all_may_read_is_warned_of_and_one_that_all_may_replace_is_refused() {
    let files = Files::new("permissions");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = files.write("cert.pem", &made.cert.pem());
    let key = files.write("key.pem", &made.signing_key.serialize_pem());
    let read = |mode| {
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        read(&format!("tls_cert = \"{cert}\"\ntls_key = \"{key}\""))
    };
    // As certbot writes it, and for a group that shares it.
    for mode in [0o600, 0o640, 0o660] {
        assert_eq!(read(mode).unwrap().warnings(), [""; 0], "{mode:o}");
    }
    // As Docker and Kubernetes mount it.
    for mode in [0o444, 0o644] {
        let warning = format!("tls_key: {key} can be read by every user of this machine: chmod o= {key}");
        assert_eq!(read(mode).unwrap().warnings(), [warning], "{mode:o}");
    }
    for mode in [0o666, 0o602] {
        let problem = format!(
            "vaiven.toml:2: tls_key: {key} can be replaced by every user of this machine: chmod o= {key}"
        );
        assert_eq!(read(mode).unwrap_err(), [problem], "{mode:o}");
    }
}

#[cfg(unix)]
#[test]
fn more_connections_than_the_system_has_files_are_refused_where_they_were_asked_for() {
    let Some(files) = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum else { return };
    let problems = read(&format!("max_connections = {files}")).unwrap_err();
    assert!(problems[0].starts_with("vaiven.toml:1: max_connections: the system allows"), "{problems:?}");
    assert!(problems[0].contains("ulimit -n"), "{problems:?}");
}
