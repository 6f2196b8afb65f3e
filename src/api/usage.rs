//! Recording usage, and asking how far quotas are used.

use crate::error::Error;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::pg::xact;
use crate::rbac::Id;
use crate::session;
use crate::usage::{self, Enforce, Meter, Recorded, Standing};
use pgrx::pg_sys::Datum;
use std::borrow::Cow;

export! {
    pg_finfo_tenancy_record_usage, tenancy_record_usage => nothing, record_usage;
    pg_finfo_tenancy_fold_usage, tenancy_fold_usage => nothing, fold_usage;
    pg_finfo_tenancy_check_quota, tenancy_check_quota => nothing, check_quota;
    pg_finfo_tenancy_remaining, tenancy_remaining => nothing, remaining;
}

/// Raises of a quota with the name of its constraint, of anything else as it is.
pub fn raise(error: Error) -> Reply {
    match error {
        Error::QuotaExceeded(_) => error.raise_about(c"quota"),
        error => error.raise(),
    }
    Reply::Null
}

/// As every statement that writes.
fn require_writable(command: &'static str) {
    if xact::in_recovery() {
        Error::InRecovery(command).raise();
    }
    if xact::is_read_only() {
        Error::ReadOnly(command).raise();
    }
}

/// The argument as a name, as much of it as any has.
fn name<'c>(call: &Call<'c>, index: usize) -> Option<Cow<'c, str>> {
    call.name(index).map(String::from_utf8_lossy)
}

/// (meter, amount, tenant).
fn record_usage(call: &mut Call) -> Reply {
    require_writable("record_usage()");
    match record(call) {
        Ok(()) => Reply::Datum(Datum::from(0)),
        Err(error) => raise(error),
    }
}

fn record(call: &Call) -> Result<(), Error> {
    let name = name(call, 0).ok_or(Error::NullMeter)?;
    let amount = call.bigint(1).ok_or(Error::NullAmount)?;
    let meter = usage::meter(&name).ok_or_else(|| Error::UnknownMeter(name.into_owned()))?;
    if amount < 0 && !meter.gauge {
        return Err(Error::NegativeAmount);
    }
    let tenant = call.uuid(2).ok_or(Error::NoTenantToRecord)?;
    may_record(tenant, &meter, amount)?;
    match usage::record(tenant, &meter, amount, Enforce::Hard)? {
        Recorded::Done => Ok(()),
        Recorded::NoTenant => Err(Error::NoSuchTenant),
    }
}

/// A member who could lower what his tenant holds would have no quota.
fn may_record(tenant: &Id, meter: &Meter, amount: i64) -> Result<(), Error> {
    if super::administration::caller_administers() {
        return Ok(());
    }
    let identity = session::fresh();
    let access = &identity.access;
    let held = |permission| access.catalogue.bit(permission).is_some_and(|bit| access.holds(tenant, bit));
    if access.open(tenant).is_none() || (amount < 0 && !held("usage.edit")) {
        return Err(Error::MayNotRecord);
    }
    match meter.fed_by_tables {
        true => Err(Error::FedByTables(meter.name.to_string())),
        false => Ok(()),
    }
}

/// How the quotas stand of a tenant of the caller's; `None` for others, or without such a meter.
fn standing_of(call: &Call, tenant: usize) -> Option<Vec<Standing>> {
    let tenant = call.uuid(tenant)?;
    let theirs =
        session::fresh().access.open(tenant).is_some() || super::administration::caller_administers();
    let meter = theirs.then(|| usage::meter(&name(call, 0)?)).flatten()?;
    Some(usage::standing_of(tenant, &meter))
}

/// (meter, amount, tenant): whether so much more is within all hard quotas now. Nothing is promised: only recording reserves.
fn check_quota(call: &mut Call) -> Reply {
    let amount = i128::from(call.bigint(1).unwrap_or(0));
    let fits = |standing: &Standing| {
        standing.limit.hard.is_none_or(|hard| standing.used + amount <= i128::from(hard))
    };
    Reply::Bool(standing_of(call, 2).is_some_and(|standings| standings.iter().all(fits)))
}

/// (meter, tenant): how much is left below the lowest hard quota; NULL without one.
fn remaining(call: &mut Call) -> Reply {
    let left = |standing: &Standing| Some(i128::from(standing.limit.hard?) - standing.used);
    match standing_of(call, 1).and_then(|standings| standings.iter().filter_map(left).min()) {
        Some(left) => Reply::Datum(Datum::from(i64::try_from(left.max(0)).unwrap_or(i64::MAX))),
        None => Reply::Null,
    }
}

/// Brings together what backends have written apart. For administrators.
fn fold_usage(_call: &mut Call) -> Reply {
    require_writable("fold_usage()");
    if !super::administration::caller_administers() {
        Error::MayNotFold.raise();
    }
    Reply::Datum(Datum::from(usage::fold::fold().unwrap_or_else(|error| error.raise())))
}
