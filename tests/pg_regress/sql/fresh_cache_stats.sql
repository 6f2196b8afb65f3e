-- What cache_stats() counts: one load for a user however often is asked, another when the tables changed, and nothing
-- for a change of claims between users that are kept.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', 'f0000000-0000-0000-0000-000000000002');
\set bob '{"sub": "f0000000-0000-0000-0000-000000000002"}'
CREATE TEMP TABLE fresh_mark AS SELECT * FROM tenancy.cache_stats();
\set mark 'TRUNCATE fresh_mark; INSERT INTO fresh_mark SELECT * FROM tenancy.cache_stats();'
\set moved 'SELECT now.entries, now.bytes > 0 AS bytes, now.hits - was.hits AS hits, now.misses - was.misses AS misses, now.loads - was.loads AS loads, now.invalidations > was.invalidations AS invalidated FROM tenancy.cache_stats() now, fresh_mark was;'
\c -
SELECT * FROM tenancy.cache_stats();
CREATE TEMP TABLE fresh_mark AS SELECT * FROM tenancy.cache_stats();
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = :'ann';
SELECT tenancy.has_permission('fresh.read');
:moved
-- Warm: no look into the cache but for a new statement.
:mark
SELECT count(*) FROM generate_series(1, 1000) WHERE tenancy.has_permission('fresh.read');
SELECT tenancy.has_permission('fresh.read');
:moved
-- Another user, and back: two loads in all.
:mark
SET request.jwt.claims = :'bob';
SELECT tenancy.has_permission('fresh.read');
SET request.jwt.claims = :'ann';
SELECT tenancy.has_permission('fresh.read');
SET request.jwt.claims = :'bob';
SELECT tenancy.has_permission('fresh.read');
:moved
-- Anonymous asks nothing of the tables.
:mark
SET request.jwt.claims = '';
SELECT tenancy.has_permission('fresh.read');
:moved
-- A change of any kind: everything goes.
SET request.jwt.claims = :'ann';
SELECT tenancy.has_permission('fresh.read');
:mark
UPDATE tenancy.tenants SET name = 'Fresher' WHERE id = :'tenant';
:moved
SELECT tenancy.has_permission('fresh.read');
:moved
-- A table that does not decide announces nothing.
SELECT tenancy.has_permission('fresh.read');
:mark
INSERT INTO tenancy.groups (tenant_id, name) VALUES (:'tenant', 'fresh');
SELECT tenancy.has_permission('fresh.read');
:moved
-- Bounded: with the least memory, many users pass through and few stay.
SHOW tenancy.cache_size;
SET tenancy.cache_size = '64kB';
:mark
DO $$
DECLARE
    answers int := 0;
BEGIN
    FOR n IN 1..3000 LOOP
        PERFORM set_config('request.jwt.claims',
                           format('{"sub": "f0000000-0000-0000-0001-%s"}', lpad(n::text, 12, '0')), false);
        answers := answers + tenancy.has_permission('fresh.read')::int;
    END LOOP;
    RAISE NOTICE 'granted to %', answers;
END $$;
SELECT now.entries BETWEEN 10 AND 1000 AS some, now.bytes <= 65536 AS within, now.loads - was.loads AS loads
  FROM tenancy.cache_stats() now, fresh_mark was;
RESET tenancy.cache_size;
RESET request.jwt.claims;
RESET tenancy.claims_scope;

DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
