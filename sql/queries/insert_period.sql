-- Qualified throughout: it runs under the caller's search_path. Whoever deletes tenant or meter is waited for, as by a foreign key.
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount)
SELECT t.id, $2, $3, $4 FROM tenancy.tenants t, tenancy.meters m
 WHERE t.id OPERATOR(pg_catalog.=) $1 AND m.name OPERATOR(pg_catalog.=) $2
   FOR KEY SHARE
