//! E-mail addresses, domains and patterns.

use pg_tenancy_unit::email::pattern::{self, Problem};
use pg_tenancy_unit::email::{domain_of, is_domain, matches};
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn by_domain(address: &str, domains: &[&str]) -> bool {
    matches(address.as_bytes(), domains.iter().map(|domain| domain.as_bytes()), None)
}

fn by_pattern(address: &str, pattern: &str) -> bool {
    matches(address.as_bytes(), std::iter::empty(), Some(pattern.as_bytes()))
}

#[test]
fn a_domain_is_two_labels_at_least() {
    for good in ["example.com", "EXAMPLE.Com", "a.b", "mail.example.co.uk", "xn--bcher-kva.example", "3m.com"]
    {
        assert!(is_domain(good.as_bytes()), "{good}");
    }
    let long = format!("{}.com", "a".repeat(64));
    let longer = format!("{}com", "a.".repeat(126));
    for bad in [
        "",
        ".",
        "com",
        "@example.com",
        "a@example.com",
        ".example.com",
        "example.com.",
        "example..com",
        "-a.com",
        "a-.com",
        "exa mple.com",
        "example.com\n",
        "exämple.com",
        "*.example.com",
        "a_b.com",
        "192.168.0.1",
        "[10.0.0.1]",
        &long,
        &longer,
    ] {
        assert!(!is_domain(bad.as_bytes()), "{bad:?}");
    }
    assert!(!is_domain(b"exampl\xff.com"));
}

#[test]
fn domains_are_compared_whole_and_without_case() {
    assert!(by_domain("Ann@Example.COM", &["other.org", "exAmple.com"]));
    for other in [
        "ann@sub.example.com",
        "ann@badexample.com",
        "ann@example.com.evil.org",
        "ann@example.co",
        "example.com",
    ] {
        assert!(!by_domain(other, &["example.com"]), "{other}");
    }
    assert!(!by_domain("ann@example.com", &[]));
}

#[test]
fn what_is_no_address_matches_nothing() {
    let huge = format!("{}@example.com", "a".repeat(1 << 20));
    let local = format!("{}@example.com", "a".repeat(65));
    for hostile in [
        "",
        "@",
        "a@",
        "@example.com",
        "a@b@example.com",
        "\"a@b\"@example.com",
        "a@evil.org,b@example.com",
        "a b@example.com",
        "a\n@example.com",
        "a@example.com\n",
        "a\u{a0}b@example.com",
        "a\u{7f}@example.com",
        "a@example.com(x)",
        "a@[10.0.0.1]",
        "a@exämple.com",
        &huge,
        &local,
    ] {
        assert!(!by_domain(hostile, &["example.com"]) && !by_pattern(hostile, r"[\s\S]*"), "{hostile:?}");
    }
    assert_eq!(domain_of(b"\xff\xfe@example.com"), None);
}

#[test]
fn patterns_cover_the_whole_address() {
    assert!(by_pattern("ann@staff.example.com", r"[^@]+@([a-z0-9-]+\.)*example\.com"));
    assert!(by_pattern("ANN@example.com", "ann@EXAMPLE\\.com"));
    assert!(!by_pattern("ann@example.com.evil.org", r".*@example\.com"));
    assert!(!by_pattern("joann@example.com", "ann@example.com"));
    // Neither side of an alternative escapes the anchors.
    assert!(!by_pattern("ann@example.com.evil.org", r"ann@example\.com|bob@example\.com"));
    assert!(!by_pattern("xbob@example.com", r"ann@example\.com|bob@example\.com"));
    assert!(!by_pattern("ann@evil.org", "(?m)ann@example.com$|^ann"));
}

#[test]
fn no_pattern_leaves_the_group_that_anchors_it() {
    for bad in ["a)|(b", "a)|(?:.*", ")(", "(?x)ann # )|.*"] {
        assert!(pattern::compile(bad.as_bytes()).is_err(), "{bad}");
        assert!(!by_pattern("xb@evil.org", bad), "{bad}");
    }
}

#[test]
fn case_is_folded_in_ascii_only() {
    // The Kelvin sign folds to k, the long s to s.
    assert!(!by_pattern("\u{212a}ate@example.com", "kate@example.com"));
    assert!(!by_pattern("\u{17f}am@example.com", "sam@example.com"));
    assert!(by_pattern("jürgen@example.com", r"jürgen@example\.com"));
}

#[test]
fn a_problem_says_what_is_wrong() {
    assert_eq!(pattern::compile(b"").err(), Some(Problem::Empty));
    assert_eq!(pattern::compile("a".repeat(1001).as_bytes()).err(), Some(Problem::TooLong));
    assert_eq!(pattern::compile(b"a\xff").err(), Some(Problem::NotText));
    assert_eq!(pattern::compile(b"(a{1000}){1000}").err(), Some(Problem::TooBig));
    assert_eq!(pattern::compile(b"(a").err(), Some(Problem::Syntax("unclosed group".to_owned())));
    let lookaround = pattern::compile(b"(?=a)").err().map(|problem| problem.to_string());
    assert!(lookaround.is_some_and(|text| text.contains("look-around")));
    assert!(pattern::compile(r"[\w.+-]{1,64}@(\w+\.){1,4}example\.(com|org)".as_bytes()).is_ok());
}

#[test]
fn evil_patterns_take_linear_time() {
    let address = format!("{}!@{}b.com", "a".repeat(60), "a.".repeat(120));
    let began = Instant::now();
    for _ in 0..100 {
        for evil in [r"(a+)+$", r"(a|a)*b", r"(.*)*@(.*)*x", r"(a?){50}a{50}", r"([a-z.]+)*@([a-z.]+)*!"] {
            assert!(!by_pattern(&address, evil), "{evil}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn more_patterns_than_are_kept_still_answer() {
    for round in 0..3 {
        for n in 0..200 {
            assert!(by_pattern(&format!("u{n}@example.com"), &format!("u{n}@example\\.com")), "{round} {n}");
            assert!(!by_pattern("other@example.com", &format!("u{n}@example\\.com")), "{round} {n}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_panics(address in any::<Vec<u8>>(), domain in any::<Vec<u8>>(), pattern in any::<Vec<u8>>()) {
        let _ = matches(&address, std::iter::once(domain.as_slice()), Some(&pattern));
        let _ = is_domain(&address);
    }

    #[test]
    fn an_address_matches_the_domain_it_is_of(local in "[a-z0-9.+!#]{1,64}", domain in "[a-z][a-z0-9]{0,9}\\.[a-z]{2,6}", other in "[a-z]{1,5}\\.[a-z]{2}") {
        let address = format!("{local}@{domain}");
        prop_assert!(by_domain(&address, &[&domain.to_uppercase()]));
        prop_assert_eq!(by_domain(&address, &[&other]), other == domain);
    }
}
