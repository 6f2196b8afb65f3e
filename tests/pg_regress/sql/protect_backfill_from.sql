-- protect_table(…, backfill_from => 'orders(order_id)'): a row takes the tenant of the row it refers to, then and when it
-- is inserted, as far as the inserting role sees that row.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA ref;
CREATE SCHEMA other;
GRANT USAGE ON SCHEMA ref, other TO authenticated;
SET search_path = ref;
\set alice '''fe000000-0000-0000-0000-0000000000a1'''
\set blind '''fe000000-0000-0000-0000-0000000000a2'''
\set both '''fe000000-0000-0000-0000-0000000000ab'''
\set a '''fe000000-0000-0000-0000-00000000000a'''
\set b '''fe000000-0000-0000-0000-00000000000b'''
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES (:a, 'ref-a', 'A', '6001'), (:b, 'ref-b', 'B', '6002');
-- Orders 1 and 2 are A's, 11 and 12 B's. Names and keys that want quoting are another table's.
CREATE TABLE orders (id int PRIMARY KEY, org bigint, code varchar(10) UNIQUE, note text);
CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES orders, what text);
CREATE TABLE notes (id int PRIMARY KEY, line_id int REFERENCES lines, what text);
CREATE TABLE other."Weird ""T""(x)" (id int PRIMARY KEY, "Order (no)" varchar(10) REFERENCES orders (code));
INSERT INTO orders VALUES (1, 6001, 'o1'), (2, 6001, 'o2'), (11, 6002, 'o11'), (12, 6002, 'o12');
INSERT INTO lines VALUES (1, 1), (2, 2), (11, 11);
INSERT INTO notes VALUES (1, 1), (11, 11);
INSERT INTO other."Weird ""T""(x)" VALUES (1, 'o1'), (11, 'o11');
GRANT ALL ON orders, lines, notes, other."Weird ""T""(x)" TO authenticated;
-- not before the other table is protected; and its type is taken over
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.lines'', resource => ''ref_rows'', add_column => true, backfill_from => ''orders(order_id)'')');
SELECT tenancy.protect_table('orders', resource => 'ref_rows', add_column => true, column_type => 'bigint', backfill => 'org');
SELECT tenancy.protect_table('lines', resource => 'ref_rows', add_column => true, backfill_from => 'orders(order_id)'), tenancy.protect_table('lines', resource => 'ref_rows', add_column => true, backfill_from => 'orders(order_id)') AS again;
SELECT tenancy.protect_table('notes', resource => 'ref_rows', add_column => true, backfill_from => ' "ref" . LINES ( LINE_ID ) '), tenancy.protect_table('notes', resource => 'ref_rows', backfill_from => 'lines(line_id)') AS again;
SELECT tenancy.protect_table('other."Weird ""T""(x)"', resource => 'ref_rows', mode => 'membership', add_column => true, column_type => 'integer', backfill_from => 'orders("Order (no)")'),
       tenancy.protect_table('other."Weird ""T""(x)"', resource => 'ref_rows', mode => 'membership', add_column => true, column_type => 'integer', backfill_from => 'ref.orders("Order (no)")') AS again;
SELECT 'lines' AS of, id, tenant_id FROM lines UNION ALL SELECT 'notes', id, tenant_id FROM notes UNION ALL SELECT 'weird', id, tenant_id FROM other."Weird ""T""(x)" ORDER BY 1, 2;
SELECT tgrelid::regclass, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE '~pg_tenancy_copy%' ORDER BY tgrelid::regclass::text COLLATE "C", tgname;
SELECT table_id, options -> 'tenant_type' AS type, options -> 'backfill_from' AS backfill_from FROM tenancy.protected_tables WHERE options ->> 'backfill_from' IS NOT NULL ORDER BY table_id::text COLLATE "C";

