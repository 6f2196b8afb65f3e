-- Qualified throughout: it runs under the caller's search_path. Whoever deletes tenant or meter is waited for, as by a foreign key.
INSERT INTO tenancy.usage (tenant_id, meter, slot, hour, hour_amount, day_amount, month_amount, total)
SELECT t.id, $2, $3, $4, 0, 0, 0, 0 FROM tenancy.tenants t, tenancy.meters m
 WHERE t.id OPERATOR(pg_catalog.=) $1 AND m.name OPERATOR(pg_catalog.=) $2
   FOR KEY SHARE
