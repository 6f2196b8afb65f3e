-- What meter_table and its kin refuse.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA merr;
GRANT USAGE ON SCHEMA merr TO PUBLIC;
SET search_path = merr;
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('me.rows', 'rows', 'gauge', 'none'), ('me.bytes', 'bytes', 'gauge', 'none');
CREATE TABLE plain (id int, tenant_id uuid);
CREATE TABLE docs (id int, tenant_id uuid, body text, size bigint, metadata jsonb, at timestamptz);
SELECT tenancy.protect_table('docs', resource => 'me_docs');
CREATE VIEW refused AS SELECT * FROM (VALUES
    (1, $$SELECT tenancy.meter_table('merr.plain', rows => 'me.rows')$$),
    (2, $$SELECT tenancy.meter_table(NULL, rows => 'me.rows')$$),
    (3, $$SELECT tenancy.meter_table('merr.docs')$$),
    (4, $$SELECT tenancy.meter_table('merr.docs', rows => 'me.none')$$),
    (5, $$SELECT tenancy.meter_table('merr.docs', rows => 'me.rows', bytes => 'me.none')$$),
    (6, $$SELECT tenancy.meter_table('merr.docs', rows => 'me.rows', bytes => 'me.rows')$$),
    (7, $$SELECT tenancy.meter_table('merr.docs', rows => 'me.rows', size_column => 'size')$$),
    (8, $$SELECT tenancy.meter_table('merr.docs', bytes => 'me.bytes', size_column => 'nothing')$$),
    (9, $$SELECT tenancy.meter_table('merr.docs', bytes => 'me.bytes', size_column => 'body')$$),
    (10, $$SELECT tenancy.meter_table('merr.docs', bytes => 'me.bytes', size_column => 'metadata')$$),
    (11, $$SELECT tenancy.meter_table('merr.docs', bytes => 'me.bytes', size_column => 'size.x')$$),
    (12, $$SELECT tenancy.meter_table('merr.docs', bytes => 'me.bytes', size_column => 'metadata..size')$$),
    (13, $$SELECT tenancy.meter_table('merr.docs', bytes => 'me.bytes', size_column => '')$$),
    (14, $$SELECT tenancy.recount_usage('merr.docs')$$),
    (15, $$SELECT tenancy.recount_usage(NULL)$$),
    (16, $$SELECT tenancy.unmeter_table(NULL)$$),
    (17, $$SELECT tenancy.unmeter_table('merr.plain')$$)) v (n, command);
