//! Who is asking now: claims, user and active tenant of this moment.

pub mod identity;
pub mod site;
mod tenant;

use crate::cache;
use crate::claims::principal::ClaimPaths;
use crate::claims::{Claims, MAX_BYTES, legacy};
use crate::pg::execution::{self, Execution};
use crate::pg::{setting, xact};
use crate::settings;
use identity::Identity;
use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::rc::Rc;

pub use tenant::{Source, Verdict};

/// Where PostgREST's older form of claims stands, a setting each.
const LEGACY_PREFIX: &str = "request.jwt.claim.";

/// How many distinct tokens stay parsed: a pooled connection alternates between a few users.
const PARSED: usize = 8;

struct State {
    /// The last execution it was found to hold in.
    execution: Execution,
    /// What the identity was derived from, where no assign hook tells.
    compared: Vec<u8>,
    identity: Rc<Identity>,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
    static TOKENS: RefCell<Vec<(Vec<u8>, Rc<Claims>)>> = const { RefCell::new(Vec::new()) };
    /// Whether this transaction set claims or tenant.
    static CHANGED: Cell<bool> = const { Cell::new(false) };
}

/// Called once when the library loads.
pub fn start() {
    execution::start();
    setting::on_assign(cache::move_epoch, request_assigned);
    xact::on_moment(|moment| match moment {
        xact::Moment::PreCommit => end_claims(),
        xact::Moment::Prepared | xact::Moment::Aborted => {
            // An abort restores the settings itself.
            CHANGED.set(false);
            cache::forget_uncommitted();
        }
        // What was set before the savepoint stands, so CHANGED does too.
        xact::Moment::SubtransactionAborted(_) => cache::forget_uncommitted(),
        xact::Moment::Committed | xact::Moment::SubtransactionCommitted(_) => {}
    });
}

/// The end of a transaction restores settings too, and is no change by anybody.
fn request_assigned() {
    if xact::in_transaction() {
        CHANGED.set(true);
    }
}

/// Before commit: claims set by plain SET would pass to the next client of a pooled connection.
fn end_claims() {
    // A parallel worker restores its leader's settings in a transaction of their own, which commits at once.
    if !settings::claims_end_with_transaction() || xact::in_parallel_worker() {
        return;
    }
    let changed = CHANGED.get();
    // Nobody tells of changes to a setting that is not ours, and below a SET LOCAL of '' may lie a SET. Headers
    // are not ours when one of them was named after the library had been loaded.
    let reads_headers = !settings::TENANT_HEADER.is_empty();
    for (name, owned, read) in [
        (settings::TENANT_ID_NAME, true, true),
        (settings::CLAIMS_NAME, settings::owns_claims(), true),
        (settings::HEADERS_NAME, settings::owns_headers(), reads_headers),
    ] {
        let may_pass_on = if owned { changed } else { read && setting::exists(name) };
        if may_pass_on {
            setting::blank(name);
        }
    }
    if settings::LEGACY_CLAIMS.get() {
        legacy_settings().iter().filter(|name| setting::exists(name)).for_each(|name| setting::blank(name));
    }
    CHANGED.set(false);
}

/// The settings that hold a claim each, where they are read.
fn legacy_settings() -> Vec<CString> {
    let paths = claim_paths();
    let names = legacy::names(paths.tenant.iter().chain(&paths.permission));
    names.into_iter().filter_map(|name| CString::new(format!("{LEGACY_PREFIX}{name}")).ok()).collect()
}

/// The token that they make up.
fn legacy_claims() -> Vec<u8> {
    let values: Vec<(String, Vec<u8>)> = legacy_settings()
        .iter()
        .map(|setting| {
            let name = setting.to_string_lossy().trim_start_matches(LEGACY_PREFIX).to_owned();
            (name, setting::bytes(setting, MAX_BYTES + 1))
        })
        .collect();
    legacy::compose(&values)
}

/// The identity now, messages read whatever was asked before.
pub fn fresh() -> Rc<Identity> {
    current(true)
}

/// The identity now. Pending invalidation messages are read if another execution has begun since last time, or
/// if the call site that asks is used for the first time: one execution may take long. What was derived for the
/// same statement of the client holds if they moved nothing.
pub fn current(first_use: bool) -> Rc<Identity> {
    let execution = Execution::current();
    let compared = compared_settings();
    let same = STATE.with_borrow(|state| state.as_ref().is_some_and(|s| s.execution == execution));
    let refreshed = first_use || !same;
    if refreshed {
        cache::refresh();
    }
    let known = STATE.with_borrow_mut(|state| {
        let state = state.as_mut().filter(|s| {
            s.identity.epoch == cache::epoch()
                && s.execution.arrived_with(execution)
                && s.compared == compared
        })?;
        state.execution = execution;
        Some(Rc::clone(&state.identity))
    });
    if let Some(identity) = known {
        return identity;
    }
    if !refreshed {
        cache::refresh();
    }
    // Stamped with the epoch before the derivation: what moves it meanwhile makes this stale, not wrong.
    let epoch = cache::epoch();
    let identity = Rc::new(Identity::derive(epoch));
    STATE.set(Some(State { execution, compared, identity: Rc::clone(&identity) }));
    identity
}

/// The parsed claims of this moment.
fn claims() -> Rc<Claims> {
    if !settings::TRUST_CLAIMS.get() {
        return Rc::new(Claims::Unset);
    }
    let claims = match settings::owns_claims() {
        true => settings::CLAIMS.with(parsed),
        false => parsed(&setting::bytes(settings::CLAIMS_NAME, MAX_BYTES + 1)),
    };
    match *claims {
        Claims::Unset if settings::LEGACY_CLAIMS.get() => parsed(&legacy_claims()),
        _ => claims,
    }
}

fn parsed(raw: &[u8]) -> Rc<Claims> {
    let known = TOKENS.with_borrow_mut(|tokens| {
        let position = tokens.iter().position(|(bytes, _)| bytes == raw)?;
        // Most recently used last.
        let token = tokens.remove(position);
        let claims = Rc::clone(&token.1);
        tokens.push(token);
        Some(claims)
    });
    known.unwrap_or_else(|| {
        let claims = Rc::new(Claims::parse(raw));
        TOKENS.with_borrow_mut(|tokens| {
            if tokens.len() >= PARSED {
                tokens.remove(0);
            }
            // What is too long to parse is not worth keeping either.
            if raw.len() <= MAX_BYTES {
                tokens.push((raw.to_vec(), Rc::clone(&claims)));
            }
        });
        claims
    })
}

/// The text of settings that can change an answer and have no hook of ours.
fn compared_settings() -> Vec<u8> {
    let mut text = Vec::new();
    if !settings::owns_claims() {
        text.extend(setting::bytes(settings::CLAIMS_NAME, MAX_BYTES + 1));
        text.push(0);
    }
    if !settings::owns_headers() && !settings::TENANT_HEADER.is_empty() {
        text.extend(setting::bytes(settings::HEADERS_NAME, MAX_BYTES + 1));
    }
    if settings::LEGACY_CLAIMS.get() {
        text.extend(legacy_claims());
    }
    text
}

/// Where claims are looked into.
fn claim_paths() -> ClaimPaths {
    ClaimPaths {
        tenant: crate::claims::path::list(&settings::TENANT_CLAIM.get()),
        permission: crate::claims::path::list(&settings::PERMISSION_CLAIM.get()),
    }
}
