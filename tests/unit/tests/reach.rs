//! What operators reach beyond their memberships, and how it is counted for estimates.

mod common;

use common::{catalogue, grants, id, member};
use pg_tenancy_unit::rbac::Id;
use pg_tenancy_unit::rbac::access::AccessMap;
use pg_tenancy_unit::rbac::grants::OperatorAccess::{self, Read, Write};
use pg_tenancy_unit::rbac::question::{Question, Topic};
use pg_tenancy_unit::rbac::reach::Reach;
use pg_tenancy_unit::rbac::resolution::resolve;

const A: Id = [0xa; 16];
const B: Id = [0xb; 16];
const ELSEWHERE: Id = [0xe; 16];

fn user(operator: Option<OperatorAccess>) -> AccessMap {
    let mut grants = grants(vec![member(A, &[]), member(B, &[])], vec![]);
    grants.operator = operator;
    resolve(grants, catalogue(&["docs.read"]))
}

fn reach(topic: Topic, map: &AccessMap, active: Option<&Id>, name: Option<&str>) -> Reach {
    Reach::new(topic, map, active, std::iter::once(name.map(str::as_bytes)))
}

fn reached(reach: &Reach, map: &AccessMap) -> Vec<Id> {
    [A, B, ELSEWHERE].into_iter().filter(|tenant| reach.admits(tenant, map)).collect()
}

#[test]
fn each_access_reaches_what_it_covers_and_no_more() {
    for operator in [None, Some(Read), Some(Write)] {
        let map = user(operator);
        for (name, wanted) in [("read", Read), ("write", Write)] {
            let all = operator == Some(Write) || operator == Some(wanted);
            let members = reach(Topic::MemberOrOperator, &map, Some(&A), Some(name));
            let active = reach(Topic::ActiveOrOperator, &map, Some(&A), Some(name));
            assert_eq!(reached(&members, &map), if all { vec![A, B, ELSEWHERE] } else { vec![A, B] });
            assert_eq!(reached(&active, &map), if all { vec![A, B, ELSEWHERE] } else { vec![A] });
            assert_eq!(Reach::count(&[members], &map), (!all).then_some(2));
            assert_eq!(Reach::count(&[active], &map), (!all).then_some(1));
        }
    }
}

#[test]
fn an_access_there_is_not_reaches_nothing_for_anybody() {
    let map = user(Some(Write));
    for topic in [Topic::MemberOrOperator, Topic::ActiveOrOperator] {
        for name in [Some(""), Some("READ"), Some("admin"), None] {
            let reach = reach(topic, &map, Some(&A), name);
            assert!(reached(&reach, &map).is_empty() && Reach::count(&[reach], &map) == Some(0));
        }
    }
}

#[test]
fn without_an_active_tenant_there_is_none_to_reach() {
    let map = user(None);
    let reach = reach(Topic::ActiveOrOperator, &map, None, Some("read"));
    assert!(reached(&reach, &map).is_empty());
    assert_eq!(Reach::count(&[reach], &map), Some(0));
}

#[test]
fn together_they_admit_what_each_admits() {
    let map = user(None);
    let members = || Reach::Where(Question::Member);
    assert_eq!(Reach::count(&[], &map), None);
    assert_eq!(Reach::count(&[Reach::All, Reach::All], &map), None);
    assert_eq!(Reach::count(&[Reach::All, members()], &map), Some(2));
    assert_eq!(Reach::count(&[members(), Reach::One(Some(A)), Reach::All], &map), Some(1));
    assert_eq!(Reach::count(&[members(), Reach::One(Some(id(7)))], &map), Some(0));
    assert_eq!(Reach::count(&[Reach::One(Some(A)), Reach::One(Some(B))], &map), Some(0));
    assert_eq!(Reach::count(&[members(), Reach::default()], &map), Some(0));
}
