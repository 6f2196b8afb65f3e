-- Two tables that differ in nothing but the policies and triggers of protect_table, and a file to copy into them.
SET client_min_messages = warning;
CREATE TABLE bench.insert_ours (id bigint NOT NULL, tenant_id uuid, amount int);
SELECT tenancy.protect_table('bench.insert_ours', resource => 'docs');
CREATE TABLE bench.insert_plain (LIKE bench.insert_ours INCLUDING ALL);
ALTER TABLE bench.insert_plain ADD FOREIGN KEY (tenant_id) REFERENCES tenancy.tenants (id);
-- Lest a later version adds something that the other lacks.
SELECT 1 / (count(DISTINCT structure) = 1)::int
  FROM (SELECT format('%s %s %s', (SELECT string_agg(pg_get_constraintdef(c.oid), ';' ORDER BY c.contype) FROM pg_constraint c WHERE c.conrelid = r.oid),
                      (SELECT string_agg(i.indkey::text, ';' ORDER BY i.indkey::text) FROM pg_index i WHERE i.indrelid = r.oid),
                      (SELECT string_agg(format('%s %s %s', a.attname, a.attnotnull, pg_get_expr(d.adbin, d.adrelid)), ';' ORDER BY a.attnum)
                         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                        WHERE a.attrelid = r.oid AND a.attnum > 0)) AS structure
          FROM pg_class r WHERE r.oid IN ('bench.insert_ours'::regclass, 'bench.insert_plain'::regclass)) AS tables;
COPY (SELECT n, bench.tenant_id(500), n % 100 FROM generate_series(1, 100000) n) TO :'file';
