//! Tenants by what the host calls them.

mod common;

use common::{catalogue, grants, id, member, role};
use pg_tenancy_unit::rbac::Id;
use pg_tenancy_unit::rbac::access::AccessMap;
use pg_tenancy_unit::rbac::grants::Membership;
use pg_tenancy_unit::rbac::keys::{self, Name};
use pg_tenancy_unit::rbac::question::{Question, Topic};
use pg_tenancy_unit::rbac::resolution::resolve;
use pg_tenancy_unit::rbac::{format_id, parse_id};

const A: Id = [0xa; 16];
const B: Id = [0xb; 16];
const C: Id = [0xc; 16];

fn keyed(tenant: Id, key: Option<&str>, roles: &[Id]) -> Membership {
    Membership { key: key.map(str::to_owned), ..member(tenant, roles) }
}

fn map(memberships: Vec<Membership>) -> AccessMap {
    let roles = vec![(id(1), role(None, "reader", &["docs.read"], &[]))];
    resolve(grants(memberships, roles), catalogue(&["docs.read"]))
}

fn reads(map: &AccessMap, tenant: impl Name) -> bool {
    let question = Question::new(Topic::Permission, &map.catalogue, std::iter::once(Some(&b"docs.read"[..])));
    assert_eq!(
        map.answers(&question).map(|answers| map.admits_by(tenant, answers)),
        Some(map.admits(tenant, &question))
    );
    map.admits(tenant, &question)
}

#[test]
fn only_the_way_postgres_writes_a_number_is_one() {
    for key in ["0", "42", "-1", "9223372036854775807", "-9223372036854775808"] {
        assert_eq!(keys::number(key).map(|number| number.to_string()).as_deref(), Some(key));
    }
    for key in ["", "042", "+42", "-0", " 42", "42 ", "4.2", "4e2", "9223372036854775808", "acme", "\u{664}"]
    {
        assert_eq!(keys::number(key), None, "{key:?}");
    }
}

#[test]
fn one_tenant_and_many_are_found_by_number_text_and_id() {
    for others in [vec![], vec![keyed(B, Some("43"), &[]), keyed(C, Some("acme"), &[id(1)])]] {
        let many = !others.is_empty();
        let mut all = vec![keyed(A, Some("42"), &[id(1)])];
        all.extend(others);
        let map = map(all);
        assert!(
            reads(&map, 42) && reads(&map, "42") && reads(&map, &A) && reads(&map, format_id(&A).as_str())
        );
        assert!(!reads(&map, 43) && !reads(&map, "43") && !reads(&map, &B));
        assert_eq!((reads(&map, "acme"), reads(&map, &C)), (many, many));
        for stranger in ["", "042", "42 ", "44", "ACME"] {
            assert!(!reads(&map, stranger), "{stranger:?}");
        }
        assert!(!reads(&map, 44) && !reads(&map, -42) && !reads(&map, 0));
        assert_eq!((map.tenant_of_key("42"), map.tenant_of_key("43")), (Some(A), many.then_some(B)));
        assert_eq!(map.key(&A).as_deref(), Some("42"));
    }
}

#[test]
fn a_tenant_without_key_has_no_number_and_no_key() {
    let map = map(vec![keyed(A, None, &[id(1)]), keyed(B, Some("43"), &[id(1)])]);
    assert!(reads(&map, &A) && reads(&map, format_id(&A).as_str()) && reads(&map, 43));
    assert_eq!((map.key(&A), map.tenant_of_key("")), (None, None));
}

#[test]
fn an_id_counts_as_text_only_as_postgres_writes_it() {
    let map = map(vec![keyed(A, None, &[id(1)])]);
    let text = format_id(&A);
    let moved = "0a0a0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a".to_owned();
    assert_eq!((moved.len(), parse_id(&moved)), (36, Some(A)));
    for other in
        [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}"), format!("{text} "), moved]
    {
        assert!(!reads(&map, other.as_str()), "{other}");
    }
    assert_eq!(parse_id(&text), Some(A));
}

#[test]
fn sets_hold_every_name_in_order_and_only_where_the_answer_is_yes() {
    let map = map(vec![
        keyed(A, Some("100"), &[id(1)]),
        keyed(B, Some("-3"), &[id(1)]),
        keyed(C, Some("acme"), &[id(1)]),
        keyed([0xd; 16], Some("7"), &[]),
    ]);
    let question = Question::new(Topic::Permission, &map.catalogue, std::iter::once(Some(&b"docs.read"[..])));
    assert_eq!(map.numbers_where(&question), vec![-3, 100]);
    let mut texts = vec!["-3".to_owned(), "100".to_owned(), "acme".to_owned()];
    texts.extend([A, B, C].iter().map(format_id));
    texts.sort_unstable();
    assert_eq!(map.texts_where(&question), texts);
    assert!(texts.iter().all(|text| reads(&map, text.as_str())));
}

#[test]
fn a_key_that_is_the_id_is_one_text() {
    let map = map(vec![keyed(A, Some(&format_id(&A)), &[id(1)])]);
    assert_eq!(map.texts_where(&Question::Member), vec![format_id(&A)]);
    assert!(reads(&map, format_id(&A).as_str()));
}

#[test]
fn the_active_tenant_is_recognised_by_any_of_its_names() {
    let map = map(vec![keyed(A, Some("42"), &[]), keyed(B, None, &[])]);
    assert!(42.is(&A, &map) && "42".is(&A, &map) && (&A).is(&A, &map) && format_id(&A).as_str().is(&A, &map));
    assert!(
        !43.is(&A, &map) && !42.is(&B, &map) && !"".is(&B, &map) && !"42".is(&B, &map) && !(&A).is(&B, &map)
    );
}
