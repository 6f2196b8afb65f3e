//! `diagnose()`: why the present identity has what it has.

use crate::cache;
use crate::claims::Claims;
use crate::claims::stated::Stated;
use crate::claims::validity::Validity;
use crate::pg::{role, setting, xact};
use crate::rbac::grants::{Explanation, Grantee, TenantStatus};
use crate::rbac::pattern::Pattern;
use crate::rbac::{Id, format_id, hierarchy};
use crate::session::identity::Identity;
use crate::session::{self, Source, Verdict};
use crate::settings;
use pgrx::prelude::*;
use std::collections::BTreeSet;

const TRUSTED_CALLER: &str = include_str!("../../sql/queries/trusted_caller.sql");
const ANYBODY_TRUSTED: &str = include_str!("../../sql/queries/anybody_trusted.sql");
const POLICY_PERMISSIONS: &str = include_str!("../../sql/queries/policy_permissions.sql");

type Finding = (String, String, Option<String>);

/// Rows (topic, finding, hint) about the identity of this moment. Says nothing about anybody else.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn diagnose()
-> TableIterator<'static, (name!(topic, String), name!(finding, String), name!(hint, Option<String>))> {
    let identity = session::fresh();
    let mut findings = Vec::new();
    about_library(&mut findings);
    about_trust(&mut findings);
    about_identity(&identity, &mut findings);
    if identity.stated.is_none() && settings::TRUST_CLAIMS.get() {
        about_claims(&identity, &mut findings);
        about_transaction(&identity, &mut findings);
    }
    about_user(&identity, &mut findings);
    about_tenant(&identity, &mut findings);
    about_grants(&identity, &mut findings);
    about_policies(&identity, &mut findings);
    for (finding, hint) in super::requests::findings() {
        say(&mut findings, "usage", finding, hint);
    }
    TableIterator::new(findings)
}

fn say(findings: &mut Vec<Finding>, topic: &str, finding: impl Into<String>, hint: &str) {
    let hint = (!hint.is_empty()).then(|| hint.to_owned());
    findings.push((topic.to_owned(), finding.into(), hint));
}

fn about_library(findings: &mut Vec<Finding>) {
    match role::preloaded("pg_tenancy") {
        true => say(findings, "library", "loaded at connection", ""),
        false => say(
            findings,
            "library",
            "not in session_preload_libraries or shared_preload_libraries",
            "A parallel query that loads it first fails, and claims set before that are not yet ours: \
             ALTER DATABASE ... SET session_preload_libraries = 'pg_tenancy', and connect anew; a pooler, too \
             (PgBouncer: RECONNECT).",
        ),
    }
    for table in cache::missing_signals() {
        let hint = format!(
            "Answers hold for one statement only. As owner: ALTER TABLE tenancy.{table} ENABLE ALWAYS TRIGGER \
             signal_before, ENABLE ALWAYS TRIGGER signal_after, ENABLE REPLICA TRIGGER signal_replicated."
        );
        let finding = format!("the triggers of tenancy.{table} that announce changes are missing or altered");
        findings.push(("cache".to_owned(), finding, Some(hint)));
    }
    let authority = match settings::authority_is_claims() {
        true => "claims: tokens decide, and a revoked grant lasts until the token ends",
        false => "tables: grants decide at every statement",
    };
    say(findings, "authority", authority, "");
}

/// What makes the fence of trusted callers none, for those who can mend it.
fn about_trust(findings: &mut Vec<Finding>) {
    if role::is_administrator(role::current(), cache::schema_owner) && answers_true(ANYBODY_TRUSTED) {
        say(
            findings,
            "trust",
            "set_identity() is executable by PUBLIC: every database role can be anybody",
            "REVOKE EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid), tenancy.set_identity(text, text) FROM PUBLIC; \
             tenancy.trust_caller() names those who may.",
        );
    }
}

