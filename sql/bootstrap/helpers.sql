-- The functions that policies call, in C for speed (src/api). STRICT: NULL in gives NULL out, which denies.
-- None raises, writes or logs because of its arguments. LEAKPROOF where nothing they raise, log or allocate
-- depends on the row's tenant, so that a policy of the user's that sorts first cannot take the index away.

-- What the planner asks about them (src/planner). It calls these itself; nobody else can, for want of an internal.
CREATE FUNCTION tenancy.tenant_support(internal) RETURNS internal
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tenancy_tenant_support';
REVOKE ALL ON FUNCTION tenancy.tenant_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.tenant_support(internal) IS 'Planner support: index condition and estimates for functions that take a tenant';

CREATE FUNCTION tenancy.answer_support(internal) RETURNS internal
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tenancy_answer_support';
REVOKE ALL ON FUNCTION tenancy.answer_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.answer_support(internal) IS 'Planner support: estimates for functions that answer for the active tenant';

CREATE FUNCTION tenancy.set_support(internal) RETURNS internal
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tenancy_set_support';
REVOKE ALL ON FUNCTION tenancy.set_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.set_support(internal) IS 'Planner support: cost of functions that give a set of tenants';

-- Costs: beside a column these two are next to nothing, and what asks for a permission without a column costs a
-- little more than a comparison with them, so that the planner puts it after the tenant's own condition.
CREATE FUNCTION tenancy.current_user_id() RETURNS uuid
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_current_user_id';
COMMENT ON FUNCTION tenancy.current_user_id() IS 'The user of this request: sub of valid claims; NULL when anonymous, malformed or expired';

CREATE FUNCTION tenancy.current_tenant_id() RETURNS uuid
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_current_tenant_id';
COMMENT ON FUNCTION tenancy.current_tenant_id() IS 'The active tenant; NULL if none is chosen or the user is no active member of it';

-- The sets are PARALLEL RESTRICTED: the processes of a parallel index scan for the elements of an array share positions
-- in it, and each would find its own while grants change.
CREATE FUNCTION tenancy.tenant_ids() RETURNS uuid[]
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED SUPPORT tenancy.set_support AS 'MODULE_PATHNAME', 'tenancy_tenant_ids';
COMMENT ON FUNCTION tenancy.tenant_ids() IS 'The open tenants the user is an active member of';

CREATE FUNCTION tenancy.tenant_ids_with(permission text) RETURNS uuid[]
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED SUPPORT tenancy.set_support AS 'MODULE_PATHNAME', 'tenancy_tenant_ids_with';
COMMENT ON FUNCTION tenancy.tenant_ids_with(permission text) IS 'The tenants in which the user holds the permission';

CREATE FUNCTION tenancy.tenant_ids_with_any(permissions text[]) RETURNS uuid[]
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED SUPPORT tenancy.set_support AS 'MODULE_PATHNAME', 'tenancy_tenant_ids_with_any';
COMMENT ON FUNCTION tenancy.tenant_ids_with_any(permissions text[]) IS 'The tenants in which the user holds one of the permissions';

CREATE FUNCTION tenancy.tenant_ids_with_all(permissions text[]) RETURNS uuid[]
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED SUPPORT tenancy.set_support AS 'MODULE_PATHNAME', 'tenancy_tenant_ids_with_all';
COMMENT ON FUNCTION tenancy.tenant_ids_with_all(permissions text[]) IS 'The tenants in which the user holds each of the permissions, at least one';

CREATE FUNCTION tenancy.tenant_ids_or_all(access text) RETURNS uuid[]
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED SUPPORT tenancy.set_support AS 'MODULE_PATHNAME', 'tenancy_tenant_ids_or_all';
COMMENT ON FUNCTION tenancy.tenant_ids_or_all(access text) IS 'The tenants of tenant_ids(), or all there are for an operator with at least this access, read or write';

CREATE FUNCTION tenancy.active_tenant_or_all(access text) RETURNS uuid[]
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED SUPPORT tenancy.set_support AS 'MODULE_PATHNAME', 'tenancy_active_tenant_or_all';
COMMENT ON FUNCTION tenancy.active_tenant_or_all(access text) IS 'The active tenant, or all there are for an operator with at least this access, read or write';

CREATE FUNCTION tenancy.is_member(tenant uuid) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_is_member';
COMMENT ON FUNCTION tenancy.is_member(tenant uuid) IS 'Whether the user is an active member of the tenant, and the tenant is open';