SELECT n, test.attempt(NULL, command) FROM refused ORDER BY n;
SELECT count(*) FROM tenancy.metered_tables;
-- unlogged, by itself or below, or observed only: rows would be counted that are not there, or not be counted that are
CREATE UNLOGGED TABLE volatile (id int, tenant_id uuid);
CREATE TABLE tree (id int, tenant_id uuid) PARTITION BY LIST (id);
CREATE UNLOGGED TABLE tree_1 PARTITION OF tree FOR VALUES IN (1);
CREATE UNLOGGED TABLE tree_2 PARTITION OF tree FOR VALUES IN (2);
CREATE TABLE seen (id int, tenant_id uuid);
SELECT tenancy.protect_table(t, resource => 'me_docs') FROM unnest('{volatile,tree}'::regclass[]) t;
SELECT tenancy.protect_table('seen', resource => 'me_docs', mode => 'observe');
SELECT test.attempt(NULL, format($$SELECT tenancy.meter_table('merr.%s', rows => 'me.rows')$$, t)) FROM unnest('{volatile,tree,seen}'::text[]) t;
SELECT test.attempt(NULL, $$SELECT tenancy.protect_table('merr.volatile', resource => 'me_docs', quota => 'me.rows')$$);
ALTER TABLE volatile SET LOGGED;
ALTER TABLE tree_1 SET LOGGED;
ALTER TABLE tree_2 SET LOGGED;
SELECT tenancy.protect_table('seen', resource => 'me_docs');
SELECT test.attempt(NULL, format($$SELECT tenancy.meter_table('merr.%s', rows => 'me.rows')$$, t)) FROM unnest('{volatile,tree,seen}'::text[]) t;
SELECT test.attempt(NULL, $$SELECT tenancy.protect_table('merr.seen', resource => 'me_docs', mode => 'observe')$$);
SELECT test.attempt(NULL, $$SELECT tenancy.protect_table_sql('merr.seen', resource => 'me_docs', mode => 'observe')$$);
-- unlogged, and observed, later
ALTER TABLE volatile SET UNLOGGED;
ALTER TABLE volatile SET LOGGED;
CREATE UNLOGGED TABLE tree_3 PARTITION OF tree FOR VALUES IN (3);
SELECT test.attempt(NULL, $$SELECT tenancy.meter_table('merr.tree', rows => 'me.rows')$$);
DROP TABLE tree_3;
SELECT tenancy.unmeter_table(t) FROM unnest('{volatile,tree,seen}'::regclass[]) t;
-- rows that hold no size
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('8e000000-0000-0000-0000-00000000000a', 'merr-a', 'A');
INSERT INTO docs (id, tenant_id, size) VALUES (1, '8e000000-0000-0000-0000-00000000000a', -1);
SELECT test.attempt(NULL, $$SELECT tenancy.meter_table('merr.docs', bytes => 'me.bytes', size_column => 'size')$$);
UPDATE docs SET size = 9223372036854775807;
INSERT INTO docs SELECT 2, tenant_id, NULL, size FROM docs;
SELECT test.attempt(NULL, $$SELECT tenancy.meter_table('merr.docs', bytes => 'me.bytes', size_column => 'size')$$);
DELETE FROM docs;
SELECT tenancy.meter_table('docs', bytes => 'me.bytes', size_column => 'size');
SELECT test.attempt(NULL, $$INSERT INTO merr.docs (id, tenant_id, size) VALUES (1, '8e000000-0000-0000-0000-00000000000a', 9223372036854775807), (2, '8e000000-0000-0000-0000-00000000000a', 1)$$);
INSERT INTO docs (id, tenant_id, size) VALUES (1, '8e000000-0000-0000-0000-00000000000a', 9223372036854775807);
SELECT test.attempt(NULL, $$INSERT INTO merr.docs (id, tenant_id, size) VALUES (2, '8e000000-0000-0000-0000-00000000000a', 1)$$);
SELECT * FROM tenancy.recount_usage('docs');
-- while it is metered
SELECT test.attempt(NULL, $$SELECT tenancy.unprotect_table('merr.docs')$$);
SELECT test.attempt(NULL, $$ALTER TABLE merr.docs DROP size$$);
SELECT test.attempt(NULL, $$DELETE FROM tenancy.meters WHERE name = 'me.bytes'$$);
-- a snapshot that is older than what was committed meanwhile could not tell
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT test.attempt(NULL, $$SELECT tenancy.recount_usage('merr.docs')$$);
SELECT test.attempt(NULL, $$SELECT tenancy.meter_table('merr.docs', rows => 'me.rows')$$);
SELECT test.attempt(NULL, $$SELECT tenancy.unmeter_table('merr.docs')$$);
-- writing and TRUNCATE are counted there too
TRUNCATE docs;
COMMIT;
SELECT * FROM tenancy.recount_usage('docs');
-- rows that two tenants at their limit swap are counted one by one where only rows are counted, and together with bytes
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('8e000000-0000-0000-0000-00000000000b', 'merr-b', 'B');
INSERT INTO plain VALUES (1, '8e000000-0000-0000-0000-00000000000a'), (2, '8e000000-0000-0000-0000-00000000000b');
SELECT tenancy.protect_table('plain', resource => 'me_docs', quota => 'me.rows');
INSERT INTO tenancy.quotas (tenant_id, meter, period, hard) SELECT id, 'me.rows', 'none', 1 FROM tenancy.tenants WHERE slug LIKE 'merr-%';
SET tenancy.allow_tenant_change = on;
UPDATE plain p SET tenant_id = o.tenant_id FROM plain o WHERE o.id <> p.id;
SELECT tenancy.meter_table('plain', rows => 'me.rows', bytes => 'me.bytes');
UPDATE plain p SET tenant_id = o.tenant_id FROM plain o WHERE o.id <> p.id;
RESET tenancy.allow_tenant_change;
SELECT * FROM tenancy.recount_usage('plain');
SELECT tenancy.unmeter_table('plain');
-- only administrators, and nobody else reads tables by what they are made of
SELECT test.attempt('8e000000-0000-0000-0000-0000000000a1', command)
  FROM unnest(ARRAY[$$SELECT tenancy.meter_table('merr.docs', rows => 'me.rows')$$, $$SELECT tenancy.unmeter_table('merr.docs')$$,
       $$SELECT tenancy.recount_usage('merr.docs')$$, $$SELECT count(*)::text FROM tenancy.measure_table('merr.docs'::regclass, false)$$,
       $$SELECT tenancy.correct_usage('8e000000-0000-0000-0000-00000000000a', 'me.rows', 1)$$, $$SELECT count(*)::text FROM tenancy.usage_differences('{me.rows}')$$]) command;
SELECT test.attempt(NULL, $$SELECT tenancy.count_rows()$$);
SELECT tenancy.unmeter_table('docs');
SELECT tenancy.unprotect_table('docs');
SET search_path = public;
DROP SCHEMA merr CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'merr-%';
DELETE FROM tenancy.meters WHERE name LIKE 'me.%';
DELETE FROM tenancy.permissions WHERE name LIKE 'me_docs.%';
