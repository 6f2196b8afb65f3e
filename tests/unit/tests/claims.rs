//! Claims as text: what is refused, whatever it holds, and that nothing panics.

mod common;

use common::token;
use pg_tenancy_unit::claims::{Claims, MAX_BYTES};
use proptest::prelude::*;

fn is_malformed(raw: &[u8]) -> bool {
    matches!(Claims::parse(raw), Claims::Malformed(_))
}

#[test]
fn the_empty_string_that_postgrest_leaves_behind_is_unset() {
    assert_eq!(Claims::parse(b""), Claims::Unset);
    assert!(Claims::parse(b"").token().is_none());
}

#[test]
fn what_is_not_json_is_malformed() {
    let bad = [
        " ",
        "{",
        "}",
        "{}{}",
        "{}x",
        "{'sub':'x'}",
        "{sub:1}",
        "{\"sub\":}",
        "{\"a\":1,}",
        "undefined",
        "NaN",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":0x1}",
        "{\"a\":1e999}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\n\"}",
        "\u{feff}{}",
        "// c\n{}",
        "eyJhbGciOiJIUzI1NiJ9.e30.x",
    ];
    for raw in bad {
        assert!(is_malformed(raw.as_bytes()), "{raw:?}");
    }
}

#[test]
fn json_that_is_not_an_object_is_malformed() {
    for raw in ["null", "true", "1", "\"sub\"", "[]", "[{\"sub\":\"x\"}]"] {
        assert!(is_malformed(raw.as_bytes()), "{raw}");
    }
}

#[test]
fn an_empty_object_is_a_token_that_says_nothing() {
    for raw in ["{}", " {} ", "\t{\n}\r\n"] {
        assert_eq!(token(raw).text("sub"), None, "{raw:?}");
    }
}

#[test]
fn invalid_utf8_is_malformed() {
    let bad: [&[u8]; 7] = [
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\xc3\"}",
        b"{\"a\":\"\xc0\x80\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"{\"a\":\"\xf4\x90\x80\x80\"}",
        b"{\"\xff\":1}",
        b"\xff\xfe{\0}\0",
    ];
    for raw in bad {
        assert!(is_malformed(raw), "{raw:x?}");
    }
}

#[test]
fn lone_surrogates_are_malformed_and_pairs_are_not() {
    for text in [r"\ud800", r"\udc00", r"\ud800x", r"\ud800\ud800", r"\udc00\ud800", r"\ud83d\u0041"] {
        assert!(is_malformed(format!(r#"{{"sub":"{text}"}}"#).as_bytes()), "{text}");
        assert!(is_malformed(format!(r#"{{"{text}":1}}"#).as_bytes()), "{text} as key");
    }
    assert_eq!(token(r#"{"a":"\ud83d\ude00"}"#).text("a"), Some("😀"));
}

#[test]
fn nul_is_malformed_wherever_it_stands() {
    let bad = [
        r#"{"a":"\u0000"}"#,
        r#"{"a":"x\u0000y"}"#,
        r#"{"\u0000":1}"#,
        r#"{"a":["b",{"c":"\u0000"}]}"#,
        r#"{"a":{"b\u0000":1}}"#,
        "{\"a\":\"\0\"}",
        "{\"a\":1}\0",
        "\0",
    ];
    for raw in bad {
        assert!(is_malformed(raw.as_bytes()), "{raw:?}");
    }
    // Six characters of text, not the character.
    assert_eq!(token(r#"{"a":"\\u0000"}"#).text("a"), Some(r"\u0000"));
}

#[test]
fn claims_of_the_greatest_length_are_read_and_longer_ones_are_not() {
    let sized = |len: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(len - 8));
    assert_eq!(sized(MAX_BYTES).len(), MAX_BYTES);
    assert!(Claims::parse(sized(MAX_BYTES).as_bytes()).token().is_some());
    assert!(is_malformed(sized(MAX_BYTES + 1).as_bytes()));
    assert!(is_malformed(&vec![b' '; 64 << 20]));
}

#[test]
fn nesting_is_refused_before_it_can_exhaust_the_stack() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth))
    };
    let parse_all = move || {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            assert!(Claims::parse(nested(open, close, 100).as_bytes()).token().is_some(), "{open}");
            assert!(is_malformed(nested(open, close, 1_000).as_bytes()), "{open}");
            assert!(is_malformed(nested(open, close, 150_000).as_bytes()), "{open}");
        }
        assert!(is_malformed("[".repeat(MAX_BYTES).as_bytes()));
        // Nul at the greatest depth is still found.
        assert!(is_malformed(nested("[", "]", 100).replace('1', r#""\u0000""#).as_bytes()));
    };
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(parse_all);
    assert!(thread.is_ok_and(|thread| thread.join().is_ok()));
}

#[test]
fn of_duplicate_keys_the_last_counts_as_in_jsonb() {
    assert_eq!(token(r#"{"a":"x","a":"y"}"#).text("a"), Some("y"));
    assert_eq!(token(r#"{"a":"x","a":null}"#).text("a"), None);
    assert_eq!(token(r#"{"a":"x","\u0061":"y"}"#).text("a"), Some("y"));
    // An object replaces the earlier one whole.
    assert_eq!(token(r#"{"m":{"t":"x"},"m":{"u":1}}"#).find("m.t"), None);
}

#[test]
fn a_string_is_read_only_from_a_string_of_the_top_level() {
    for raw in [r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":["x"]}"#, r#"{"a":{"a":"x"}}"#, r#"{"A":"x"}"#] {
        assert_eq!(token(raw).text("a"), None, "{raw}");
    }
}

#[test]
fn the_reason_for_a_refusal_repeats_nothing_of_the_claims() {
    for raw in ["{\"secretvalue\":", "\"secretvalue\"", r#"{"secretvalue":"\u0000"}"#] {
        match Claims::parse(raw.as_bytes()) {
            Claims::Malformed(reason) => assert!(!reason.contains("secretvalue"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Claims::parse(&raw);
    }

    #[test]
    fn no_near_json_makes_the_parser_panic(raw in r#"[{}\[\]:,"\\ua0d8e.+\-1 ]{0,60}"#) {
        if let Claims::Token(token) = Claims::parse(raw.as_bytes()) {
            prop_assert!(token.value().is_object());
        }
    }

    #[test]
    fn one_flipped_byte_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut raw = br#"{"sub":"a0eebc99-9c0b-4ef8","exp":1e9,"app_metadata":{"x":[1]}}"#.to_vec();
        let at = at.index(raw.len());
        raw[at] = byte;
        if let Claims::Token(token) = Claims::parse(&raw) {
            let _ = (token.validity(0, true), token.find("app_metadata.x"));
        }
    }
}
