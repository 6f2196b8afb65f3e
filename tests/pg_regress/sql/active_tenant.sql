-- The stored choice of a tenant: what asks it, whose it is, and what becomes of it.
\set SHOW_CONTEXT never
\set a '7e000000-0000-0000-0000-0000000000c1'
\set b '7e000000-0000-0000-0000-0000000000c2'
\set c '7e000000-0000-0000-0000-0000000000c3'
\set one '''5e000000-0000-0000-0000-0000000000c1'''
\set two '''5e000000-0000-0000-0000-0000000000c2'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'a', 'active-a', 'A'), (:'b', 'active-b', 'B'), (:'c', 'active-c', 'C');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'a', :one), (:'b', :one), (:'b', :two), (:'c', :two);
CREATE FUNCTION pg_temp.tenant(who uuid, claims jsonb DEFAULT '{}', header text DEFAULT '', setting text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('role', 'authenticated', true), set_config('request.jwt.claims', (jsonb_build_object('sub', who) || claims)::text, true),
            set_config('request.headers', jsonb_build_object('x-tenant', header)::text, true), set_config('tenancy.tenant_id', setting, true);
    answer := coalesce(right(tenancy.current_tenant_id()::text, 2), '-');
    PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', '', true), set_config('tenancy.tenant_id', '', true);
    RETURN answer;
END
$$;
SELECT pg_temp.tenant(:one) AS none_chosen;
SELECT test.attempt(:one, format('SELECT tenancy.set_active_tenant(%L)', t)) FROM unnest(ARRAY[:'a', :'a', :'b']::text[]) t;
SELECT pg_temp.tenant(:one), pg_temp.tenant(:two);
-- After transaction, request and token; before the only membership. Whoever is present decides, refused or not.
SET tenancy.tenant_header = 'x-tenant';
SELECT setting, header, claim, pg_temp.tenant(:one, CASE WHEN claim IS NULL THEN '{}' ELSE jsonb_build_object('tenant_id', claim) END, coalesce(header, ''), coalesce(setting, ''))
  FROM unnest(ARRAY[:'a', :'c', 'x', NULL]) setting, unnest(ARRAY[:'a', :'c', NULL]) header, unnest(ARRAY[:'a', :'c', 'x', NULL]) claim;
RESET tenancy.tenant_header;
SET tenancy.sole_tenant = off;
SELECT pg_temp.tenant(:one);
RESET tenancy.sole_tenant;
-- A choice that is not open to him is no choice of another.
SELECT tenancy.set_member_status(:'b', :one, 'suspended');
SELECT pg_temp.tenant(:one) AS member_suspended;
SELECT tenancy.remove_member(:'a', :one);
SELECT pg_temp.tenant(:one) AS still_chosen;
SELECT tenancy.set_member_status(:'b', :one, 'active');
SELECT tenancy.set_tenant_status(:'b', 'suspended');
SELECT pg_temp.tenant(:one) AS tenant_suspended;
SELECT tenancy.set_tenant_status(:'b', 'read_only');
SELECT pg_temp.tenant(:one) AS tenant_read_only;
SELECT tenancy.set_tenant_status(:'b', 'active');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'a', :one);
SELECT tenancy.remove_member(:'b', :one);
SELECT pg_temp.tenant(:one) AS removed_from_it, (SELECT count(*) FROM tenancy.active_tenants WHERE user_id = :one) AS choices;
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'b', :one);
SELECT pg_temp.tenant(:one) AS a_member_again_chooses_again;
-- What may be chosen, and by whom.
SELECT t, test.try(:one, format('SELECT tenancy.set_active_tenant(%L)', t)) FROM unnest(ARRAY[:'a', :'c', '00000000-0000-0000-0000-000000000000', 'ffffffff-0000-0000-0000-000000000000', NULL]) t;
SELECT tenancy.set_member_status(:'a', :one, 'suspended'), tenancy.set_tenant_status(:'b', 'suspended');
SELECT t, test.try(:one, format('SELECT tenancy.set_active_tenant(%L)', t)) FROM unnest(ARRAY[:'a', :'b']) t;
SELECT tenancy.set_member_status(:'a', :one, 'active'), tenancy.set_tenant_status(:'b', 'active');
SELECT test.attempt(:one, format('SELECT tenancy.set_active_tenant(%L)', :'a')), test.attempt(:one, 'SELECT tenancy.set_active_tenant(NULL)'), test.attempt(:one, 'SELECT tenancy.set_active_tenant(NULL)') AS again;
SELECT test.attempt(NULL, format('SELECT tenancy.set_active_tenant(%L)', :'a')) AS administrator_without_identity;
BEGIN;
SET LOCAL ROLE anon;
SELECT tenancy.set_active_tenant(:'a');
ROLLBACK;
BEGIN;
SELECT tenancy.act_as(:one, claims => '{"exp":1}');
SELECT tenancy.set_active_tenant(:'a');
ROLLBACK;
BEGIN READ ONLY;
SELECT tenancy.act_as(:one);
SELECT tenancy.set_active_tenant(:'a');
ROLLBACK;
-- By plain DML: his own, and of tenants he is in; nobody else's is seen or touched.
SELECT test.attempt(:two, format('SELECT tenancy.set_active_tenant(%L)', :'c'));
SELECT test.try(:one, 'SELECT count(*) FROM tenancy.active_tenants'), test.try(:two, 'SELECT count(*) FROM tenancy.active_tenants');
SELECT cmd, test.try(:one, cmd) FROM unnest(ARRAY[
    format('INSERT INTO tenancy.active_tenants VALUES (%L, %L)', :one, :'a'), format('INSERT INTO tenancy.active_tenants VALUES (%L, %L)', :one, :'c'),
    format('INSERT INTO tenancy.active_tenants VALUES (%L, %L)', :two, :'b'), format('INSERT INTO tenancy.active_tenants VALUES (%L, %L) ON CONFLICT (user_id) DO UPDATE SET tenant_id = excluded.tenant_id', :two, :'b'),
    format('UPDATE tenancy.active_tenants SET tenant_id = %L', :'b'), format('UPDATE tenancy.active_tenants SET user_id = %L', :one), 'DELETE FROM tenancy.active_tenants', 'TRUNCATE tenancy.active_tenants',
    'SELECT count(*) FROM tenancy.active_tenants FOR UPDATE']) cmd;
SELECT cmd, test.try(NULL, cmd) FROM unnest(ARRAY['SELECT count(*) FROM tenancy.active_tenants', format('INSERT INTO tenancy.active_tenants VALUES (%L, %L)', :two, :'b'), 'DELETE FROM tenancy.active_tenants']) cmd;
-- Nor of a tenant in which he is suspended.
SELECT tenancy.set_member_status(:'b', :one, 'suspended');
SELECT test.try(:one, format('INSERT INTO tenancy.active_tenants VALUES (%L, %L)', :one, :'b'));
SELECT tenancy.set_member_status(:'b', :one, 'active');
SELECT user_id, tenant_id FROM tenancy.active_tenants;
-- A choice he makes counts at the next statement, and not after it is undone.
BEGIN;
SELECT tenancy.act_as(:one);
SELECT right(tenancy.current_tenant_id()::text, 2);
SELECT tenancy.set_active_tenant(:'b');
SELECT right(tenancy.current_tenant_id()::text, 2);
SAVEPOINT s;
SELECT tenancy.set_active_tenant(:'a');
SELECT right(tenancy.current_tenant_id()::text, 2);
ROLLBACK TO s;
SELECT right(tenancy.current_tenant_id()::text, 2);
SELECT tenancy.set_active_tenant(NULL);
SELECT right(tenancy.current_tenant_id()::text, 2);
ROLLBACK;
-- authority = claims reads no choice; choosing is still possible where the token says he is a member and he is, and says
-- what is wrong where he is not.
SELECT test.attempt(:one, format('SELECT tenancy.set_active_tenant(%L)', :'b'));
SET tenancy.authority = claims;
SELECT pg_temp.tenant(:one) AS choice_not_asked, pg_temp.tenant(:one, jsonb_build_object('tenant_id', :'c')) AS token_decides;
BEGIN;
SELECT tenancy.act_as(:one, claims => jsonb_build_object('tenant_id', :'c', 'tenants', jsonb_build_array(:'c')));
SELECT tenancy.set_active_tenant(:'c');
ROLLBACK;
RESET tenancy.authority;
DELETE FROM tenancy.tenants WHERE slug LIKE 'active-_';
SELECT count(*) AS choices_left FROM tenancy.active_tenants;
