-- Threats 3, 12 and 30: a plan made for one user serves any other, and whatever stands around a protected table in a
-- query, its rows are those of who asks now. What somebody may see is told by digits: alice reads in 2 and 3, bob in 3
-- and 5, carol is a member of 2 without permission.
SET client_min_messages = warning;
CREATE SCHEMA reuse;
GRANT USAGE ON SCHEMA reuse TO authenticated, anon;
SET search_path = reuse;
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('96000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION who(name text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT ('96000000-0000-0000-1111-00000000000' || CASE name WHEN 'alice' THEN 1 WHEN 'bob' THEN 2 WHEN 'carol' THEN 3 ELSE 9 END)::uuid
$$;
INSERT INTO tenancy.tenants (id, slug, name) SELECT t(n), 'reuse-' || n, 'T' FROM generate_series(1, 8) n;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid NOT NULL, digit int NOT NULL, note int NOT NULL DEFAULT 0);
CREATE TABLE notes (id int PRIMARY KEY, tenant_id uuid NOT NULL, doc int NOT NULL);
INSERT INTO docs SELECT n, t(1 + n % 8), 1 + n % 8 FROM generate_series(1, 320) n;
INSERT INTO notes SELECT n, t(1 + n % 8), n FROM generate_series(1, 320) n;
CREATE TABLE parts (id int, tenant_id uuid NOT NULL, digit int NOT NULL) PARTITION BY LIST (tenant_id);
SELECT format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES IN (%L)', n, t(n)) FROM generate_series(1, 8) n \gexec
INSERT INTO parts SELECT id, tenant_id, digit FROM docs;
CREATE TABLE tree (id int, tenant_id uuid NOT NULL, digit int NOT NULL);
CREATE TABLE branch (more int) INHERITS (tree);
INSERT INTO tree SELECT id, tenant_id, digit FROM docs WHERE id <= 160;
INSERT INTO branch SELECT id, tenant_id, digit FROM docs WHERE id > 160;
GRANT SELECT, INSERT, UPDATE, DELETE ON docs, notes, parts, tree TO authenticated, anon;
SELECT tenancy.protect_table(x, resource => 'reuse', mode => 'membership') FROM unnest('{docs, notes, parts, tree}'::regclass[]) x;
-- The foreign key to tenants is no part of this, nor are its plans.
VACUUM ANALYZE docs; ANALYZE notes; ANALYZE parts; ANALYZE tree; ANALYZE branch;
SELECT tenancy.create_role('reuse_reader', '{reuse.*}') IS NOT NULL;
SELECT tenancy.add_member(t(2), who('alice'), '{reuse_reader}'), tenancy.add_member(t(3), who('alice'), '{reuse_reader}'),
       tenancy.add_member(t(3), who('bob'), '{reuse_reader}'), tenancy.add_member(t(5), who('bob'), '{reuse_reader}'),
       tenancy.add_member(t(2), who('carol'));
CREATE FUNCTION be(name text, role text DEFAULT 'authenticated') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RESET ROLE;
    PERFORM tenancy.act_as(CASE WHEN name <> '' THEN reuse.who(name) END, db_role => role);
END $$;

