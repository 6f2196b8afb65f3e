-- The report: periods that begin in [from, to); counters summed, gauges at the end and at their peak; as rows and as JSON.
SET client_min_messages = warning;
\set a '''6e000000-0000-0000-0000-00000000000a'''
\set b '''6e000000-0000-0000-0000-00000000000b'''
INSERT INTO tenancy.tenants (id, key, slug, name) VALUES (:a, '42', 'report-a', 'Öl & "Söhne"'), (:b, NULL, 'report-b', 'B');
SELECT tenancy.create_meter('rp.calls', 'calls', 'counter'), tenancy.create_meter('rp.rows', 'rows', 'gauge'), tenancy.create_meter('rp.all', 'bytes', 'counter', period => 'none');
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES (:a, 'rp.calls', '2026-01-30 UTC', 1), (:a, 'rp.calls', '2026-01-31 UTC', 2), (:a, 'rp.calls', '2026-02-01 UTC', 4), (:a, 'rp.calls', '2026-02-01 UTC', 8),
    (:a, 'rp.calls', '2026-02-28 UTC', 16), (:a, 'rp.calls', '2026-03-01 UTC', 32), (:b, 'rp.calls', '2026-02-10 UTC', 9223372036854775807), (:b, 'rp.calls', '2026-02-11 UTC', 9223372036854775807),
    -- A gauge: 10, then 60, then 25 rows, and 5 at last.
    (:a, 'rp.rows', '2026-01-15 UTC', 10), (:a, 'rp.rows', '2026-02-10 UTC', 50), (:a, 'rp.rows', '2026-02-20 UTC', -35);
INSERT INTO tenancy.usage VALUES (:a, 'rp.calls', 0, '2026-03-02 10:00 UTC', 1, 64, 96, 127), (:b, 'rp.calls', 0, '2026-02-11 UTC', 0, 0, 0, 0), (:a, 'rp.rows', 0, '2026-03-05 UTC', -20, -20, -20, 5), (:a, 'rp.all', 0, '2026-01-01 UTC', 1, 1, 1, 77);
CREATE FUNCTION pg_temp.report(starts timestamptz, ends timestamptz) RETURNS TABLE (t text, meter text, unit text, kind text, period text, amount numeric, peak numeric, periods bigint) LANGUAGE sql AS $$
    SELECT right(r.tenant_id::text, 1) || coalesce(' ' || r.tenant_key, '') || ' ' || r.slug || ' ' || r.name, r.meter, r.unit, r.kind, r.period, r.amount, r.peak, r.periods FROM tenancy.usage_report(starts, ends) r WHERE r.meter LIKE 'rp.%' $$;
SELECT * FROM pg_temp.report('2026-02-01 UTC', '2026-03-01 UTC');
-- Whatever the session's time zone; from is in, to is out; a day that began before is out.
SET timezone = 'America/Los_Angeles';
SELECT * FROM pg_temp.report('2026-02-01 UTC', '2026-03-01 UTC') WHERE meter = 'rp.calls';
SELECT * FROM pg_temp.report('2026-02-01 00:00:01 UTC', '2026-03-01 00:00:01 UTC') WHERE t LIKE 'a%';
RESET timezone;
-- Of gauges: the peak is not what was there before the first period ended, and is where nothing has changed since.
SELECT b.s, b.e, r.amount, r.peak, r.periods FROM (VALUES ('2026-02-10', '2026-02-11'), ('2026-02-11', '2026-02-20'), ('2026-02-20', '2026-02-21'), ('2026-02-19', '2026-02-21'), ('2026-02-19 12:00', '2026-02-21'), ('2026-02-19 12:00', '2026-02-22'), ('2026-03-05', '2026-03-06'), ('2026-03-04', '2026-03-06'), ('2020-01-01', '2021-01-01'), ('2030-01-01', '2031-01-01')) b (s, e),
       pg_temp.report((b.s || ' UTC')::timestamptz, (b.e || ' UTC')::timestamptz) r WHERE r.meter = 'rp.rows' ORDER BY 1, 2;
-- Without bounds all that history has.
SELECT * FROM pg_temp.report('-infinity', 'infinity');
\pset format unaligned
\pset tuples_only on
SELECT jsonb_pretty(tenancy.usage_report_json('2026-02-01 UTC', '2026-03-01 UTC'));
SELECT tenancy.usage_report_json('-infinity', '2000-01-01 UTC') #> '{tenants,0,meters,1}';
\pset tuples_only off
\pset format aligned
SELECT test.attempt(NULL, 'SELECT amount FROM tenancy.' || c) FROM unnest(ARRAY[$$usage_report(NULL, now())$$, $$usage_report(now(), NULL)$$, $$usage_report(now(), now())$$, $$usage_report('infinity', '-infinity')$$, $$usage_report('2026-02-02', '2026-02-01')$$]) c;
SELECT test.attempt(NULL, $$SELECT tenancy.usage_report_json(now(), NULL)$$), test.attempt(NULL, $$SELECT tenancy.usage_report_json('2026-02-02', '2026-02-01')$$);
-- Nothing is used: nothing to tell.
DELETE FROM tenancy.usage; DELETE FROM tenancy.usage_periods;
SELECT tenancy.usage_report_json('2026-02-01 00:00 UTC', 'infinity');
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b);
SELECT tenancy.drop_meter(name) FROM tenancy.meters WHERE name LIKE 'rp.%';
