-- create_tenant, set_tenant_status, drop_tenant: what they do, what a repeated call does, every error.
\set t '''3a000000-0000-0000-0000-00000000000a'''
\set owner '''3a000000-0000-0000-0000-000000000001'''
\set writer '''3a000000-0000-0000-0000-000000000004'''
\set reader '''3a000000-0000-0000-0000-000000000005'''
\set user '''3a000000-0000-0000-0000-000000000006'''
INSERT INTO tenancy.operators (user_id, access, expires_at) VALUES (:writer, 'write', NULL), (:reader, 'read', NULL), ('3a000000-0000-0000-0000-000000000007', 'write', now());
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' => '
-- As an administrator: an owner or none, a name or the slug's.
SELECT c, test.attempt(NULL, c) FROM unnest(ARRAY[
    $$SELECT tenancy.create_tenant('mt-a', 'Mt A', '3a000000-0000-0000-0000-000000000001', '{"plan":"x"}') IS NOT NULL$$,
    $$SELECT tenancy.create_tenant('mt-b') IS NOT NULL$$,
    $$SELECT tenancy.create_tenant('mt-b')$$,
    $$SELECT tenancy.create_tenant(NULL)$$, $$SELECT tenancy.create_tenant('')$$, $$SELECT tenancy.create_tenant('-mt')$$, $$SELECT tenancy.create_tenant('mt-')$$,
    $$SELECT tenancy.create_tenant('Mt')$$, $$SELECT tenancy.create_tenant('m_t')$$, $$SELECT tenancy.create_tenant(E'mt\n')$$,
    $$SELECT tenancy.create_tenant(repeat('m', 64))$$, $$SELECT tenancy.create_tenant('mt-c', '')$$, $$SELECT tenancy.create_tenant('mt-c', repeat('x', 201))$$,
    $$SELECT tenancy.create_tenant('mt-c', metadata => NULL)$$, $$SELECT tenancy.create_tenant('mt-c', metadata => '[]')$$,
    $$SELECT tenancy.create_tenant('mt-c', owner => '00000000-0000-0000-0000-000000000000')$$,
    $$SELECT tenancy.create_tenant('mt-' || repeat('m', 60)) IS NOT NULL$$, $$SELECT tenancy.create_tenant('0') IS NOT NULL$$]) c;
SELECT t.slug, t.name, t.status, t.metadata, (SELECT string_agg(right(m.user_id::text, 1) || ' ' || r.name, ',') FROM tenancy.members m
         LEFT JOIN tenancy.member_roles g USING (tenant_id, user_id) LEFT JOIN tenancy.roles r ON r.id = g.role_id WHERE m.tenant_id = t.id) AS members
  FROM tenancy.tenants t WHERE slug ~ '^mt-|^0$' ORDER BY slug COLLATE "C";
-- Operators: write may, for anybody; read and expired may not.
SELECT right(who, 1) AS who, c, test.attempt(('3a000000-0000-0000-0000-00000000000' || who)::uuid, c) FROM unnest(ARRAY['4', '5', '7', '6']) who, unnest(ARRAY[
    $$SELECT tenancy.create_tenant('mt-op', owner => '3a000000-0000-0000-0000-000000000006') IS NOT NULL$$, $$SELECT tenancy.create_tenant('mt-op2', owner => NULL)$$]) c;
SELECT test.attempt(:writer, $$SELECT tenancy.create_tenant('mt-op')$$), test.attempt(:writer, $$SELECT tenancy.create_tenant('mt op')$$);
-- No identity, none needed by administrators only.
BEGIN;
SET LOCAL ROLE anon;
\set VERBOSITY sqlstate
SELECT tenancy.create_tenant('mt-anon', owner => '3a000000-0000-0000-0000-000000000006');
ROLLBACK;
\set VERBOSITY default
-- Self-service: for oneself, up to a number.
SET tenancy.self_service = on;
SET tenancy.max_owned_tenants = 2;
SELECT c, test.attempt(:user, c) FROM unnest(ARRAY[
    $$SELECT tenancy.create_tenant('mt-self1') IS NOT NULL$$, $$SELECT tenancy.create_tenant('mt-self2', owner => '3a000000-0000-0000-0000-000000000001')$$,
    $$SELECT tenancy.create_tenant('mt-self2', owner => NULL)$$, $$SELECT tenancy.create_tenant('mt-self2')$$]) c;
RESET tenancy.max_owned_tenants;
SELECT test.attempt(:user, $$SELECT tenancy.create_tenant('mt-self2') IS NOT NULL$$);
RESET tenancy.self_service;
SELECT test.attempt(:user, $$SELECT tenancy.create_tenant('mt-self3')$$);
-- The rows themselves: nobody but administrators inserts or deletes them.
SELECT c, test.attempt(:writer, c), test.attempt(:user, c) FROM unnest(ARRAY[
    $$INSERT INTO tenancy.tenants (slug, name) VALUES ('mt-dml', 'x')$$, $$DELETE FROM tenancy.tenants WHERE slug = 'mt-self1'$$, $$TRUNCATE tenancy.tenants CASCADE$$]) c;