-- Made by each of them in turn, and then run by all. $1 is the permission's name.
SET plan_cache_mode = force_generic_plan;
CREATE FUNCTION everybody(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    answers text := '';
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['alice', 'bob', 'carol', '', 'nobody', 'alice'] LOOP
        PERFORM reuse.be(name, CASE name WHEN '' THEN 'anon' ELSE 'authenticated' END);
        EXECUTE statement INTO answer;
        answers := answers || format('%s: %s, ', coalesce(nullif(name, ''), 'anonymous'), coalesce(answer, '-'));
        RESET ROLE;
    END LOOP;
    RETURN answers;
END $$;
CREATE FUNCTION made_by(name text, role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answers text;
BEGIN
    PERFORM reuse.be(name, role);
    EXECUTE 'PREPARE q(text) AS ' || query;
    EXECUTE 'EXECUTE q(''reuse.read'')';
    RESET ROLE;
    answers := reuse.everybody('EXECUTE q(''reuse.read'')') || E'\n' || reuse.everybody('EXECUTE q(''never.registered'')') || E'\n'
        || reuse.everybody('EXECUTE q(NULL)');
    DEALLOCATE q;
    RETURN answers;
END $$;
BEGIN;
\t on
\pset format unaligned
SELECT format(E'made by %s as %s\n', coalesce(nullif(n, ''), 'anonymous'), r)
       || made_by(n, r, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.docs WHERE $1 IS NOT DISTINCT FROM $1')
  FROM (VALUES ('alice', 'authenticated'), ('', 'anon'), ('carol', 'authenticated'), ('bob', 'anon')) v (n, r);
SELECT format(E'by name, made by %s as %s\n', coalesce(nullif(n, ''), 'anonymous'), r)
       || made_by(n, r, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.docs WHERE tenancy.has_permission(tenant_id, $1)')
  FROM (VALUES ('', 'anon'), ('bob', 'authenticated')) v (n, r);
\t off
\pset format aligned
COMMIT;
-- The plan that is reused, seen by him whom it was not made for: one condition, from the parameter.
BEGIN;
SELECT FROM be('', 'authenticated');
PREPARE by_name(text) AS SELECT count(*) FROM docs WHERE tenancy.has_permission(tenant_id, $1);
EXECUTE by_name('reuse.read');
SELECT FROM be('alice');
EXPLAIN (COSTS OFF) EXECUTE by_name('reuse.read');
EXECUTE by_name('reuse.read');
RESET ROLE;
-- And bypassed by an administrator, whom no policy binds.
SELECT set_config('request.jwt.claims', '', true) = '' AS anonymous;
EXECUTE by_name('reuse.read');
COMMIT;
DEALLOCATE by_name;

-- Whatever stands around it. Each row is one plan, made anonymously and run by all.
CREATE VIEW digits AS SELECT id, digit FROM docs;
CREATE VIEW digits_invoker WITH (security_invoker = true) AS SELECT id, digit, tenant_id FROM docs;
CREATE VIEW digits_barrier WITH (security_invoker = true, security_barrier = true) AS SELECT id, digit FROM docs WHERE id > 0;
GRANT SELECT ON digits, digits_invoker, digits_barrier TO authenticated, anon;
CREATE FUNCTION shapes() RETURNS TABLE (n int, query text) LANGUAGE sql AS $$
    VALUES (1, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.docs WHERE tenant_id = ANY (tenancy.tenant_ids())'),
    (2, 'SELECT string_agg(DISTINCT d.digit::text, '' '') FROM reuse.notes n JOIN reuse.docs d ON d.id = n.doc'),
    (3, 'SELECT count(*)::text FROM reuse.notes n, LATERAL (SELECT * FROM reuse.docs d WHERE d.tenant_id = n.tenant_id AND d.id = n.doc LIMIT 1) d'),
    (4, 'SELECT count(*)::text FROM reuse.docs d WHERE EXISTS (SELECT FROM reuse.notes n WHERE n.doc = d.id)'),
    (5, 'SELECT count(d.id) || '' of '' || count(*) FROM pg_catalog.generate_series(1, 16) g LEFT JOIN reuse.docs d ON d.id = g'),
    (6, 'WITH x AS MATERIALIZED (SELECT * FROM reuse.docs) SELECT string_agg(DISTINCT digit::text, '' '') FROM x'),
    (7, 'SELECT (SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.docs)'),
    (8, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM (SELECT digit FROM reuse.docs UNION ALL SELECT digit FROM reuse.parts UNION ALL SELECT digit FROM reuse.tree) x'),
    (9, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.digits_invoker'),
    (10, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.digits_invoker WHERE tenancy.has_permission(tenant_id, ''reuse.update'')'),
    (11, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.digits_barrier'),
    (12, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.parts'),
    (13, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.tree'),
    (14, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM ONLY reuse.tree'),
    (15, 'SELECT string_agg(digit::text, '' '') FROM (SELECT digit FROM reuse.parts ORDER BY id LIMIT 4) x'),
    (16, 'SELECT string_agg(digit::text, '' '') FROM (SELECT digit FROM reuse.docs ORDER BY tenant_id, id LIMIT 3) x'),
    (17, 'SELECT string_agg(digit::text, '' '' ORDER BY digit) FROM (SELECT digit FROM reuse.docs INTERSECT SELECT digit FROM reuse.tree) x'),
    (18, 'SELECT count(*)::text FROM reuse.docs a FULL JOIN reuse.docs b ON a.id = b.id + 1'),
    (19, 'SELECT string_agg(DISTINCT digit::text, '' '') FROM reuse.digits'),
    (20, 'SELECT count(*)::text FROM reuse.docs d WHERE d.tenant_id IN (SELECT n.tenant_id FROM reuse.notes n)'),
    (21, 'SELECT count(*)::text FROM (VALUES (''reuse.read''), (''never.registered'')) v (p), LATERAL (SELECT * FROM reuse.docs WHERE tenancy.has_permission(tenant_id, v.p) OFFSET 0) d') $$;
CREATE FUNCTION run_shape(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answers text;
BEGIN
    PERFORM reuse.be('', 'authenticated');
    EXECUTE 'PREPARE q AS ' || query;
    EXECUTE 'EXECUTE q';
    RESET ROLE;
    answers := reuse.everybody('EXECUTE q');
    DEALLOCATE q;
    RETURN answers;
END $$;
BEGIN;
SELECT n, run_shape(query) FROM shapes() ORDER BY n;
-- The owner's rows are what a view without security_invoker (19) shows: here a superuser's, to everybody.
-- The same rows whatever the plan is made of.
CREATE TEMP TABLE seen AS SELECT n, run_shape(query) AS rows FROM shapes();
CREATE PROCEDURE same_without(without text, instead text DEFAULT 'enable_sort') LANGUAGE plpgsql AS $$
DECLARE
    different int;
BEGIN
    PERFORM set_config(without, 'off', true), set_config(instead, 'on', true);
    SELECT count(*) INTO different FROM reuse.shapes() s JOIN seen USING (n) WHERE reuse.run_shape(s.query) <> seen.rows;
    RAISE WARNING 'without %: % different', without, different;
    PERFORM set_config(without, 'on', true);
END $$;
\set VERBOSITY terse
CALL same_without('enable_nestloop');
CALL same_without('enable_hashjoin');
CALL same_without('enable_mergejoin');
CALL same_without('enable_indexscan', 'enable_seqscan');
CALL same_without('enable_indexscan', 'enable_bitmapscan');
\set VERBOSITY default
COMMIT;

-- Claims that change between checks, in one function and one cached plan.
CREATE FUNCTION in_a_loop() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    name text;
    seen text;
BEGIN
    FOREACH name IN ARRAY ARRAY['alice', 'bob', '', 'carol', 'alice'] LOOP
        PERFORM set_config('request.jwt.claims', CASE WHEN name <> '' THEN json_build_object('sub', reuse.who(name))::text ELSE '' END, true);
        SELECT string_agg(DISTINCT digit::text, ' ') INTO seen FROM reuse.docs;
        RETURN NEXT format('%s: %s', name, coalesce(seen, '-'));
    END LOOP;
END $$;
BEGIN;
SELECT FROM be('', 'authenticated');
SELECT * FROM in_a_loop();
-- And within one execution, where no other begins: by the row.
SELECT name, set_config('request.jwt.claims', CASE WHEN name <> '' THEN json_build_object('sub', who(name))::text ELSE '' END, true) <> '' AS set,
       tenancy.is_member(t(2)), tenancy.has_permission(t(2), 'reuse.read') AS may, tenancy.has_any_permission(t(2), '{reuse.read}') AS may_any,
       right(tenancy.current_user_id()::text, 1) AS who
  FROM unnest('{alice, bob, "", carol, alice}'::text[]) name;
COMMIT;

DROP SCHEMA reuse CASCADE;
DELETE FROM tenancy.roles WHERE name = 'reuse_reader';
DELETE FROM tenancy.permissions WHERE name LIKE 'reuse.%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'reuse-%';
