//! When a token counts.

mod common;

use common::token;
use pg_tenancy_unit::claims::validity::Validity;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000;
const NOW: i64 = 1_700_000_000 * SECOND;

fn at(json: &str, now: i64) -> Validity {
    token(json).validity(now, false)
}

#[test]
fn a_token_without_times_is_valid_unless_an_expiry_is_required() {
    assert_eq!(token("{}").validity(NOW, false), Validity::Valid);
    assert_eq!(token("{}").validity(NOW, true), Validity::NoExpiry);
    assert_eq!(token(r#"{"nbf":1}"#).validity(NOW, true), Validity::NoExpiry);
    assert_eq!(token(r#"{"exp":1700000001}"#).validity(NOW, true), Validity::Valid);
}

#[test]
fn a_token_is_expired_from_the_very_microsecond_of_exp() {
    let json = r#"{"exp":1700000000}"#;
    assert_eq!(at(json, NOW - 1), Validity::Valid);
    assert_eq!(at(json, NOW), Validity::Expired);
    assert_eq!(at(json, NOW + 1), Validity::Expired);
}

#[test]
fn a_token_counts_from_the_very_microsecond_of_nbf() {
    let json = r#"{"nbf":1700000000}"#;
    assert_eq!(at(json, NOW - 1), Validity::NotYet);
    assert_eq!(at(json, NOW), Validity::Valid);
}

#[test]
fn fractions_of_a_second_count() {
    assert_eq!(at(r#"{"exp":1700000000.5}"#, NOW + SECOND / 2 - 1), Validity::Valid);
    assert_eq!(at(r#"{"exp":1700000000.5}"#, NOW + SECOND / 2), Validity::Expired);
    assert_eq!(at(r#"{"nbf":1700000000.25}"#, NOW + SECOND / 4 - 1), Validity::NotYet);
    assert_eq!(at(r#"{"nbf":1700000000.25}"#, NOW + SECOND / 4), Validity::Valid);
}

#[test]
fn no_token_is_cut_short_by_a_fraction_of_a_microsecond() {
    assert_eq!(at(r#"{"exp":0.0000015}"#, 1), Validity::Valid);
    assert_eq!(at(r#"{"exp":0.0000015}"#, 2), Validity::Expired);
}

#[test]
fn a_whole_number_written_as_a_float_is_the_same_moment() {
    for json in [r#"{"exp":1700000000.0}"#, r#"{"exp":1.7e9}"#, r#"{"exp":17E8}"#] {
        assert_eq!(at(json, NOW - 1), Validity::Valid, "{json}");
        assert_eq!(at(json, NOW), Validity::Expired, "{json}");
    }
}

#[test]
fn times_that_are_not_numbers_are_unreadable_and_never_ignored() {
    for value in ["null", "\"9999999999\"", "\"\"", "true", "[]", "[9999999999]", "{}", "{\"$date\":1}"] {
        for key in ["exp", "nbf"] {
            for json in
                [format!(r#"{{"{key}":{value}}}"#), format!(r#"{{"exp":9999999999,"{key}":{value}}}"#)]
            {
                assert_eq!(token(&json).validity(NOW, false), Validity::Unreadable, "{json}");
                assert_eq!(token(&json).validity(NOW, true), Validity::Unreadable, "{json}");
            }
        }
    }
}

#[test]
fn exp_zero_and_negative_exp_are_long_past() {
    for value in ["0", "-0", "-0.0", "-1", "-0.5", "-9223372036854775808", "-1e300", "-1e308", "1e-300"] {
        assert_eq!(at(&format!(r#"{{"exp":{value}}}"#), NOW), Validity::Expired, "{value}");
        assert_eq!(at(&format!(r#"{{"nbf":{value}}}"#), NOW), Validity::Valid, "{value}");
    }
}

#[test]
fn a_finite_number_however_far_away_is_the_far_future() {
    for value in [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999999999999999999",
        "1e30",
        "1e300",
        "1e304",
        "1.7976931348623157e308",
    ] {
        for now in [NOW, i64::MAX] {
            assert_eq!(at(&format!(r#"{{"exp":{value}}}"#), now), Validity::Valid, "{value}");
            assert_eq!(at(&format!(r#"{{"nbf":{value}}}"#), now), Validity::NotYet, "{value}");
        }
    }
}

#[test]
fn milliseconds_instead_of_seconds_are_taken_at_their_word() {
    assert_eq!(at(r#"{"exp":1700000000000}"#, NOW), Validity::Valid);
}

#[test]
fn the_last_of_two_exps_counts() {
    assert_eq!(at(r#"{"exp":1,"exp":9999999999}"#, NOW), Validity::Valid);
    assert_eq!(at(r#"{"exp":9999999999,"exp":1}"#, NOW), Validity::Expired);
    assert_eq!(at(r#"{"exp":9999999999,"exp":null}"#, NOW), Validity::Unreadable);
}

#[test]
fn times_below_the_top_level_do_not_count() {
    assert_eq!(at(r#"{"app_metadata":{"exp":1,"nbf":9999999999}}"#, NOW), Validity::Valid);
}

#[test]
fn a_token_that_expires_before_it_counts_never_counts() {
    let token = token(r#"{"nbf":1700000010,"exp":1700000000}"#);
    for now in [0, NOW - 1, NOW, NOW + 10 * SECOND, i64::MAX] {
        assert_ne!(token.validity(now, false), Validity::Valid);
    }
}

#[test]
fn the_end_of_time_in_either_direction_does_not_overflow() {
    for now in [i64::MIN, i64::MAX] {
        for value in ["-9223372036854775808", "9223372036854775807", "0", "-1e308", "1e308"] {
            let token = token(&format!(r#"{{"exp":{value},"nbf":{value}}}"#));
            let _ = token.validity(now, true);
        }
    }
}

fn any_time() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(-5..15i64)
}

proptest! {
    #[test]
    fn validity_agrees_with_comparing_whole_seconds(
        exp in any_time(), nbf in any_time(), now in -7..17i64, require_exp in any::<bool>(),
    ) {
        let mut value = serde_json::Map::new();
        value.extend(exp.map(|exp| ("exp".to_owned(), exp.into())));
        value.extend(nbf.map(|nbf| ("nbf".to_owned(), nbf.into())));
        let token = token(&serde_json::Value::Object(value).to_string());
        let expected = if exp.is_none() && require_exp {
            Validity::NoExpiry
        } else if exp.is_some_and(|exp| exp <= now) {
            Validity::Expired
        } else if nbf.is_some_and(|nbf| nbf > now) {
            Validity::NotYet
        } else {
            Validity::Valid
        };
        prop_assert_eq!(token.validity(now * SECOND, require_exp), expected);
    }

    #[test]
    fn a_token_once_expired_stays_so(
        exp in -10.0..10.0f64, now in -12_000_000..12_000_000i64, later in 0..i64::MAX / 2,
    ) {
        let token = token(&format!(r#"{{"exp":{exp:?}}}"#));
        if token.validity(now, false) == Validity::Expired {
            prop_assert_eq!(token.validity(now + later, false), Validity::Expired);
        }
    }
}
