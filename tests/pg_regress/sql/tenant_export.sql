-- The statements that copy a tenant out and in: which tables, in which order, and what cannot be ordered. That they do it,
-- in the same database and another, is the integration test tenant_life.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA life;
\set life a7e00000-0000-4000-9000-00000000711f
\set other a7e00000-0000-4000-9000-0000000007e4
INSERT INTO tenancy.tenants (id, key, slug, name) VALUES (:'life', '7001', 'life', 'Life'), (:'other', NULL, 'other', 'Other');
SELECT set_config('life.id', :'life', false) IS NOT NULL AS known;
CREATE FUNCTION pg_temp.plan(tenant uuid) RETURNS TABLE (n integer, name text, copy_out text, copy_in text) LANGUAGE sql AS $$
    SELECT position, table_name, replace(copy_sql, tenant::text, 'TENANT'), replace(import_sql, tenant::text, 'TENANT') FROM tenancy.export_tenant(tenant) ORDER BY position
$$;
\x
SELECT * FROM pg_temp.plan(:'life');
\x

-- Parents first, whatever their names; a partitioned table as one, a table with children as each of them; no generated
-- column; other tables not at all.
CREATE TABLE life.a_line (tenant_id uuid NOT NULL, order_id int, n int GENERATED ALWAYS AS IDENTITY, price numeric, taxed numeric GENERATED ALWAYS AS (price * 1.2) STORED);
CREATE TABLE life."b ""order" (tenant_id uuid NOT NULL, "the id" serial PRIMARY KEY, customer int, "sel%ect" text);
CREATE TABLE life.customer (tenant_id uuid NOT NULL, id int PRIMARY KEY, invited_by int REFERENCES life.customer, gone int);
ALTER TABLE life.customer DROP COLUMN gone;
ALTER TABLE life."b ""order" ADD FOREIGN KEY (customer) REFERENCES life.customer;
ALTER TABLE life.a_line ADD FOREIGN KEY (order_id) REFERENCES life."b ""order";
CREATE TABLE life.event (tenant_id uuid NOT NULL, at date NOT NULL, customer int) PARTITION BY RANGE (at);
CREATE TABLE life.event_1 PARTITION OF life.event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
-- A foreign key of a partition's own counts too.
CREATE TABLE life.event_2 PARTITION OF life.event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
ALTER TABLE life.event_2 ADD FOREIGN KEY (customer) REFERENCES life.customer;
CREATE TABLE life.base (tenant_id uuid NOT NULL, a int);
CREATE TABLE life.kind (more text) INHERITS (life.base);
CREATE TABLE life.unprotected (tenant_id uuid);
SELECT count(tenancy.protect_table(t, resource => 'life')) FROM unnest('{life.a_line,"life.\"b \"\"order\"",life.customer,life.event,life.base}'::regclass[]) t;
\x
SELECT * FROM pg_temp.plan(:'life');
\x
-- Circles: one that can wait is broken there, one that cannot is refused.
ALTER TABLE life.customer ADD first_order int CONSTRAINT first_order REFERENCES life."b ""order";
SELECT test.attempt(NULL, format('SELECT position FROM tenancy.export_tenant(%L)', current_setting('life.id')));
ALTER TABLE life.customer ALTER CONSTRAINT first_order DEFERRABLE;
SELECT n, name, copy_in FROM pg_temp.plan(:'life');