SELECT tenancy.create_role('ref_editor', '{ref_rows.*}') IS NOT NULL, tenancy.create_role('ref_writer', '{ref_rows.create,ref_rows.update}') IS NOT NULL;
SELECT tenancy.add_member(:a, :alice, '{ref_editor}'), tenancy.add_member(:a, :blind, '{ref_writer}'), tenancy.add_member(:a, :both, '{ref_editor}'), tenancy.add_member(:b, :both, '{ref_editor}');
-- What a member inserts, in whatever way; a row of another tenant and a row that there is not are answered alike.
CREATE TEMP TABLE attempts (n serial, who uuid, command text);
INSERT INTO attempts (who, command) VALUES
    (:alice, 'INSERT INTO ref.lines (id, order_id) VALUES (50, 1), (51, 2)'), (:alice, 'INSERT INTO ref.lines (id, order_id) SELECT 50 + id, id FROM ref.orders'),
    (:alice, 'INSERT INTO ref.lines (id, order_id) VALUES (50, 11)'), (:alice, 'INSERT INTO ref.lines (id, order_id) VALUES (50, 99)'),
    (:alice, 'INSERT INTO ref.lines (id, order_id, tenant_id) VALUES (50, 11, 6001)'), (:alice, 'INSERT INTO ref.lines (id, order_id, tenant_id) VALUES (50, 99, 6001)'),
    (:alice, 'INSERT INTO ref.lines (id, order_id, tenant_id) VALUES (50, 11, 6002)'), (:alice, 'INSERT INTO ref.lines (id, order_id, tenant_id) VALUES (50, 1, 6002)'),
    (:alice, 'INSERT INTO ref.lines (id, order_id, tenant_id) VALUES (50, 1, NULL)'), (:alice, 'INSERT INTO ref.lines (id) VALUES (50)'), (:alice, 'INSERT INTO ref.lines (id, tenant_id) VALUES (50, 6002)'),
    (:alice, 'INSERT INTO ref.lines (id, order_id) VALUES (1, 11) ON CONFLICT DO NOTHING'), (:alice, 'INSERT INTO ref.lines (id, order_id) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET order_id = 11'),
    (:alice, 'INSERT INTO ref.lines (id, order_id) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET order_id = 2'), (:alice, 'INSERT INTO ref.lines (id, order_id) VALUES (11, 1) ON CONFLICT (id) DO UPDATE SET order_id = 1'),
    (:alice, 'MERGE INTO ref.lines l USING (VALUES (50, 1)) v (id, o) ON l.id = v.id WHEN NOT MATCHED THEN INSERT (id, order_id) VALUES (v.id, v.o)'),
    (:alice, 'MERGE INTO ref.lines l USING (VALUES (1, 11)) v (id, o) ON l.id = v.id WHEN MATCHED THEN UPDATE SET order_id = v.o'),
    (:alice, 'UPDATE ref.lines SET order_id = 2 WHERE id = 1'), (:alice, 'UPDATE ref.lines SET order_id = 11 WHERE id = 1'), (:alice, 'UPDATE ref.lines SET order_id = 99 WHERE id = 1'),
    (:alice, 'UPDATE ref.lines SET order_id = NULL WHERE id = 1'), (:alice, 'UPDATE ref.lines SET order_id = order_id, what = ''x'''), (:alice, 'UPDATE ref.lines SET order_id = 11, tenant_id = 6002 WHERE id = 1'),
    -- one who may write lines but see no orders finds none
    (:blind, 'INSERT INTO ref.lines (id, order_id) VALUES (50, 1)'), (:blind, 'INSERT INTO ref.lines (id) VALUES (50)'), (NULL, 'INSERT INTO ref.lines (id, order_id) VALUES (50, 1)'),
    -- several levels, and a child that refers to rows in several of his tenants
    (:alice, 'INSERT INTO ref.notes (id, line_id) VALUES (50, 1)'), (:alice, 'INSERT INTO ref.notes (id, line_id) VALUES (50, 11)'),
    (:both, 'SELECT set_config(''tenancy.tenant_id'', ''6002'', true)'),
    (:both, 'INSERT INTO ref.lines (id, order_id) VALUES (50, 1)'), (:alice, 'INSERT INTO other."Weird ""T""(x)" VALUES (50, ''o1'')'), (:alice, 'INSERT INTO other."Weird ""T""(x)" VALUES (50, ''o11'')'),
    -- who turns row-level security off is refused, and search_path and temporary tables change nothing
    (:alice, 'WITH s AS MATERIALIZED (SELECT set_config(''row_security'', ''off'', true)) INSERT INTO ref.lines (id, order_id) SELECT 50, 11 FROM s'),
    (:alice, 'CREATE TEMP TABLE orders (id int, tenant_id bigint); INSERT INTO pg_temp.orders VALUES (11, 6001); SET LOCAL search_path = pg_temp; INSERT INTO ref.lines (id, order_id) VALUES (50, 11)'),
    -- administrators: the tenant is the order's; where there is none, as in a restore, the one given
    (NULL, 'RESET ROLE; INSERT INTO ref.lines (id, order_id) VALUES (50, 11)'), (NULL, 'RESET ROLE; INSERT INTO ref.lines (id, order_id, tenant_id) VALUES (50, 99, 6001)'), (NULL, 'RESET ROLE; INSERT INTO ref.lines (id) VALUES (50)'),
    (NULL, 'RESET ROLE; UPDATE ref.lines SET order_id = 11 WHERE id = 1'), (NULL, 'RESET ROLE; SET LOCAL tenancy.allow_tenant_change = on; UPDATE ref.lines SET order_id = 11 WHERE id = 1');
