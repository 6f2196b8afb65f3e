//! What a member may do: statuses, scopes of roles, two sets of role names, sharing.

mod common;

use common::{catalogue, grants, id, member, role};
use pg_tenancy_unit::rbac::Id;
use pg_tenancy_unit::rbac::access::AccessMap;
use pg_tenancy_unit::rbac::grants::{Grants, OperatorAccess, TenantStatus};
use pg_tenancy_unit::rbac::question::{Question, Topic};
use pg_tenancy_unit::rbac::resolution::resolve;

const NAMES: [&str; 5] = ["docs.read", "docs.reader", "docs.write", "platform.manage", "platform.read"];
const A: Id = [0xa; 16];
const B: Id = [0xb; 16];

fn map(grants: &Grants) -> AccessMap {
    resolve(grants.clone(), catalogue(&NAMES))
}

fn holds(map: &AccessMap, tenant: &Id, name: &str) -> bool {
    map.catalogue.bit(name).is_some_and(|bit| map.holds(tenant, bit))
}

fn held(map: &AccessMap, tenant: &Id) -> Vec<&'static str> {
    NAMES.into_iter().filter(|name| holds(map, tenant, name)).collect()
}

#[test]
fn a_user_without_memberships_holds_nothing_anywhere() {
    let map = map(&Grants::default());
    assert!(held(&map, &A).is_empty() && map.open(&A).is_none());
    assert!(
        map.tenants_where(&Question::Member).is_empty()
            && map.tenants_where(&Question::Permission(0)).is_empty()
    );
    assert_eq!(map.sole_tenant(), None);
}

#[test]
fn a_member_without_roles_may_enter_and_hold_nothing() {
    let map = map(&grants(vec![member(A, &[])], vec![]));
    assert!(map.open(&A).is_some());
    assert!(held(&map, &A).is_empty());
}

#[test]
fn a_role_held_in_one_tenant_gives_nothing_in_another() {
    let roles = vec![(id(1), role(None, "editor", &["docs.*"], &[]))];
    let map = map(&grants(vec![member(A, &[id(1)]), member(B, &[])], roles));
    assert_eq!(held(&map, &A), ["docs.read", "docs.reader", "docs.write"]);
    assert!(held(&map, &B).is_empty());
    assert_eq!(
        map.catalogue.bit("docs.read").map(|bit| map.tenants_where(&Question::Permission(bit))),
        Some(vec![A])
    );
}

#[test]
fn all_does_not_make_a_tenants_owner_staff_of_the_platform() {
    let roles = vec![(id(1), role(None, "owner", &["all", "platform.*"], &[]))];
    let map = map(&grants(vec![member(A, &[id(1)])], roles));
    assert_eq!(held(&map, &A), ["docs.read", "docs.reader", "docs.write"]);
}

#[test]
fn a_tenants_own_role_is_never_among_the_application_roles() {
    let roles = vec![(id(1), role(Some(A), "owner", &["docs.read"], &[]))];
    let map = map(&grants(vec![member(A, &[id(1)])], roles));
    let access = map.open(&A).expect("a member");
    assert!(access.application_roles.is_empty());
    assert!(access.tenant_roles.contains("owner"));
}

#[test]
fn an_application_role_is_never_among_the_tenants_own() {
    let roles = vec![(id(1), role(None, "owner", &["docs.read"], &[]))];
    let map = map(&grants(vec![member(A, &[id(1)])], roles));
    let access = map.open(&A).expect("a member");
    assert!(access.application_roles.contains("owner"));
    assert!(access.tenant_roles.is_empty());
}

#[test]
fn a_role_of_another_tenant_is_ignored() {
    let roles = vec![(id(1), role(Some(B), "owner", &["all"], &[]))];
    let map = map(&grants(vec![member(A, &[id(1)])], roles));
    let access = map.open(&A).expect("a member");
    assert!(access.tenant_roles.is_empty() && access.patterns.is_empty());
    assert!(held(&map, &A).is_empty());
}

#[test]
fn a_role_of_another_tenant_is_ignored_when_inherited() {
    let roles = vec![
        (id(1), role(None, "editor", &["docs.read"], &[id(2)])),
        (id(2), role(Some(B), "boss", &["all"], &[])),
    ];
    let map = map(&grants(vec![member(A, &[id(1)])], roles));
    assert_eq!(held(&map, &A), ["docs.read"]);
}

