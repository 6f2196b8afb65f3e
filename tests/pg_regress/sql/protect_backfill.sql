-- protect_table(…, backfill => …): a tenant's id, or an SQL expression over the row. Whatever is wrong is said before
-- anything is changed.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA bf;
SET search_path = bf;
\set a '''bf000000-0000-0000-0000-00000000000a'''
\set b '''bf000000-0000-0000-0000-00000000000b'''
\set keyless '''bf000000-0000-0000-0000-00000000000c'''
\set large '''bf000000-0000-0000-0000-00000000000d'''
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES (:a, 'bf-a', 'A', '9001'), (:b, 'bf-b', 'B', '9002'), (:keyless, 'bf-c', 'C', NULL), (:large, 'bf-d', 'D', '30000000000'), ('bf000000-0000-0000-0000-00000000000e', 'bf-e', 'E', 'acme');
CREATE FUNCTION bf.double(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION bf.fresh() RETURNS void LANGUAGE plpgsql SET client_min_messages = error AS $$
BEGIN
    DROP TABLE IF EXISTS bf.docs;
    CREATE TABLE bf.docs (id int PRIMARY KEY, org_id bigint, org_text text, org_uuid uuid, data jsonb);
    INSERT INTO bf.docs VALUES (1, 9001, '9001', 'bf000000-0000-0000-0000-00000000000a', '{"org": 9001}'), (2, 9002, '9002', 'bf000000-0000-0000-0000-00000000000b', '{"org": 9002}'),
        (3, 9001, '9001', 'bf000000-0000-0000-0000-00000000000a', '{"org": 9001}');
END
$$;
-- Protects a fresh table, and what came of it; protects again, and whether that was nothing.
CREATE FUNCTION bf.filled(column_type regtype, backfill text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    again boolean;
BEGIN
    PERFORM bf.fresh();
    answer := test.attempt(NULL, format('SELECT tenancy.protect_table(''bf.docs'', resource => ''bf_docs'', add_column => true, column_type => %L, backfill => %L)', column_type, backfill));
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'bf.docs'::regclass AND attname = 'tenant_id') <> EXISTS (SELECT FROM tenancy.protected_tables WHERE table_id = 'bf.docs'::regclass) THEN
        RETURN 'half done: ' || answer;
    END IF;
    IF answer NOT IN ('t', 'true') THEN
        RETURN answer;
    END IF;
    EXECUTE 'SELECT string_agg(tenant_id::text, '' '' ORDER BY id) FROM bf.docs' INTO answer;
    again := tenancy.protect_table('bf.docs', resource => 'bf_docs', add_column => true, column_type => column_type, backfill => backfill);
    RETURN answer || CASE WHEN again THEN ', and again something' ELSE '' END;
END
$$;
-- a tenant by his id, whatever the type of the column
SELECT t AS type, filled(t, :a) FROM unnest('{uuid,bigint,integer,text,varchar}'::regtype[]) t;
SELECT t AS type, filled(t, :keyless) FROM unnest('{uuid,bigint,integer,text,varchar}'::regtype[]) t;
SELECT t AS type, filled(t, :large) FROM unnest('{bigint,integer}'::regtype[]) t;
SELECT filled('bigint', 'bf000000-0000-0000-0000-0000000000ff');
SELECT filled('text', 'BF000000-0000-0000-0000-00000000000A');
SELECT filled('text', 'bf000000-0000-0000-0000-00000000000e');
-- an expression over the row
SELECT t AS type, e AS backfill, filled(t, e) FROM (VALUES
    ('bigint', 'org_id'), ('integer', 'org_id'), ('text', 'org_id'), ('varchar', 'org_id'), ('bigint', 'org_text'), ('uuid', 'org_uuid'), ('bigint', 'docs.org_id'),
    ('bigint', 'data ->> ''org'''), ('bigint', 'org_id -- as it is'), ('bigint', 'CASE WHEN id = 2 THEN 9002 ELSE 9001 END'), ('bigint', '9001'), ('text', '''acme'''),
    ('bigint', 'bf.double(org_id) / 2'), ('uuid', '(SELECT t.id FROM tenancy.tenants t WHERE t.key_number = org_id)'), ('bigint', '(SELECT min(org_id) FROM bf.docs)'),
    ('bigint', 'coalesce(nullif(org_id, 9001), 9002)'), ('uuid', 'org_uuid::text'), ('bigint', '(org_id)'), ('bigint', ' org_id'), ('bigint', 'org_id % 9003')) v (type, e), LATERAL (SELECT v.type::regtype) r (t);
-- rows it gives nothing, or a tenant that there is not
SELECT t AS type, e AS backfill, filled(t, e) FROM (VALUES
    ('bigint', 'nullif(org_id, 9001)'), ('bigint', 'NULL'), ('bigint', 'org_id + 1'), ('bigint', 'nullif(org_id + 1, 9003)'), ('text', '''none'''), ('integer', 'org_id * -1'), ('text', 'org_uuid'),
    ('uuid', 'pg_catalog.md5(org_text)')) v (type, e), LATERAL (SELECT v.type::regtype) r (t);
-- what is no expression over the row
SELECT filled('bigint', 'org');
SELECT t AS type, e AS backfill, regexp_replace(filled(t, e), '^22023 invalid backfill for table bf.docs\s+DETAIL (.*)\n  HINT.*', '22023 \1') AS filled FROM (VALUES
    ('bigint', 'no_such_column'), ('bigint', ''), ('bigint', '   '), ('bigint', 'org_id +'), ('bigint', 'org_id)'), ('bigint', '(org_id'), ('bigint', 'org_id, id'), ('bigint', 'double(org_id)'),
    ('uuid', 'data'), ('bigint', 'org_uuid'), ('bigint', 'sum(org_id)'), ('bigint', 'row_number() OVER ()'), ('bigint', 'generate_series(1, 2)'), ('bigint', 'org_id; DROP TABLE bf.docs'),
    ('bigint', 'org_id) IS NULL; DROP TABLE bf.docs; --'), ('bigint', 'org_id)::bigint) IS NULL; DROP TABLE bf.docs; --'), ('bigint', 'org_id)::bigint) IS NULL; DROP TABLE bf.docs; SELECT 1, 1 WHERE ((1'), ('bigint', 'org_id /* not closed'), ('bigint', 'tenant_id'), ('bigint', '$1'), ('bigint', '''nobody'''), ('bigint', 'org_uuid::text'), ('integer', 'org_id * 1000000'),
    ('bigint', 'org_id / (id - 2)'), ('bigint', '(SELECT org_id FROM bf.docs)'), ('bigint', 'acme'), ('bigint', 'other.org_id')) v (type, e), LATERAL (SELECT v.type::regtype) r (t);
-- A column of ids is also filled from the host's keys: numbers, or texts, of which one in the form of an id is one.
SELECT e AS backfill, filled('uuid', e) FROM unnest('{org_id,org_id::int,org_text,org_text::varchar(10),''acme'',org_uuid::text,"upper(org_uuid::text)",docs.org_id,"(SELECT d.org_id FROM bf.docs d WHERE d.id = docs.id)",org_id -- so,org_id + 1,''none'',NULL,org_id::numeric}'::text[]) e;
SELECT e AS backfill, regexp_replace(filled('uuid', e), '^22023 invalid backfill for table bf.docs\s+DETAIL (.*)\n  HINT.*', '22023 \1') AS filled
  FROM unnest('{sum(org_id),"generate_series(1, 2)",org_id / (id - 2),key,t.id,k.key,"org_id) AS key) k; DROP TABLE bf.docs; --"}'::text[]) e;
-- A column that is there: only its gaps are filled, by the same expression; checked together with what it has.
SELECT fresh();
ALTER TABLE docs ADD tenant_id bigint;
UPDATE docs SET tenant_id = 9002 WHERE id = 1;
SELECT tenancy.protect_table('docs', resource => 'bf_docs', backfill => 'org_id'), tenancy.protect_table('docs', resource => 'bf_docs', backfill => 'org_id') AS again;
SELECT id, org_id, tenant_id FROM docs ORDER BY id;
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'docs'::regclass AND attname = 'tenant_id';
-- with nothing to fill the expression is not looked at: its column may be gone
ALTER TABLE docs DROP org_id;
SELECT tenancy.protect_table('docs', resource => 'bf_docs', backfill => 'org_id') AS "nothing to do";
SELECT fresh();
ALTER TABLE docs ADD tenant_id bigint;
UPDATE docs SET tenant_id = 77 WHERE id = 1;
SELECT test.attempt(NULL, 'SELECT tenancy.protect_table(''bf.docs'', resource => ''bf_docs'', backfill => ''org_id'')');
SELECT id, tenant_id FROM docs ORDER BY id;
-- the text for a migration says the same and does the same; children and partitions are filled too
CREATE TABLE tree (id int, org_id bigint, tenant_id bigint);
CREATE TABLE branch () INHERITS (tree);
CREATE TABLE parts (id int, org_id bigint) PARTITION BY RANGE (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (10);
INSERT INTO branch VALUES (1, 9001);
INSERT INTO parts VALUES (1, 9002);
SELECT statement FROM regexp_split_to_table(tenancy.protect_table_sql('tree', resource => 'bf_docs', backfill => E'org_id -- it''s "so"'), E';\n') statement WHERE statement ~ 'fill_tenants';
SELECT tenancy.protect_table_sql('tree', resource => 'bf_docs', backfill => E'org_id -- it''s "so"') AS script \gset
:script
SELECT tenancy.protect_table('tree', resource => 'bf_docs', backfill => 'org_id') AS "anything left";
SELECT tenancy.protect_table('parts', resource => 'bf_docs', add_column => true, column_type => 'bigint', backfill => 'org_id');
SELECT tableoid::regclass, id, tenant_id FROM tree UNION ALL SELECT tableoid::regclass, id, tenant_id FROM parts;
-- an owner whom policies bind already cannot be shown that all is well
SELECT fresh();
CREATE ROLE bf_admin;
GRANT USAGE, CREATE ON SCHEMA bf TO bf_admin;
ALTER TABLE docs OWNER TO bf_admin;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DO $$ BEGIN EXECUTE format('GRANT %I TO bf_admin', current_user); END $$;
BEGIN;
SET LOCAL ROLE bf_admin;
SELECT test.attempt(NULL, 'SET LOCAL ROLE bf_admin; SELECT tenancy.protect_table(''bf.docs'', resource => ''bf_docs'', add_column => true, column_type => ''bigint'', backfill => ''org_id'')');
ROLLBACK;
DROP SCHEMA bf CASCADE;
DROP ROLE bf_admin;
DELETE FROM tenancy.tenants WHERE slug LIKE 'bf-_';