SELECT replace(a.command, 'ref.', '') AS command, right(a.who::text, 2) AS who, test.try(a.who, a.command) AS answer FROM attempts a ORDER BY a.n;
-- the error in full: it names tables and a column, and no row
\set VERBOSITY default
BEGIN;
SELECT FROM tenancy.act_as(:alice);
SAVEPOINT s;
INSERT INTO lines (id, order_id) VALUES (50, 11);
ROLLBACK TO s;
INSERT INTO lines (id, order_id) VALUES (50, 99);
ROLLBACK TO s;
INSERT INTO lines (id, order_id) VALUES (50, 1), (51, 2) RETURNING id, tenant_id;
-- a trigger of the table's own that sets the column comes first
RESET ROLE;
CREATE FUNCTION first_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.order_id := coalesce(NEW.order_id, 11); RETURN NEW; END $$;
CREATE TRIGGER zzz BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION first_order();
INSERT INTO lines (id) VALUES (52) RETURNING tenant_id;
-- COPY, as a restore does it: the tenant in the file stays where there is no order
SET LOCAL session_replication_role = origin;
ALTER TABLE lines DROP CONSTRAINT lines_order_id_fkey;
COPY lines (id, order_id, tenant_id) FROM STDIN;
60	1	6001
61	77	6002
\.
COPY lines (id, order_id) FROM STDIN;
62	11
\.
SELECT id, tenant_id FROM lines WHERE id >= 60 ORDER BY id;
ROLLBACK;

