//! What a player publishes -> what the player wants: `{"name":"Ana"}` boards, `[12,127,-40,false]` steers.

use serde::Deserialize;
use vaiven_arena::Input;
use vaiven_hub::Data;

/// The most characters of a name.
const MAX_NAME_CHARS: usize = 24;

/// What a player wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A boat, under this name; or another name for the boat.
    Board(String),
    /// To lay the helm: number, to the right, downwards, whether to dash.
    Steer(Input),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Steer(u8, i8, i8, bool),
    Board { name: String },
}

impl Order {
    /// The order, unless it is none.
    pub(super) fn parse(data: &Data) -> Option<Self> {
        let Data::Json(json) = data else { return None };
        match serde_json::from_slice(json).ok()? {
            Said::Steer(number, x, y, dash) => Some(Self::Steer(Input { number, x, y, dash })),
            Said::Board { name } => Some(Self::Board(tidy(&name))),
        }
    }
}

/// A name as it can be shown: one line, and not long.
fn tidy(name: &str) -> String {
    let visible = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_NAME_CHARS).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Option<&Order>) {
        assert_eq!(Order::parse(&Data::Json(json.to_owned().into())).as_ref(), expected, "{json}");
    }

    #[test]
    fn orders_are_read() {
        let input = Input { number: 12, x: 127, y: -128, dash: true };
        check("[12,127,-128,true]", Some(&Order::Steer(input)));
        check(r#"{"name":"Ana"}"#, Some(&Order::Board("Ana".into())));
        check(r#"{"name":" A\u0000\n\tna  B "}"#, Some(&Order::Board("A na B".into())));
        check(&format!(r#"{{"name":"{}"}}"#, "ñ".repeat(40)), Some(&Order::Board("ñ".repeat(24))));
    }

    #[test]
    fn what_is_no_order_is_none() {
        for json in [
            "null",
            "1",
            "[]",
            "[1,2,3]",
            "[256,0,0,false]",
            "[-1,0,0,false]",
            "[1,128,0,false]",
            "[1,0,-129,false]",
            "[1,0.5,0,false]",
            "[1,1e99,0,false]",
            "[1,0,0,1]",
            "[1,0,0,false,2]",
            "{}",
            r#"{"name":7}"#,
            r#""Ana""#,
        ] {
            check(json, None);
        }
        assert_eq!(Order::parse(&Data::Binary("[1,0,0,false]".into())), None);
    }
}
