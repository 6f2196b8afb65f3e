-- What tenants have used between two times, as rows and as JSON: what a bill is made of. The caller's rights decide which tenants.

CREATE FUNCTION tenancy.check_report(starts timestamptz, ends timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF starts IS NULL OR ends IS NULL THEN
        RAISE EXCEPTION '"from" and "to" must not be null' USING ERRCODE = '22023',
            HINT = 'Use -infinity and infinity for no bound.';
    ELSIF starts >= ends THEN
        RAISE EXCEPTION '"from" must be earlier than "to"' USING ERRCODE = '22023',
            DETAIL = 'The report has the periods that begin at "from" or later, and before "to".';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_report(timestamptz, timestamptz) IS 'Internal: 22023 for times that bound nothing';

-- A gauge's peak is the greatest of the amounts at the ends of periods. Where nothing changed in a period it is that of the
-- period before, and so of the first the amount that was there at its start.
CREATE FUNCTION tenancy.usage_report("from" timestamptz, "to" timestamptz)
    RETURNS TABLE (tenant_id uuid, tenant_key text, slug text, name text, meter text, unit text, kind text, period text,
                   amount numeric, peak numeric, periods bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM tenancy.check_report("from", "to");
    RETURN QUERY
    WITH totals AS (
        SELECT u.tenant_id, u.meter, sum(u.total) AS total FROM tenancy.usage u GROUP BY u.tenant_id, u.meter
    ), changes AS (
        SELECT c.tenant_id, c.meter, c.period_start, c.amount,
               sum(c.amount) OVER (PARTITION BY c.tenant_id, c.meter ORDER BY c.period_start DESC) - c.amount AS later
          FROM tenancy.usage_changes c WHERE c.period_start >= usage_report."from"
    ), spans AS (
        SELECT c.tenant_id, c.meter,
               coalesce(sum(c.amount) FILTER (WHERE c.period_start < usage_report."to"), 0) AS within,
               coalesce(sum(c.amount) FILTER (WHERE c.period_start >= usage_report."to"), 0) AS after,
               -min(c.later) FILTER (WHERE c.period_start < usage_report."to") AS highest_end,
               min(c.period_start) FILTER (WHERE c.period_start < usage_report."to") AS first_start,
               count(*) FILTER (WHERE c.period_start < usage_report."to") AS periods
          FROM changes c GROUP BY c.tenant_id, c.meter
    )
    SELECT t.id, t.key, t.slug, t.name, m.name, m.unit, m.kind, m.period,
           CASE WHEN m.period = 'none' THEN u.total
                WHEN m.kind = 'counter' THEN s.within
                ELSE u.total - coalesce(s.after, 0) END,
           CASE WHEN m.period <> 'none' AND m.kind = 'gauge' THEN
                u.total + greatest(s.highest_end,
                    -- what there was when it began, unless the first period that begins in it changed it
                    CASE WHEN s.first_start IS DISTINCT FROM
                              CASE WHEN date_trunc(m.period, usage_report."from", 'UTC') = usage_report."from" THEN usage_report."from"
                                   ELSE tenancy.period_end(m.period, usage_report."from") END
                         THEN - coalesce(s.within, 0) - coalesce(s.after, 0) END) END,
           CASE WHEN m.period <> 'none' THEN coalesce(s.periods, 0) END
      FROM totals u
      JOIN tenancy.meters m ON m.name = u.meter
      JOIN tenancy.tenants t ON t.id = u.tenant_id
      LEFT JOIN spans s ON s.tenant_id = u.tenant_id AND s.meter = u.meter
     WHERE m.period = 'none' OR m.kind = 'gauge' OR s.periods > 0
     ORDER BY t.slug COLLATE "C", m.name;
END
$$;
COMMENT ON FUNCTION tenancy.usage_report(timestamptz, timestamptz) IS 'What tenants have used in the periods that begin in ["from", "to"): of counters the sum; of gauges the amount at the end, and peak, the greatest at the end of a period; of meters without periods the total, whatever the times. Only tenants whose usage the caller may see. Errors: 22023 NULL, or "from" not before "to"';

CREATE FUNCTION tenancy.usage_report_json("from" timestamptz, "to" timestamptz) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('from', usage_report_json."from", 'to', usage_report_json."to",
                   'tenants', coalesce(jsonb_agg(t.tenant ORDER BY t.slug COLLATE "C"), '[]'))
          FROM (SELECT r.slug, jsonb_build_object('id', r.tenant_id, 'key', r.tenant_key, 'slug', r.slug, 'name', r.name,
                           'meters', jsonb_agg(jsonb_build_object('meter', r.meter, 'unit', r.unit, 'kind', r.kind, 'period', r.period,
                                                   'amount', r.amount, 'peak', r.peak, 'periods', r.periods) ORDER BY r.meter COLLATE "C")) AS tenant
                  FROM tenancy.usage_report(usage_report_json."from", usage_report_json."to") r
                 GROUP BY r.tenant_id, r.tenant_key, r.slug, r.name) t);
END
$$;
COMMENT ON FUNCTION tenancy.usage_report_json(timestamptz, timestamptz) IS 'usage_report as one JSON object: from, to, and tenants, each with its meters. Errors: 22023 NULL, or "from" not before "to"';
