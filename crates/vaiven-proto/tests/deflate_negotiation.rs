//! The negotiation of permessage-deflate, row by row (RFC 7692 sections 5 and 7.1).
#![expect(clippy::unwrap_used, reason = "clippy knows helpers of integration tests as no tests")]

use NegotiationError as E;
use vaiven_proto::deflate::{DeflateConfig, DeflateParams, NegotiationError, WindowBits};
use vaiven_proto::handshake::extension::Extension;

/// Splits a header as it stands in the tables below: no quotes, single spaces.
fn extensions(header: &str) -> Vec<Extension<'_>> {
    let elements = header.split(", ").filter(|element| !element.is_empty());
    elements
        .map(|element| {
            let mut parts = element.split("; ");
            let name = parts.next().unwrap();
            Extension { name, params: parts.map(split_value).collect() }
        })
        .collect()
}

fn split_value(part: &str) -> (&str, Option<&str>) {
    part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)))
}

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

/// Both takeover flags, then both windows.
fn params(server_alone: bool, client_alone: bool, server_bits: u8, client_bits: u8) -> DeflateParams {
    DeflateParams {
        server_no_context_takeover: server_alone,
        client_no_context_takeover: client_alone,
        server_max_window_bits: bits(server_bits),
        client_max_window_bits: bits(client_bits),
    }
}

/// A configuration without any wish of its own.
fn open() -> DeflateConfig {
    DeflateConfig::client()
}

#[track_caller]
fn accepts(config: &DeflateConfig, offers: &str, answer: &str, expected: DeflateParams) {
    let (params, element) = config.accept(&extensions(offers)).expect("an acceptable offer");
    assert_eq!((element.as_str(), params), (answer, expected), "{offers}");
}

#[track_caller]
fn declines(offers: &str) {
    for config in [DeflateConfig::server(), open()] {
        assert_eq!(config.accept(&extensions(offers)), None, "{offers}");
    }
}

#[test]
fn server_without_wishes_answers_what_was_offered() {
    let config = open();
    accepts(&config, "permessage-deflate", "permessage-deflate", params(false, false, 15, 15));
    accepts(
        &config,
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover",
        params(true, false, 15, 15),
    );
    accepts(
        &config,
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        params(false, true, 15, 15),
    );
    accepts(
        &config,
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=10",
        params(false, false, 10, 15),
    );
    accepts(
        &config,
        "permessage-deflate; client_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=10",
        params(false, false, 15, 10),
    );
    accepts(
        &config,
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=15",
        params(false, false, 15, 15),
    );
}

#[test]
fn server_defaults_answer_no_takeover_and_twelve_bits() {
    let config = DeflateConfig::server();
    let alone = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (offer, windows, server_bits, client_bits) in [
        ("permessage-deflate", "; server_max_window_bits=12", 12, 15),
        (
            "permessage-deflate; client_max_window_bits",
            "; server_max_window_bits=12; client_max_window_bits=12",
            12,
            12,
        ),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=8",
            "; server_max_window_bits=8; client_max_window_bits=9",
            8,
            9,
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=15; server_max_window_bits=14",
            "; server_max_window_bits=12; client_max_window_bits=12",
            12,
            12,
        ),
    ] {
        accepts(&config, offer, &format!("{alone}{windows}"), params(true, true, server_bits, client_bits));
    }
}

#[test]
fn every_pair_of_windows_ends_at_the_smaller_one() {
    for asked in 8..=15 {
        for wanted in 8..=15 {
            let mut config = open();
            config.server_max_window_bits = bits(wanted);
            config.client_max_window_bits = Some(bits(wanted));
            let offer =
                format!("permessage-deflate; server_max_window_bits={asked}; client_max_window_bits={asked}");
            let (agreed, answer) = config.accept(&extensions(&offer)).unwrap();
            let least = asked.min(wanted);
            assert_eq!(agreed, params(false, false, least, least), "{offer}, {wanted}");
            // The client that made this offer agrees with the server about it.
            let mut client = open();
            client.server_max_window_bits = bits(asked);
            client.client_max_window_bits = Some(bits(asked));
            assert_eq!(client.confirm(&extensions(&answer)), Ok(Some(agreed)), "{answer}");
        }
    }
}

#[test]
fn server_takes_the_first_acceptable_offer() {
    let config = open();
    for offers in [
        "permessage-deflate; unknown, permessage-deflate; client_no_context_takeover, permessage-deflate",
        "permessage-bzip2, permessage-deflate; server_max_window_bits=7, permessage-deflate; client_no_context_takeover",
    ] {
        accepts(
            &config,
            offers,
            "permessage-deflate; client_no_context_takeover",
            params(false, true, 15, 15),
        );
    }
}

#[test]
fn server_declines_offers_with_bad_repeated_or_unknown_parameters() {
    declines("");
    declines("permessage-bzip2");
    declines("x-webkit-deflate-frame");
    declines("permessage-deflate; unknown");
    declines("permessage-deflate; server_max_window_bits");
    for flag in ["server_no_context_takeover", "client_no_context_takeover"] {
        declines(&format!("permessage-deflate; {flag}=1"));
        declines(&format!("permessage-deflate; {flag}="));
        declines(&format!("permessage-deflate; {flag}; {flag}"));
    }
    for window in ["server_max_window_bits", "client_max_window_bits"] {
        for value in
            ["7", "16", "1000", "", "08", "015", "-9", "+9", "9 ", "1", "10.0", "0xa", "٩", "256", "264"]
        {
            declines(&format!("permessage-deflate; {window}={value}"));
        }
        declines(&format!("permessage-deflate; {window}=10; {window}=10"));
    }
    declines("permessage-deflate; client_max_window_bits; client_max_window_bits=10");
}

