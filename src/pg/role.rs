//! Database roles: who the current user is, in Postgres's own terms.

use super::compat;
use pgrx::pg_sys::{self, Oid};
use std::cell::Cell;
use std::ffi::{CStr, CString, c_int};

thread_local! {
    static ON_CHANGE: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Registers what is told when roles are made, altered or dropped. Called once, while the library loads.
pub fn on_change(listener: fn()) {
    ON_CHANGE.set(Some(listener));
    let cache = pg_sys::SysCacheIdentifier::AUTHOID as c_int;
    // SAFETY: the callback has static lifetime and the signature of utils/inval.h.
    unsafe { pg_sys::CacheRegisterSyscacheCallback(cache, Some(role_changed), pg_sys::Datum::from(0)) }
}

/// May run in the middle of anything that reads messages, so the listener only flips a counter.
#[pgrx::pg_guard]
extern "C-unwind" fn role_changed(_arg: pg_sys::Datum, _cache: c_int, _hash: u32) {
    if let Some(listener) = ON_CHANGE.get() {
        listener();
    }
}

mod unguarded {
    use super::Oid;
    // SAFETY: declared so in miscadmin.h, read a static variable and cannot raise, so that a jump buffer would guard nothing.
    unsafe extern "C-unwind" {
        pub safe fn GetUserId() -> Oid;
        pub safe fn GetOuterUserId() -> Oid;
        pub safe fn InSecurityRestrictedOperation() -> bool;
    }
}

pub fn current() -> Oid {
    unguarded::GetUserId()
}

/// The role that the session itself took, by SET ROLE or at login, whatever SECURITY DEFINER functions lie between.
pub fn outer() -> Oid {
    unguarded::GetOuterUserId()
}

/// Whether a superuser maintains what is somebody else's, such as an index: what runs then is that owner's, and the outer
/// role lends it nothing.
pub fn is_restricted() -> bool {
    unguarded::InSecurityRestrictedOperation()
}

/// Superuser, BYPASSRLS, or a member of the role that owns the schema's objects.
pub fn is_administrator(role: Oid, owner: impl FnOnce() -> Option<Oid>) -> bool {
    // SAFETY: syscache lookups by role id.
    unsafe {
        pg_sys::superuser_arg(role)
            || pg_sys::has_bypassrls_privilege(role)
            || owner().is_some_and(|owner| pg_sys::has_privs_of_role(role, owner))
    }
}

pub fn is_superuser(role: Oid) -> bool {
    // SAFETY: a syscache lookup by role id.
    unsafe { pg_sys::superuser_arg(role) }
}

/// The role that owns a relation, if the relation exists.
pub fn owner_of(relation: Oid) -> Option<Oid> {
    // SAFETY: a syscache lookup; the tuple is valid until released, and is of pg_class.
    unsafe {
        let tuple =
            pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(relation));
        if tuple.is_null() {
            return None;
        }
        let header = (*tuple).t_data;
        let form = header.cast::<u8>().add(usize::from((*header).t_hoff)).cast::<pg_sys::FormData_pg_class>();
        let owner = (*form).relowner;
        pg_sys::ReleaseSysCache(tuple);
        Some(owner)
    }
}

/// Whether the current user may act as that role, as by SET ROLE.
pub fn is_member(role: Oid) -> bool {
    // SAFETY: syscache lookups by role id; for a role that is gone it is false.
    unsafe { pg_sys::is_member_of_role(current(), role) }
}

/// Whether the current user may read a relation and do that to it, all columns of it.
pub fn may_read_and(relation: Oid, what: u32) -> bool {
    let mode = pg_sys::AclMode::from(pg_sys::ACL_SELECT | what);
    // SAFETY: a syscache lookup that raises for a relation that is gone, which those who ask have just looked up.
    let answer =
        unsafe { pg_sys::pg_class_aclmask(relation, current(), mode, pg_sys::AclMaskHow::ACLMASK_ALL) };
    answer == mode
}

