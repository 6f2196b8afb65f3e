-- What a row's bytes are: its logical size, the same whether its values are compressed or stored elsewhere, or what a column says.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA mbytes;
SET search_path = mbytes;
\set a '''8d000000-0000-0000-0000-00000000000a'''
\set b '''8d000000-0000-0000-0000-00000000000b'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'mbytes-a', 'A'), (:b, 'mbytes-b', 'B');
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('mb.bytes', 'bytes', 'gauge', 'none'), ('mb.size', 'bytes', 'gauge', 'none');
CREATE FUNCTION used(meter text) RETURNS bigint LANGUAGE sql AS
    'SELECT coalesce(sum(total), 0)::bigint FROM tenancy.usage u WHERE u.meter = $1 AND tenant_id = ''8d000000-0000-0000-0000-00000000000a''';
CREATE TABLE docs (tenant_id uuid, n int, small text, big text, bin bytea, js jsonb, arr int[], nm name, gone text, gen text GENERATED ALWAYS AS (small || '!') STORED);
ALTER TABLE docs DROP gone;
ALTER TABLE docs ALTER big SET STORAGE EXTERNAL;
SELECT tenancy.protect_table('docs', resource => 'mb_docs'), tenancy.meter_table('docs', bytes => 'mb.bytes');
INSERT INTO docs (tenant_id) VALUES (:a);
SELECT used('mb.bytes') AS "the tenant's id and nothing else";
INSERT INTO docs (tenant_id, n, small, nm) VALUES (:a, 1, 'abc', 'x');
SELECT used('mb.bytes') - 16 AS "16 + 4 + 3 + 4 + 64";
DELETE FROM docs;
SELECT used('mb.bytes');
-- plain, short, compressed, external: written, changed beside, copied, deleted
INSERT INTO docs SELECT :a, n, 'x', repeat('x', n * 1000), convert_to(repeat('y', n * 1000), 'utf8'), to_jsonb(array_fill(n, ARRAY[n])), array_fill(n, ARRAY[n])
  FROM generate_series(0, 40) n;
SELECT used('mb.bytes') AS before FROM docs LIMIT 1;
SELECT count(*) FILTER (WHERE pg_column_size(bin) < length(bin) / 2) > 30 AS compressed, pg_relation_size(reltoastrelid) > 0 AS toasted
  FROM docs, pg_class WHERE oid = 'docs'::regclass GROUP BY reltoastrelid;
SELECT used('mb.bytes') = sum(16 + 4 + octet_length(small) + octet_length(gen) + octet_length(big) + octet_length(bin)
       + CASE WHEN n = 0 THEN 12 ELSE 20 + 4 * n END) + sum(octet_length((js::text)::bytea) * 0 + pg_column_size(js || '[]') - 4) AS "as by hand" FROM docs;
UPDATE docs SET n = n + 1;
CREATE TABLE copy AS SELECT tenant_id, n, small, big, bin, js, arr, nm FROM docs;
DELETE FROM docs WHERE n % 2 = 0;
SELECT * FROM tenancy.recount_usage('docs');
INSERT INTO docs (tenant_id, n, small, big, bin, js, arr, nm) SELECT * FROM copy WHERE n % 2 = 0;
SELECT * FROM tenancy.recount_usage('docs');
VACUUM FULL docs;
SELECT * FROM tenancy.recount_usage('docs');
DELETE FROM docs;
SELECT used('mb.bytes');
-- a column that is added has its default in rows that are there: not counted until it is counted anew
INSERT INTO docs (tenant_id, n) VALUES (:a, 1);
ALTER TABLE docs ADD extra text DEFAULT 'twelve bytes';
SELECT actual - counted AS drift FROM tenancy.recount_usage('docs');
DELETE FROM docs;
SELECT used('mb.bytes');
-- a column that goes takes its bytes along
INSERT INTO docs (tenant_id, small, extra) VALUES (:a, 'abcdef', 'stays'), (:b, 'abc', 'stays');
ALTER TABLE docs DROP gen, DROP small;
SELECT used('mb.bytes') AS "16 + 5";
SELECT * FROM tenancy.recount_usage('docs');
-- with much to read, which nobody is kept waiting for, it is told
CREATE TABLE wide (tenant_id uuid, word text, pad text) WITH (fillfactor = 10);
SELECT tenancy.protect_table('wide', resource => 'mb_docs'), tenancy.meter_table('wide', bytes => 'mb.bytes');
INSERT INTO wide SELECT :a, 'word', repeat('x', 400) FROM generate_series(1, 8300);
ALTER TABLE wide DROP word;
SELECT actual - counted AS drift FROM tenancy.recount_usage('wide');
DROP TABLE wide;
DELETE FROM docs;
SELECT used('mb.bytes');
-- a size column of each type
CREATE TABLE files (id int, tenant_id uuid, size bigint, num numeric, small smallint, i int, metadata jsonb, word text);
SELECT tenancy.protect_table('files', resource => 'mb_docs');
INSERT INTO files VALUES (1, :a, 10, 100, 1, 1000, '{"size": 10000, "deep": {"er": [1, 2, 3]}}'), (2, :a, NULL, NULL, NULL, NULL, NULL), (3, :b, 5, 5, 5, 5, '{}');
-- One transaction each: before its end the slots may hold what is reserved ahead.
SELECT s FROM unnest('{size,num,small,i,metadata.size,metadata.deep.er.1,metadata.none}'::text[]) WITH ORDINALITY c (name, n),
       LATERAL (VALUES (1, format('SELECT tenancy.meter_table(''files'', bytes => ''mb.size'', size_column => %L) AS "%s"', c.name, c.name)),
                       (2, 'SELECT used(''mb.size'')')) v (m, s) ORDER BY c.n, v.m \gexec