-- Other tables, columns and schemas are renamed: the trigger follows, and so do the options
ALTER TABLE orders RENAME TO "Or'd ers";
ALTER TABLE lines RENAME order_id TO "the order";
ALTER TABLE "Or'd ers" RENAME id TO "the id";
ALTER TABLE "Or'd ers" RENAME tenant_id TO org_id;
ALTER SCHEMA ref RENAME TO ref2;
SET search_path = ref2;
SELECT test.try(:alice, 'INSERT INTO ref2.lines (id, "the order") VALUES (50, 1)'), test.try(:alice, 'INSERT INTO ref2.lines (id, "the order") VALUES (50, 11)'), test.try(:alice, 'INSERT INTO ref2.notes (id, line_id) VALUES (50, 1)');
SELECT tenancy.protect_table('lines', resource => 'ref_rows', backfill_from => '"Or''d ers"("the order")') AS "nothing to do", tenancy.protect_table('notes', resource => 'ref_rows', backfill_from => 'lines(line_id)') AS "nor here";
SELECT table_id, options -> 'backfill_from' AS backfill_from FROM tenancy.protected_tables WHERE options ->> 'backfill_from' IS NOT NULL ORDER BY table_id::text COLLATE "C";
-- keys that are rewritten with the tenant in front still say which row
SELECT tenancy.protect_table('"Or''d ers"', tenant_column => 'org_id', resource => 'ref_rows', tenant_keys => 'fix');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'lines'::regclass AND contype = 'f' ORDER BY 1;
SELECT tenancy.protect_table('lines', resource => 'ref_rows', backfill_from => '"Or''d ers"("the order")', tenant_keys => 'fix'), tenancy.protect_table('lines', resource => 'ref_rows', backfill_from => '"Or''d ers"("the order")', tenant_keys => 'fix') AS again;
SELECT test.try(:alice, 'INSERT INTO ref2.lines (id, "the order") VALUES (50, 1)'), test.try(:alice, 'INSERT INTO ref2.lines (id, "the order") VALUES (50, 11)');
-- taken away, it comes back; disabled too
DROP TRIGGER "~pg_tenancy_copy_tenant" ON lines;
ALTER TABLE lines DISABLE TRIGGER "~pg_tenancy_copy_changed";
SELECT tenancy.protect_table_sql('lines', resource => 'ref_rows', backfill_from => '"Or''d ers"("the order")', tenant_keys => 'fix') AS script \gset
:script
SELECT tenancy.protect_table('lines', resource => 'ref_rows', backfill_from => '"Or''d ers"("the order")', tenant_keys => 'fix') AS "anything left",
       (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'lines'::regclass AND tgname LIKE '~pg%' AND tgenabled = 'O') AS triggers;
