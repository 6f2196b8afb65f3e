-- Usage and quotas as Prometheus reads them: the view, and the text format with its escapes.
CALL test.stay_within_the_hour();
SET client_min_messages = warning;
\set a '''6f000000-0000-0000-0000-00000000000a'''
SELECT tenancy.prometheus_text() = '' AS nothing_yet;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'prom-a', 'A'), ('6f000000-0000-0000-0000-00000000000b', 'prom-b', 'B');
SELECT tenancy.create_meter('pm.calls', 'calls', 'counter'), tenancy.create_meter('pm.bytes', 'bytes', 'gauge');
SELECT date_trunc('hour', now(), 'UTC') AS hour \gset
INSERT INTO tenancy.usage VALUES (:a, 'pm.calls', 0, :'hour', 1, 1, 25, 9223372036854775807), (:a, 'pm.calls', 1, :'hour', 1, 1, 0, 9223372036854775807), (:a, 'pm.bytes', 0, '2026-01-01 UTC', 1, 1, 1, 512), ('6f000000-0000-0000-0000-00000000000b', 'pm.bytes', 0, '2026-01-01 UTC', 1, 1, 1, 3);
SELECT tenancy.set_quota(:a, 'pm.calls', 150, 200), tenancy.set_quota(:a, 'pm.bytes', hard => 1536);
SELECT metric, type, slug, meter, unit, period, level, value FROM tenancy.prometheus ORDER BY metric, slug, meter, level;
\pset format unaligned
\pset tuples_only on
SELECT tenancy.prometheus_text();
SELECT tenancy.prometheus_label('slug', E'back\\slash, "quoted",\nnext'), tenancy.prometheus_label('slug', ''), tenancy.prometheus_label('slug', NULL) IS NULL;
-- Every line is a comment of its family or a sample of it, in the format's grammar, and each family is told once and in one piece.
WITH lines AS (
    SELECT line, n FROM regexp_split_to_table(rtrim(tenancy.prometheus_text(), E'\n'), '\n') WITH ORDINALITY l (line, n)
), families AS (
    SELECT n, line, coalesce(substring(line FROM '^# (?:HELP|TYPE) ([a-z_]+) '), substring(line FROM '^([a-z_]+)[{]')) AS metric FROM lines
)
SELECT count(*) FILTER (WHERE line !~ '^# HELP [a-z_]+ [^\n]+$' AND line !~ '^# TYPE [a-z_]+ (counter|gauge)$'
                          AND line !~ '^[a-zA-Z_:][a-zA-Z0-9_:]*[{]([a-z_]+="([^"\\]|\\[\\"n])*"(,|(?=[}])))*[}] -?[0-9]+([.][0-9]+)?$') AS malformed,
       count(DISTINCT metric) = count(*) FILTER (WHERE line LIKE '# TYPE%') AS told_once,
       (SELECT count(*) FROM (SELECT metric, lag(metric) OVER (ORDER BY n) AS before FROM families) f WHERE metric IS DISTINCT FROM before) = count(DISTINCT metric) AS in_one_piece,
       (SELECT count(*) - count(DISTINCT split_part(line, ' ', 1)) FROM lines WHERE line NOT LIKE '#%') AS samples_twice
  FROM families;
SELECT right(tenancy.prometheus_text(), 1) = E'\n' AS ends_its_last_line;
\pset tuples_only off
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant('6f000000-0000-0000-0000-00000000000b');
SELECT tenancy.drop_meter(name) FROM tenancy.meters WHERE name LIKE 'pm.%';
