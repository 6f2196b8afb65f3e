-- Threat 11: partitions and inheritance children, addressed directly, there before or made later.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA parts;
GRANT USAGE ON SCHEMA parts TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA parts GRANT ALL ON TABLES TO authenticated;
SET search_path = parts;
\set a '''9a000000-0000-0000-0000-00000000000a'''
\set b '''9a000000-0000-0000-0000-00000000000b'''
\set alice '''9a000000-0000-0000-0000-0000000000a1'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'parts-a', 'A'), (:b, 'parts-b', 'B');
SELECT FROM tenancy.create_role('parts_editor', '{parts_events.*,parts_notes.*}');
SELECT tenancy.add_member(:a, :alice, '{parts_editor}'), tenancy.add_member(:b, :alice, '{parts_editor}');
CREATE VIEW state AS
SELECT c.relname, relrowsecurity AS on, relforcerowsecurity AS forced, a.attnotnull AS filled,
       pg_get_expr(d.adbin, d.adrelid) AS default,
       (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies,
       (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND tgname = '~pg_tenancy_keep_tenant') AS triggers,
       (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND confrelid = 'tenancy.tenants'::regclass) AS fkeys,
       (SELECT count(*) FROM pg_index WHERE indrelid = c.oid AND indkey[0] = a.attnum) AS indexes,
       has_table_privilege('authenticated', c.oid, 'TRUNCATE') AS truncate,
       p.root_id AS root
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  LEFT JOIN tenancy.protected_tables p ON p.table_id = c.oid
 WHERE c.relnamespace = 'parts'::regnamespace AND c.relkind IN ('r', 'p');

CREATE TABLE events (id int, tenant_id uuid, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_0 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
CREATE TABLE events_1_x PARTITION OF events_1 DEFAULT;
INSERT INTO events VALUES (1, :a, 1), (2, :b, 2), (3, :a, 11), (4, :b, 12);
SELECT tenancy.protect_table('events', resource => 'parts_events');
SELECT tenancy.protect_table('events', resource => 'parts_events');
-- made later: of each kind, with default privileges that let TRUNCATE through
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (20) TO (30);
CREATE TABLE events_3 (at int NOT NULL, tenant_id uuid NOT NULL, id int NOT NULL) PARTITION BY LIST (id);
CREATE TABLE events_3_x PARTITION OF events_3 DEFAULT;
INSERT INTO events_3 VALUES (31, :b, 5);
ALTER TABLE events ATTACH PARTITION events_3 FOR VALUES FROM (30) TO (40);
CREATE SCHEMA parts_more CREATE TABLE events_4 PARTITION OF parts.events FOR VALUES FROM (40) TO (50);
ALTER TABLE parts_more.events_4 SET SCHEMA parts;
GRANT SELECT ON events_4 TO authenticated;
SELECT * FROM state ORDER BY relname COLLATE "C";
SELECT tenancy.protect_table('events', resource => 'parts_events') AS "nothing left to do";
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT id FROM events ORDER BY id;
SELECT id FROM events_0 UNION ALL SELECT id FROM events_1 UNION ALL SELECT id FROM events_1_x
 UNION ALL SELECT id FROM events_2 UNION ALL SELECT id FROM events_3 UNION ALL SELECT id FROM events_3_x UNION ALL SELECT id FROM events_4;
UPDATE events_0 SET id = 9 RETURNING *;
UPDATE events SET at = 21 WHERE id = 3 RETURNING *;
SAVEPOINT s;
INSERT INTO events_3_x (id, tenant_id, at) VALUES (6, :b, 36);
ROLLBACK TO s;
INSERT INTO events_3_x (id, at) VALUES (6, 36) RETURNING *;
UPDATE events_0 SET tenant_id = :b;
ROLLBACK TO s;
UPDATE events SET at = 22, tenant_id = :b WHERE id = 9;
ROLLBACK TO s;
TRUNCATE events_3;
ROLLBACK;

-- a role that is no superuser makes partitions of its own table: covered, and none of its business how
CREATE ROLE parts_owner;
GRANT CREATE ON SCHEMA parts TO parts_owner;
ALTER TABLE events OWNER TO parts_owner;
SET ROLE parts_owner;
CREATE TABLE events_5 PARTITION OF events FOR VALUES FROM (50) TO (60);
CREATE TABLE unrelated (tenant_id uuid);
ALTER TABLE unrelated ADD COLUMN x int;
DROP TABLE unrelated;
RESET ROLE;
SELECT * FROM state WHERE relname = 'events_5';

-- detached: still protected, by itself; attached to nothing, named directly
ALTER TABLE events DETACH PARTITION events_3;
SELECT * FROM state WHERE relname LIKE 'events_3%' ORDER BY 1;
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT * FROM events_3;
RESET ROLE;
SELECT FROM tenancy.act_as(:alice, :b);
UPDATE events_3 SET tenant_id = :a;
ROLLBACK;
SELECT tenancy.unprotect_table('events_3_x');
SELECT tenancy.unprotect_table('events_3');
SELECT * FROM state WHERE relname LIKE 'events_3%' ORDER BY 1;
-- dropped: forgotten
DROP TABLE events_3, events_2;
SELECT count(*) FROM tenancy.protected_tables p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.table_id);

-- the tenant as partition key: no moving between partitions either
CREATE TABLE logs (id int, tenant_id uuid) PARTITION BY LIST (tenant_id);
CREATE TABLE logs_a PARTITION OF logs FOR VALUES IN ('9a000000-0000-0000-0000-00000000000a');
CREATE TABLE logs_b PARTITION OF logs FOR VALUES IN ('9a000000-0000-0000-0000-00000000000b');
INSERT INTO logs VALUES (1, :a), (2, :b);
SELECT tenancy.protect_table('logs', resource => 'parts_events', mode => 'membership');
BEGIN;
SELECT FROM tenancy.act_as(:alice);
SELECT id FROM logs ORDER BY id;
UPDATE logs SET tenant_id = :b WHERE id = 1;
ROLLBACK;

-- inheritance children
CREATE TABLE notes (id int, tenant_id uuid);
CREATE TABLE notes_old (extra text) INHERITS (notes);
CREATE TABLE notes_older () INHERITS (notes_old);
INSERT INTO notes VALUES (1, :a), (2, :b);
INSERT INTO notes_old VALUES (3, :a), (4, :b);
INSERT INTO notes_older VALUES (5, :a), (6, :b);
SELECT tenancy.protect_table('notes', resource => 'parts_notes');
CREATE TABLE notes_new () INHERITS (notes);
CREATE TABLE notes_adopted (extra text, tenant_id uuid NOT NULL, id int);
INSERT INTO notes_adopted VALUES ('x', :b, 7);
ALTER TABLE notes_adopted INHERIT notes_old;
SELECT * FROM state WHERE relname LIKE 'notes%' ORDER BY relname COLLATE "C";
SELECT tenancy.protect_table('notes', resource => 'parts_notes') AS "nothing left to do";
BEGIN;
SELECT FROM tenancy.act_as(:alice, :a);
SELECT id FROM notes ORDER BY id;
SELECT id FROM notes_old ORDER BY id;
SELECT id FROM notes_adopted;
SAVEPOINT s;
INSERT INTO notes_new (id, tenant_id) VALUES (8, :b);
ROLLBACK TO s;
INSERT INTO notes_new (id) VALUES (8) RETURNING tenant_id;
UPDATE notes_older SET tenant_id = :b;
ROLLBACK TO s;
UPDATE notes SET tenant_id = :b WHERE id = 3;
ROLLBACK;
ALTER TABLE notes_adopted NO INHERIT notes_old;
SELECT relname, policies, root FROM state WHERE relname = 'notes_adopted';
-- rows of a tenant that does not exist: isolated all the same, and told of
\set VERBOSITY default
CREATE TABLE notes_bad (id int, tenant_id uuid NOT NULL);
INSERT INTO notes_bad VALUES (9, '9a000000-0000-0000-0000-0000000000ff');
ALTER TABLE notes_bad INHERIT notes;
SELECT * FROM state WHERE relname = 'notes_bad';
-- a child that cannot be protected does not stop its maker; a temporary one is his own
CREATE FOREIGN DATA WRAPPER parts_wrapper;
CREATE SERVER parts_server FOREIGN DATA WRAPPER parts_wrapper;
CREATE FOREIGN TABLE notes_foreign () INHERITS (notes) SERVER parts_server;
-- said once, and again when its parent is altered
CREATE TABLE elsewhere (tenant_id uuid);
SELECT tenancy.protect_table('elsewhere', resource => 'part_events');
ALTER TABLE notes ALTER id SET STATISTICS 10;
DROP TABLE elsewhere;
DROP FOREIGN TABLE notes_foreign;
CREATE TEMP TABLE notes_temp () INHERITS (notes);
DROP TABLE notes_temp;

-- With many partitions a statement on one does not look at all the others: protecting them is several statements for each.
CREATE TABLE many (id int, tenant_id uuid) PARTITION BY LIST (id);
SELECT count(*) FROM generate_series(1, 12) n, LATERAL (SELECT test.attempt(NULL, format('CREATE TABLE many_%s PARTITION OF many FOR VALUES IN (%s)', n, n))) c;
CREATE FUNCTION pg_temp.looked() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions WHERE schemaname = 'tenancy' AND funcname = 'covered_relations'
$$;
SET track_functions = 'all';
BEGIN;
SELECT tenancy.protect_table('many', resource => 'parts_notes');
SELECT pg_temp.looked() AS before \gset
ALTER TABLE many_7 ADD CHECK (id > 0);
SELECT pg_temp.looked() - :before AS looked;
-- What may bring something new does.
ALTER TABLE many ADD CHECK (id > -1);
SELECT pg_temp.looked() - :before > 0 AS looked;
COMMIT;
RESET track_functions;
SELECT count(*) AS covered FROM tenancy.protected_tables WHERE root_id = 'many'::regclass;

SELECT tenancy.unprotect_table('notes'), tenancy.unprotect_table('events'), tenancy.unprotect_table('logs'), tenancy.unprotect_table('many');
SELECT relname FROM state WHERE "on" OR forced OR policies > 0 OR triggers > 0;
DROP SCHEMA parts, parts_more CASCADE;
DROP FOREIGN DATA WRAPPER parts_wrapper CASCADE;
DROP OWNED BY parts_owner;
DROP ROLE parts_owner;
SELECT count(*) FROM tenancy.protected_tables p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.table_id);
DELETE FROM tenancy.tenants WHERE slug LIKE 'parts-_';
