-- Writes a tenant as a file that psql takes in: psql -X -v tenant=SLUG -f export_tenant.sql > SLUG.sql
-- docs/guides/moving_a_tenant.md
\set ON_ERROR_STOP 1
\set QUIET 1
\pset format unaligned
\pset tuples_only on
\encoding UTF8
-- All of one moment, and an error rather than a row that row security would hide. What is printed reads the same anywhere.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL row_security = off;
SET LOCAL DateStyle = ISO;
SET LOCAL IntervalStyle = postgres;
SET LOCAL extra_float_digits = 1;
SET LOCAL standard_conforming_strings = on;
-- Nothing is written where there is no such tenant.
SELECT t.id AS tenant_id, tenancy.check_tenant_for_administrators(t.id, 'export a tenant')
  FROM (SELECT (SELECT id FROM tenancy.tenants WHERE slug = :'tenant')) t (id) \gset
\qecho '\\set ON_ERROR_STOP 1'
\qecho 'SET client_encoding = \'UTF8\';'
\qecho 'BEGIN;'
\qecho 'SET LOCAL DateStyle = ISO;'
\qecho 'SET LOCAL IntervalStyle = postgres;'
\qecho 'SET LOCAL row_security = off;'
\qecho 'SET LOCAL standard_conforming_strings = on;'
\qecho 'SET LOCAL xmloption = content;'
-- Three cells a row: the statement that reads, what it reads, and its end.
SELECT format('SELECT %L', import_sql || ';'), copy_sql, CASE WHEN copy_sql IS NOT NULL THEN $$SELECT '\.'$$ END
  FROM tenancy.export_tenant(:'tenant_id') ORDER BY position \gexec
\qecho 'COMMIT;'
COMMIT;