#[test]
fn a_role_of_another_tenant_leads_to_no_juniors() {
    let roles = vec![
        (id(1), role(None, "editor", &["docs.read"], &[id(2)])),
        (id(2), role(Some(B), "boss", &[], &[id(3)])),
        (id(3), role(None, "admin", &["docs.write"], &[])),
    ];
    let map = map(&grants(vec![member(A, &[id(1)])], roles));
    assert_eq!(held(&map, &A), ["docs.read"]);
    assert!(!map.open(&A).expect("a member").application_roles.contains("admin"));
}

#[test]
fn a_tenants_own_role_inherited_by_an_application_role_is_not_shared_with_other_tenants() {
    let roles = || {
        vec![
            (id(1), role(None, "editor", &["docs.read"], &[id(2)])),
            (id(2), role(Some(A), "boss", &["docs.write"], &[])),
        ]
    };
    // In whichever order they are read.
    for order in [[A, B], [B, A]] {
        let members = order.iter().map(|tenant| member(*tenant, &[id(1)])).collect();
        let map = map(&grants(members, roles()));
        assert_eq!(held(&map, &A), ["docs.read", "docs.write"]);
        assert_eq!(held(&map, &B), ["docs.read"]);
        assert!(map.open(&B).expect("a member").tenant_roles.is_empty());
    }
}

#[test]
fn same_named_own_roles_of_two_tenants_stay_apart() {
    let roles = vec![
        (id(1), role(Some(A), "boss", &["docs.write"], &[])),
        (id(2), role(Some(B), "boss", &["docs.read"], &[])),
    ];
    let map = map(&grants(vec![member(A, &[id(1), id(2)]), member(B, &[id(1), id(2)])], roles));
    assert_eq!(held(&map, &A), ["docs.write"]);
    assert_eq!(held(&map, &B), ["docs.read"]);
}

#[test]
fn an_assigned_role_that_no_longer_exists_gives_nothing() {
    let map = map(&grants(vec![member(A, &[id(404)])], vec![]));
    assert!(held(&map, &A).is_empty());
}

#[test]
fn a_role_inherited_through_a_cycle_is_held_once() {
    let roles = vec![
        (id(1), role(None, "x", &["docs.read"], &[id(2)])),
        (id(2), role(None, "y", &["docs.write"], &[id(1), id(2)])),
    ];
    let map = map(&grants(vec![member(A, &[id(2)])], roles));
    assert_eq!(held(&map, &A), ["docs.read", "docs.write"]);
}

#[test]
fn a_read_only_tenant_keeps_only_what_is_named_read() {
    let mut membership = member(A, &[id(1)]);
    membership.tenant_status = TenantStatus::ReadOnly;
    let roles = vec![(id(1), role(None, "owner", &["all", "platform.manage", "platform.read"], &[]))];
    let map = map(&grants(vec![membership], roles));
    assert_eq!(held(&map, &A), ["docs.read", "platform.read"]);
    assert_eq!(map.tenants_where(&Question::Member), [A]);
}

#[test]
fn members_of_closed_tenants_and_suspended_members_hold_nothing() {
    let closed = [
        (TenantStatus::Suspended, true),
        (TenantStatus::Archived, true),
        (TenantStatus::Active, false),
        (TenantStatus::ReadOnly, false),
    ];
    for (tenant_status, active) in closed {
        let mut membership = member(A, &[id(1)]);
        (membership.tenant_status, membership.active) = (tenant_status, active);
        let roles = vec![(id(1), role(None, "owner", &["all"], &[]))];
        let map = map(&grants(vec![membership], roles));
        assert!(held(&map, &A).is_empty() && map.open(&A).is_none(), "{tenant_status:?} {active}");
        assert!(map.tenants_where(&Question::Member).is_empty(), "{tenant_status:?} {active}");
        assert!(
            (0..NAMES.len()).all(|bit| map.tenants_where(&Question::Permission(bit)).is_empty()),
            "{tenant_status:?} {active}"
        );
        // He still is a member, and of no other tenant.
        assert_eq!(map.sole_tenant(), Some(A), "{tenant_status:?} {active}");
    }
}

#[test]
fn members_see_a_suspended_tenant_and_neither_an_archived_one_nor_one_they_are_suspended_in() {
    let cases = [
        (TenantStatus::Active, true, true),
        (TenantStatus::ReadOnly, true, true),
        (TenantStatus::Suspended, true, true),
        (TenantStatus::Archived, true, false),
        (TenantStatus::Active, false, false),
        (TenantStatus::Suspended, false, false),
    ];
    for (tenant_status, active, visible) in cases {
        let mut membership = member(A, &[]);
        (membership.tenant_status, membership.active) = (tenant_status, active);
        let map = map(&grants(vec![membership], vec![]));
        let seen = map.member(&A).is_some_and(|access| access.visible);
        assert_eq!(seen, visible, "{tenant_status:?} {active}");
    }
}