-- Foreign keys of children count for these, not for the table above them.
BEGIN;
CREATE TABLE life.a_kind (id int PRIMARY KEY, other int) INHERITS (life.base);
CREATE TABLE life.z_kind (id int PRIMARY KEY) INHERITS (life.base);
ALTER TABLE life.a_kind ADD FOREIGN KEY (other) REFERENCES life.z_kind;
CREATE TABLE life.between (tenant_id uuid NOT NULL, id int PRIMARY KEY, z int REFERENCES life.z_kind);
ALTER TABLE life.a_kind ADD FOREIGN KEY (id) REFERENCES life.between;
SELECT count(tenancy.protect_table(t, resource => 'life')) FROM unnest('{life.base,life.between}'::regclass[]) t;
SELECT n, name FROM pg_temp.plan(:'life') WHERE name ~ 'kind|between|base';
ROLLBACK;
-- Sequences of columns that are no integers, and numbers that no sequence gave.
BEGIN;
CREATE TABLE life.serial (tenant_id uuid NOT NULL, amount numeric, code text, small smallint, big bigint);
CREATE SEQUENCE life.amount_seq OWNED BY life.serial.amount;
CREATE SEQUENCE life.code_seq OWNED BY life.serial.code;
CREATE SEQUENCE life.small_seq OWNED BY life.serial.small;
CREATE SEQUENCE life.big_seq MAXVALUE 1000 OWNED BY life.serial.big;
CREATE SEQUENCE life.unused_seq OWNED BY life.serial.code;
SELECT tenancy.protect_table('life.serial', resource => 'life');
INSERT INTO life.serial VALUES (:'life', 7, 'X' || nextval('life.code_seq') || nextval('life.code_seq'), 5, 12), (:'life', 'NaN', 'X', NULL, 99999);
CREATE TEMP TABLE sequences AS SELECT n, copy_in FROM pg_temp.plan(:'life') WHERE copy_in LIKE 'SELECT%' AND copy_in ~ 'life.(serial|code_seq)';
\x
SELECT copy_in FROM sequences ORDER BY n;
\x
ALTER SEQUENCE life.code_seq RESTART;
DO $$ DECLARE s text; BEGIN FOR s IN SELECT copy_in FROM sequences LOOP EXECUTE s; END LOOP; END $$;
SELECT nextval('life.amount_seq') AS amount, nextval('life.code_seq') AS code, nextval('life.small_seq') AS small, nextval('life.big_seq') AS big;
ROLLBACK;

-- Who may not, and what is not there. Rows that row security would hide are not left out in silence.
\set ann '''a7e00000-0000-4000-8000-0000000000a1'''
SELECT test.attempt(:ann, format('SELECT position FROM tenancy.export_tenant(%L)', current_setting('life.id'))), test.attempt(:ann, $$SELECT count(*) FROM tenancy.tenant_rows(tenancy.nil())$$),
       test.attempt(:ann, $$INSERT INTO tenancy.tenant_import VALUES ('tenants', '{}')$$), test.attempt(:ann, $$SELECT count(*) FROM tenancy.tenant_import$$);
SELECT test.attempt(NULL, $$SELECT position FROM tenancy.export_tenant('a7e00000-0000-4000-8000-000000000bad')$$), test.attempt(NULL, $$SELECT position FROM tenancy.export_tenant(NULL)$$);
CREATE ROLE life_owner NOLOGIN;
DO $$ BEGIN EXECUTE format('GRANT %I TO life_owner', (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'tenancy.tenants'::regclass)); END $$;
SET ROLE life_owner;
SELECT tenancy.is_administrator() AS administrator;
SELECT position FROM tenancy.export_tenant(current_setting('life.id')::uuid);
SELECT tenancy.delete_tenant_rows(current_setting('life.id')::uuid);
RESET ROLE;
DROP ROLE life_owner;

-- Bad rows on the way in.
SELECT test.attempt(NULL, format('INSERT INTO tenancy.tenant_import VALUES (%L, %L)', relation, content)) FROM (VALUES
    ('operators', '{}'), ('protected_tables', '{}'), (NULL, '{}'), ('tenants', NULL), ('tenants', '[]'), ('Tenants', '{}'),
    ('tenants', format('{"id": "%s", "slug": "new", "name": "New"}', :'life')), ('tenants', '{"id": "a7e00000-0000-4000-9000-000000000001", "slug": "life", "name": "New"}'),
    ('tenants', '{"id": "a7e00000-0000-4000-9000-000000000001", "key": "7001", "slug": "new", "name": "New"}'), ('members', '{"tenant_id": "a7e00000-0000-4000-9000-000000000001", "user_id": "a7e00000-0000-4000-8000-0000000000a1"}'),
    ('member_roles', format('{"tenant_id": "%s", "user_id": "a7e00000-0000-4000-8000-0000000000a1", "role": "no such"}', :'life')),
    ('role_permissions', '{"role_id": "a7e00000-0000-4000-9000-000000000002", "permission": "no.such"}'), ('tenants', '{}'), ('members', '{"no": "column"}'), ('limits', '{}')) v (relation, content);

