//! E-mail addresses, domains and patterns: what tenants' columns are checked by, and sign-ups compared with.

use crate::email::{self, pattern};
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use pgrx::prelude::*;

export! {
    pg_finfo_tenancy_is_email_domain, tenancy_is_email_domain =>
        nothing, |call| Reply::from(call.text(0).map(email::is_domain));
    pg_finfo_tenancy_are_email_domains, tenancy_are_email_domains =>
        nothing, |call| Reply::from(call.texts(0).map(|all| all.iter().all(|one| one.is_some_and(email::is_domain))));
    pg_finfo_tenancy_is_email_pattern, tenancy_is_email_pattern =>
        nothing, |call| Reply::from(call.text(0).map(|text| pattern::compile(text).is_ok()));
    pg_finfo_tenancy_email_matches, tenancy_email_matches =>
        nothing, |call| Reply::Bool(matches(call));
}

/// Not strict: without a pattern the domains decide, and nobody's address matches nothing.
fn matches(call: &mut Call) -> bool {
    let domains = call.texts(1);
    let domains = domains.iter().flat_map(|all| all.iter()).flatten();
    call.text(0).is_some_and(|address| email::matches(address, domains, call.text(2)))
}

/// Why a text is no pattern; NULL if it is one.
#[pg_extern(immutable, parallel_safe, strict)]
fn email_pattern_problem(pattern: &str) -> Option<String> {
    pattern::compile(pattern.as_bytes()).err().map(|problem| problem.to_string())
}
