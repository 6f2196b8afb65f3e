//! The access-token hook's event: ours is put in, the rest goes through as it was written.

use pg_tenancy_unit::claims::event::{Event, Unusable};
use serde_json::{Map, Value, json};

const KEYS: [&str; 2] = ["tenant_id", "perms"];

fn own() -> Map<String, Value> {
    json!({"tenant_id": "t", "perms": ["docs.read"]}).as_object().cloned().expect("an object")
}

fn amended(event: &str) -> Result<String, Unusable> {
    Event::parse(event)?.with(&KEYS, own(), None)
}

const USER: &str = "00000000-0000-4000-8000-000000000001";

#[test]
fn ours_replaces_what_the_token_said() {
    let event = format!(
        r#"{{"user_id":"{USER}","claims":{{"app_metadata":{{"tenant_id":"forged","provider":"email"}},"sub":"x"}}}}"#
    );
    let answer: Value = serde_json::from_str(&amended(&event).expect("usable")).expect("JSON");
    assert_eq!(
        answer["claims"]["app_metadata"],
        json!({"tenant_id": "t", "perms": ["docs.read"], "provider": "email"})
    );
    assert_eq!(answer["claims"]["sub"], "x");
}

#[test]
fn keys_of_ours_that_the_user_has_no_more_go() {
    let event = format!(
        r#"{{"user_id":"{USER}","claims":{{"app_metadata":{{"tenant_id":"old","perms":["all"]}}}}}}"#
    );
    let answer = Event::parse(&event).expect("usable").with(&KEYS, Map::new(), None).expect("usable");
    assert!(!answer.contains("old") && !answer.contains("all"), "{answer}");
}

#[test]
fn what_is_not_ours_keeps_its_spelling() {
    let number = "123456789012345678901234567890.12345678901234567890";
    let event = format!(
        r#"{{"user_id":"{USER}","claims":{{"exp":{number},"app_metadata":{{"n":{number},"é":"\u00e9"}}}},"z":{number}}}"#
    );
    let answer = amended(&event).expect("usable");
    assert_eq!(answer.matches(number).count(), 3, "{answer}");
    assert!(answer.contains(r#""é":"\u00e9""#), "{answer}");
}

#[test]
fn a_token_without_app_metadata_gets_some() {
    for metadata in ["", r#","app_metadata":null"#] {
        let event = format!(r#"{{"user_id":"{USER}","claims":{{"sub":"x"{metadata}}}}}"#);
        assert!(amended(&event).expect("usable").contains(r#""tenant_id":"t""#));
    }
}

#[test]
fn permissions_at_the_top_level_only_if_asked_for() {
    let event = format!(r#"{{"user_id":"{USER}","claims":{{}}}}"#);
    assert!(!amended(&event).expect("usable").contains("user_permissions"));
    let listed = Event::parse(&event).expect("usable").with(&KEYS, own(), Some(vec!["docs.read".to_owned()]));
    let answer: Value = serde_json::from_str(&listed.expect("usable")).expect("JSON");
    assert_eq!(answer["claims"]["user_permissions"], json!(["docs.read"]));
}

#[test]
fn hostile_events_are_unusable() {
    let deep = format!(r#"{{"user_id":"{USER}","claims":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for (event, expected) in [
        ("", Unusable::Shape),
        ("null", Unusable::Shape),
        ("[]", Unusable::Shape),
        ("{}", Unusable::Shape),
        (r#"{"user_id":"x"}"#, Unusable::Shape),
        (r#"{"user_id":"x","claims":[]}"#, Unusable::Shape),
        (r#"{"user_id":1,"claims":{}}"#, Unusable::User),
        (r#"{"user_id":"x","claims":{}}"#, Unusable::User),
        (deep.as_str(), Unusable::Shape),
    ] {
        assert_eq!(amended(event).expect_err("unusable"), expected);
    }
    for metadata in ["[]", "1", "\"x\"", "true"] {
        let event = format!(r#"{{"user_id":"{USER}","claims":{{"app_metadata":{metadata}}}}}"#);
        assert_eq!(amended(&event), Err(Unusable::Metadata));
    }
}

#[test]
fn of_a_key_twice_the_last_counts() {
    let other = USER.replace('1', "2");
    let event = format!(r#"{{"user_id":"{USER}","user_id":"{other}","claims":{{}}}}"#);
    let event = Event::parse(&event).expect("usable");
    assert_eq!(event.user()[15], 2);
}

#[test]
fn a_token_made_from_a_stale_row_is_told() {
    let stale = |metadata: &str| {
        let event = format!(r#"{{"user_id":"{USER}","claims":{{"app_metadata":{metadata}}}}}"#);
        Event::parse(&event).expect("usable").is_stale(&KEYS, &own()).expect("an object")
    };
    assert!(!stale(r#"{"perms":["docs.read"],"tenant_id":"t","provider":"email"}"#));
    for metadata in
        ["null", "{}", r#"{"tenant_id":"t"}"#, r#"{"tenant_id":"t","perms":["docs.read","docs.edit"]}"#]
    {
        assert!(stale(metadata), "{metadata}");
    }
    let nobody = Event::parse(&format!(r#"{{"user_id":"{USER}","claims":{{}}}}"#)).expect("usable");
    assert_eq!(nobody.is_stale(&KEYS, &Map::new()), Ok(false));
}
