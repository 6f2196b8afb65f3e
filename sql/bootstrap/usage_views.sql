-- What tenants use and may use. Views of the caller's: row-level security of the tables decides which tenants he sees. Sums
-- are numeric, so that none overflows. "Now" is when the statement began.

CREATE VIEW tenancy.usage_current WITH (security_invoker) AS
    SELECT u.tenant_id, m.name AS meter, m.kind, m.unit,
           coalesce(sum(u.hour_amount) FILTER (WHERE u.hour = date_trunc('hour', statement_timestamp(), 'UTC')), 0) AS this_hour,
           coalesce(sum(u.day_amount) FILTER (WHERE date_trunc('day', u.hour, 'UTC') = date_trunc('day', statement_timestamp(), 'UTC')), 0) AS this_day,
           coalesce(sum(u.month_amount) FILTER (WHERE date_trunc('month', u.hour, 'UTC') = date_trunc('month', statement_timestamp(), 'UTC')), 0) AS this_month,
           sum(u.total) AS total
      FROM tenancy.usage u JOIN tenancy.meters m ON m.name = u.meter
     GROUP BY u.tenant_id, m.name, m.kind, m.unit;
COMMENT ON VIEW tenancy.usage_current IS 'What tenants have used in the present hour, day and month, in UTC, and altogether';
COMMENT ON COLUMN tenancy.usage_current.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.usage_current.meter IS 'The meter';
COMMENT ON COLUMN tenancy.usage_current.kind IS 'counter or gauge';
COMMENT ON COLUMN tenancy.usage_current.unit IS 'What one of it is';
COMMENT ON COLUMN tenancy.usage_current.this_hour IS 'Recorded in this hour; of a gauge, by how much it changed';
COMMENT ON COLUMN tenancy.usage_current.this_day IS 'The same for this day';
COMMENT ON COLUMN tenancy.usage_current.this_month IS 'The same for this month';
COMMENT ON COLUMN tenancy.usage_current.total IS 'Recorded ever; of a gauge, the present amount';

-- A period's amount is what slots left behind and what still stands in slots, whose own period is always one. A slot with
-- nothing in it says nothing of the period: it was folded, or pruned.
CREATE VIEW tenancy.usage_changes WITH (security_invoker) AS
    SELECT v.tenant_id, v.meter, v.kind, v.period, v.period_start, sum(v.amount) AS amount
      FROM (SELECT p.tenant_id, p.meter, m.kind, m.period, p.period_start, p.amount
              FROM tenancy.usage_periods p JOIN tenancy.meters m ON m.name = p.meter
             WHERE m.period <> 'none'
            UNION ALL
            SELECT u.tenant_id, u.meter, m.kind, m.period, date_trunc(nullif(m.period, 'none'), u.hour, 'UTC'),
                   CASE m.period WHEN 'hour' THEN u.hour_amount WHEN 'day' THEN u.day_amount ELSE u.month_amount END
              FROM tenancy.usage u JOIN tenancy.meters m ON m.name = u.meter
             WHERE m.period <> 'none') v
     WHERE v.amount <> 0
     GROUP BY v.tenant_id, v.meter, v.kind, v.period, v.period_start;
COMMENT ON VIEW tenancy.usage_changes IS 'What was recorded in each period of a meter, the present one included';
COMMENT ON COLUMN tenancy.usage_changes.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.usage_changes.meter IS 'The meter';
COMMENT ON COLUMN tenancy.usage_changes.kind IS 'counter or gauge';
COMMENT ON COLUMN tenancy.usage_changes.period IS 'hour, day or month';
COMMENT ON COLUMN tenancy.usage_changes.period_start IS 'When the period began';
COMMENT ON COLUMN tenancy.usage_changes.amount IS 'Recorded in it; of a gauge, by how much it changed';

