-- Usage and quotas as Prometheus has metrics: docs/guides/prometheus.md. The unit is a label, for all meters are one metric.

CREATE VIEW tenancy.prometheus WITH (security_invoker) AS
    SELECT v.metric, v.type, v.help, t.id AS tenant, t.slug, v.meter, m.unit, v.period, v.level, trim_scale(v.value) AS value
      FROM (SELECT c.tenant_id, c.meter, NULL AS period, NULL AS level, c.total AS value,
                   CASE c.kind WHEN 'counter' THEN 'pg_tenancy_usage_total' ELSE 'pg_tenancy_usage_current' END AS metric,
                   c.kind AS type,
                   CASE c.kind WHEN 'counter' THEN 'Recorded ever, of meters that are counters.' ELSE 'The present amount, of meters that are gauges.' END AS help
              FROM tenancy.usage_current c
            UNION ALL
            SELECT q.tenant_id, q.meter, q.period, l.level, l.value, l.metric, 'gauge', l.help
              FROM tenancy.quota_status q
             CROSS JOIN LATERAL (VALUES
                   ('pg_tenancy_quota_limit', 'soft', q.soft::numeric, 'The limit in force, soft or hard.'),
                   ('pg_tenancy_quota_limit', 'hard', q.hard::numeric, 'The limit in force, soft or hard.'),
                   ('pg_tenancy_quota_used', NULL, q.used, 'Used in the present period of a limit.'),
                   ('pg_tenancy_quota_used_ratio', NULL, q.percent / 100, 'Used of the hard limit, or of the soft one where there is no hard one.')
             ) l (metric, level, value, help)
             WHERE l.value IS NOT NULL) v
      JOIN tenancy.tenants t ON t.id = v.tenant_id
      JOIN tenancy.meters m ON m.name = v.meter;
COMMENT ON VIEW tenancy.prometheus IS 'Usage and quotas in the naming of Prometheus: one sample in each row, labels as columns, NULL where a metric has no such label';
COMMENT ON COLUMN tenancy.prometheus.metric IS 'The metric''s name';
COMMENT ON COLUMN tenancy.prometheus.type IS 'counter or gauge';
COMMENT ON COLUMN tenancy.prometheus.help IS 'What the metric is';
COMMENT ON COLUMN tenancy.prometheus.tenant IS 'Label: the tenant''s id';
COMMENT ON COLUMN tenancy.prometheus.slug IS 'Label: its slug';
COMMENT ON COLUMN tenancy.prometheus.meter IS 'Label: the meter';
COMMENT ON COLUMN tenancy.prometheus.unit IS 'Label: what one of it is';
COMMENT ON COLUMN tenancy.prometheus.period IS 'Label: of limits, the period';
COMMENT ON COLUMN tenancy.prometheus.level IS 'Label: of pg_tenancy_quota_limit, soft or hard';
COMMENT ON COLUMN tenancy.prometheus.value IS 'The sample';

CREATE FUNCTION tenancy.prometheus_label(name text, value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    RETURN format('%s="%s"', name, replace(replace(replace(value, '\', '\\'), '"', '\"'), E'\n', '\n'));
COMMENT ON FUNCTION tenancy.prometheus_label(text, text) IS 'A label as the text format writes it; NULL for no value';

CREATE FUNCTION tenancy.prometheus_text() RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(string_agg(f.family, '' ORDER BY f.metric COLLATE "C"), '')
              FROM (SELECT p.metric,
                           format(E'# HELP %1$s %2$s\n# TYPE %1$s %3$s\n', p.metric, p.help, p.type)
                           || string_agg(format(E'%s{%s} %s\n', p.metric,
                                  concat_ws(',', tenancy.prometheus_label('tenant', p.tenant::text), tenancy.prometheus_label('slug', p.slug),
                                            tenancy.prometheus_label('meter', p.meter), tenancy.prometheus_label('unit', p.unit),
                                            tenancy.prometheus_label('period', p.period), tenancy.prometheus_label('level', p.level)), p.value), ''
                                  ORDER BY p.slug COLLATE "C", p.meter COLLATE "C", p.period COLLATE "C", p.level COLLATE "C") AS family
                      FROM tenancy.prometheus p GROUP BY p.metric, p.help, p.type) f);
COMMENT ON FUNCTION tenancy.prometheus_text() IS 'View prometheus in the text exposition format, of the tenants whose usage the caller may see; empty if there is nothing';