-- Every table of ours that has a column for the tenant is exported, or known not to be.
SELECT c.relname AS not_exported FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('tenant_id', 'tenant') AND NOT a.attisdropped
 WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r'
   AND position('tenancy.' || c.relname || ' ' IN pg_get_functiondef('tenancy.tenant_rows(uuid)'::regprocedure) || pg_get_functiondef('tenancy.tenant_limits(uuid)'::regprocedure)) = 0;

-- Mapped users are who their subjects say. Here ann, bob and cyd get other ids before the tenant comes back; of two subjects of
-- cyd, who granted bob his role, one is gone.
\set bob '''a7e00000-0000-4000-8000-0000000000b1'''
\set cyd '''a7e00000-0000-4000-8000-0000000000c1'''
\set dan '''a7e00000-0000-4000-8000-0000000000d1'''
BEGIN;
INSERT INTO tenancy.subjects (subject, user_id) VALUES ('17', :ann), ('18', :bob), ('19', :cyd), ('19b', :cyd);
SELECT tenancy.create_role('life reader') IS NOT NULL, tenancy.add_member(:'life', :ann, '{owner}'), tenancy.add_member(:'life', :bob), tenancy.add_member(:'life', :dan);
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, granted_by) SELECT :'life', :bob, id, :cyd FROM tenancy.roles WHERE name = 'life reader';
INSERT INTO tenancy.active_tenants VALUES (:ann, :'life');
CREATE TEMP TABLE exported AS SELECT row_number() OVER () AS n, * FROM tenancy.tenant_rows(:'life');
CREATE TEMP TABLE limits AS SELECT * FROM tenancy.tenant_limits(:'life');
SELECT relation, content - '{created_at,granted_at,role_id,tenant_id,user_id}'::text[] AS content FROM exported WHERE relation <> 'tenants' ORDER BY n;
DELETE FROM tenancy.tenants WHERE id = :'life';
DELETE FROM tenancy.subjects WHERE subject = '19b';
UPDATE tenancy.subjects SET user_id = overlay(user_id::text PLACING 'b' FROM 1)::uuid;
SAVEPOINT here;
INSERT INTO tenancy.tenant_import SELECT relation, content FROM exported ORDER BY n;
INSERT INTO tenancy.tenant_import SELECT * FROM limits;
SELECT subject, user_id FROM tenancy.subjects ORDER BY 1;
SELECT m.user_id, r.name, g.granted_by FROM tenancy.members m LEFT JOIN tenancy.member_roles g USING (tenant_id, user_id) LEFT JOIN tenancy.roles r ON r.id = g.role_id WHERE m.tenant_id = :'life' ORDER BY 1, 2;
SELECT user_id FROM tenancy.active_tenants;
-- One user who is two here, two who are one, and one whom the host's rows name by his id.
ROLLBACK TO here;
INSERT INTO tenancy.subjects (subject, user_id) VALUES ('19b', :dan);
INSERT INTO tenancy.tenant_import SELECT relation, content FROM exported ORDER BY n;
ROLLBACK TO here;
UPDATE tenancy.subjects SET user_id = :dan WHERE subject IN ('17', '18');
INSERT INTO tenancy.tenant_import SELECT relation, content FROM exported ORDER BY n;
ROLLBACK TO here;
INSERT INTO tenancy.tenant_import SELECT relation, content || CASE content ->> 'subject' WHEN '18' THEN '{"named_in": "column \"by\" of table life.doc"}' ELSE '{}'::jsonb END
  FROM exported ORDER BY n;
