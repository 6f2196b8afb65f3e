-- Rows and bytes of a protected table, counted for the tenants they belong to: whoever writes, and however.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA metered;
GRANT USAGE ON SCHEMA metered TO PUBLIC;
SET search_path = metered;
\set a '''8a000000-0000-0000-0000-00000000000a'''
\set b '''8a000000-0000-0000-0000-00000000000b'''
\set alice '''8a000000-0000-0000-0000-0000000000a1'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'metered-a', 'A'), (:b, 'metered-b', 'B');
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('mt.rows', 'rows', 'gauge', 'none'),
    ('mt.bytes', 'bytes', 'gauge', 'none'), ('mt.made', 'rows', 'counter', 'none'), ('mt.written', 'bytes', 'counter', 'none');
SELECT FROM tenancy.create_role('mt_editor', '{mt_docs.*}');
SELECT tenancy.add_member(:a, :alice, '{mt_editor}');
CREATE VIEW used AS
SELECT t.slug AS tenant, u.meter, sum(u.total) AS amount FROM tenancy.usage u JOIN tenancy.tenants t ON t.id = u.tenant_id
 WHERE u.meter LIKE 'mt.%' GROUP BY 1, 2 HAVING sum(u.total) <> 0 ORDER BY t.slug, u.meter COLLATE "C";
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, body text);
INSERT INTO docs VALUES (1, :a, 'one'), (2, :b, 'two');
SELECT tenancy.protect_table('docs', resource => 'mt_docs');
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO authenticated;
-- what is there is counted, and a second call changes nothing
SELECT tenancy.meter_table('docs', rows => 'mt.rows') AS changed, tenancy.meter_table('docs', rows => 'mt.rows') AS again;
TABLE used;
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'docs'::regclass AND tgname LIKE '~pg_tenancy_meter%' ORDER BY 1;
SELECT table_id, root_id, meter, measure, size_column FROM tenancy.metered_tables ORDER BY 1, 3;
-- plain DML, RETURNING, conflicts, MERGE, COPY, savepoints, no rows at all
INSERT INTO docs VALUES (3, :a, 'x'), (4, :b, 'x'), (5, :a, 'x') RETURNING id;
INSERT INTO docs SELECT 6, :a, 'x' WHERE false;
INSERT INTO docs VALUES (5, :a, 'y'), (6, :a, 'y') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
INSERT INTO docs VALUES (5, :a, 'y'), (7, :a, 'y') ON CONFLICT DO NOTHING;
MERGE INTO docs USING (VALUES (7), (8)) v (id) ON docs.id = v.id
 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, :b, 'merged');
COPY docs FROM stdin;
9	8a000000-0000-0000-0000-00000000000a	copied
10	8a000000-0000-0000-0000-00000000000b	copied
\.
BEGIN;
SAVEPOINT s;
INSERT INTO docs SELECT n, :a, 'gone' FROM generate_series(100, 200) n;
ROLLBACK TO s;
DELETE FROM docs WHERE id = 1;
COMMIT;
WITH moved AS (DELETE FROM docs WHERE id = 3 RETURNING *) INSERT INTO docs SELECT 30, tenant_id, body FROM moved;
UPDATE docs SET body = 'updated';
TABLE used;
SELECT t.slug, count(*) FROM docs d JOIN tenancy.tenants t ON t.id = d.tenant_id GROUP BY 1 ORDER BY 1;
-- an application role, which has no privilege on our tables
SELECT test.attempt(:alice, $$INSERT INTO metered.docs VALUES (40, '8a000000-0000-0000-0000-00000000000a', 'hers')$$);
SELECT test.attempt(:alice, $$DELETE FROM metered.docs WHERE id IN (5, 6)$$);
-- a row that moves
BEGIN;
SET LOCAL tenancy.allow_tenant_change = on;
UPDATE docs SET tenant_id = :b WHERE id IN (9, 30);
COMMIT;
TABLE used;
SELECT * FROM tenancy.recount_usage('docs');
-- TRUNCATE, also of what the same transaction wrote, and taken back
BEGIN;
INSERT INTO docs VALUES (50, :a, 'x');
TRUNCATE docs;
INSERT INTO docs VALUES (51, :a, 'x');
SELECT * FROM tenancy.usage_differences('{mt.rows}');
ROLLBACK;
TABLE used;
-- bytes too: what is there is counted in
SELECT tenancy.meter_table('docs', rows => 'mt.rows', bytes => 'mt.bytes');
TABLE used;
UPDATE docs SET body = repeat('x', 10);
UPDATE docs SET body = NULL WHERE id = 2;
SELECT t.slug, count(*), sum(20 + coalesce(length(d.body), 0)) FROM docs d JOIN tenancy.tenants t ON t.id = d.tenant_id GROUP BY 1 ORDER BY 1;
TABLE used;
-- what nobody counted, and what repairs it
SET session_replication_role = replica;
INSERT INTO docs VALUES (60, :a, 'replica'), (61, :b, 'replica');
RESET session_replication_role;
ALTER TABLE docs DISABLE TRIGGER "~pg_tenancy_meter_delete";
DELETE FROM docs WHERE id = 2;
SELECT t.slug, r.meter, r.actual - r.counted AS drift FROM tenancy.recount_usage('docs') r JOIN tenancy.tenants t ON t.id = r.tenant ORDER BY 1, 2;
SELECT * FROM tenancy.recount_usage('docs');
SELECT tenancy.meter_table('docs', rows => 'mt.rows', bytes => 'mt.bytes') AS repaired, tenancy.meter_table('docs', rows => 'mt.rows', bytes => 'mt.bytes') AS again;
-- several tables feed one meter, and recount looks at both
CREATE TABLE images (id int, tenant_id uuid);
SELECT tenancy.protect_table('images', resource => 'mt_docs'), tenancy.meter_table('images', rows => 'mt.rows');
INSERT INTO images VALUES (1, :b);
SELECT * FROM tenancy.recount_usage('images');
TABLE used;
-- a renamed table, column and schema go on being counted
ALTER TABLE images RENAME TO pictures;
ALTER TABLE pictures RENAME tenant_id TO owner_tenant;
INSERT INTO pictures VALUES (2, :b);
BEGIN;
SET LOCAL tenancy.allow_tenant_change = on;
UPDATE pictures SET owner_tenant = :a WHERE id = 2;
COMMIT;
TABLE used;
-- dropped: the meter is what the other table holds
DROP TABLE pictures;
TABLE used;
-- counters tell what was added: nothing of what was there, or goes; a moved row is one more for its new tenant
SELECT tenancy.meter_table('docs', rows => 'mt.made', bytes => 'mt.written');
TABLE used;
INSERT INTO docs VALUES (70, :a, '12345');
UPDATE docs SET body = '1234567' WHERE id = 70;
UPDATE docs SET body = '1' WHERE id = 70;
DELETE FROM docs WHERE id = 70;
BEGIN;
SET LOCAL tenancy.allow_tenant_change = on;
UPDATE docs SET tenant_id = :b WHERE id = 60;
COMMIT;
TRUNCATE docs;
TABLE used;
SELECT * FROM tenancy.recount_usage('docs');
-- ended
SELECT tenancy.unmeter_table('docs') AS ended, tenancy.unmeter_table('docs') AS again;
INSERT INTO docs VALUES (80, :a, 'x');
TABLE used;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'docs'::regclass AND tgname LIKE '~pg_tenancy_meter%';
-- a hard quota stops INSERT, COPY and UPDATE in the same transaction
SELECT tenancy.meter_table('docs', rows => 'mt.rows', bytes => 'mt.bytes');
INSERT INTO tenancy.quotas (tenant_id, meter, period, hard) VALUES (:a, 'mt.rows', 'none', 3), (:a, 'mt.bytes', 'none', 100);
\set VERBOSITY verbose
INSERT INTO docs SELECT n, :a, 'x' FROM generate_series(90, 92) n;
\set VERBOSITY default
INSERT INTO docs SELECT n, :a, 'x' FROM generate_series(90, 91) n;
COPY docs FROM stdin;
93	8a000000-0000-0000-0000-00000000000a	copied
\.
UPDATE docs SET body = repeat('x', 100) WHERE id = 90;
SELECT test.attempt(:alice, $$INSERT INTO metered.docs VALUES (94, '8a000000-0000-0000-0000-00000000000a', 'hers')$$);
TABLE used;
DELETE FROM tenancy.quotas WHERE meter LIKE 'mt.%';
SELECT tenancy.unmeter_table('docs');
TABLE used;
SET search_path = public;
DROP SCHEMA metered CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'metered-%';
DELETE FROM tenancy.meters WHERE name LIKE 'mt.%';
SELECT tenancy.drop_role('mt_editor', cascade => true);
DELETE FROM tenancy.permissions WHERE name LIKE 'mt_docs.%';
