//! Paths into claims, with keys that hold dots themselves.

use pg_tenancy_unit::claims::path::{find, first, list};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn a_dotted_path_descends() {
    let value = json!({"app_metadata": {"tenant_id": "t"}, "tenant_id": "u"});
    assert_eq!(find(&value, "app_metadata.tenant_id"), Some(&json!("t")));
    assert_eq!(find(&value, "tenant_id"), Some(&json!("u")));
}

#[test]
fn a_path_that_leads_nowhere_finds_nothing() {
    let value = json!({"a": {"b": 1}, "c": [1, {"d": 2}], "s": "text", "n": null});
    for path in
        ["", ".", "..", "b", "a.b.c", "a.", ".a", "a..b", "a.c", "c.0", "c.1.d", "s.len", "n.x", "A.b"]
    {
        assert_eq!(find(&value, path), None, "{path:?}");
    }
}

#[test]
fn only_objects_have_members() {
    for value in [json!(null), json!(1), json!("a"), json!(["a"])] {
        assert_eq!(find(&value, "a"), None);
    }
}

#[test]
fn a_key_may_be_a_url() {
    let value = json!({"https://example.com/tenant": "t", "https://example.com/app": {"v1.id": "u"}});
    assert_eq!(find(&value, "https://example.com/tenant"), Some(&json!("t")));
    assert_eq!(find(&value, "https://example.com/app.v1.id"), Some(&json!("u")));
}

#[test]
fn the_longest_reading_of_a_key_is_tried_first() {
    let value = json!({"a.b.c": 1, "a.b": {"c": 2}, "a": {"b.c": 3, "b": {"c": 4}}});
    let without = |keys: &[&str]| {
        let mut value = value.clone();
        keys.iter().for_each(|key| drop(value.as_object_mut().and_then(|members| members.remove(*key))));
        find(&value, "a.b.c").cloned()
    };
    assert_eq!(without(&[]), Some(json!(1)));
    assert_eq!(without(&["a.b.c"]), Some(json!(2)));
    assert_eq!(without(&["a.b.c", "a.b"]), Some(json!(3)));
}

#[test]
fn a_longer_key_that_leads_nowhere_does_not_hide_a_shorter_one() {
    let value = json!({"a.b": {"x": 1}, "a": {"b": {"c": 2}}});
    assert_eq!(find(&value, "a.b.c"), Some(&json!(2)));
}

#[test]
fn empty_keys_are_keys() {
    let value = json!({"": {"": 1}});
    assert_eq!(find(&value, ""), Some(&json!({"": 1})));
    assert_eq!(find(&value, "."), Some(&json!(1)));
}

#[test]
fn a_path_of_a_hundred_thousand_dots_ends() {
    assert_eq!(find(&json!({"a": {"a": 1}}), &"a.".repeat(100_000)), None);
    assert_eq!(find(&json!({"a": {"a": 1}}), &".".repeat(100_000)), None);
}

#[test]
fn a_list_of_paths_ignores_blanks_and_empty_entries() {
    assert_eq!(list(" app_metadata.tenant_id ,tenant_id,, ,"), ["app_metadata.tenant_id", "tenant_id"]);
    assert!(list("").is_empty() && list(" , ").is_empty());
}

#[test]
fn the_first_path_that_is_present_decides_and_null_is_absent() {
    let paths = list("a.b,c");
    assert_eq!(first(&json!({"a": {"b": 1}, "c": 2}), &paths), Some(&json!(1)));
    assert_eq!(first(&json!({"a": {"b": null}, "c": 2}), &paths), Some(&json!(2)));
    assert_eq!(first(&json!({"a": {"b": ""}, "c": 2}), &paths), Some(&json!("")));
    assert_eq!(first(&json!({"a": {"b": false}, "c": 2}), &paths), Some(&json!(false)));
    assert_eq!(first(&json!({"a": null, "c": null}), &paths), None);
    assert_eq!(first(&json!({"c": 2}), &[]), None);
}

/// Objects over keys that overlap when joined with dots.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = (0..9i32).prop_map(Value::from);
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key =
            prop::sample::select(vec!["a", "b", "a.b", "a.a", "b.a", "a.b.a", ""]).prop_map(str::to_owned);
        prop::collection::hash_map(key, inner, 0..5)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    })
}

/// Every path there is, with the lengths of its keys: the greatest in that order is the one to find.
fn leads<'v>(value: &'v Value, path: &str, keys: &[usize], all: &mut Vec<(Vec<usize>, &'v Value)>) {
    for (key, member) in value.as_object().into_iter().flatten() {
        let keys = [keys, &[key.len()]].concat();
        if key == path {
            all.push((keys, member));
        } else if let Some(rest) = path.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('.')) {
            leads(member, rest, &keys, all);
        }
    }
}

proptest! {
    #[test]
    fn what_is_found_is_the_longest_reading_of_all_there_are(
        value in any_value(), parts in prop::collection::vec(prop::sample::select(vec!["a", "b", ""]), 1..6),
    ) {
        let path = parts.join(".");
        let mut all = Vec::new();
        leads(&value, &path, &[], &mut all);
        let longest = all.into_iter().max_by(|a, b| a.0.cmp(&b.0)).map(|(_, found)| found);
        prop_assert_eq!(find(&value, &path), longest);
    }
}
