//! Reading uuids as Postgres reads them.

use pg_tenancy_unit::rbac::{Id, format_id, parse_id};
use proptest::prelude::*;

const CANONICAL: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

#[test]
fn the_forms_in_postgres_documentation_are_one_uuid() {
    let forms = [
        CANONICAL,
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
    ];
    for text in forms {
        assert_eq!(parse_id(text).map(|id| format_id(&id)).as_deref(), Some(CANONICAL), "{text}");
    }
}

#[test]
fn what_postgres_refuses_is_refused() {
    let bad = [
        "",
        "{}",
        "{",
        "}",
        "null",
        "1",
        "11111111-1111-1111-1111-111111111111 ",
        " 11111111-1111-1111-1111-111111111111",
        "11111111-1111-1111-1111-111111111111\n",
        "11111111-1111-1111-1111-111111111111\0",
        "11111111-1111-1111-1111-11111111111",
        "11111111-1111-1111-1111-1111111111111",
        "11111111-1111-1111-1111-11111111111g",
        "11111111--1111-1111-1111-111111111111",
        "-11111111-1111-1111-1111-111111111111",
        "11111111-1111-1111-1111-111111111111-",
        "11-111111-1111-1111-1111-111111111111",
        "111-11111-1111-1111-1111-111111111111",
        "{11111111-1111-1111-1111-111111111111",
        "11111111-1111-1111-1111-111111111111}",
        "{{11111111-1111-1111-1111-111111111111}}",
        "{11111111-1111-1111-1111-111111111111}}",
        "{-11111111-1111-1111-1111-111111111111}",
        "(11111111-1111-1111-1111-111111111111)",
        "urn:uuid:11111111-1111-1111-1111-111111111111",
        "0x111111111111111111111111111111",
        "+1111111-1111-1111-1111-111111111111",
        "１１１１１１１１-1111-1111-1111-111111111111",
        "11111111\u{2010}1111-1111-1111-111111111111",
        "' or true --",
    ];
    for text in bad {
        assert_eq!(parse_id(text), None, "{text:?}");
    }
}

#[test]
fn a_megabyte_of_digits_is_refused() {
    assert_eq!(parse_id(&"1".repeat(1 << 20)), None);
    assert_eq!(parse_id(&"1111-".repeat(1 << 18)), None);
}

/// `string_to_uuid` of Postgres, statement by statement, over text without NUL.
fn uuid_in(text: &str) -> Option<Id> {
    let at = |i: usize| text.as_bytes().get(i).copied().unwrap_or(0);
    let mut src = 0;
    let braces = at(0) == b'{';
    if braces {
        src += 1;
    }
    let mut id: Id = [0; 16];
    for (i, byte) in id.iter_mut().enumerate() {
        if !at(src).is_ascii_hexdigit() || !at(src + 1).is_ascii_hexdigit() {
            return None;
        }
        *byte = u8::from_str_radix(text.get(src..src + 2)?, 16).ok()?;
        src += 2;
        if at(src) == b'-' && i % 2 == 1 && i < 15 {
            src += 1;
        }
    }
    if braces {
        if at(src) != b'}' {
            return None;
        }
        src += 1;
    }
    (src == text.len()).then_some(id)
}

/// Texts near the accepted ones: dashes in random places, braces or half of them, one edit.
fn near_uuid() -> impl Strategy<Value = String> {
    let group = ("[0-9a-fA-F]{4}", prop::bool::ANY).prop_map(
        |(digits, dash)| {
            if dash { digits + "-" } else { digits }
        },
    );
    let braces = prop::sample::select(vec![("", ""), ("{", "}"), ("{", ""), ("", "}")]);
    let edit = prop::option::of((any::<prop::sample::Index>(), "[0-9a-f{} g-]{0,2}"));
    (prop::collection::vec(group, 8), "[0-9a-f]{0,4}", braces, edit).prop_map(
        |(groups, tail, braces, edit)| {
            let body = groups.concat();
            // Half of them well-formed: no dash or tail after the last group.
            let body = if tail.len() < 2 { body.trim_end_matches('-').to_owned() } else { body + &tail };
            let mut text = format!("{}{body}{}", braces.0, braces.1);
            if let Some((index, new)) = edit {
                let at = index.index(text.len());
                text.replace_range(at..=at, &new);
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_near_a_uuid_is_read_as_postgres_reads_it(text in near_uuid()) {
        prop_assert_eq!(parse_id(&text), uuid_in(&text), "{}", text);
    }

    #[test]
    fn whatever_is_nowhere_near_a_uuid_is_read_as_postgres_reads_it(text in "\\PC{0,48}") {
        prop_assert_eq!(parse_id(&text), uuid_in(&text), "{}", text);
    }

    #[test]
    fn the_canonical_text_is_read_back(id in any::<[u8; 16]>()) {
        let text = format_id(&id);
        prop_assert_eq!(text.len(), 36);
        prop_assert_eq!(parse_id(&text), Some(id));
    }
}