-- what others take their tenant from is not unprotected or dropped under them
SELECT test.attempt(NULL, 'SELECT tenancy.unprotect_table(''ref2."Or''''d ers"'')');
\set VERBOSITY sqlstate
DROP TABLE "Or'd ers";
\set VERBOSITY default
-- called without it, the table takes no tenants any more; unprotected, neither
SELECT tenancy.protect_table('notes', resource => 'ref_rows'), tenancy.protect_table('notes', resource => 'ref_rows') AS again;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'notes'::regclass AND tgname LIKE '~pg_tenancy_copy%';
SELECT tenancy.unprotect_table('lines'), tenancy.unprotect_table('other."Weird ""T""(x)"'), tenancy.unprotect_table('"Or''d ers"');
SELECT tgname FROM pg_trigger WHERE tgname LIKE '~pg_tenancy_copy%';
DROP SCHEMA ref2, other CASCADE;

-- Partitions and children, there and to come; a shared row has no tenant to give; rows without a reference.
CREATE SCHEMA ref;
GRANT USAGE ON SCHEMA ref TO authenticated;
SET search_path = ref;
CREATE TABLE orders (id int PRIMARY KEY, tenant_id uuid);
CREATE TABLE parts (id int, order_id int REFERENCES orders) PARTITION BY RANGE (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE tree (id int, order_id int REFERENCES orders);
CREATE TABLE branch () INHERITS (tree);
INSERT INTO orders VALUES (1, :a), (11, :b), (21, NULL);
INSERT INTO parts VALUES (1, 1), (2, 11);
INSERT INTO branch VALUES (1, 1), (2, 11);
SELECT tenancy.protect_table('orders', resource => 'ref_rows', shared => 'read'), tenancy.protect_table('parts', resource => 'ref_rows', add_column => true, backfill_from => 'orders(order_id)'),
       tenancy.protect_table('tree', resource => 'ref_rows', add_column => true, backfill_from => 'orders(order_id)');
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (10) TO (20);
CREATE TABLE leaf () INHERITS (branch);
GRANT SELECT, INSERT, UPDATE, DELETE ON orders, parts, parts_0, parts_1, tree, branch, leaf TO authenticated;
SELECT tableoid::regclass, id, right(tenant_id::text, 1) AS tenant FROM parts UNION ALL SELECT tableoid::regclass, id, right(tenant_id::text, 1) FROM tree ORDER BY 1, 2;
SELECT t, test.try(:alice, format('INSERT INTO ref.%s (id, order_id) VALUES (%s, 1) RETURNING right(tenant_id::text, 1)', t, n)), test.try(:alice, format('INSERT INTO ref.%s (id, order_id) VALUES (%s, 11)', t, n)),
       test.try(:alice, format('INSERT INTO ref.%s (id, order_id) VALUES (%s, 21)', t, n)), test.try(:alice, format('UPDATE ref.%s SET order_id = 11', t))
  FROM (VALUES ('parts', 5), ('parts', 15), ('parts_0', 5), ('parts_1', 15), ('tree', 5), ('branch', 5), ('leaf', 5)) v (t, n);
SELECT tenancy.protect_table('parts', resource => 'ref_rows', backfill_from => 'orders(order_id)'), tenancy.protect_table('tree', resource => 'ref_rows', backfill_from => 'orders(order_id)');
-- rows whose reference is null or leads nowhere: the count, or what a second expression says
CREATE TABLE loose (id int, order_id int);
INSERT INTO loose VALUES (1, 1), (2, NULL), (3, 99);
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.loose'', resource => ''ref_rows'', add_column => true, backfill_from => ''orders(order_id)'')');
SELECT tenancy.protect_table('loose', resource => 'ref_rows', add_column => true, backfill_from => 'orders(order_id)', backfill => :b);
SELECT id, right(tenant_id::text, 1) AS tenant FROM loose ORDER BY id;
-- a foreign key that goes leaves the trigger as it is, and does not keep other tables from being looked after
ALTER TABLE tree DROP CONSTRAINT tree_order_id_fkey;
ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE;
CREATE TABLE late () INHERITS (tree);
SELECT relation, (SELECT count(*) FROM pg_policy WHERE polrelid = relation) AS policies, (SELECT count(*) FROM pg_trigger WHERE tgrelid = relation AND tgname LIKE '~pg_tenancy_copy%') AS triggers FROM unnest('{tree,branch,late}'::regclass[]) relation;
DROP SCHEMA ref CASCADE;

-- What is refused: nothing is half done.
CREATE SCHEMA ref;
SET search_path = ref;
CREATE TABLE a (id int PRIMARY KEY, b_id int, c_id int, self_id int REFERENCES a, tenant_id uuid);
CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a, c_id int, x int UNIQUE, tenant_id uuid);
CREATE TABLE c (id int PRIMARY KEY, a_id int REFERENCES a, b_id int REFERENCES b, tenant_id uuid);
ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b, ADD FOREIGN KEY (c_id) REFERENCES c;
CREATE TABLE keys (p int PRIMARY KEY, u int UNIQUE, v bigint UNIQUE, w text, x text, tenant_id uuid, UNIQUE (w), UNIQUE (x), UNIQUE (p, u), UNIQUE (p, v));
CREATE TABLE no_key (id int, tenant_id uuid);
CREATE TABLE some_key (id int, part int, tenant_id uuid, t text, PRIMARY KEY (id, part));
CREATE UNIQUE INDEX ON some_key (part) WHERE id > 0;
CREATE TABLE refused (id int, tenant_id uuid, fk1 int REFERENCES keys, fk2 int REFERENCES keys (p), bare_int int, bare_big bigint, bare_text text, bare_uuid uuid, k1 int, k2 int, k3 int REFERENCES keys, twice int REFERENCES keys (p) REFERENCES keys (u), big_tenant bigint,
    FOREIGN KEY (k1, k2) REFERENCES keys (p, u), FOREIGN KEY (k3, k2) REFERENCES keys (p, u));
CREATE TABLE unprotected (id int PRIMARY KEY, tenant_id uuid);
CREATE VIEW seen AS SELECT * FROM unprotected;
SELECT tenancy.protect_table(t, resource => 'ref_rows') FROM unnest('{a,b,c,keys,no_key,some_key}'::regclass[]) t;
SELECT f AS backfill_from, test.attempt(NULL, format('SELECT tenancy.protect_table(''ref.refused'', resource => ''ref_rows'', backfill_from => %L)', f)) AS answer FROM unnest(ARRAY[
    '', 'keys', 'keys()', 'keys(fk1', 'keys(fk1, fk2)', 'keys(fk1)(fk2)', '(fk1)', 'a.b.keys(fk1)', 'keys("")', 'keys(fk1); DROP TABLE refused', '"keys(fk1)', 'keys("Fk1")', '"Keys"(fk1)', 'nowhere.keys(fk1)', 'missing(fk1)', 'keys(missing)', 'keys(tenant_id)', 'keys(ctid)',
    'unprotected(bare_int)', 'seen(bare_int)', 'pg_class(bare_int)', 'pg_catalog.pg_class(bare_int)', 'refused(id)', 'no_key(bare_int)', 'some_key(bare_int)', 'keys(k1)', 'keys(k2)', 'keys(twice)', 'keys(bare_text)', 'keys(bare_uuid)', 'a(fk1)']) WITH ORDINALITY u (f, n) ORDER BY n;
SELECT f AS backfill_from, test.try(NULL, format('RESET ROLE; SELECT tenancy.protect_table(''ref.refused'', resource => ''ref_rows'', backfill_from => %L)', f)) AS answer FROM unnest(ARRAY['keys(fk1)', 'keys(fk2)', 'keys(k3)', 'keys(bare_int)', 'keys(bare_big)', 'ref.keys ( "fk1" ) ', 'KEYS(Fk1)']) f;
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.refused'', resource => ''ref_rows'', tenant_column => ''big_tenant'', backfill_from => ''keys(fk1)'')');
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.refused'', resource => ''ref_rows'', tenant_column => ''new'', add_column => true, column_type => ''bigint'', backfill_from => ''keys(fk1)'')');
SELECT count(*) FROM tenancy.protected_tables WHERE table_id = 'refused'::regclass;
SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~pg_tenancy_copy%';
-- cycles: of one, two and three tables
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.a'', resource => ''ref_rows'', backfill_from => ''a(self_id)'')');
SELECT tenancy.protect_table('b', resource => 'ref_rows', backfill_from => 'a(a_id)'), tenancy.protect_table('c', resource => 'ref_rows', backfill_from => 'b(b_id)');
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.a'', resource => ''ref_rows'', backfill_from => ''b(b_id)'')');
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.a'', resource => ''ref_rows'', backfill_from => ''c(c_id)'')');
-- of a table and its own partition, which is no table to take from either
CREATE TABLE whole (id int PRIMARY KEY, up int, tenant_id uuid) PARTITION BY RANGE (id);
CREATE TABLE whole_0 PARTITION OF whole FOR VALUES FROM (0) TO (10);
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.whole'', resource => ''ref_rows'', backfill_from => ''whole_0(up)'')');
SELECT tenancy.protect_table('whole', resource => 'ref_rows');
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''ref.whole'', resource => ''ref_rows'', backfill_from => ''whole_0(up)'')');
-- and not once the chain is open
SELECT tenancy.protect_table('b', resource => 'ref_rows'), tenancy.protect_table('a', resource => 'ref_rows', backfill_from => 'b(b_id)');
SELECT table_id, options -> 'backfill_from' AS backfill_from FROM tenancy.protected_tables WHERE options ->> 'backfill_from' IS NOT NULL ORDER BY table_id::text COLLATE "C";
-- a name in two schemas: the column says which, or else it is the table's own schema
CREATE SCHEMA other;
CREATE TABLE other.keys (p int PRIMARY KEY, tenant_id uuid);
CREATE TABLE two (id int, here int REFERENCES ref.keys, there int REFERENCES other.keys, none int, tenant_id uuid);
SELECT tenancy.protect_table('other.keys', resource => 'ref_rows');
SELECT f, tenancy.protect_table('two', resource => 'ref_rows', backfill_from => f) FROM unnest('{keys(here),keys(there),keys(none),other.keys(none)}'::text[]) f;
SELECT options -> 'backfill_from' AS last FROM tenancy.protected_tables WHERE table_id = 'two'::regclass;
SET search_path = public;
DROP SCHEMA ref, other CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'ref-_';
SELECT tenancy.drop_role('ref_editor', cascade => true), tenancy.drop_role('ref_writer', cascade => true);
