-- Recording usage, native (src/api/usage.rs).

CREATE FUNCTION tenancy.record_usage(meter text, amount bigint DEFAULT 1, tenant uuid DEFAULT tenancy.current_tenant_id()) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'tenancy_record_usage';
REVOKE ALL ON FUNCTION tenancy.record_usage(text, bigint, uuid) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.record_usage(text, bigint, uuid) IS 'Adds an amount, in the meter''s unit, to what the tenant has used, in this transaction; a negative one lowers a gauge. Errors: 23514 (constraint quota) a hard quota would be exceeded; 42704 no such meter; 22023 NULL, or a negative amount of a counter; 22003 out of the range of bigint; 28000 no tenant; 42501 not the caller''s tenant, or lowering a gauge without usage.edit; 55000 counted from tables; 25006 in a READ ONLY transaction';

CREATE FUNCTION tenancy.fold_usage() RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'tenancy_fold_usage';
REVOKE ALL ON FUNCTION tenancy.fold_usage() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.fold_usage() IS 'For administrators: brings together what backends have written apart, but for what open transactions are writing, and waits for nobody. Returns how many slots it did away with. Errors: 42501 not an administrator; 25006 in a READ ONLY transaction';

CREATE FUNCTION tenancy.check_quota(meter text, amount bigint DEFAULT 1, tenant uuid DEFAULT tenancy.current_tenant_id()) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'tenancy_check_quota';
COMMENT ON FUNCTION tenancy.check_quota(text, bigint, uuid) IS 'Whether the tenant may use so much more of a meter, in its unit: true without a hard quota, false without such a meter and for tenants that are not the caller''s, NULL for NULL. It reserves nothing';
CREATE FUNCTION tenancy.remaining(meter text, tenant uuid DEFAULT tenancy.current_tenant_id()) RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'tenancy_remaining';
COMMENT ON FUNCTION tenancy.remaining(text, uuid) IS 'How much of a meter, in its unit, the tenant has left below its lowest hard quota; NULL without one, without such a meter, and for tenants that are not the caller''s';
