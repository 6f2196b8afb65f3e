-- Comments on the functions that pgrx declares, which it cannot write itself.

COMMENT ON FUNCTION tenancy.require_permission(text) IS 'Raises 42501 unless the user holds the permission in the active tenant; 22023 for NULL';
COMMENT ON FUNCTION tenancy.require_permission(uuid, text) IS 'Raises 42501 unless the user holds the permission in that tenant; 22023 for a NULL permission';
COMMENT ON FUNCTION tenancy.is_administrator() IS 'Whether the current database role administers pg_tenancy: superuser, BYPASSRLS, or member of the role that owns its tables';
COMMENT ON FUNCTION tenancy.caller_is_administrator() IS 'Administrators only: as is_administrator, asked of the role the session has taken, whatever functions with other rights lie between';
COMMENT ON FUNCTION tenancy.can_grant_role(uuid, uuid) IS 'Whether the caller''s identity holds, in the tenant, all that the role holds by itself and by inheritance, and so may grant it';
COMMENT ON FUNCTION tenancy.can_grant_permission(uuid, text) IS 'Whether the caller''s identity holds, in the tenant, the permission or wildcard, and so may grant it to a role';
COMMENT ON FUNCTION tenancy.is_permission_name(text) IS 'Whether a text can be registered as a permission, as in docs.read';
COMMENT ON FUNCTION tenancy.is_permission_pattern(text) IS 'Whether a text can be granted: a permission''s name, all, or a wildcard such as docs.*';
COMMENT ON FUNCTION tenancy.would_create_cycle(uuid, uuid) IS 'Whether the junior role already inherits the senior one, by the newest committed state and one''s own changes';
COMMENT ON FUNCTION tenancy.count_roles_named(text, boolean) IS 'Administrators only: how many roles have the name, of the application or of tenants, by the newest committed state and one''s own changes';
COMMENT ON FUNCTION tenancy.count_direct_grants(uuid, uuid) IS 'Administrators only: in how many tenants the role is granted to the user directly, by the newest committed state and one''s own changes';
COMMENT ON FUNCTION tenancy.request_is_refused() IS 'Internal: whether tenancy.tenant_id or the tenant header names a tenant that the request''s user may not work in';
COMMENT ON FUNCTION tenancy.operator_until() IS 'Internal: when the caller''s own write access as an operator ends, by the newest committed state and one''s own changes: infinity for never, NULL if he has none';
COMMENT ON FUNCTION tenancy.cache_stats() IS 'This backend''s cache: users kept, their bytes, and hits, misses, loads and invalidations since it started';
COMMENT ON FUNCTION tenancy.count_request(text, bigint) IS 'Counts for the active tenant by a counter, in READ ONLY transactions too where shared_preload_libraries names the library: in shared memory, which is written to the tables every tenancy.usage_flush_interval. It is no part of the transaction, and no quota refuses it. Returns whether it was counted: not without an active tenant, and not on a standby. Errors: 42704 no such meter; 22023 a gauge, an amount that is not positive, NULL; 22003 out of range; 55000 counted from tables';
COMMENT ON FUNCTION tenancy.usage_shared_stats() IS 'For administrators: the counters in shared memory: entries, capacity and dropped counts of the server; what is pending in this database, the process that writes it, and when it last did. No row where shared_preload_libraries does not name the library';
COMMENT ON FUNCTION tenancy.enterable_tenants() IS 'The open tenants, which the current database role can enter, as (id, key, slug) in order of id. Errors: 42501 it may enter none';
COMMENT ON FUNCTION tenancy.diagnose() IS 'Explains the present identity as rows (topic, finding, hint): claims, user, active tenant, memberships, roles and where each comes from, permissions, settings';
COMMENT ON FUNCTION tenancy.sync_users(uuid[]) IS 'Administrators only: projects the claims of these users into the users table, all in one statement. Returns how many were wrong';
COMMENT ON FUNCTION tenancy.projected_claims(uuid[]) IS 'Administrators only: what the claims of these users are, by the newest committed state and one''s own changes';
COMMENT ON FUNCTION tenancy.write_metadata(text, text[], uuid[], text[]) IS 'Administrators only: puts JSON objects into a metadata column of these users, each in place of those of the keys that the column has, with the rights of the users table''s owner. Returns how many changed';
COMMENT ON FUNCTION tenancy.read_as_role(text, text) IS 'Administrators only: the first column of what a query gives, executed with the rights of a database role that the caller is a member of, else NULL; the code that runs cannot leave the role';
COMMENT ON FUNCTION tenancy.execute_as_owner(oid, text) IS 'Administrators only: executes a statement with the rights of the owner of that table';
COMMENT ON FUNCTION tenancy.read_as_owner(oid, text) IS 'Administrators only: the first column of what a query gives, executed with the rights of the owner of that table';
COMMENT ON FUNCTION tenancy.measure_table(oid, boolean) IS 'Administrators only: what a metered table itself holds now of each tenant, for the gauges that count it, read without SQL. strict: 22023 for a size that is none, else it is 0';
COMMENT ON FUNCTION tenancy.usage_differences(text[]) IS 'Administrators only: where these gauges differ from what the tables that feed them hold, by one snapshot of both; own changes are seen';
COMMENT ON FUNCTION tenancy.correct_usage(uuid, text, bigint) IS 'Administrators only: adds to a tenant''s usage what has happened anyway, whatever the quotas; of a tenant that is gone, nothing';
