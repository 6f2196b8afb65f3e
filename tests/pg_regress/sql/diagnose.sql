-- diagnose(): rows that explain what the present identity has, and why not more. It says nothing of others.
\set a '''d1a00000-0000-0000-0000-00000000000a'''
\set b '''d1a00000-0000-0000-0000-00000000000b'''
\set c '''d1a00000-0000-0000-0000-00000000000c'''
\set user '''d1a00000-0000-0000-0000-000000000001'''
\set none '''d1a00000-0000-0000-0000-000000000002'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'diag-a', 'A'), (:b, 'diag-b', 'B'), (:c, 'diag-c', 'C');
SELECT tenancy.create_permission('diag.read'), tenancy.create_permission('diag.write');
SELECT tenancy.create_role('diag_junior', '{diag.read}') IS NOT NULL, tenancy.create_role('diag_senior') IS NOT NULL, tenancy.create_role('diag_group', '{}') IS NOT NULL,
       tenancy.create_role('diag once', '{diag.write}', :a) IS NOT NULL, tenancy.add_inheritance('diag_senior', 'diag_junior');
SELECT tenancy.add_member(:a, :user, '{diag_senior,diag once}'), tenancy.add_member(:b, :user), tenancy.add_member(:c, :user, '{diag_junior}'), tenancy.set_member_status(:b, :user, 'suspended'),
       tenancy.create_group(:a, 'diag team') IS NOT NULL, tenancy.add_group_member(:a, 'diag team', :user), tenancy.grant_role_to_group(:a, 'diag team', 'diag_group');
UPDATE tenancy.member_roles SET expires_at = '2020-01-01' WHERE role_id = (SELECT id FROM tenancy.roles WHERE name = 'diag once');
-- What others have must not be heard of.
SELECT tenancy.create_role('diag theirs', '{}', :b) IS NOT NULL;
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' | '
-- What other tests registered is left out.
CREATE FUNCTION pg_temp.own(topic text, finding text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE topic WHEN 'permissions lacking' THEN (SELECT string_agg(n, ', ' ORDER BY i) FROM string_to_table(finding, ', ') WITH ORDINALITY t(n, i)
                                                        WHERE n ~ '^(diag|groups|members|profiles|roles|tenant)\.') ELSE finding END
$$;
CREATE FUNCTION pg_temp.diagnosed(claims text, tenant text DEFAULT '', only_topics text DEFAULT '^(claims|user|operator|active tenant)$') RETURNS TABLE (topic text, finding text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', replace(claims, '#', 'd1a00000-0000-0000-0000-00000000000'), true), set_config('tenancy.tenant_id', replace(tenant, '#', 'd1a00000-0000-0000-0000-00000000000'), true);
    RETURN QUERY SELECT d.topic, pg_temp.own(d.topic, d.finding), d.hint FROM tenancy.diagnose() d WHERE d.topic ~ only_topics;
END
$$;
-- The whole of it, once.
BEGIN;
SELECT tenancy.act_as(:user, :a);
SELECT topic, pg_temp.own(topic, finding), hint FROM tenancy.diagnose() WHERE topic <> 'policy';
COMMIT;
\echo -- claims: unset, empty, malformed each way, expired, not yet, unreadable
SELECT d.* FROM pg_temp.diagnosed('') d;
SELECT d.topic, d.finding, d.hint FROM unnest(ARRAY['{', '[]', '7', '{"sub":"#1","a":"\u0000"}', '{"sub":"#1","exp":0}', '{"sub":"#1","nbf":99999999999}', '{"sub":"#1","exp":"soon"}', '{"sub":"#1","exp":null}', '{"role":"anon"}', '{"sub":null}', '{"sub":"alice"}',
    '{"sub":7}', '{"sub":"00000000-0000-0000-0000-000000000000"}']) WITH ORDINALITY u(t, n), pg_temp.diagnosed(t) WITH ORDINALITY d(topic, finding, hint, m) ORDER BY n, m;
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1","a":"' || repeat('x', 1048576) || '"}') d;
SET tenancy.require_exp = on;
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1"}') d;
RESET tenancy.require_exp;
SET tenancy.claims_scope = 'session';
SELECT d.* FROM pg_temp.diagnosed('') d WHERE topic = 'claims';
RESET tenancy.claims_scope;
\echo -- the transaction: none, one in which nothing was set yet, one in which it was, and after it
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic = 'transaction';
BEGIN;
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic = 'transaction';
SELECT tenancy.act_as(:user, :a);
SELECT count(*) FROM tenancy.diagnose() WHERE topic = 'transaction';
COMMIT AND CHAIN;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'transaction';
COMMIT;
SET request.jwt.claims = '{"sub":"d1a00000-0000-0000-0000-000000000001"}';
SELECT finding FROM tenancy.diagnose() WHERE topic IN ('transaction', 'user');
\echo -- the tenant: each source, accepted and refused
SELECT t, s, d.finding, d.hint FROM (VALUES (1, '{"sub":"#1"}', '#a'), (2, '{"sub":"#1"}', '#b'), (3, '{"sub":"#1"}', '#f'), (4, '{"sub":"#1"}', 'diag-a'), (5, '{"sub":"#1","tenant_id":"#c"}', ''), (6, '{"sub":"#1","tenant_id":"#b"}', ''),
    (7, '{"sub":"#1","tenant_id":"#f"}', ''), (8, '{"sub":"#1","tenant_id":7}', ''), (9, '{"sub":"#1","tenant_id":"#c"}', '#f'), (10, '{"sub":"#1"}', ''), (11, '{"sub":"#2"}', ''), (12, '', '#a')) v (n, t, s), pg_temp.diagnosed(t, s, '^active tenant$') d ORDER BY n;
SET tenancy.tenant_header = 'X-Tenant';
BEGIN;
SELECT set_config('request.headers', '{"x-tenant":"d1a00000-0000-0000-0000-00000000000b"}', true) IS NOT NULL;
SELECT d.finding, d.hint FROM pg_temp.diagnosed('{"sub":"#1"}', '', '^active tenant$') d;
COMMIT;
RESET tenancy.tenant_header;
RESET request.headers;
SET tenancy.sole_tenant = off;
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1"}', '', '^active tenant$') d;
RESET tenancy.sole_tenant;
DELETE FROM tenancy.members WHERE user_id = :user AND tenant_id = :c;
DELETE FROM tenancy.members WHERE user_id = :user AND tenant_id = :b;
SELECT d.finding FROM pg_temp.diagnosed('{"sub":"#1"}', '', '^active tenant$') d;
\echo -- statuses of the tenant
SELECT tenancy.set_tenant_status(:a, 'read_only');
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1"}', '#a', '^(active tenant|membership|permissions.*)$') d;
SELECT tenancy.set_tenant_status(:a, 'suspended');
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1"}', '#a', '^(active tenant|membership|permissions.*)$') d;
SELECT tenancy.set_tenant_status(:a, 'archived');
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1"}', '#a', '^(active tenant|membership|permissions.*)$') d;
SELECT tenancy.set_tenant_status(:a, 'active');
\echo -- an operator, and a user of nothing
INSERT INTO tenancy.operators (user_id, access) VALUES (:none, 'read');
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#2"}', '', '^(user|operator|membership|role|permissions.*|active tenant)$') d;
DELETE FROM tenancy.operators WHERE user_id = :none;
\echo -- policies that name a permission which nobody registered, in every form and none that is registered
CREATE TABLE public.diag_docs (tenant_id uuid, tenant_two uuid);
CREATE POLICY diag1 ON public.diag_docs USING (tenancy.has_permission('diag.reed'));
CREATE POLICY diag2 ON public.diag_docs FOR INSERT WITH CHECK (tenancy.has_permission(tenant_id, 'diag.rite'));
CREATE POLICY diag3 ON public.diag_docs USING (tenancy.has_permission('diag.read') OR tenancy.has_permission(tenant_two, 'diag.write'));
CREATE POLICY diag4 ON public.diag_docs USING (tenancy.has_any_permission('{diag.read,diag.gone}') OR tenancy.has_all_permissions(tenant_id, ARRAY['diag.lost', 'diag.read']));
CREATE POLICY diag5 ON public.diag_docs USING (tenancy.has_permission('all') OR tenancy.has_permission('diag.*'));
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1"}', '', '^policy$') d WHERE finding LIKE 'diag%';
SELECT d.* FROM pg_temp.diagnosed('', '', '^policy$') d WHERE finding LIKE 'diag%' OR finding LIKE 'every%';
\echo -- triggers that announce changes, damaged
ALTER TABLE tenancy.members DISABLE TRIGGER signal_after;
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1"}', '', '^cache$') d;
ALTER TABLE tenancy.members ENABLE ALWAYS TRIGGER signal_after;
SELECT d.* FROM pg_temp.diagnosed('{"sub":"#1"}', '', '^cache$') d;
\echo -- nothing of others, as whoever asks
BEGIN;
SELECT tenancy.act_as(:user);
SELECT count(*) FROM tenancy.diagnose() WHERE finding ~ 'diag-b|theirs|d1a00000-0000-0000-0000-00000000000[bc]';
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic = 'database role';
COMMIT;
-- Columns and types are relied on by clients.
SELECT pg_get_function_result('tenancy.diagnose()'::regprocedure);

DROP TABLE public.diag_docs;
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_tenant(:c);
SELECT tenancy.drop_role('diag_senior', cascade => true), tenancy.drop_role('diag_junior', cascade => true), tenancy.drop_role('diag_group', cascade => true), tenancy.drop_permission('diag.read'), tenancy.drop_permission('diag.write');