SELECT test.attempt(NULL, c) FROM unnest(ARRAY[
    $$INSERT INTO tenancy.tenants (slug, name) VALUES ('Mt', 'x')$$, $$INSERT INTO tenancy.tenants (slug, name) VALUES ('mt-dml', '')$$,
    $$INSERT INTO tenancy.tenants (slug, name, status) VALUES ('mt-dml', 'x', 'closed')$$, $$INSERT INTO tenancy.tenants (slug, name, metadata) VALUES ('mt-dml', 'x', '7')$$,
    $$INSERT INTO tenancy.tenants (id, slug, name) VALUES ('00000000-0000-0000-0000-000000000000', 'mt-dml', 'x')$$]) c;
-- Editing: name, slug and metadata by tenant.edit, status and key by write operators.
SELECT c, test.attempt(:owner, c) AS owner, test.attempt(:writer, c) AS writer, test.attempt(:reader, c) AS reader FROM unnest(ARRAY[
    $$UPDATE tenancy.tenants SET name = 'New', metadata = '{}' WHERE slug = 'mt-a'$$, $$UPDATE tenancy.tenants SET status = 'read_only' WHERE slug = 'mt-a'$$,
    $$UPDATE tenancy.tenants SET status = 'active' WHERE slug = 'mt-a'$$, $$UPDATE tenancy.tenants SET key = '7' WHERE slug = 'mt-a'$$,
    $$UPDATE tenancy.tenants SET created_at = now() WHERE slug = 'mt-a'$$, $$UPDATE tenancy.tenants SET slug = 'no slug' WHERE slug = 'mt-a'$$,
    $$UPDATE tenancy.tenants SET slug = 'mt-b' WHERE slug = 'mt-a'$$]) c;
SELECT updated_at > created_at AS touched FROM tenancy.tenants WHERE slug = 'mt-a';
-- set_tenant_status.
SELECT id AS a FROM tenancy.tenants WHERE slug = 'mt-a' \gset
SELECT c, test.attempt(NULL, format(c, :'a')) AS administrator, test.attempt(:owner, format(c, :'a')) AS owner, test.attempt(:writer, format(c, :'a')) AS writer FROM unnest(ARRAY[
    'SELECT tenancy.set_tenant_status(%L, ''read_only'')', 'SELECT tenancy.set_tenant_status(%L, ''read_only'')', 'SELECT tenancy.set_tenant_status(%L, ''active'')',
    'SELECT tenancy.set_tenant_status(%L, ''closed'')', 'SELECT tenancy.set_tenant_status(%L, NULL)', 'SELECT tenancy.set_tenant_status(NULL, ''active'')',
    'SELECT tenancy.set_tenant_status(gen_random_uuid(), ''active'')']) c;
-- drop_tenant: administrators only, and not while protected tables hold rows of it.
CREATE TABLE public.mt_docs (tenant_id uuid);
INSERT INTO tenancy.protected_tables (table_id, root_id, options) VALUES ('public.mt_docs', 'public.mt_docs', '{"tenant_column":"tenant_id"}');
INSERT INTO public.mt_docs VALUES (:'a');
SELECT c, test.attempt(:owner, format(c, :'a')) AS owner, test.attempt(:writer, format(c, :'a')) AS writer, test.attempt(NULL, format(c, :'a')) AS administrator FROM unnest(ARRAY[
    'SELECT tenancy.drop_tenant(%L)', 'SELECT tenancy.drop_tenant(gen_random_uuid())', 'SELECT tenancy.drop_tenant(NULL)']) c;
DELETE FROM public.mt_docs;
SELECT tenancy.create_role('mt own', tenant => :'a') IS NOT NULL, tenancy.create_group(:'a', 'mt group') IS NOT NULL, tenancy.add_group_member(:'a', 'mt group', :owner),
       tenancy.grant_role_to_group(:'a', 'mt group', 'mt own'), tenancy.grant_role(:'a', :owner, 'mt own');
SELECT test.attempt(NULL, format('SELECT tenancy.drop_tenant(%L)', :'a')), test.attempt(NULL, format('SELECT tenancy.drop_tenant(%L)', :'a')) AS again;
SELECT (SELECT count(*) FROM tenancy.members WHERE tenant_id = :'a') + (SELECT count(*) FROM tenancy.roles WHERE tenant_id = :'a') + (SELECT count(*) FROM tenancy.groups WHERE tenant_id = :'a')
     + (SELECT count(*) FROM tenancy.member_roles WHERE tenant_id = :'a') + (SELECT count(*) FROM tenancy.group_roles WHERE tenant_id = :'a') AS rows_left;

DELETE FROM tenancy.protected_tables WHERE table_id = 'public.mt_docs'::regclass;
DROP TABLE public.mt_docs;
DELETE FROM tenancy.tenants WHERE slug ~ '^mt-|^0$';
DELETE FROM tenancy.operators WHERE user_id::text LIKE '3a000000-%';
