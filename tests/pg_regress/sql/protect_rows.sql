-- Threat 30: whatever the index, plan and mode, the rows are those that the same query gets with a literal
-- predicate. And threat 12: planner statistics of a protected table are hidden from those it is protected from.
CREATE EXTENSION btree_gist;
CREATE SCHEMA rows_test;
GRANT USAGE ON SCHEMA rows_test TO authenticated;
INSERT INTO tenancy.tenants (id, slug, name)
SELECT ('70000000-0000-4000-8000-00000000000' || n)::uuid, 'rows-' || n, 'Rows' FROM generate_series(1, 8) n;
CREATE TABLE rows_test.docs (id int PRIMARY KEY, tenant_id uuid NOT NULL, made date NOT NULL, title text);
CREATE TABLE rows_test.notes (id int PRIMARY KEY, tenant_id uuid NOT NULL, doc int NOT NULL);
CREATE TABLE rows_test.events (id int, tenant_id uuid NOT NULL, made date NOT NULL, title text) PARTITION BY LIST (tenant_id);
SELECT format('CREATE TABLE rows_test.events_%s PARTITION OF rows_test.events FOR VALUES IN (%L)', n,
              '70000000-0000-4000-8000-00000000000' || n) FROM generate_series(1, 8) n \gexec
INSERT INTO rows_test.docs
SELECT n, ('70000000-0000-4000-8000-00000000000' || 1 + n % 7 % 5)::uuid, date '2026-01-01' + n * 7919 % 100, 'd' || n
  FROM generate_series(1, 5000) n;
INSERT INTO rows_test.notes SELECT n, d.tenant_id, d.id FROM generate_series(1, 5000) n JOIN rows_test.docs d ON d.id = 1 + n * 31 % 5000;
INSERT INTO rows_test.events SELECT * FROM rows_test.docs;
GRANT SELECT ON ALL TABLES IN SCHEMA rows_test TO authenticated;
SET client_min_messages = warning;
SELECT tenancy.create_role('rows reader', '{rows_docs.*, rows_notes.*, rows_events.*}') IS NOT NULL AS created;
SELECT tenancy.add_member('70000000-0000-4000-8000-000000000002', '71111111-0000-4000-8000-000000000001', '{rows reader}'),
       tenancy.add_member('70000000-0000-4000-8000-000000000003', '71111111-0000-4000-8000-000000000001', '{rows reader}'),
       tenancy.add_member('70000000-0000-4000-8000-000000000004', '71111111-0000-4000-8000-000000000001');

-- The same queries twice: as the user, and with a predicate where the {placeholders} stand.
CREATE FUNCTION rows_test.differing(mode text, predicate text) RETURNS TABLE (compared int, different int, most_rows int)
    LANGUAGE plpgsql AS $$
DECLARE
    q text;
    planner text;
    ours int[];
    literal int[];