#[test]
fn client_offers_what_it_wants() {
    let mut config = open();
    assert_eq!(config.offer(), "permessage-deflate; client_max_window_bits");
    config.client_max_window_bits = None;
    assert_eq!(config.offer(), "permessage-deflate");
    config.client_max_window_bits = Some(bits(9));
    config.server_max_window_bits = bits(10);
    config.server_no_context_takeover = true;
    config.client_no_context_takeover = true;
    assert_eq!(
        config.offer(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=10; client_max_window_bits=9"
    );
}

#[track_caller]
fn confirms(config: &DeflateConfig, answer: &str, expected: Result<Option<DeflateParams>, E>) {
    assert_eq!(config.confirm(&extensions(answer)), expected, "{answer}");
}

#[test]
fn client_takes_answers_that_fit_its_offer() {
    let config = open();
    confirms(&config, "", Ok(None));
    for (answer, expected) in [
        ("permessage-deflate", params(false, false, 15, 15)),
        ("permessage-deflate; server_no_context_takeover", params(true, false, 15, 15)),
        ("permessage-deflate; client_no_context_takeover", params(false, true, 15, 15)),
        ("permessage-deflate; server_max_window_bits=10", params(false, false, 10, 15)),
        ("permessage-deflate; client_max_window_bits=8", params(false, false, 15, 8)),
        (
            "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15",
            params(false, false, 15, 15),
        ),
    ] {
        confirms(&config, answer, Ok(Some(expected)));
    }
}

#[test]
fn client_rejects_bad_windows() {
    let config = open();
    for window in ["server_max_window_bits", "client_max_window_bits"] {
        for value in ["7", "16", "1000", "", "08"] {
            let answer = format!("permessage-deflate; {window}={value}");
            confirms(&config, &answer, Err(E::InvalidParameterValue));
        }
        confirms(&config, &format!("permessage-deflate; {window}"), Err(E::InvalidParameterValue));
    }
}

#[test]
fn client_rejects_answers_beyond_its_offer() {
    let config = open();
    confirms(&config, "permessage-bzip2", Err(E::UnofferedExtension));
    confirms(&config, "permessage-deflate, permessage-bzip2", Err(E::UnofferedExtension));
    confirms(&config, "permessage-deflate, permessage-deflate", Err(E::RepeatedExtension));
    confirms(&config, "permessage-deflate; unknown", Err(E::UnofferedParameter));
    confirms(&config, "permessage-deflate; server_no_context_takeover=1", Err(E::InvalidParameterValue));
    confirms(
        &config,
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        Err(E::RepeatedParameter),
    );
    confirms(
        &config,
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        Err(E::RepeatedParameter),
    );
    let mut silent = open();
    silent.client_max_window_bits = None;
    confirms(&silent, "permessage-deflate; client_max_window_bits=10", Err(E::UnofferedParameter));
    confirms(&silent, "permessage-deflate", Ok(Some(params(false, false, 15, 15))));
}

#[test]
fn client_holds_the_server_to_the_conditions_of_its_offer() {
    let mut config = open();
    config.server_no_context_takeover = true;
    confirms(&config, "permessage-deflate", Err(E::IgnoredOffer));
    config.server_no_context_takeover = false;
    config.server_max_window_bits = bits(10);
    confirms(&config, "permessage-deflate", Err(E::IgnoredOffer));
    confirms(&config, "permessage-deflate; server_max_window_bits=11", Err(E::IgnoredOffer));
    confirms(&config, "permessage-deflate; server_max_window_bits=9", Ok(Some(params(false, false, 9, 15))));
    config.server_max_window_bits = bits(15);
    config.client_max_window_bits = Some(bits(10));
    confirms(&config, "permessage-deflate; client_max_window_bits=11", Err(E::IgnoredOffer));
    confirms(&config, "permessage-deflate", Ok(Some(params(false, false, 15, 10))));
    config.client_no_context_takeover = true;
    confirms(&config, "permessage-deflate", Ok(Some(params(false, true, 15, 10))));
}

#[test]
fn every_offer_of_ours_gets_an_answer_of_ours_that_confirms_it() {
    let flags = [false, true];
    for (a, b, c, d) in (0..16).map(|i| (flags[i & 1], flags[i >> 1 & 1], flags[i >> 2 & 1], flags[i >> 3])) {
        for client_bits in [None, Some(bits(8)), Some(bits(12)), Some(bits(15))] {
            for server_bits in [8, 12, 15].map(bits) {
                let mut client = open();
                client.server_no_context_takeover = a;
                client.client_no_context_takeover = b;
                client.server_max_window_bits = server_bits;
                client.client_max_window_bits = client_bits;
                let mut server = DeflateConfig::server();
                server.server_no_context_takeover = c;
                server.client_no_context_takeover = d;
                let offer = client.offer();
                let (mut agreed, answer) = server.accept(&extensions(&offer)).unwrap();
                // What the client does on its own is not for the server to know.
                agreed.client_no_context_takeover |= b;
                assert_eq!(client.confirm(&extensions(&answer)), Ok(Some(agreed)), "{offer} -> {answer}");
            }
        }
    }
}
