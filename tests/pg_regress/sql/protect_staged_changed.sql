-- A staged rollout that cannot be, that is broken off, or whose table or whose other table is changed before its end.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA st;
SET search_path = st;
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES
    ('57a6ed00-0000-0000-0000-00000000000a', 'st-a', 'A', '5701'), ('57a6ed00-0000-0000-0000-00000000000b', 'st-b', 'B', '5702');
CREATE FUNCTION script(name regclass, VARIADIC options text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('SELECT tenancy.protect_table_sql(%L, resource => ''staged'', staged => true%s)', name, (SELECT string_agg(', ' || o, '') FROM unnest(options) o)) INTO answer;
    RETURN answer;
END
$$;
-- until(SCRIPT, TEXT): the statements before the first one that has the text; since: the others
CREATE FUNCTION until(script text, before text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(p, E'\n' ORDER BY n) FROM (SELECT p, n, sum((position(before IN p) > 0)::int) OVER (ORDER BY n) AS passed
      FROM regexp_split_to_table(script, '\n(?=-- \d+\. )') WITH ORDINALITY s (p, n)) s WHERE passed = 0
$$;
CREATE FUNCTION since(script text, before text) RETURNS text LANGUAGE sql AS $$ SELECT substr(script, length(st.until(script, before)) + 1) $$;
\set VERBOSITY default
-- Partitioned by the column that is to be filled, at any level: the trigger could not move the rows that come.
CREATE TABLE by_tenant (id int, org int, tenant_id bigint) PARTITION BY LIST (tenant_id);
CREATE TABLE by_tenant_rest PARTITION OF by_tenant DEFAULT;
INSERT INTO by_tenant VALUES (1, 5701, NULL);
SELECT script('by_tenant', 'backfill => ''org''');
CREATE TABLE by_id (id int, org int, tenant_id bigint) PARTITION BY RANGE (id);
CREATE TABLE by_id_1 PARTITION OF by_id FOR VALUES FROM (0) TO (10) PARTITION BY HASH ((tenant_id + 1));
CREATE TABLE by_id_1_1 PARTITION OF by_id_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT script('by_id', 'backfill => ''org''');
-- With nothing to fill it goes.
UPDATE by_tenant SET tenant_id = 5701;
SELECT script('by_tenant') AS script \gset
:script
SELECT count(*) FROM pg_policies WHERE schemaname = 'st' AND tablename LIKE 'by_tenant%';
-- An observed table with another tenant column: what was noted of that one is not this one's.
CREATE TABLE observed (id int, org bigint, tenant_id bigint);
SELECT tenancy.protect_table('observed', resource => 'staged', mode => 'observe', add_column => true, tenant_column => 'other');
SELECT script('observed', 'tenant_column => ''tenant_id''');
SELECT tenancy.unprotect_table('observed', true);
SELECT script('observed', 'tenant_column => ''tenant_id''') AS script \gset
SELECT tenancy.protect_table('observed', resource => 'staged', mode => 'observe', add_column => true, tenant_column => 'other');
:script
SELECT tenancy.unprotect_table('observed', true);
SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'observed'::regclass AND attnum > 0 AND NOT attisdropped;
-- Broken off after any statement, what partitions have of their own is taken back.
CREATE FUNCTION own(name text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT conrelid::regclass || ' ' || conname FROM pg_constraint WHERE conrelid::regclass::text LIKE name || '%'
    UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid::regclass::text LIKE name || '%'
    UNION ALL SELECT table_id || ' ' || undo FROM tenancy.protected_tables WHERE table_id::text LIKE 'st.' || name || '%' OR table_id::text LIKE name || '%' ORDER BY 1
$$;
CREATE TABLE parts (id int, org bigint, tenant_id bigint) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES FROM (10) TO (20);
INSERT INTO parts SELECT n, 5701 FROM generate_series(1, 19) n;
SELECT script('parts', 'backfill => ''org''') AS script \gset
SELECT until(:'script', 'USING ERRCODE = ''55000''') AS half \gset
:half
SELECT own('parts');
SELECT tenancy.unprotect_table('parts', true);
SELECT own('parts');
SELECT until(:'script', 'their foreign keys become') AS half \gset
:half
SELECT own('parts');
SELECT tenancy.unprotect_table('parts', true);
SELECT own('parts');
:script
SELECT own('parts');
SELECT tenancy.unprotect_table('parts', true);
SELECT own('parts');
-- A partition with a constraint of the name that the partitioned table's foreign key is to have.
CREATE TABLE named (id int, org bigint, tenant_id bigint) PARTITION BY RANGE (id);
CREATE TABLE named_1 PARTITION OF named FOR VALUES FROM (0) TO (10);
CREATE TABLE named_2 PARTITION OF named FOR VALUES FROM (10) TO (20);
ALTER TABLE named_1 ADD CONSTRAINT named_tenant_id_fkey CHECK (id > -1);
SELECT script('named', 'backfill => ''org''') AS script \gset
SELECT until(:'script', 'their foreign keys become') AS half \gset
:half
:script
SELECT own('named');
-- Names with our own words in them.
CREATE TABLE "x ADD COLUMN y" (id int, org int);
INSERT INTO "x ADD COLUMN y" VALUES (1, 5701);
SELECT script('"x ADD COLUMN y"', 'add_column => true', 'tenant_column => ''x ALTER COLUMN y''', 'column_type => ''bigint''', 'backfill => ''org''') AS script \gset
:script
:script
SELECT * FROM "x ADD COLUMN y";
SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = '"x ADD COLUMN y"'::regclass AND attnum > 0;
-- The table that the tenant is taken from: protected no more, with another tenant column, taking its own from here.
CREATE TABLE parents (id int PRIMARY KEY, tenant_id bigint, other uuid, child int);
CREATE TABLE children (id int PRIMARY KEY, parent int, tenant_id bigint);
CREATE FUNCTION again() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.unprotect_table('st.children', true), tenancy.unprotect_table('st.parents', true);
    PERFORM tenancy.protect_table('st.parents', resource => 'staged'), tenancy.protect_table('st.children', resource => 'staged');
END
$$;
SELECT again();
SELECT script('children', 'backfill_from => ''st.parents(parent)''') AS script \gset
SELECT tenancy.unprotect_table('parents');
:script
SELECT options -> 'backfill_from' FROM tenancy.protected_tables WHERE table_id = 'children'::regclass;
SELECT tenancy.protect_table('parents', resource => 'staged', tenant_column => 'other', tenant_keys => 'report');
:script
DROP TABLE parents;
:script
CREATE TABLE parents (id int PRIMARY KEY, tenant_id bigint, other uuid, child int);
SELECT again();
SELECT script('parents', 'backfill_from => ''st.children(child)''') AS backward \gset
:script
SELECT tgname FROM pg_trigger WHERE tgrelid = 'children'::regclass AND NOT tgisinternal ORDER BY 1;
:backward
SELECT table_id, options -> 'backfill_from' AS backfill_from FROM tenancy.protected_tables WHERE options ->> 'resource' = 'staged' AND table_id IN ('parents'::regclass, 'children'::regclass) ORDER BY 1;
-- A policy that nobody decided about, and an end without a beginning.
CREATE TABLE late (id int, tenant_id bigint);
SELECT script('late') AS script \gset
SELECT until(:'script', 'finish_staged') AS half, since(:'script', 'finish_staged') AS rest \gset
:half
CREATE POLICY theirs ON late USING (true);
:rest
DROP POLICY theirs ON late;
SELECT tenancy.unprotect_table('late');
:rest
:script
SELECT tenancy.unprotect_table('late');
-- lock_timeout is put aside where waiting harms nobody, and put back, whoever set it.
CREATE TABLE patient (id int, tenant_id bigint);
SELECT script('patient') AS script \gset
SELECT count(*) FROM regexp_matches(:'script', 'CREATE INDEX CONCURRENTLY|SET LOCAL lock_timeout = 0;\n *ALTER TABLE \S+ VALIDATE', 'g');
SET lock_timeout = '17s';
:script
SHOW lock_timeout;
RESET lock_timeout;
DROP SCHEMA st CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'st-_';