BEGIN
    compared := 0; different := 0; most_rows := 0;
    FOREACH planner IN ARRAY ARRAY['', 'enable_seqscan', 'enable_indexscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_nestloop'] LOOP
        FOREACH q IN ARRAY ARRAY[
            'SELECT array_agg(id ORDER BY id) FROM rows_test.docs d WHERE {d}',
            'SELECT array_agg(id) FROM (SELECT id FROM rows_test.docs d WHERE {d} ORDER BY made, id LIMIT 20) x',
            'SELECT array_agg(id) FROM (SELECT id FROM rows_test.docs d WHERE {d} ORDER BY made DESC, id LIMIT 20 OFFSET 100) x',
            'SELECT array_agg(id ORDER BY id) FROM rows_test.docs d WHERE {d} AND made = date ''2026-02-01''',
            'SELECT array_agg(id ORDER BY id) FROM rows_test.docs d WHERE {d} AND (made < date ''2026-01-03'' OR id < 50)',
            'SELECT array_agg(id) FROM (SELECT n.id FROM rows_test.notes n JOIN rows_test.docs d ON d.id = n.doc WHERE {d} AND {n} ORDER BY d.made, n.id LIMIT 30) x',
            'SELECT array_agg(id ORDER BY id) FROM rows_test.docs d WHERE {d} AND EXISTS (SELECT FROM rows_test.notes n WHERE n.doc = d.id AND {n})',
            'SELECT array_agg(id ORDER BY id) FROM rows_test.docs d WHERE {d} AND NOT EXISTS (SELECT FROM rows_test.notes n WHERE n.doc = d.id AND {n})',
            'SELECT array_agg(id ORDER BY id) FROM rows_test.events e WHERE {e}',
            'SELECT array_agg(id) FROM (SELECT id FROM rows_test.events e WHERE {e} ORDER BY made, id LIMIT 20) x'
        ] LOOP
            IF planner <> '' THEN
                PERFORM set_config(planner, 'off', true);
            END IF;
            PERFORM tenancy.act_as('71111111-0000-4000-8000-000000000001',
                                   CASE mode WHEN 'active' THEN '70000000-0000-4000-8000-000000000002'::uuid END);
            EXECUTE regexp_replace(q, '\{\w\}', 'true', 'g') INTO ours;
            RESET ROLE;
            EXECUTE regexp_replace(q, '\{(\w)\}', '\1.' || predicate, 'g') INTO literal;
            IF planner <> '' THEN
                PERFORM set_config(planner, 'on', true);
            END IF;
            compared := compared + 1;
            most_rows := greatest(most_rows, cardinality(literal));
            IF ours IS DISTINCT FROM literal THEN
                different := different + 1;
                RAISE WARNING 'differs: %', q;
            END IF;
        END LOOP;
    END LOOP;
    RETURN NEXT;
END
$$;
CREATE PROCEDURE rows_test.compare(mode text, predicate text) LANGUAGE plpgsql AS $$
DECLARE
    kind text;
    r record;
BEGIN
    PERFORM tenancy.protect_table('rows_test.docs', resource => 'rows_docs', mode => mode);
    PERFORM tenancy.protect_table('rows_test.notes', resource => 'rows_notes', mode => mode);
    PERFORM tenancy.protect_table('rows_test.events', resource => 'rows_events', mode => mode);
    DROP INDEX rows_test.docs_tenant_id_idx;
    FOREACH kind IN ARRAY ARRAY['no', 'btree (tenant_id)', 'btree (tenant_id, made)', 'btree (made, tenant_id)',
                                'btree (made, id) INCLUDE (tenant_id)', 'hash (tenant_id)', 'brin (tenant_id)',
                                'gist (tenant_id)', 'gist (made, tenant_id)'] LOOP
        IF kind <> 'no' THEN
            EXECUTE 'CREATE INDEX rows_try ON rows_test.docs USING ' || kind;
        END IF;
        ANALYZE rows_test.docs;
        SELECT * INTO r FROM rows_test.differing(mode, predicate);
        RAISE WARNING '% index, mode %: % compared, % different, up to % rows', kind, mode, r.compared, r.different, r.most_rows;
        IF kind <> 'no' THEN
            DROP INDEX rows_test.rows_try;
        END IF;
    END LOOP;
END
$$;
\set VERBOSITY terse
CALL rows_test.compare('active', $$tenant_id = '70000000-0000-4000-8000-000000000002'$$);
CALL rows_test.compare('membership', $$tenant_id IN ('70000000-0000-4000-8000-000000000002', '70000000-0000-4000-8000-000000000003')$$);

-- Statistics: the superuser sees most common tenants, the user none of them.
ANALYZE rows_test.docs;
SELECT count(*) > 0 AS superuser_sees FROM pg_stats WHERE schemaname = 'rows_test' AND tablename = 'docs';
BEGIN;
SELECT tenancy.act_as('71111111-0000-4000-8000-000000000001', '70000000-0000-4000-8000-000000000002');
SELECT count(*) AS user_sees FROM pg_stats WHERE schemaname = 'rows_test';
COMMIT;

SELECT tenancy.unprotect_table('rows_test.docs', true), tenancy.unprotect_table('rows_test.notes', true), tenancy.unprotect_table('rows_test.events', true);
DROP SCHEMA rows_test CASCADE;
SELECT tenancy.drop_role('rows reader', cascade => true);
DELETE FROM tenancy.permissions WHERE name LIKE 'rows\_%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'rows-%';
DROP EXTENSION btree_gist;