#[test]
fn suspension_in_one_tenant_leaves_the_same_roles_in_another_alone() {
    let mut suspended = member(A, &[id(1)]);
    suspended.active = false;
    let roles = vec![(id(1), role(None, "owner", &["all"], &[]))];
    for memberships in [vec![suspended.clone(), member(B, &[id(1)])], vec![member(B, &[id(1)]), suspended]] {
        let map = map(&grants(memberships, roles.clone()));
        assert!(held(&map, &A).is_empty());
        assert_eq!(map.tenants_where(&Question::Member), [B]);
    }
}

#[test]
fn a_status_word_of_a_newer_version_closes_the_tenant() {
    for word in ["", "ACTIVE", "active ", "frozen", "read-only"] {
        assert!(!TenantStatus::parse(word).is_open(), "{word:?}");
    }
    for status in
        [TenantStatus::Active, TenantStatus::ReadOnly, TenantStatus::Suspended, TenantStatus::Archived]
    {
        assert_eq!(TenantStatus::parse(status.name()), status);
    }
}

#[test]
fn an_unknown_word_is_no_operator_access() {
    for word in ["", "READ", "readwrite", "admin", "true", "write "] {
        assert_eq!(OperatorAccess::parse(word), None, "{word:?}");
    }
    for access in [OperatorAccess::Read, OperatorAccess::Write] {
        assert_eq!(OperatorAccess::parse(access.name()), Some(access));
    }
}

#[test]
fn operator_access_and_expiry_pass_through_and_open_no_tenant() {
    let mut grants = grants(vec![], vec![]);
    (grants.operator, grants.next_expiry) = (Some(OperatorAccess::Write), Some(42));
    let map = map(&grants);
    assert_eq!((map.operator, map.next_expiry), (Some(OperatorAccess::Write), Some(42)));
    assert!(map.tenants_where(&Question::Member).is_empty());
}

#[test]
fn with_two_memberships_there_is_no_sole_tenant_even_if_one_is_closed() {
    let mut closed = member(B, &[]);
    closed.tenant_status = TenantStatus::Archived;
    let map = map(&grants(vec![member(A, &[]), closed], vec![]));
    assert_eq!(map.sole_tenant(), None);
    assert_eq!(map.tenants_where(&Question::Member), [A]);
}

#[test]
fn tenants_are_listed_in_order_of_id() {
    let tenants = [9u128, 1, 5, 3].map(id);
    let members = tenants.iter().map(|tenant| member(*tenant, &[])).collect();
    assert_eq!(map(&grants(members, vec![])).tenants_where(&Question::Member), [1u128, 3, 5, 9].map(id));
}

#[test]
fn by_name_counts_a_grant_of_that_name_and_no_wildcard() {
    const ALL: [&str; 4] = ["docs.read", "docs.write", "platform.manage", "tenant.edit"];
    let asked = |patterns: &[&str], status: TenantStatus, name: &str| {
        let mut one = member(A, &[id(1)]);
        one.tenant_status = status;
        let roles = vec![(id(1), role(None, "r", patterns, &[]))];
        let map = resolve(grants(vec![one], roles), catalogue(&ALL));
        let names = std::iter::once(Some(name.as_bytes()));
        map.admits(&A, &Question::new(Topic::PermissionByName, &map.catalogue, names))
    };
    for (patterns, name, expected) in [
        (&["docs.read"][..], "docs.read", true),
        (&["docs.*", "docs.write"], "docs.read", false),
        (&["docs.*", "docs.write"], "docs.write", true),
        (&["all"], "docs.read", false),
        (&["all"], "all", true),
        (&["docs.*", "tenant.edit"], "all", false),
        (&["platform.manage"], "platform.manage", true),
        // Wildcards other than all are not asked for, and what nobody registered is held by nobody.
        (&["docs.*"], "docs.*", false),
        (&["docs.fly"], "docs.fly", false),
        (&["docs.read"], "", false),
    ] {
        assert_eq!(asked(patterns, TenantStatus::Active, name), expected, "{name} by {patterns:?}");
        let reading = expected && name.ends_with(".read");
        assert_eq!(
            asked(patterns, TenantStatus::ReadOnly, name),
            reading,
            "read-only: {name} by {patterns:?}"
        );
        assert!(!asked(patterns, TenantStatus::Suspended, name), "suspended: {name} by {patterns:?}");
    }
}
