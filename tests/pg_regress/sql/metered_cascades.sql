-- Rows that go because others go: foreign keys that cascade, the tenant itself, TRUNCATE CASCADE. Tenants by the host's keys.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA mcasc;
SET search_path = mcasc;
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES ('8c000000-0000-0000-0000-00000000000a', 'mcasc-a', 'A', '8001'),
    ('8c000000-0000-0000-0000-00000000000b', 'mcasc-b', 'B', '8002'), ('8c000000-0000-0000-0000-00000000000c', 'mcasc-c', 'C', 'word');
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('mc.folders', 'rows', 'gauge', 'none'), ('mc.docs', 'rows', 'gauge', 'none'), ('mc.bytes', 'bytes', 'gauge', 'none');
CREATE VIEW used AS
SELECT t.slug AS tenant, u.meter, sum(u.total) AS amount FROM tenancy.usage u JOIN tenancy.tenants t ON t.id = u.tenant_id
 WHERE u.meter LIKE 'mc.%' GROUP BY 1, 2 HAVING sum(u.total) <> 0 ORDER BY t.slug, u.meter COLLATE "C";
CREATE TABLE folders (id int PRIMARY KEY, tenant_id bigint REFERENCES tenancy.tenants (key_number) ON DELETE CASCADE, parent int REFERENCES folders ON DELETE CASCADE);
CREATE TABLE docs (id int PRIMARY KEY, tenant_id int REFERENCES tenancy.tenants (key_number) ON DELETE CASCADE,
                   folder int REFERENCES folders ON DELETE CASCADE ON UPDATE CASCADE, cover int REFERENCES folders ON DELETE SET NULL);
CREATE TABLE words (id int, tenant varchar REFERENCES tenancy.tenants (key) ON DELETE CASCADE);
SELECT tenancy.protect_table('folders', resource => 'mc_docs'), tenancy.protect_table('docs', resource => 'mc_docs'),
       tenancy.protect_table('words', tenant_column => 'tenant', resource => 'mc_docs');
SELECT tenancy.meter_table('folders', rows => 'mc.folders'), tenancy.meter_table('docs', rows => 'mc.docs', bytes => 'mc.bytes'),
       tenancy.meter_table('words', rows => 'mc.docs');
INSERT INTO folders VALUES (1, 8001, NULL), (2, 8001, 1), (3, 8001, 2), (4, 8002, NULL);
INSERT INTO docs SELECT n, CASE WHEN n % 5 < 4 THEN 8001 ELSE 8002 END, 1 + n % 5 % 4, 4 FROM generate_series(1, 50) n WHERE n % 5 <> 3;
INSERT INTO words VALUES (1, 'word'), (2, 'word'), (3, '8001');
TABLE used;
-- a tree of folders and what is in them
DELETE FROM folders WHERE id = 2;
UPDATE folders SET id = 11 WHERE id = 1;
TABLE used;
-- SET NULL takes bytes away
DELETE FROM docs WHERE folder = 4;
DELETE FROM folders WHERE id = 4;
TABLE used;
SELECT tenancy.recount_usage('docs'), tenancy.recount_usage('folders'), tenancy.recount_usage('words');
-- the tenant itself: its usage goes too, and nothing is left of it
DELETE FROM tenancy.tenants WHERE slug = 'mcasc-c';
SELECT count(*) FROM words WHERE tenant = 'word';
BEGIN;
DELETE FROM tenancy.tenants WHERE slug = 'mcasc-a';
SELECT count(*) FROM docs WHERE tenant_id = 8001;
SELECT count(*) FROM tenancy.usage u WHERE meter LIKE 'mc.%' AND NOT EXISTS (SELECT FROM tenancy.tenants t WHERE t.id = u.tenant_id);
ROLLBACK;
TABLE used;
TRUNCATE folders CASCADE;
TABLE used;
-- shared rows are nobody's
CREATE TABLE countries (code text, tenant_id uuid);
INSERT INTO countries VALUES ('de', NULL), ('fr', NULL);
SELECT tenancy.protect_table('countries', resource => 'mc_docs', shared => 'read'), tenancy.meter_table('countries', rows => 'mc.folders');
INSERT INTO countries VALUES ('xx', '8c000000-0000-0000-0000-00000000000a'), ('it', NULL);
TABLE used;
BEGIN;
SET LOCAL tenancy.allow_tenant_change = on;
UPDATE countries SET tenant_id = '8c000000-0000-0000-0000-00000000000b' WHERE code = 'it';
UPDATE countries SET tenant_id = NULL WHERE code = 'xx';
COMMIT;
TABLE used;
SELECT * FROM tenancy.recount_usage('countries');
DELETE FROM countries;
TABLE used;
-- triggers of the host that write metered tables themselves
CREATE TABLE log (id int, tenant_id int);
SELECT tenancy.protect_table('log', resource => 'mc_docs'), tenancy.meter_table('log', rows => 'mc.folders');
CREATE FUNCTION log_docs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM new_docs WHERE id < 1000) THEN
        RETURN NULL;
    END IF;
    INSERT INTO mcasc.log SELECT id, tenant_id FROM new_docs;
    INSERT INTO mcasc.docs SELECT id + 1000, tenant_id FROM new_docs WHERE id < 1000;
    RETURN NULL;
END
$$;
CREATE TRIGGER "~log_docs" AFTER INSERT ON docs REFERENCING NEW TABLE AS new_docs FOR EACH STATEMENT EXECUTE FUNCTION log_docs();
INSERT INTO docs VALUES (1, 8001), (2, 8002), (3, 8001);
TABLE used;
SELECT tenancy.recount_usage('docs'), tenancy.recount_usage('log');
SET search_path = public;
DROP SCHEMA mcasc CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'mcasc-%';
DELETE FROM tenancy.meters WHERE name LIKE 'mc.%';
DELETE FROM tenancy.permissions WHERE name LIKE 'mc_docs.%';
