-- Qualified throughout: it runs under the caller's search_path. Whoever ends them already is not waited for.
UPDATE tenancy.quota_events SET ended_at = pg_catalog.now()
 WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
     SELECT e.id FROM tenancy.quota_events e
      WHERE e.tenant_id OPERATOR(pg_catalog.=) $1 AND e.meter OPERATOR(pg_catalog.=) $2 AND e.ended_at IS NULL
        FOR UPDATE SKIP LOCKED))