ROLLBACK;
-- In any column of any table, and who is no member any more too. Nothing is read where nobody is mapped.
BEGIN;
CREATE DOMAIN life.person AS uuid;
CREATE TABLE life.named (tenant_id uuid NOT NULL, "made ""by" life.person, id uuid) PARTITION BY LIST (tenant_id);
CREATE TABLE life.named_1 PARTITION OF life.named DEFAULT;
SELECT tenancy.protect_table('life.named', resource => 'life');
INSERT INTO life.named VALUES (:'life', :ann, :bob), (:'life', NULL, :dan), (:'other', :cyd, :cyd);
SELECT * FROM tenancy.mapped_users_of(:'life');
INSERT INTO tenancy.subjects (subject, user_id) VALUES ('17', :ann), ('18', :bob), ('19', :cyd);
SELECT * FROM tenancy.mapped_users_of(:'life') ORDER BY 1;
SELECT content ->> 'subject' AS subject, content ->> 'named_in' AS named_in FROM tenancy.tenant_rows(:'life') WHERE relation = 'subjects';
ROLLBACK;

-- A tenant beyond its quotas comes back all the same, and is bound again once it is there.
BEGIN;
SELECT tenancy.create_meter('life.rows', 'rows', 'gauge'), tenancy.create_meter('life.bytes', 'bytes', 'gauge'), tenancy.create_meter('life.made', 'rows', 'counter'), tenancy.create_plan('life'), tenancy.create_plan('life free', is_default => true);
CREATE TABLE life.held (tenant_id uuid NOT NULL, n int);
CREATE TABLE life.made (tenant_id uuid NOT NULL, n int);
SELECT tenancy.protect_table('life.held', resource => 'life'), tenancy.protect_table('life.made', resource => 'life'),
       tenancy.meter_table('life.held', rows => 'life.rows', bytes => 'life.bytes'), tenancy.meter_table('life.made', rows => 'life.made');
INSERT INTO life.held SELECT :'life', n FROM generate_series(1, 5) n;
INSERT INTO life.made SELECT :'life', n FROM generate_series(1, 5) n;
SELECT tenancy.set_tenant_plan(:'life', 'life'), tenancy.set_quota(:'life', 'life.rows', hard => 3, soft => 2), tenancy.set_plan_quota('life', 'life.bytes', hard => 1),
       tenancy.set_plan_quota('life', 'life.made', hard => 4, period => 'day'), tenancy.set_plan_quota('life free', 'life.rows', hard => 1), tenancy.set_plan_quota('life free', 'life.bytes', hard => 1);
CREATE TEMP TABLE exported AS SELECT row_number() OVER () AS n, * FROM tenancy.tenant_rows(:'life');
CREATE TEMP TABLE limits AS SELECT row_number() OVER () AS n, * FROM tenancy.tenant_limits(:'life');
SELECT relation, content - '{tenant_id,changed_at}'::text[] AS content FROM limits ORDER BY n;
CREATE TEMP TABLE held AS SELECT * FROM life.held;
SELECT tenancy.delete_tenant_rows(:'life'), tenancy.drop_tenant(:'life');
INSERT INTO tenancy.tenant_import SELECT relation, content FROM exported ORDER BY n;
INSERT INTO life.held SELECT * FROM held;
INSERT INTO life.made SELECT * FROM held;
INSERT INTO tenancy.tenant_import SELECT relation, content FROM limits ORDER BY n;
SELECT meter, period, used, soft, hard, source FROM tenancy.quota_status WHERE tenant_id = :'life' AND meter <> 'life.bytes' ORDER BY 1, 2;
SELECT count(*) AS told FROM tenancy.quota_events WHERE tenant_id = :'life';
SELECT test.attempt(NULL, format('INSERT INTO life.held VALUES (%L)', current_setting('life.id'))) LIKE '23514%' AS bound,
       test.attempt(NULL, format('INSERT INTO life.made VALUES (%L)', current_setting('life.id'))) LIKE '23514%' AS by_plan;
ROLLBACK;

SELECT tenancy.unprotect_table(t) FROM unnest('{life.a_line,"life.\"b \"\"order\"",life.customer,life.event,life.base}'::regclass[]) t;
DROP SCHEMA life CASCADE;
SELECT tenancy.drop_tenant(:'life'), tenancy.drop_tenant(:'other');
DELETE FROM tenancy.permissions WHERE name LIKE 'life.%';
