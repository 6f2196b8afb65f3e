//! Every setting. Those that decide whom to trust are for superusers only and start at their strictest.

use crate::pg::sealed::Sealed;
use crate::pg::setting::{Flag, Number, Text, Who, is_definable, reserve_prefix};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub static IDENTITY: Sealed = Sealed::new(c"tenancy.identity");
pub static CLAIMS: Text = Text::new();
pub static HEADERS: Text = Text::new();
pub static TENANT_ID: Text = Text::new();
pub static TENANT_HEADER: Text = Text::new();
pub static TENANT_CLAIM: Text = Text::new();
pub static PERMISSION_CLAIM: Text = Text::new();
pub static SOLE_TENANT: Flag = Flag::new(true);
pub static REQUIRE_EXP: Flag = Flag::new(false);
pub static TRUST_CLAIMS: Flag = Flag::new(true);
pub static OWN_CLAIMS_SETTING: Flag = Flag::new(true);
pub static SELF_SERVICE: Flag = Flag::new(false);
static AUTO_ASSIGNMENT: Flag = Flag::new(true);
static PROFILE_AVATAR_URL: Text = Text::new();
pub static ALLOW_TENANT_CHANGE: Flag = Flag::new(false);
pub static MAX_OWNED_TENANTS: Number = Number::new(5);
static NEXT_PRE_REQUEST: Text = Text::new();
pub static LEGACY_CLAIMS: Flag = Flag::new(false);
pub static TOKEN_HOOK: Flag = Flag::new(true);
pub static TOKEN_USER_PERMISSIONS: Flag = Flag::new(false);
pub static CLAIMS_MAX_TENANTS: Number = Number::new(50);
pub static CLAIMS_SYNC_LIMIT: Number = Number::new(1000);
pub static CACHE_SIZE: Number = Number::new(4096);
pub static INDEX_MAX_SET: Number = Number::new(500);
pub static USAGE_SHARED_ENTRIES: Number = Number::new(8192);
pub static USAGE_FLUSH_INTERVAL: Number = Number::new(1000);
static CLAIMS_SCOPE: Number = Number::new(0);
static AUTHORITY: Number = Number::new(0);
static SUBJECT_FORMAT: Number = Number::new(0);
static CLAIMS_SYNC: Number = Number::new(0);

pub const CLAIMS_NAME: &std::ffi::CStr = c"request.jwt.claims";
pub const HEADERS_NAME: &std::ffi::CStr = c"request.headers";
pub const TENANT_ID_NAME: &std::ffi::CStr = c"tenancy.tenant_id";

static OWNS_CLAIMS: AtomicBool = AtomicBool::new(false);
static OWNS_HEADERS: AtomicBool = AtomicBool::new(false);

/// Whether tables or tokens decide.
pub fn authority_is_claims() -> bool {
    AUTHORITY.get() == 1
}

/// Whether a token's `sub` is a user only where the table of subjects says whose; otherwise it is the user's uuid.
pub fn subjects_are_mapped() -> bool {
    SUBJECT_FORMAT.get() == 1
}

/// When changes of grants are projected into the users table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimsSync {
    On,
    Deferred,
    Off,
}

pub fn claims_sync() -> ClaimsSync {
    match CLAIMS_SYNC.get() {
        0 => ClaimsSync::On,
        1 => ClaimsSync::Deferred,
        _ => ClaimsSync::Off,
    }
}

/// Whether claims end with the transaction that set them.
pub fn claims_end_with_transaction() -> bool {
    CLAIMS_SCOPE.get() == 0
}

/// Whether an assign hook tells us of new claims; otherwise they are compared.
pub fn owns_claims() -> bool {
    OWNS_CLAIMS.load(Relaxed)
}

pub fn owns_headers() -> bool {
    OWNS_HEADERS.load(Relaxed)
}

/// Whether an assign hook watches every setting that can change an answer, so that counters tell enough.
#[inline]
pub fn all_watched() -> bool {
    owns_claims() && (owns_headers() || TENANT_HEADER.is_empty()) && !LEGACY_CLAIMS.get()
}

