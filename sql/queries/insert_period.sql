-- Qualified throughout: it runs under the caller's search_path. Whoever deletes the tenant is waited for, as by a foreign key.
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount)
SELECT t.id, $2, $3, $4 FROM tenancy.tenants t WHERE t.id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE
