//! Who a token says is asking.

mod common;

use common::{pattern, token};
use pg_tenancy_unit::claims::path::list;
use pg_tenancy_unit::claims::principal::{ClaimPaths, Hint, Principal};
use pg_tenancy_unit::rbac::grants::OperatorAccess;
use pg_tenancy_unit::rbac::{Id, parse_id};

const USER: &str = "11111111-1111-1111-1111-111111111111";
const TENANT: &str = "22222222-2222-2222-2222-222222222222";

fn uuid(text: &str) -> Id {
    parse_id(text).expect("a uuid")
}

fn read(json: &str) -> Principal {
    let paths = ClaimPaths {
        tenant: list("app_metadata.tenant_id, tenant_id"),
        permission: list("app_metadata.perms, user_permissions"),
    };
    Principal::read(&token(json), &paths)
}

#[test]
fn an_empty_token_is_nobody() {
    let nobody = read("{}");
    assert_eq!((nobody.user, nobody.tenant, nobody.role, nobody.operator), (None, Hint::Absent, None, None));
    assert!(nobody.permissions.is_empty() && nobody.tenants.is_empty());
}

#[test]
fn the_user_is_sub() {
    assert_eq!(read(&format!(r#"{{"sub":"{USER}"}}"#)).user, Some(uuid(USER)));
    assert_eq!(read(&format!(r#"{{"s\u0075b":"{USER}"}}"#)).user, Some(uuid(USER)));
}

#[test]
fn a_sub_that_is_no_uuid_is_nobody() {
    for sub in [
        "null",
        "1",
        "true",
        "\"\"",
        "\"null\"",
        "\"auth0|5f7c8ec7c33c6c004bbafe82\"",
        "\"1111\"",
        "[\"11111111-1111-1111-1111-111111111111\"]",
        "{\"id\":\"11111111-1111-1111-1111-111111111111\"}",
        "\" 11111111-1111-1111-1111-111111111111\"",
        "\"11111111-1111-1111-1111-111111111111,x\"",
    ] {
        assert_eq!(read(&format!(r#"{{"sub":{sub}}}"#)).user, None, "{sub}");
    }
}

#[test]
fn a_huge_sub_is_nobody() {
    assert_eq!(read(&format!(r#"{{"sub":"{}"}}"#, "1".repeat(1_000_000))).user, None);
}

#[test]
fn a_key_that_only_resembles_sub_is_not_sub() {
    for key in ["SUB", "Sub", " sub", "sub ", "sub.x", "user_id", "ѕub"] {
        assert_eq!(read(&format!(r#"{{"{key}":"{USER}"}}"#)).user, None, "{key}");
    }
    assert_eq!(read(&format!(r#"{{"user_metadata":{{"sub":"{USER}"}}}}"#)).user, None);
}

#[test]
fn of_two_subs_the_last_counts_even_if_it_is_bad() {
    assert_eq!(read(&format!(r#"{{"sub":"{TENANT}","sub":"{USER}"}}"#)).user, Some(uuid(USER)));
    assert_eq!(read(&format!(r#"{{"sub":"{USER}","sub":"x"}}"#)).user, None);
    assert_eq!(read(&format!(r#"{{"sub":"{USER}","sub":null}}"#)).user, None);
}

#[test]
fn the_tenant_is_named_by_the_first_path_that_is_present() {
    let json = format!(r#"{{"app_metadata":{{"tenant_id":"{TENANT}"}},"tenant_id":"{USER}"}}"#);
    assert_eq!(read(&json).tenant, Hint::Tenant(uuid(TENANT)));
    assert_eq!(read(&format!(r#"{{"tenant_id":"{TENANT}"}}"#)).tenant, Hint::Tenant(uuid(TENANT)));
}

#[test]
fn a_tenant_that_is_named_badly_is_named_and_the_next_path_is_not_asked() {
    for bad in [
        "true",
        "[]",
        "{}",
        "[\"22222222-2222-2222-2222-222222222222\"]",
        "1.0",
        "1e3",
        "9223372036854775808",
    ] {
        let json = format!(r#"{{"app_metadata":{{"tenant_id":{bad}}},"tenant_id":"{TENANT}"}}"#);
        assert_eq!(read(&json).tenant, Hint::Unreadable, "{bad}");
        assert_eq!(read(&json).tenant.id(), None, "{bad}");
    }
}

#[test]
fn a_tenant_named_by_a_text_or_number_that_is_no_uuid_is_named_by_its_key() {
    for (value, key) in [("\"\"", ""), ("\"acme\"", "acme"), ("42", "42"), ("-7", "-7"), ("\"042\"", "042")] {
        let json = format!(r#"{{"app_metadata":{{"tenant_id":{value}}},"tenant_id":"{TENANT}"}}"#);
        assert_eq!(read(&json).tenant, Hint::Key(key.to_owned()), "{value}");
        assert_eq!(read(&json).tenant.id(), None, "{value}");
    }
}

#[test]
fn a_tenant_of_null_is_not_named() {
    let json = format!(r#"{{"app_metadata":{{"tenant_id":null}},"tenant_id":"{TENANT}"}}"#);
    assert_eq!(read(&json).tenant, Hint::Tenant(uuid(TENANT)));
    assert_eq!(read(r#"{"tenant_id":null}"#).tenant, Hint::Absent);
}

#[test]
fn metadata_that_is_no_object_names_no_tenant() {
    for bad in ["null", "\"x\"", "1", "[]", "[{\"tenant_id\":\"22222222-2222-2222-2222-222222222222\"}]"] {
        assert_eq!(read(&format!(r#"{{"app_metadata":{bad}}}"#)).tenant, Hint::Absent, "{bad}");
    }
}

#[test]
fn metadata_that_users_edit_themselves_is_never_read() {
    let own =
        format!(r#""tenant_id":"{TENANT}","tenants":["{TENANT}"],"perms":["all"],"tenant_access":"write""#);
    let json = format!(r#"{{"user_metadata":{{"sub":"{USER}","role":"x",{own}}}}}"#);
    assert_eq!(read(&json), read("{}"));
}

#[test]
fn a_hint_from_a_setting_or_header_is_an_id_or_a_key() {
    assert_eq!(Hint::parse(TENANT), Hint::Tenant(uuid(TENANT)));
    for text in ["", "acme", "null", "22222222-2222-2222-2222-22222222222Z"] {
        assert_eq!(Hint::parse(text), Hint::Key(text.to_owned()), "{text:?}");
    }
}

#[test]
fn permissions_are_the_strings_of_a_list_that_are_patterns() {
    let perms = r#"["docs.read","docs.*","all",1,null,true,{"a":"all"},["all"],"","*","Docs.x"]"#;
    let json = format!(r#"{{"app_metadata":{{"perms":{perms}}}}}"#);
    assert_eq!(read(&json).permissions, ["docs.read", "docs.*", "all"].map(pattern));
}

#[test]
fn permissions_that_are_not_a_list_are_none() {
    for bad in ["\"all\"", "{\"0\":\"all\"}", "1", "true", "\"docs.read,all\"", "[[\"all\"]]"] {
        let json = format!(r#"{{"app_metadata":{{"perms":{bad}}},"user_permissions":["all"]}}"#);
        assert!(read(&json).permissions.is_empty(), "{bad}");
    }
}

#[test]
fn permissions_of_the_second_path_count_only_without_the_first() {
    assert_eq!(read(r#"{"user_permissions":["docs.read"]}"#).permissions, [pattern("docs.read")]);
    assert!(read(r#"{"app_metadata":{"perms":[]},"user_permissions":["all"]}"#).permissions.is_empty());
}

#[test]
fn the_role_is_a_string_or_none() {
    assert_eq!(read(r#"{"role":"authenticated"}"#).role.as_deref(), Some("authenticated"));
    for bad in ["null", "1", "[\"postgres\"]", "{}"] {
        assert_eq!(read(&format!(r#"{{"role":{bad}}}"#)).role, None, "{bad}");
    }
}

#[test]
fn operator_access_is_read_from_its_two_words_only() {
    let access = |value: &str| read(&format!(r#"{{"app_metadata":{{"tenant_access":{value}}}}}"#)).operator;
    assert_eq!(access("\"read\""), Some(OperatorAccess::Read));
    assert_eq!(access("\"write\""), Some(OperatorAccess::Write));
    for bad in ["null", "true", "1", "\"\"", "\"WRITE\"", "\"admin\"", "[\"write\"]", "{\"write\":true}"] {
        assert_eq!(access(bad), None, "{bad}");
    }
}

#[test]
fn listed_tenants_are_the_uuids_of_the_list() {
    let json =
        format!(r#"{{"app_metadata":{{"tenants":["{TENANT}","x",1,null,{{"id":"{USER}"}},"{USER}"]}}}}"#);
    assert_eq!(read(&json).tenants, [TENANT, USER].map(uuid));
    assert!(read(&format!(r#"{{"app_metadata":{{"tenants":"{TENANT}"}}}}"#)).tenants.is_empty());
}

#[test]
fn ten_thousand_listed_tenants_and_permissions_are_read() {
    let tenants: Vec<String> = (0..10_000).map(|n| format!("\"22222222-2222-2222-2222-{n:012}\"")).collect();
    let perms: Vec<String> = (0..10_000).map(|n| format!("\"docs.action_{n}\"")).collect();
    let json =
        format!(r#"{{"app_metadata":{{"tenants":[{}],"perms":[{}]}}}}"#, tenants.join(","), perms.join(","));
    let principal = read(&json);
    assert_eq!((principal.tenants.len(), principal.permissions.len()), (10_000, 10_000));
}

#[test]
fn without_paths_a_token_names_no_tenant_and_no_permission() {
    let json = format!(r#"{{"sub":"{USER}","tenant_id":"{TENANT}","user_permissions":["all"]}}"#);
    let principal = Principal::read(&token(&json), &ClaimPaths::default());
    assert_eq!((principal.user, principal.tenant), (Some(uuid(USER)), Hint::Absent));
    assert!(principal.permissions.is_empty());
}

#[test]
fn a_subject_is_text_as_it_is_or_a_whole_number() {
    let subject = |sub: &str| read(&format!(r#"{{"sub":{sub}}}"#)).subject;
    for (sub, expected) in [("\"17\"", "17"), ("17", "17"), ("-17", "-17"), ("0", "0"), ("\"a|b \"", "a|b ")]
    {
        assert_eq!(subject(sub).as_deref(), Some(expected), "{sub}");
    }
    assert_eq!(subject("9223372036854775808").as_deref(), Some("9223372036854775808"));
    assert_eq!(subject(&format!("\"{}\"", "x".repeat(1024))).map(|subject| subject.len()), Some(1024));
    for sub in ["17.0", "1e1", "-0", "18446744073709551616", "null", "true", "[1]", "{}", "\"\""] {
        assert_eq!(subject(sub), None, "{sub}");
    }
    assert_eq!(subject(&format!("\"{}\"", "x".repeat(1025))), None);
    // A uuid is one too; whether it is a user is decided elsewhere.
    assert_eq!(subject(&format!("\"{USER}\"")).as_deref(), Some(USER));
    assert_eq!(read("{}").subject, None);
}