-- A gauge's amount at a period's end is the present one without the changes of later periods: pruning leaves it right.
CREATE VIEW tenancy.usage_history WITH (security_invoker) AS
    SELECT c.tenant_id, c.meter, c.period_start, c.period,
           CASE c.kind WHEN 'gauge' THEN
               (SELECT sum(u.total) FROM tenancy.usage u WHERE u.tenant_id = c.tenant_id AND u.meter = c.meter)
               - coalesce(sum(c.amount) OVER (PARTITION BY c.tenant_id, c.meter ORDER BY c.period_start DESC
                                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
           ELSE c.amount END AS amount
      FROM tenancy.usage_changes c;
COMMENT ON VIEW tenancy.usage_history IS 'What tenants have used in each period of which history is kept, the present one included';
COMMENT ON COLUMN tenancy.usage_history.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.usage_history.meter IS 'The meter';
COMMENT ON COLUMN tenancy.usage_history.period_start IS 'When the period began';
COMMENT ON COLUMN tenancy.usage_history.period IS 'hour, day or month';
COMMENT ON COLUMN tenancy.usage_history.amount IS 'Recorded in it; of a gauge, the amount at its end';

-- Who may not see a tenant's exceptions and plan must not be shown the default plan instead.
CREATE VIEW tenancy.effective_quotas WITH (security_invoker) AS
    SELECT q.tenant_id, q.meter, q.period, q.soft, q.hard, 'tenant' AS source, q.expires_at
      FROM tenancy.quotas q
     WHERE (q.expires_at > statement_timestamp()) IS NOT FALSE
    UNION ALL
    SELECT t.id, l.meter, l.period, l.soft, l.hard, CASE WHEN p.plan IS NULL THEN 'default plan' ELSE 'plan' END, p.expires_at
      FROM tenancy.tenants t
      LEFT JOIN tenancy.tenant_plans p ON p.tenant_id = t.id AND (p.expires_at > statement_timestamp()) IS NOT FALSE
      JOIN tenancy.plan_quotas l ON l.plan = coalesce(p.plan, (SELECT d.name FROM tenancy.plans d WHERE d.is_default))
     WHERE (tenancy.is_administrator() OR t.id = ANY ((SELECT tenancy.usage_tenants())::uuid[]))
       AND NOT EXISTS (SELECT FROM tenancy.quotas q
                        WHERE q.tenant_id = t.id AND q.meter = l.meter AND q.period = l.period
                          AND (q.expires_at > statement_timestamp()) IS NOT FALSE);
COMMENT ON VIEW tenancy.effective_quotas IS 'What limits each tenant now: its own quota, else its plan''s, else the default plan''s';
COMMENT ON COLUMN tenancy.effective_quotas.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.effective_quotas.meter IS 'What is limited';
COMMENT ON COLUMN tenancy.effective_quotas.period IS 'In each hour, day or month, in UTC, or none: ever, and of a gauge at any time';
COMMENT ON COLUMN tenancy.effective_quotas.soft IS 'Beyond it the tenant is told; NULL: never';
COMMENT ON COLUMN tenancy.effective_quotas.hard IS 'Beyond it nothing is let through; NULL: no limit';
COMMENT ON COLUMN tenancy.effective_quotas.source IS 'Whose it is: tenant, plan or default plan';
COMMENT ON COLUMN tenancy.effective_quotas.expires_at IS 'Until when it is this one; NULL: for good';

-- Days and months are those of UTC, whatever the session's time zone.
CREATE FUNCTION tenancy.period_end(period text, at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN period IN ('hour', 'day', 'month')
                THEN (date_trunc(period, at AT TIME ZONE 'UTC') + format('1 %s', period)::interval) AT TIME ZONE 'UTC' END;
COMMENT ON FUNCTION tenancy.period_end(text, timestamptz) IS 'When the hour, day or month in UTC that a time lies in ends; NULL for none';

CREATE VIEW tenancy.quota_status WITH (security_invoker) AS
    SELECT e.tenant_id, e.meter, e.period, u.used, e.soft, e.hard,
           CASE WHEN e.hard IS NOT NULL THEN greatest(e.hard - u.used, 0) END AS remaining,
           CASE WHEN coalesce(e.hard, e.soft) = 0 THEN 100.00 ELSE round(100 * u.used / coalesce(e.hard, e.soft), 2) END AS percent,
           tenancy.period_end(e.period, statement_timestamp()) AS resets_at,
           e.source
      FROM tenancy.effective_quotas e
      CROSS JOIN LATERAL (
           SELECT coalesce(sum(CASE e.period WHEN 'none' THEN s.total WHEN 'hour' THEN s.hour_amount WHEN 'day' THEN s.day_amount ELSE s.month_amount END), 0) AS used
             FROM tenancy.usage s
            WHERE s.tenant_id = e.tenant_id AND s.meter = e.meter
              AND (date_trunc(nullif(e.period, 'none'), s.hour, 'UTC') = date_trunc(nullif(e.period, 'none'), statement_timestamp(), 'UTC')) IS NOT FALSE
      ) u;
COMMENT ON VIEW tenancy.quota_status IS 'How far each tenant has come with each of its limits';
COMMENT ON COLUMN tenancy.quota_status.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.quota_status.meter IS 'What is limited';
COMMENT ON COLUMN tenancy.quota_status.period IS 'In each hour, day or month, in UTC, or none: ever, and of a gauge at any time';
COMMENT ON COLUMN tenancy.quota_status.used IS 'Used in the present period; of a gauge, the present amount';
COMMENT ON COLUMN tenancy.quota_status.soft IS 'Beyond it the tenant is told; NULL: never';
COMMENT ON COLUMN tenancy.quota_status.hard IS 'Beyond it nothing is let through; NULL: no limit';
COMMENT ON COLUMN tenancy.quota_status.remaining IS 'What may still be used of hard, never negative; NULL: no limit';
COMMENT ON COLUMN tenancy.quota_status.percent IS 'Used of hard, or of soft where there is no hard limit; NULL: neither';
COMMENT ON COLUMN tenancy.quota_status.resets_at IS 'When the period ends; NULL for none';
COMMENT ON COLUMN tenancy.quota_status.source IS 'Whose limit it is: tenant, plan or default plan';