/// Until it is dropped, this process acts as another role: what it executes, and the triggers that fires, have that role's
/// rights. Settings that are changed meanwhile are put back, or the code that goes on would run under a search_path of that
/// role's choice.
pub struct Acting {
    user: Oid,
    context: i32,
    settings: i32,
}

impl Acting {
    /// As the owner of a table writes it when a foreign key cascades: its own row security does not bind him, and none of
    /// its triggers gets more rights than he has.
    pub fn as_owner_of(relation: Oid) -> Option<Self> {
        Some(Self::begin(owner_of(relation)?, pg_sys::SECURITY_NOFORCE_RLS))
    }

    /// The same of a known owner, and nothing is left behind that would run later with other rights: Postgres refuses deferred
    /// triggers then.
    pub fn confined_as(owner: Oid) -> Self {
        Self::begin(owner, pg_sys::SECURITY_NOFORCE_RLS | pg_sys::SECURITY_RESTRICTED_OPERATION)
    }

    /// As a role that the present one is a member of, which the code that runs cannot leave, as it could after SET ROLE.
    pub fn reading_as(role: &CStr) -> Option<Self> {
        // SAFETY: syscache lookups; missing_ok.
        let role = unsafe { pg_sys::get_role_oid(role.as_ptr(), true) };
        (role != Oid::INVALID && is_member(role))
            .then(|| Self::begin(role, pg_sys::SECURITY_RESTRICTED_OPERATION))
    }

    fn begin(role: Oid, flags: u32) -> Self {
        let (mut user, mut context) = (Oid::INVALID, 0);
        // SAFETY: the pair that ri_PerformCheck uses (ri_triggers.c), and the nested settings of index_build (index.c); the
        // end of a transaction or subtransaction puts user and settings back as well, so that an error leaves nothing behind.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
            let flags = (pg_sys::SECURITY_LOCAL_USERID_CHANGE | flags) as i32;
            pg_sys::SetUserIdAndSecContext(role, context | flags);
            Self { user, context, settings: pg_sys::NewGUCNestLevel() }
        }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        // An error on its way up has the settings put back where it is caught.
        if !std::thread::panicking() {
            // SAFETY: the level that `begin` opened, and no other is open above it.
            unsafe { pg_sys::AtEOXact_GUC(false, self.settings) }
        }
        // SAFETY: what `begin` found.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) }
    }
}

/// Whether a role may execute a function: by itself, by membership, or as a superuser. What others committed counts once
/// their messages have been read.
pub fn may_execute(role: Oid, function: Oid) -> bool {
    compat::function_access(function, role) == pg_sys::AclResult::ACLCHECK_OK
}

/// Whether the role has not been dropped. A session that had taken it goes on under its id.
pub fn exists(role: Oid) -> bool {
    exists_in(pg_sys::SysCacheIdentifier::AUTHOID, role)
}

pub fn database_exists(database: u32) -> bool {
    exists_in(pg_sys::SysCacheIdentifier::DATABASEOID, database.into())
}

fn exists_in(cache: pg_sys::SysCacheIdentifier::Type, id: Oid) -> bool {
    let none = pg_sys::Datum::from(0);
    // SAFETY: a lookup in a syscache whose key is one id.
    unsafe { pg_sys::SearchSysCacheExists(cache as c_int, pg_sys::Datum::from(id), none, none, none) }
}

/// The role's name, for messages to its own session. One that was dropped is called as pg_get_userbyid has it.
pub fn name(role: Oid) -> String {
    // SAFETY: with noerr it gives null or a palloc'd C string.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return format!("unknown (OID={})", role.to_u32());
        }
        CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// Whether a library of this name was loaded by a preload setting.
pub fn preloaded(library: &str) -> bool {
    ["session_preload_libraries", "shared_preload_libraries", "local_preload_libraries"].iter().any(
        |setting| {
            let value = CString::new(*setting).ok().and_then(|name| super::setting::show(&name));
            value.is_some_and(|list| {
                list.split(',').any(|item| item.trim().trim_matches('"').rsplit('/').next() == Some(library))
            })
        },
    )
}
