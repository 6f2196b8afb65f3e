//! Claims in a setting each.

use pg_tenancy_unit::claims::legacy::{compose, names};
use pg_tenancy_unit::claims::{Claims, MAX_BYTES};
use serde_json::json;

fn settings(list: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn token(list: &[(&str, &str)]) -> Claims {
    Claims::parse(&compose(&settings(list)))
}

#[test]
fn nothing_set_is_no_token() {
    assert_eq!(token(&[]), Claims::Unset);
    assert_eq!(token(&[("sub", ""), ("role", "")]), Claims::Unset);
}

#[test]
fn strings_are_taken_as_they_are_and_the_rest_is_json() {
    let claims = token(&[
        ("sub", "true"),
        ("role", "\"quoted\""),
        ("exp", "17"),
        ("app_metadata", r#"{"tenant_id": "t"}"#),
        ("workspace", "plain"),
    ]);
    let value = claims.token().expect("a token").value().clone();
    assert_eq!(
        value,
        json!({"sub": "true", "role": "\"quoted\"", "exp": 17, "app_metadata": {"tenant_id": "t"}, "workspace": "plain"})
    );
}

#[test]
fn an_expiry_that_is_no_number_is_no_expiry_to_trust() {
    let claims = token(&[("sub", "x"), ("exp", "tomorrow")]);
    let validity = claims.token().expect("a token").validity(0, false);
    assert_eq!(validity, pg_tenancy_unit::claims::validity::Validity::Unreadable);
}

#[test]
fn what_cannot_be_a_claim_makes_the_token_malformed() {
    let long = "x".repeat(MAX_BYTES + 1);
    assert!(matches!(token(&[("sub", &long)]), Claims::Malformed(_)));
    let invalid = vec![("sub".to_owned(), vec![0xff])];
    assert!(matches!(Claims::parse(&compose(&invalid)), Claims::Malformed(_)));
}

#[test]
fn paths_name_more_settings() {
    let paths = ["app_metadata.tenant_id".to_owned(), "workspace_id".to_owned(), "org.id".to_owned()];
    let names = names(&paths);
    assert!(
        ["sub", "exp", "app_metadata", "workspace_id", "org"]
            .iter()
            .all(|n| names.contains(&(*n).to_owned()))
    );
    assert_eq!(names.iter().filter(|name| *name == "app_metadata").count(), 1);
}
