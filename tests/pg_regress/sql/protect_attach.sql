-- What is attached to a tree or made a child when it is protected already: detached and attached again, protected by itself, or below a
-- table that is not protected.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA att;
GRANT USAGE ON SCHEMA att TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA att GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO authenticated;
SET search_path = att;
\set a '''9d000000-0000-0000-0000-00000000000a'''
\set b '''9d000000-0000-0000-0000-00000000000b'''
\set alice '''9d000000-0000-0000-0000-0000000000a1'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'att-a', 'A'), (:b, 'att-b', 'B');
SELECT FROM tenancy.create_role('att_editor', '{att_rows.*}');
SELECT tenancy.add_member(:a, :alice, '{att_editor}'), tenancy.add_member(:b, :alice, '{att_editor}');
CREATE VIEW state AS
SELECT c.relname, p.root_id AS root, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies,
       ARRAY(SELECT tgname FROM pg_trigger WHERE tgrelid = c.oid AND tgname LIKE '~pg_tenancy%' ORDER BY 1) AS triggers,
       (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND confrelid = 'tenancy.tenants'::regclass) AS fkeys,
       (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) AS indexes
  FROM pg_class c LEFT JOIN tenancy.protected_tables p ON p.table_id = c.oid
 WHERE c.relnamespace = 'att'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname COLLATE "C";
CREATE TABLE events (id int, tenant_id uuid, at int) PARTITION BY RANGE (at);
CREATE TABLE events_0 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
CREATE TABLE events_1_x PARTITION OF events_1 DEFAULT;
SELECT tenancy.protect_table('events', resource => 'att_rows');
-- detached, a partition and a partitioned one: a row keeps its tenant, and they go back
ALTER TABLE events DETACH PARTITION events_0;
ALTER TABLE events DETACH PARTITION events_1;
TABLE state;
INSERT INTO events_0 VALUES (1, :a, 1);
INSERT INTO events_1_x VALUES (2, :a, 11);
UPDATE events_0 SET tenant_id = :b;
UPDATE events_1 SET tenant_id = :b;
ALTER TABLE events ATTACH PARTITION events_0 FOR VALUES FROM (0) TO (10);
ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM (10) TO (20);
TABLE state;
UPDATE events SET tenant_id = :b WHERE id = 1;
UPDATE events SET tenant_id = :b WHERE id = 2;
SELECT tenancy.protect_table('events', resource => 'att_rows') AS "nothing to do";
SELECT test.attempt(NULL, $$SELECT tenancy.unprotect_table('att.events_1')$$);
-- and once more, in a way that keeps nobody out
ALTER TABLE events DETACH PARTITION events_0 CONCURRENTLY;
ALTER TABLE events ATTACH PARTITION events_0 FOR VALUES FROM (0) TO (10);
-- protected by themselves: alike, and otherwise, which stays so
CREATE TABLE alike (id int, tenant_id uuid, at int);
CREATE TABLE other (id int, tenant_id uuid, at int) PARTITION BY LIST (id);
CREATE TABLE other_x PARTITION OF other DEFAULT;
SELECT tenancy.protect_table('alike', resource => 'att_rows'), tenancy.protect_table('other', resource => 'att_rows', operators => true);
ALTER TABLE events ATTACH PARTITION alike FOR VALUES FROM (20) TO (30);
ALTER TABLE events ATTACH PARTITION other FOR VALUES FROM (30) TO (40);
SELECT relname, root, policies, triggers FROM state WHERE relname ~ '^(alike|other)';
INSERT INTO events VALUES (3, :a, 21), (4, :a, 31);
UPDATE events SET tenant_id = :b WHERE id = 3;
UPDATE events SET tenant_id = :b WHERE id = 4;
-- not by itself any longer: covered with the tree
SELECT tenancy.unprotect_table('other'), tenancy.protect_table('events', resource => 'att_rows') AS "nothing to do";
SELECT relname, root, policies, triggers FROM state WHERE relname LIKE 'other%';
-- a trigger that somebody took off a partition, or disabled, comes back
DROP TRIGGER "~pg_tenancy_keep_tenant" ON events_0;
ALTER TABLE events_1_x DISABLE TRIGGER "~pg_tenancy_keep_tenant";
SELECT tenancy.protect_table('events', resource => 'att_rows') AS repaired, tenancy.protect_table('events', resource => 'att_rows') AS again;
SELECT relname, triggers FROM state WHERE relname IN ('events_0', 'events_1_x');
-- partitions that take their tenant from another table's rows
CREATE TABLE orders (id int PRIMARY KEY, tenant_id uuid);
CREATE TABLE lines (id int, order_id int, tenant_id uuid) PARTITION BY LIST (id);
INSERT INTO orders VALUES (1, :a), (2, :b);
SELECT tenancy.protect_table('orders', resource => 'att_rows'), tenancy.protect_table('lines', resource => 'att_rows', backfill_from => 'orders(order_id)');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'lines'::regclass AND NOT tgisinternal;
-- renamed while there are no partitions
ALTER TABLE orders RENAME TO contracts;
ALTER TABLE lines RENAME order_id TO contract_id;
SELECT options -> 'backfill_from' AS backfill_from FROM tenancy.protected_tables WHERE table_id = 'lines'::regclass;
CREATE TABLE lines_1 PARTITION OF lines FOR VALUES IN (1);
INSERT INTO lines VALUES (1, 2, :a) RETURNING tenant_id;
ALTER TABLE lines DETACH PARTITION lines_1;
INSERT INTO lines_1 VALUES (1, 1, :b) RETURNING tenant_id;
ALTER TABLE lines ATTACH PARTITION lines_1 FOR VALUES IN (1);
UPDATE lines SET contract_id = 2 WHERE contract_id = 1;
BEGIN;
SET LOCAL tenancy.allow_tenant_change = on;
UPDATE lines SET contract_id = 2 WHERE contract_id = 1 RETURNING tenant_id;
ROLLBACK;
SELECT relname, root, triggers FROM state WHERE relname LIKE 'lines%';
SELECT tenancy.protect_table('lines', resource => 'att_rows', backfill_from => 'contracts(contract_id)') AS "nothing to do";
-- a row that is taken to another partition by its reference is refused, and fits where it is named rightly
CREATE TABLE parcels (id int, contract_id int, tenant_id uuid) PARTITION BY LIST (tenant_id);
CREATE TABLE parcels_a PARTITION OF parcels FOR VALUES IN ('9d000000-0000-0000-0000-00000000000a');
CREATE TABLE parcels_b PARTITION OF parcels FOR VALUES IN ('9d000000-0000-0000-0000-00000000000b');
SELECT tenancy.protect_table('parcels', resource => 'att_rows', backfill_from => 'contracts(contract_id)');
SELECT test.attempt(NULL, $$INSERT INTO att.parcels VALUES (1, 2, '9d000000-0000-0000-0000-00000000000a')$$);
INSERT INTO parcels VALUES (1, 2, :b) RETURNING tableoid::regclass;
-- below what is not protected: told, once
\set VERBOSITY verbose
CREATE TABLE archive (id int, tenant_id uuid NOT NULL, at int) PARTITION BY RANGE (at);
ALTER TABLE events DETACH PARTITION events_0;
ALTER TABLE archive ATTACH PARTITION events_0 FOR VALUES FROM (0) TO (10);
\set VERBOSITY default
ALTER TABLE archive ADD COLUMN note text;
CREATE TABLE base (id int, tenant_id uuid);
CREATE TABLE child (id int, tenant_id uuid);
SELECT tenancy.protect_table('child', resource => 'att_rows');
ALTER TABLE child INHERIT base;
ALTER TABLE child ADD COLUMN note text;
-- what the warning is about, and what its hint does
INSERT INTO child VALUES (9, :b);
GRANT SELECT ON base TO authenticated;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT count(*) AS "through the parent" FROM base;
SELECT count(*) AS "by its name" FROM child;
ROLLBACK;
SELECT tenancy.protect_table('base', resource => 'att_rows');
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT count(*) AS "through the parent" FROM base;
ROLLBACK;
-- below two
CREATE TABLE second (id int, tenant_id uuid);
SELECT tenancy.protect_table('second', resource => 'att_rows', operators => true);
CREATE TABLE heir () INHERITS (base, second);
SELECT relname, root FROM state WHERE relname = 'heir';
ALTER TABLE heir NO INHERIT second;
-- observed only: nothing is enforced anyway
CREATE TABLE seen (id int, tenant_id uuid);
SELECT tenancy.protect_table('seen', resource => 'att_rows', mode => 'observe');
CREATE TABLE seen_base (id int, tenant_id uuid);
ALTER TABLE seen INHERIT seen_base;
SET search_path = public;
DROP SCHEMA att CASCADE;
SELECT count(*) FROM tenancy.protected_tables;
DELETE FROM tenancy.tenants WHERE slug LIKE 'att-_';
SELECT tenancy.drop_role('att_editor', cascade => true);
DELETE FROM tenancy.permissions WHERE name LIKE 'att_rows.%';