/// Where the identity comes from, if not from claims.
fn about_identity(identity: &Identity, findings: &mut Vec<Finding>) {
    let topic = "identity";
    let finding = match &identity.stated {
        Some(Stated::User { .. }) => {
            "stated by set_identity() in this transaction; claims are not read".to_owned()
        }
        Some(Stated::Subject { .. }) => {
            "stated by set_identity() in this transaction, by subject; claims are not read".to_owned()
        }
        Some(Stated::Job { .. }) if identity.whose.is_none() => {
            "a database role that has been dropped, in a tenant that it entered: nobody; claims are not read"
                .to_owned()
        }
        Some(Stated::Job { role, .. }) => {
            format!(
                "database role {} in a tenant that it entered; claims are not read",
                role::name((*role).into())
            )
        }
        Some(Stated::Nobody) => "stated by set_identity(), and not usable; claims are not read".to_owned(),
        None => {
            if !settings::TRUST_CLAIMS.get() {
                say(findings, "claims", "not read: tenancy.trust_claims is off", "");
            }
            if answers_true(TRUSTED_CALLER) {
                let hint = "BEGIN; SELECT tenancy.set_identity(...); and what needs it, in one transaction. In autocommit it \
                            ends with its own statement.";
                let finding =
                    "this database role may state an identity, and has stated none in this transaction";
                say(findings, topic, finding, hint);
            }
            return;
        }
    };
    say(findings, topic, finding, "");
}

/// Asked without `Spi::get_one`, which takes a transaction id, and a standby has none to give.
fn answers_true(query: &str) -> bool {
    Spi::connect(|client| client.select(query, Some(1), &[])?.first().get_one::<bool>()) == Ok(Some(true))
}

fn about_claims(identity: &Identity, findings: &mut Vec<Finding>) {
    let topic = "claims";
    if !settings::owns_claims() {
        say(findings, topic, "request.jwt.claims is compared at each call, as no assign hook watches it", "");
    }
    let (finding, hint) = match (&*identity.claims, identity.validity) {
        (Claims::Unset, _) => (
            "request.jwt.claims is not set",
            match settings::claims_end_with_transaction() {
                true => {
                    "Set them in the transaction that needs them: BEGIN; SELECT set_config('request.jwt.claims', \
                     '{\"sub\": \"...\"}', true). With tenancy.claims_scope = transaction a plain SET ends with its \
                     own transaction."
                }
                false => "Set them: SELECT set_config('request.jwt.claims', '{\"sub\": \"...\"}', false).",
            },
        ),
        (Claims::Malformed(reason), _) => (*reason, "Pass the token's payload as one JSON object."),
        (_, Some(Validity::Expired)) => ("the token has expired", "Refresh it; there is no leeway."),
        (_, Some(Validity::NotYet)) => ("the token is not valid yet (nbf)", "Compare the clocks."),
        (_, Some(Validity::Unreadable)) => {
            ("exp or nbf is not a number", "RFC 7519 has them as numbers of seconds since 1970.")
        }
        (_, Some(Validity::NoExpiry)) => {
            ("the token has no exp", "tenancy.require_exp is on: issue tokens that expire.")
        }
        _ => ("set, and valid now", ""),
    };
    say(findings, topic, finding, hint);
}

const UNKNOWN_SUBJECT: &str =
    "tenancy.subject_format is mapped: tenancy.map_subject() makes a user of a subject.";

/// An identity ends with its transaction, which many a driver begins and ends unasked.
fn about_transaction(identity: &Identity, findings: &mut Vec<Finding>) {
    if identity.stated.is_some() || !matches!(&*identity.claims, Claims::Unset) {
        return;
    }
    let (finding, hint) = match xact::in_block() {
        true => (
            "one is open, and no identity was set in it",
            "COMMIT and ROLLBACK end an identity. Set it first in each transaction, on the connection that the queries \
             take: a pool may hand out another for each. docs/guides/drivers.md has it for several drivers.",
        ),
        false => (
            "none is open: this statement is one of its own",
            "What sets the identity and what needs it must be in one transaction: BEGIN, or in Django \
             transaction.atomic(), in psycopg connection.transaction(), in sqlx pool.begin(), and with node-postgres \
             one client of the pool. docs/guides/drivers.md has it for several drivers.",
        ),
    };
    say(findings, "transaction", finding, hint);
}

