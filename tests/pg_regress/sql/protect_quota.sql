-- protect_table(…, quota => …): the rows of the table are counted by the quota's meter, and stop at it.
\set a '''6f000000-0000-0000-0000-00000000000a'''
CREATE SCHEMA pq;
SET search_path = pq;
CREATE TABLE docs (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid, body text);
GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO authenticated;
GRANT USAGE ON SCHEMA pq TO authenticated;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'pq', 'Pq');
INSERT INTO docs (tenant_id, body) VALUES (:a, 'one');
SELECT test.attempt(NULL, c.command) FROM (VALUES (1, $$SELECT tenancy.protect_table('pq.docs', resource => 'pq_docs', quota => 'pq.rows')$$),
    (2, $$SELECT tenancy.protect_table('pq.docs', resource => 'pq_docs', mode => 'observe', quota => 'pq.rows')$$),
    (3, $$SELECT tenancy.protect_table_sql('pq.docs', resource => 'pq_docs', staged => true, quota => 'pq.rows')$$)) c (n, command) ORDER BY n;
SELECT count(*) AS left_behind FROM tenancy.protected_tables WHERE table_id = 'docs'::regclass;
SELECT tenancy.create_meter('pq.rows', 'rows', 'gauge'), tenancy.create_meter('pq.bytes', 'bytes', 'gauge');
-- As text for a migration, which does the same.
SELECT regexp_replace(tenancy.protect_table_sql('docs', resource => 'pq_docs', quota => 'pq.rows'), '.*(\n *PERFORM tenancy.meter_table[^\n]*).*', '\1') AS step;
SELECT tenancy.protect_table('docs', resource => 'pq_docs', quota => 'pq.rows'), tenancy.protect_table('docs', resource => 'pq_docs', quota => 'pq.rows') AS again;
SELECT tenancy.protect_table_sql('docs', resource => 'pq_docs', quota => 'pq.rows');
-- Without it, what is counted stays counted; bytes too.
SELECT tenancy.meter_table('docs', 'pq.rows', 'pq.bytes'), tenancy.protect_table('docs', resource => 'pq_docs') AS without;
SELECT tenancy.unmeter_table('docs'), tenancy.meter_table('docs', bytes => 'pq.bytes'), tenancy.protect_table('docs', resource => 'pq_docs', quota => 'pq.rows') AS beside_bytes;
SELECT meter, measure FROM tenancy.metered_tables WHERE table_id = 'docs'::regclass ORDER BY 1;
-- A tenant at its limit is stopped, whatever it writes by, and goes on when there is room.
SELECT tenancy.create_role('pq editor') IS NOT NULL, tenancy.grant_permission('pq editor', 'pq_docs.*'), tenancy.add_member(:a, '6f000000-0000-0000-0000-000000000001', '{pq editor}'),
       tenancy.set_quota(:a, 'pq.rows', hard => 3);
BEGIN;
SELECT tenancy.act_as('6f000000-0000-0000-0000-000000000001', :a);
INSERT INTO pq.docs (body) VALUES ('two'), ('three');
SELECT tenancy.remaining('pq.rows'), tenancy.check_quota('pq.rows');
SAVEPOINT s;
INSERT INTO pq.docs (body) VALUES ('four');
ROLLBACK TO s;
DELETE FROM pq.docs WHERE body = 'two';
INSERT INTO pq.docs (body) VALUES ('four');
COMMIT;
COPY docs (tenant_id, body) FROM stdin;
6f000000-0000-0000-0000-00000000000a	five
\.
SELECT count(*) FROM docs;
-- In a policy of one's own: a quota of something else closes the table.
SELECT tenancy.create_meter('pq.calls', 'calls', 'counter'), tenancy.set_quota(:a, 'pq.calls', hard => 1), tenancy.set_quota(:a, 'pq.rows');
CREATE POLICY calls_left ON docs AS RESTRICTIVE FOR INSERT WITH CHECK (tenancy.check_quota('pq.calls', 1, tenant_id));
SELECT test.attempt('6f000000-0000-0000-0000-000000000001', format('INSERT INTO pq.docs (tenant_id, body) VALUES (%L, 5)', :a)) AS before, tenancy.record_usage('pq.calls', 1, :a),
       test.attempt('6f000000-0000-0000-0000-000000000001', format('INSERT INTO pq.docs (tenant_id, body) VALUES (%L, 6)', :a)) AS after;
SELECT tenancy.unprotect_table('docs');
SELECT tenancy.unmeter_table('docs'), tenancy.unprotect_table('docs');
SELECT * FROM tenancy.metered_tables WHERE table_id = 'docs'::regclass;
\set VERBOSITY terse
SET search_path = public;
DROP SCHEMA pq CASCADE;
SELECT tenancy.drop_tenant(:a), tenancy.drop_role('pq editor');
SELECT tenancy.drop_meter('pq.rows', true), tenancy.drop_meter('pq.bytes', true), tenancy.drop_meter('pq.calls', true);
DELETE FROM tenancy.permissions WHERE name LIKE 'pq_docs.%';