SELECT used('mb.size');
SELECT tenancy.meter_table('files', bytes => 'mb.size', size_column => 'metadata.size');
SELECT test.attempt(NULL, format('INSERT INTO mbytes.files (id, tenant_id, metadata) VALUES (9, ''8d000000-0000-0000-0000-00000000000a'', %L)', v)) , v
  FROM unnest(ARRAY['{"size": 5.00}', '{"size": 0}', '{"size": null}', '{}', 'null', '[1]', '{"size": 1e3}', '{"size": -1}', '{"size": 1.5}', '{"size": "5"}', '{"size": {}}',
                    '{"size": true}', '{"size": 9223372036854775808}', '{"size": 1e1000}', '{"size": 9223372036854775807}']) v;
SELECT used('mb.size');
-- refused is refused whole
SELECT test.attempt(NULL, $$UPDATE mbytes.files SET metadata = '{"size": -5}' WHERE id < 9$$);
SELECT used('mb.size'), count(*) FROM files;
UPDATE files SET metadata = metadata || '{"size": 20000}' WHERE id = 1;
SELECT * FROM tenancy.recount_usage('files');
-- the column is renamed: its name is followed
ALTER TABLE files RENAME metadata TO meta;
SELECT size_column FROM tenancy.metered_tables WHERE table_id = 'files'::regclass;
UPDATE files SET meta = '{"size": 7}' WHERE id = 2;
SELECT * FROM tenancy.recount_usage('files');
SELECT used('mb.size');
-- but not to a name that would be taken for a path
ALTER TABLE files RENAME meta TO "meta.data";
INSERT INTO files (id, tenant_id, "meta.data") VALUES (10, :a, '{"size": 1}');
ALTER TABLE files RENAME "meta.data" TO meta;
SELECT actual - counted AS drift FROM tenancy.recount_usage('files');
DELETE FROM files WHERE id = 10;
ALTER TABLE files ALTER meta TYPE json;
ALTER TABLE files DROP meta;
-- rows that were written while nobody looked may hold what is no size: they count 0, and can be deleted
SET session_replication_role = replica;
INSERT INTO files (id, tenant_id, meta) VALUES (20, :a, '{"size": -1000000}'), (21, :a, '{"size": "x"}');
RESET session_replication_role;
SELECT * FROM tenancy.recount_usage('files');
DELETE FROM files WHERE id IN (20, 21);
SELECT * FROM tenancy.recount_usage('files');
SELECT tenancy.meter_table('files', bytes => 'mb.size', size_column => 'num');
INSERT INTO files (id, tenant_id, num) VALUES (30, :a, 12.0);
SELECT test.attempt(NULL, format('INSERT INTO mbytes.files (id, tenant_id, num) VALUES (31, ''8d000000-0000-0000-0000-00000000000a'', %L)', v)), v
  FROM unnest('{NaN,Infinity,-Infinity,-1,0.5,1e30}'::text[]) v;
SELECT * FROM tenancy.recount_usage('files');
-- dropped with what depends on it: nothing holds its bytes any more
ALTER TABLE files DROP num CASCADE;
SELECT used('mb.size'), count(*) FROM tenancy.metered_tables WHERE meter = 'mb.size';
INSERT INTO files (id, tenant_id) VALUES (40, :a);
-- objects as Supabase Storage has them
CREATE TABLE objects (id uuid DEFAULT gen_random_uuid(), bucket_id text, name text, tenant_id uuid, metadata jsonb);
SELECT tenancy.protect_table('objects', resource => 'mb_docs'), tenancy.meter_table('objects', bytes => 'mb.size', size_column => 'metadata.size');
INSERT INTO objects (bucket_id, name, tenant_id) VALUES ('docs', 'a.pdf', :a);
SELECT used('mb.size') AS "being uploaded";
UPDATE objects SET metadata = '{"eTag": "\"x\"", "size": 4096, "mimetype": "application/pdf"}';
SELECT used('mb.size') AS uploaded;
DELETE FROM objects;
SELECT used('mb.size') AS deleted;
SET search_path = public;
DROP SCHEMA mbytes CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'mbytes-%';
DELETE FROM tenancy.meters WHERE name LIKE 'mb.%';
DELETE FROM tenancy.permissions WHERE name LIKE 'mb_docs.%';
