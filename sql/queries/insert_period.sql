-- Qualified throughout: it runs under the caller's search_path.
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount)
SELECT t.id, $2, $3, $4 FROM tenancy.tenants t WHERE t.id OPERATOR(pg_catalog.=) $1