fn about_user(identity: &Identity, findings: &mut Vec<Finding>) {
    let topic = "user";
    match (&identity.user, identity.content()) {
        (Some(user), _) => say(findings, topic, format_id(user), ""),
        (None, _) if matches!(identity.stated, Some(Stated::Job { .. })) => {
            say(findings, topic, "none: a job", "")
        }
        (None, _) if matches!(identity.stated, Some(Stated::Subject { .. })) => {
            say(findings, topic, "anonymous: the subject is not in tenancy.subjects", UNKNOWN_SUBJECT)
        }
        (None, Some(content))
            if settings::subjects_are_mapped() && content.get("sub").is_some_and(|sub| !sub.is_null()) =>
        {
            say(findings, topic, "anonymous: sub is not in tenancy.subjects", UNKNOWN_SUBJECT)
        }
        (None, Some(content)) if content.get("sub").is_some_and(|sub| !sub.is_null()) => say(
            findings,
            topic,
            "anonymous: sub is not a user's uuid",
            "Users are identified by uuid, unless tenancy.subject_format is mapped.",
        ),
        (None, Some(_)) => say(findings, topic, "anonymous: the token has no sub", ""),
        (None, None) => say(findings, topic, "anonymous", ""),
    }
    let name = role::name(role::current());
    let bypasses = role::is_administrator(role::current(), cache::schema_owner);
    say(
        findings,
        "database role",
        name,
        match bypasses {
            true => "Administers pg_tenancy. Superusers and BYPASSRLS roles see every row of every table.",
            false => "",
        },
    );
    if let Some(operator) = identity.access.operator {
        say(findings, "operator", operator.name(), "");
    }
}

fn about_tenant(identity: &Identity, findings: &mut Vec<Finding>) {
    let topic = "active tenant";
    let source = identity.source.name();
    match identity.verdict {
        Verdict::Accepted(tenant) => {
            say(findings, topic, format!("{}, from {source}", format_id(&tenant)), "")
        }
        Verdict::NoIdentity => say(findings, topic, "none: there is no user", ""),
        Verdict::NothingChosen => say(
            findings,
            topic,
            "none: nothing chooses one",
            match identity.access.member_of().next().is_none() {
                true => "The user is a member of no tenant: tenancy.add_member().",
                false if identity.stated.is_some() => {
                    "The user has several memberships: name the tenant, too, as in tenancy.set_identity(user, tenant)."
                }
                false => {
                    "The user has several memberships: set tenancy.tenant_id in the transaction, or a tenant \
                     claim or header."
                }
            },
        ),
        Verdict::Unreadable => say(
            findings,
            topic,
            format!("none: the {source} is neither text nor a whole number"),
            "The first source present decides.",
        ),
        Verdict::UnknownKey => say(
            findings,
            topic,
            format!("none: the {source} names no tenant that the user is a member of"),
            "It is neither a uuid nor the key of one of his tenants. The first source present decides; the next is \
             not tried.",
        ),
        Verdict::NotAMember(tenant) => say(
            findings,
            topic,
            format!("none: the {source} names {}, of which the user is no member", format_id(&tenant)),
            "The first source present decides; the next is not tried.",
        ),
        Verdict::Closed(tenant) => say(
            findings,
            topic,
            format!("none: the {source} names {}, but member or tenant is suspended", format_id(&tenant)),
            "See the rows on membership.",
        ),
    }
    if identity.source == Source::None && !settings::SOLE_TENANT.get() {
        say(findings, topic, "tenancy.sole_tenant is off", "");
    }
}

fn about_grants(identity: &Identity, findings: &mut Vec<Finding>) {
    let Some(whose) = identity.whose else { return };
    let mut read_only = false;
    if settings::authority_is_claims() && identity.stated.is_none() {
        for tenant in identity.access.member_of() {
            say(findings, "membership", format!("{}: by the token", format_id(tenant)), "");
        }
    } else if let Some(mut explanation) = cache::explain(&whose) {
        explanation.grants.memberships.sort_by_key(|m| m.tenant);
        read_only = explanation
            .grants
            .memberships
            .iter()
            .any(|m| Some(&m.tenant) == identity.tenant() && m.tenant_status == TenantStatus::ReadOnly);
        about_roles(&explanation, findings);
    }
    let Some(tenant) = identity.tenant() else { return };
    let Some(access) = identity.access.open(tenant) else { return };
    let names: Vec<&str> =
        access.permissions.iter().filter_map(|bit| identity.access.catalogue.name(bit)).collect();
    let finding = match names.is_empty() {
        true => "none in the active tenant".to_owned(),
        false => names.join(", "),
    };
    say(findings, "permissions", finding, "");
    // What is registered and not held: the list to look a denied permission up in.
    let lacking: Vec<&str> = (0..identity.access.catalogue.size())
        .filter(|bit| !access.permissions.contains(*bit))
        .filter_map(|bit| identity.access.catalogue.name(bit))
        .collect();
    if !lacking.is_empty() {
        say(
            findings,
            "permissions lacking",
            lacking.join(", "),
            match (read_only, whose) {
                (true, _) => "The tenant is read-only: only permissions named *.read hold.",
                (false, Grantee::User(_)) => {
                    "Granted through a role: tenancy.grant_permission() to a role, tenancy.grant_role() to the \
                     member."
                }
                (false, Grantee::Job { .. }) => {
                    "Granted through a role of the application: tenancy.grant_permission() to a role, \
                     tenancy.allow_database_role() with it and those that the database role has."
                }
            },
        );
    }
}

fn about_roles(explanation: &Explanation, findings: &mut Vec<Finding>) {
    let name_of = |role: &Id| explanation.grants.roles.get(role).map_or("?", |role| &role.name);
    for membership in &explanation.grants.memberships {
        let tenant = explanation.name(&membership.tenant);
        let state = match (membership.active, membership.tenant_status.is_open()) {
            (false, _) => "suspended member".to_owned(),
            (true, _) => format!("active member, tenant {}", membership.tenant_status.name()),
        };
        say(findings, "membership", format!("{tenant} ({}): {state}", format_id(&membership.tenant)), "");
        for assignment in &membership.assigned {
            let path = match &assignment.group {
                None => "direct".to_owned(),
                Some(group) => format!("by group {}", explanation.name(group)),
            };
            let finding = format!("{tenant}: {} (assigned, {path})", name_of(&assignment.role));
            say(findings, "role", finding, "");
        }
        let assigned: Vec<Id> = membership.assigned.iter().map(|a| a.role).collect();
        let juniors =
            |role: &Id| explanation.grants.roles.get(role).map(|r| r.juniors.clone()).unwrap_or_default();
        for (role, senior) in hierarchy::walk(&assigned, juniors) {
            if let Some(senior) = senior {
                let finding = format!(
                    "{tenant}: {} (authorised, through senior role {})",
                    name_of(&role),
                    name_of(&senior)
                );
                say(findings, "role", finding, "");
            }
        }
    }
}

/// The permissions among a call's arguments as `pg_get_expr` writes them: `'docs.read'::text`, by itself or in
/// ARRAY[...], or `'{docs.read,docs.edit}'::text[]`.
fn named_permissions(arguments: &str) -> impl Iterator<Item = String> {
    let pieces: Vec<&str> = arguments.split('\'').collect();
    let literals = pieces.get(1..).unwrap_or_default().chunks(2).flat_map(|piece| match piece {
        [literal, cast, ..] if cast.starts_with("::text[]") => literal
            .trim_matches(['{', '}'])
            .split(',')
            .map(|name| name.trim_matches([' ', '"']).to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
        [literal, cast, ..] if cast.starts_with("::text") => vec![(*literal).to_owned()],
        _ => Vec::new(),
    });
    literals.collect::<Vec<_>>().into_iter()
}

/// A policy that names a permission nobody registered denies everybody.
fn about_policies(identity: &Identity, findings: &mut Vec<Finding>) {
    let catalogue = match identity.whose {
        Some(_) => identity.access.catalogue.clone(),
        None => cache::catalogue(),
    };
    let calls: Vec<(String, String)> = Spi::connect(|client| {
        let rows = client.select(POLICY_PERMISSIONS, None, &[])?;
        rows.map(|row| {
            Ok((row.get::<String>(1)?.unwrap_or_default(), row.get::<String>(2)?.unwrap_or_default()))
        })
        .collect::<pgrx::spi::Result<Vec<_>>>()
    })
    .unwrap_or_default();
    let named: BTreeSet<(String, String)> = calls
        .iter()
        .flat_map(|(policy, arguments)| named_permissions(arguments).map(|name| (policy.clone(), name)))
        .collect();
    for (policy, permission) in named.into_iter().filter(|(_, name)| catalogue.bit(name).is_none()) {
        say(
            findings,
            "policy",
            format!("{policy} names permission {permission}, which is not registered and so held by nobody"),
            match Pattern::parse(&permission) {
                Some(Pattern::Exact(_)) => "tenancy.create_permission() registers it.",
                _ => {
                    "A check names one permission, as in docs.read. Wildcards are granted to roles, and no check \
                     asks for one."
                }
            },
        );
    }
    if setting::show(settings::CLAIMS_NAME).is_some_and(|value| value.is_empty()) && identity.whose.is_none()
    {
        say(findings, "policy", "every policy denies while there is no user", "");
    }
}
