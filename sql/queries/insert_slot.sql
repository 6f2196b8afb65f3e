-- Qualified throughout: it runs under the caller's search_path. Whoever deletes the tenant is waited for, as by a foreign key.
INSERT INTO tenancy.usage (tenant_id, meter, slot, hour, hour_amount, day_amount, month_amount, total)
SELECT t.id, $2, $3, $4, 0, 0, 0, 0 FROM tenancy.tenants t WHERE t.id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE
