//! Permission names, wildcards, and what each matches.

mod common;

use common::{any_name, any_pattern, any_scope, naively_matches, pattern};
use pg_tenancy_unit::rbac::pattern::{Pattern, Scope, is_permission_name, is_read};
use proptest::prelude::*;

#[test]
fn names_are_lower_case_words_joined_by_dots() {
    for name in ["docs", "docs.read", "a.b.c.d", "a1.b_2", "all.read", "docs.all", "x_", "read"] {
        assert!(is_permission_name(name), "{name}");
    }
}

#[test]
fn malformed_names_are_refused() {
    let bad = [
        "",
        "all",
        ".",
        "..",
        "docs.",
        ".docs",
        "docs..read",
        "Docs.read",
        "docs.Read",
        "1docs",
        "docs.1",
        "_docs",
        "docs._x",
        "docs read",
        " docs",
        "docs\n",
        "docs-read",
        "docs:read",
        "docs.*",
        "*",
        "dócs",
        "docs.read\0",
        "ｄocs",
        "docs/read",
        "docs,read",
        "'docs'",
        "docs%",
        "docs._",
        "ſ",
    ];
    for name in bad {
        assert!(!is_permission_name(name), "{name:?}");
        assert_ne!(Pattern::parse(name), Some(Pattern::Exact(name.to_owned())), "{name:?}");
    }
}

#[test]
fn malformed_wildcards_are_no_patterns() {
    let bad = [
        "",
        "*",
        ".*",
        "**",
        "*.*",
        "*.read",
        "docs.*.read",
        "docs.*.*",
        "docs*",
        "docs.r*",
        "docs.**",
        "ALL",
        "All",
        " all",
        "all ",
        "docs.* ",
        "docs..*",
        "all\0",
        "Docs.*",
        "docs.%",
        "docs.?",
        "docs.[a]",
    ];
    for text in bad {
        assert_eq!(Pattern::parse(text), None, "{text:?}");
    }
}

#[test]
fn all_is_a_reserved_word_and_no_resource_may_be_called_so() {
    assert_eq!(Pattern::parse("all"), Some(Pattern::All));
    assert_eq!(Pattern::parse("all.*"), None);
}

#[test]
fn a_wildcard_reaches_every_depth_below_but_not_the_resource_itself() {
    let docs = pattern("docs.*");
    assert!(docs.matches("docs.read", Scope::Tenant));
    assert!(docs.matches("docs.pages.read", Scope::Tenant));
    assert!(!docs.matches("docs", Scope::Tenant));
}

#[test]
fn a_resource_whose_name_merely_starts_alike_is_not_reached() {
    for name in ["docset.read", "docs_old.read", "docs2.read", "mydocs.read", "x.docs.read"] {
        assert!(!pattern("docs.*").matches(name, Scope::Tenant), "{name}");
    }
}

#[test]
fn wildcards_never_reach_a_platform_permission() {
    for text in ["all", "platform.*"] {
        assert!(pattern(text).matches("platform.manage", Scope::Tenant), "{text}");
        assert!(!pattern(text).matches("platform.manage", Scope::Platform), "{text}");
    }
}

#[test]
fn a_platform_permission_is_held_by_its_full_name() {
    assert!(pattern("platform.manage").matches("platform.manage", Scope::Platform));
    assert!(!pattern("platform.manage").matches("platform.manage.all", Scope::Platform));
}

#[test]
fn only_names_whose_last_word_is_read_are_reads() {
    for name in ["docs.read", "a.b.read"] {
        assert!(is_read(name), "{name}");
    }
    for name in ["read", "docs.reader", "docs.unread", "docs.read_all", "docs.read.write", "read.docs"] {
        assert!(!is_read(name), "{name}");
    }
}

proptest! {
    #[test]
    fn matching_agrees_with_comparing_word_by_word(
        pattern in any_pattern(), name in any_name(), scope in any_scope(),
    ) {
        prop_assert_eq!(pattern.matches(&name, scope), naively_matches(&pattern, &name, scope));
    }

    #[test]
    fn a_pattern_is_read_back_from_its_own_text(pattern in any_pattern()) {
        prop_assert_eq!(Pattern::parse(&pattern.to_string()), Some(pattern));
    }

    #[test]
    fn whatever_text_is_read_as_a_pattern_prints_as_it_stood(text in "\\PC{0,12}|[a-c_.*0]{0,8}") {
        if let Some(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(pattern.to_string(), text);
        }
    }
}
