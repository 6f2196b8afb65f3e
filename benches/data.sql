-- 1,000,000 rows over 1,000 tenants, four times: with and without index, protected and not.
CREATE EXTENSION pg_tenancy;
CREATE ROLE authenticated NOLOGIN;
SELECT tenancy.enable_role('authenticated');
INSERT INTO tenancy.tenants (slug, name) SELECT 't' || n, 'T' FROM generate_series(1, 1000) n;
CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO authenticated;
CREATE TABLE bench.plain AS
SELECT n AS id, t.id AS tenant_id, (n % 100)::int AS amount
  FROM generate_series(1, 1000000) n
  JOIN (SELECT id, row_number() OVER () AS r FROM tenancy.tenants) t ON t.r = 1 + n % 1000;
CREATE TABLE bench.plain_indexed AS TABLE bench.plain;
CREATE INDEX ON bench.plain_indexed (tenant_id);
CREATE TABLE bench.indexed AS TABLE bench.plain;
CREATE TABLE bench.seq AS TABLE bench.plain;
GRANT SELECT ON ALL TABLES IN SCHEMA bench TO authenticated;
SELECT tenancy.protect_table('bench.indexed'), tenancy.protect_table('bench.seq');
DROP INDEX bench.seq_tenant_id_idx;
SELECT tenancy.create_role('reader', '{seq.*, indexed.*}');
SELECT tenancy.add_member(id, '11111111-0000-4000-8000-000000000001', '{reader}') FROM tenancy.tenants WHERE slug = 't500';
VACUUM ANALYZE bench.plain;
VACUUM ANALYZE bench.plain_indexed;
VACUUM ANALYZE bench.indexed;
VACUUM ANALYZE bench.seq;