pub fn define() {
    TENANT_ID.define(
        TENANT_ID_NAME,
        c"Tenant this transaction works in, if its user is an active member of it.",
        c"",
        Who::Anybody,
        true,
    );
    TENANT_HEADER.define(
        c"tenancy.tenant_header",
        c"Name of the request header that may choose the tenant; empty for none.",
        c"",
        Who::Superuser,
        false,
    );
    TENANT_CLAIM.define(
        c"tenancy.tenant_claim",
        c"Paths in the claims that may name the tenant, the first present counting.",
        c"app_metadata.tenant_id, tenant_id",
        Who::Superuser,
        false,
    );
    PERMISSION_CLAIM.define(
        c"tenancy.permission_claim",
        c"Paths in the claims that list permissions, read only with tenancy.authority = claims.",
        c"app_metadata.perms, user_permissions",
        Who::Superuser,
        false,
    );
    SOLE_TENANT.define(
        c"tenancy.sole_tenant",
        c"Whether a user's only membership is his tenant when nothing chooses one.",
        Who::Superuser,
    );
    REQUIRE_EXP.define(
        c"tenancy.require_exp",
        c"Whether claims without exp are treated as anonymous.",
        Who::Superuser,
    );
    TRUST_CLAIMS.define(
        c"tenancy.trust_claims",
        c"Whether claims are an identity; off leaves set_identity() and enter_tenant() only.",
        Who::Superuser,
    );
    SUBJECT_FORMAT.define_choice(
        c"tenancy.subject_format",
        c"Whether a token's sub is the user's uuid, or looked up in tenancy.subjects.",
        [c"uuid", c"mapped"],
    );
    SELF_SERVICE.define(
        c"tenancy.self_service",
        c"Whether any identified user may create tenants of his own.",
        Who::Superuser,
    );
    AUTO_ASSIGNMENT.define(
        c"tenancy.auto_assignment",
        c"Whether who signs up becomes a member of the tenant that takes in his e-mail address.",
        Who::Superuser,
    );
    PROFILE_AVATAR_URL.define(
        c"tenancy.profile_avatar_url",
        c"Address of a new profile's picture, with {user_id}, {user_md5} or {email_md5}; empty for none.",
        c"",
        Who::Superuser,
        false,
    );
    MAX_OWNED_TENANTS.define(
        c"tenancy.max_owned_tenants",
        c"How many tenants a user may own before self-service refuses him another.",
        (0, i32::MAX),
        Who::Superuser,
        false,
    );
    ALLOW_TENANT_CHANGE.define(
        c"tenancy.allow_tenant_change",
        c"Lets an administrator move rows of protected tables to another tenant.",
        Who::Anybody,
    );
    CACHE_SIZE.define(
        c"tenancy.cache_size",
        c"Memory of a backend for users' resolved permissions.",
        (64, 1 << 20),
        Who::Superuser,
        true,
    );
    INDEX_MAX_SET.define(
        c"tenancy.index_max_set",
        c"The largest set of tenants that the planner may search an index for.",
        (0, i32::MAX),
        Who::Anybody,
        false,
    );
    CLAIMS_SCOPE.define_choice(
        c"tenancy.claims_scope",
        c"How long claims and tenancy.tenant_id last when set by plain SET.",
        [c"transaction", c"session"],
    );
    AUTHORITY.define_choice(
        c"tenancy.authority",
        c"Whether tables or the token's claims decide who may do what.",
        [c"tables", c"claims"],
    );
    NEXT_PRE_REQUEST.define(
        c"tenancy.next_pre_request",
        c"Function that pre_request() calls next, with its schema; empty for none.",
        c"",
        Who::Superuser,
        false,
    );
    LEGACY_CLAIMS.define(
        c"tenancy.legacy_claims",
        c"Whether claims are read from request.jwt.claim.sub and the like where request.jwt.claims is not set.",
        Who::Superuser,
    );
    CLAIMS_SYNC.define_choice(
        c"tenancy.claims_sync",
        c"When changes of grants are projected into the users' app metadata.",
        [c"on", c"deferred", c"off"],
    );
    CLAIMS_SYNC_LIMIT.define(
        c"tenancy.claims_sync_limit",
        c"The most users whose claims are projected at once; beyond it they are queued for sync_claims().",
        (0, 1_000_000),
        Who::Superuser,
        false,
    );
    CLAIMS_MAX_TENANTS.define(
        c"tenancy.claims_max_tenants",
        c"The most tenants listed in a user's claims.",
        (0, 10_000),
        Who::Superuser,
        false,
    );
    TOKEN_HOOK.define(
        c"tenancy.token_hook",
        c"Whether custom_access_token_hook adds claims to tokens; off returns every event as it came.",
        Who::Superuser,
    );
    TOKEN_USER_PERMISSIONS.define(
        c"tenancy.token_user_permissions",
        c"Whether custom_access_token_hook also lists permissions in the claim user_permissions at the top level.",
        Who::Superuser,
    );
    USAGE_SHARED_ENTRIES.define(
        c"tenancy.usage_shared_entries",
        c"How many tenants and meters count_request() can count in shared memory; read when the server starts.",
        (16, 10_000_000),
        Who::ServerStart,
        false,
    );
    USAGE_FLUSH_INTERVAL.define_time(
        c"tenancy.usage_flush_interval",
        c"How often what count_request() counted in shared memory is written to tables.",
        (10, 3_600_000),
        Who::Server,
    );
    OWN_CLAIMS_SETTING.define(
        c"tenancy.own_claims_setting",
        c"Whether request.jwt.claims is taken over by an assign hook; read when the library loads.",
        Who::Superuser,
    );
    IDENTITY.define(c"The identity that set_identity() or enter_tenant() gave this transaction.");
    own_request_settings();
    reserve_prefix(c"tenancy");
}

/// Takes over the placeholders, with their value, unless another module owns the names.
fn own_request_settings() {
    if !OWN_CLAIMS_SETTING.get() {
        return;
    }
    if is_definable(CLAIMS_NAME) {
        CLAIMS.define(CLAIMS_NAME, c"Claims of the request's token, as JSON.", c"", Who::Anybody, true);
        OWNS_CLAIMS.store(true, Relaxed);
    }
    if !TENANT_HEADER.is_empty() && is_definable(HEADERS_NAME) {
        HEADERS.define(HEADERS_NAME, c"Headers of the request, as JSON.", c"", Who::Anybody, true);
        OWNS_HEADERS.store(true, Relaxed);
    }
}
