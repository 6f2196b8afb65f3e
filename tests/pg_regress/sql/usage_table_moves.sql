-- A session that has recorded finds the table of slots, and its index, where they are now, whatever was done to them meanwhile.
SET client_min_messages = warning;
\set a '''6d000000-0000-0000-0000-00000000000a'''
CREATE VIEW pg_temp.totals AS
    SELECT n.nspname, c.relname, u.total
      FROM (SELECT tableoid, sum(total) AS total FROM tenancy.usage WHERE meter = 'um.calls' GROUP BY 1) u
      JOIN pg_class c ON c.oid = u.tableoid JOIN pg_namespace n ON n.oid = c.relnamespace;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'moves', 'Moves');
SELECT tenancy.create_meter('um.calls', 'calls', 'counter');
SELECT tenancy.record_usage('um.calls', 1, :a);
-- Another has its name.
BEGIN;
ALTER TABLE tenancy.usage RENAME TO usage_before;
ALTER INDEX tenancy.usage_pkey RENAME TO usage_before_pkey;
CREATE TABLE tenancy.usage (LIKE tenancy.usage_before INCLUDING ALL);
SELECT tenancy.record_usage('um.calls', 10, :a);
SELECT sum(total) AS new FROM tenancy.usage WHERE meter = 'um.calls';
SELECT sum(total) AS old FROM tenancy.usage_before WHERE meter = 'um.calls';
ROLLBACK;
SELECT tenancy.record_usage('um.calls', 1, :a);
SELECT * FROM pg_temp.totals;
-- It has gone to another schema, where it has its name still.
BEGIN;
CREATE SCHEMA um_elsewhere;
ALTER EXTENSION pg_tenancy DROP TABLE tenancy.usage;
ALTER TABLE tenancy.usage SET SCHEMA um_elsewhere;
CREATE TABLE tenancy.usage (LIKE um_elsewhere.usage INCLUDING ALL);
SELECT tenancy.record_usage('um.calls', 10, :a);
SELECT sum(total) AS new FROM tenancy.usage WHERE meter = 'um.calls';
SELECT sum(total) AS old FROM um_elsewhere.usage WHERE meter = 'um.calls';
ROLLBACK;
SELECT tenancy.record_usage('um.calls', 1, :a);
SELECT * FROM pg_temp.totals;
-- Its index is called otherwise, or is made anew under the same name: what is used is found, and a limit holds.
SELECT tenancy.set_quota(:a, 'um.calls', hard => 5, period => 'none');
BEGIN;
ALTER INDEX tenancy.usage_pkey RENAME TO usage_other;
UPDATE tenancy.usage SET slot = slot + 1000000 WHERE meter = 'um.calls';
SELECT tenancy.record_usage('um.calls', 1, :a);
SELECT tenancy.remaining('um.calls', :a);
SELECT tenancy.record_usage('um.calls', 2, :a);
ROLLBACK;
REINDEX INDEX CONCURRENTLY tenancy.usage_pkey;
SELECT tenancy.record_usage('um.calls', 1, :a);
SELECT tenancy.remaining('um.calls', :a);
SELECT tenancy.record_usage('um.calls', 2, :a);
SELECT * FROM pg_temp.totals;
SELECT tenancy.drop_meter('um.calls', true);
SELECT tenancy.drop_tenant(:a);