-- What protect_table(…, operators => true) asks. For an operator the tenant is not looked up: any is his.
CREATE FUNCTION tenancy.is_member_or_operator(tenant uuid, access text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_is_member_or_operator';
COMMENT ON FUNCTION tenancy.is_member_or_operator(tenant uuid, access text) IS 'Whether is_member(tenant), or the user is an operator with at least this access, read or write';

CREATE FUNCTION tenancy.is_active_or_operator(tenant uuid, access text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_is_active_or_operator';
COMMENT ON FUNCTION tenancy.is_active_or_operator(tenant uuid, access text) IS 'Whether it is the active tenant, or the user is an operator with at least this access, read or write';

CREATE FUNCTION tenancy.can_see_tenant(tenant uuid) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_can_see_tenant';
COMMENT ON FUNCTION tenancy.can_see_tenant(tenant uuid) IS 'Whether the user may see the tenant''s own row: as is_member, but also while it is suspended';

CREATE FUNCTION tenancy.has_role(role text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1.1 SUPPORT tenancy.answer_support AS 'MODULE_PATHNAME', 'tenancy_has_role';
COMMENT ON FUNCTION tenancy.has_role(role text) IS 'Whether the user has this application role in the active tenant, directly, by a group or by inheritance';

CREATE FUNCTION tenancy.has_role(tenant uuid, role text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_has_role_in';
COMMENT ON FUNCTION tenancy.has_role(tenant uuid, role text) IS 'Whether the user has this application role in that tenant; a tenant''s own role of the name never counts';

CREATE FUNCTION tenancy.has_tenant_role(tenant uuid, role text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_has_tenant_role';
COMMENT ON FUNCTION tenancy.has_tenant_role(tenant uuid, role text) IS 'Whether the user has this role of the tenant''s own in that tenant';

CREATE FUNCTION tenancy.has_permission(permission text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1.1 SUPPORT tenancy.answer_support AS 'MODULE_PATHNAME', 'tenancy_has_permission';
COMMENT ON FUNCTION tenancy.has_permission(permission text) IS 'Whether the user holds the permission in the active tenant';

CREATE FUNCTION tenancy.has_permission(tenant uuid, permission text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_has_permission_in';
COMMENT ON FUNCTION tenancy.has_permission(tenant uuid, permission text) IS 'Whether the user holds the permission in that tenant';

CREATE FUNCTION tenancy.has_permission_by_name(permission text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1.1 AS 'MODULE_PATHNAME', 'tenancy_has_permission_by_name';
COMMENT ON FUNCTION tenancy.has_permission_by_name(permission text) IS 'Whether the user holds the permission in the active tenant by a grant of this very name, not by a wildcard; all asks for the wildcard itself';

CREATE FUNCTION tenancy.has_any_permission(permissions text[]) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1.1 SUPPORT tenancy.answer_support AS 'MODULE_PATHNAME', 'tenancy_has_any_permission';
COMMENT ON FUNCTION tenancy.has_any_permission(permissions text[]) IS 'Whether the user holds one of the permissions in the active tenant';

CREATE FUNCTION tenancy.has_any_permission(tenant uuid, permissions text[]) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_has_any_permission_in';
COMMENT ON FUNCTION tenancy.has_any_permission(tenant uuid, permissions text[]) IS 'Whether the user holds one of the permissions in that tenant';

CREATE FUNCTION tenancy.has_all_permissions(permissions text[]) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1.1 SUPPORT tenancy.answer_support AS 'MODULE_PATHNAME', 'tenancy_has_all_permissions';
COMMENT ON FUNCTION tenancy.has_all_permissions(permissions text[]) IS 'Whether the user holds each of the permissions, at least one, in the active tenant';

CREATE FUNCTION tenancy.has_all_permissions(tenant uuid, permissions text[]) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT tenancy.tenant_support AS 'MODULE_PATHNAME', 'tenancy_has_all_permissions_in';
COMMENT ON FUNCTION tenancy.has_all_permissions(tenant uuid, permissions text[]) IS 'Whether the user holds each of the permissions, at least one, in that tenant';

CREATE FUNCTION tenancy.claim(path text) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_claim';
COMMENT ON FUNCTION tenancy.claim(path text) IS 'The value at a dotted path of valid claims, as in app_metadata.tenant_id';

CREATE FUNCTION tenancy.claims() RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_claims';
COMMENT ON FUNCTION tenancy.claims() IS 'The token''s content; NULL if there is none, it is malformed, or it does not count now. Integers beyond 64 bits become floating point';

CREATE FUNCTION tenancy.aal() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_aal';
COMMENT ON FUNCTION tenancy.aal() IS 'The token''s authenticator assurance level, as GoTrue writes it; NULL if absent';

CREATE FUNCTION tenancy.operator_access() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_operator_access';
COMMENT ON FUNCTION tenancy.operator_access() IS 'read or write for an operator of the platform, else NULL';

CREATE FUNCTION tenancy.current_tenant_key() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_current_tenant_key';
COMMENT ON FUNCTION tenancy.current_tenant_key() IS 'The active tenant''s key in the host application; NULL if it has none';

CREATE FUNCTION tenancy.current_actor() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'tenancy_current_actor';
COMMENT ON FUNCTION tenancy.current_actor() IS 'Who acts, for records: user:<uuid>, or role:<database role> after enter_tenant(); NULL when anonymous';

CREATE FUNCTION tenancy.signal_change() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_signal_change';
REVOKE ALL ON FUNCTION tenancy.signal_change() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.signal_change() IS 'Trigger function: tells every backend that the table it stands on has changed';

CREATE FUNCTION tenancy.signal_role_change() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_signal_role_change';
REVOKE ALL ON FUNCTION tenancy.signal_role_change() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.signal_role_change() IS 'Trigger function: the same for the tables that say what a role comes to';
CREATE FUNCTION tenancy.signal_quota_change() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_signal_quota_change';
REVOKE ALL ON FUNCTION tenancy.signal_quota_change() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.signal_quota_change() IS 'Trigger function: the same for the tables of meters and quotas';
