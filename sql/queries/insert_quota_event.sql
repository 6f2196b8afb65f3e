-- Qualified throughout: it runs under the caller's search_path. Whoever deletes tenant or meter is not waited for.
WITH event AS (
    INSERT INTO tenancy.quota_events (tenant_id, meter, period, period_start, soft, used)
    SELECT t.id, m.name, $3, $4, $5, $6 FROM tenancy.tenants t, tenancy.meters m
     WHERE t.id OPERATOR(pg_catalog.=) $1 AND m.name OPERATOR(pg_catalog.=) $2
       FOR KEY SHARE SKIP LOCKED
    RETURNING id
)
SELECT pg_catalog.pg_notify('tenancy_quota', id::pg_catalog.text) FROM event
