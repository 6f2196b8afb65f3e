-- authority = claims: membership and permissions are what the token says. Registered names only, no wildcard
-- to the platform, and no tenant but those that the token names.
\set a '''3bac2000-0000-0000-0000-00000000000a'''
\set b '''3bac2000-0000-0000-0000-00000000000b'''
\set user '''3bac2000-0000-0000-0000-000000000001'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'claims-a', 'A'), (:b, 'claims-b', 'B');
SELECT tenancy.create_permission(p) FROM unnest(ARRAY['claimed.read', 'claimed.write']) p;
SELECT tenancy.create_permission('claimed.platform', scope => 'platform');
SELECT tenancy.create_role('claimed_writer', '{claimed.write}') IS NOT NULL AS created;
-- By the tables he is a member of b alone, with another permission.
SELECT tenancy.add_member(:b, :user, '{claimed_writer}');
CREATE FUNCTION pg_temp.says(members text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    a uuid := '3bac2000-0000-0000-0000-00000000000a';
    b uuid := '3bac2000-0000-0000-0000-00000000000b';
BEGIN
    PERFORM set_config('request.jwt.claims', replace(format('{"sub":"3bac2000-0000-0000-0000-000000000001"%s}', members), '#', '3bac2000-0000-0000-0000-00000000000'), true);
    RETURN concat_ws(' ', 'in ' || coalesce(right(tenancy.current_tenant_id()::text, 1), '-'),
        '| of ' || coalesce((SELECT string_agg(right(t::text, 1), '') FROM unnest(tenancy.tenant_ids()) t), '-'),
        '| active: ' || coalesce((SELECT string_agg(p.name, ' ' ORDER BY p.name COLLATE "C") FROM tenancy.permissions p WHERE tenancy.has_permission(p.name) AND p.name LIKE 'claimed.%'), '-'),
        '| b: ' || coalesce((SELECT string_agg(p.name, ' ' ORDER BY p.name COLLATE "C") FROM tenancy.permissions p WHERE tenancy.has_permission(b, p.name) AND p.name LIKE 'claimed.%'), '-'),
        CASE WHEN tenancy.has_role('claimed_writer') OR tenancy.has_role(b, 'claimed_writer') THEN '| role' END, CASE WHEN tenancy.has_role('') THEN '| nameless role!' END, '| operator ' || tenancy.operator_access(),
        CASE WHEN tenancy.has_permission('claimed.fly') THEN '| unregistered!' END);
END
$$;
CREATE TEMP TABLE tokens (n serial, members text);
INSERT INTO tokens (members) VALUES (''),
    (',"app_metadata":{"tenant_id":"#a","perms":["claimed.read"]}'),
    (',"tenant_id":"#a","user_permissions":["claimed.read","claimed.write"]'),
    (',"tenant_id":"#a","app_metadata":{"perms":["claimed.read"]},"user_permissions":["claimed.write"]'),
    (',"tenant_id":"#a","user_permissions":["all"]'), (',"tenant_id":"#a","user_permissions":["claimed.*"]'),
    (',"tenant_id":"#a","user_permissions":["claimed.platform"]'), (',"tenant_id":"#a","user_permissions":["claimed.fly","*","claimed.","CLAIMED.READ"]'),
    (',"tenant_id":"#a","user_permissions":["claimed.read",1,null,{},["claimed.write"]]'),
    (',"tenant_id":"#a","user_permissions":"claimed.read"'), (',"tenant_id":"#a","user_permissions":{"claimed.read":true}'),
    (',"tenant_id":"#a","user_permissions":null'), (',"user_permissions":["claimed.read"]'),
    (',"tenant_id":"#a","app_metadata":{"tenants":["#b"]},"user_permissions":["claimed.read"]'),
    (',"app_metadata":{"tenants":["#a","#b",7,"x",null]},"user_permissions":["claimed.read"]'),
    (',"app_metadata":{"tenants":["#b"]},"user_permissions":["claimed.read"]'), (',"app_metadata":{"tenants":"#b"}'),
    (',"tenant_id":"nobody","user_permissions":["claimed.read"]'),
    (',"tenant_id":"00000000-0000-0000-0000-000000000000","user_permissions":["all"]'),
    (',"app_metadata":{"tenants":["00000000-0000-0000-0000-000000000000"]},"user_permissions":["all"]'),
    (',"app_metadata":{"tenant_access":"read"}'), (',"app_metadata":{"tenant_access":"write"}'), (',"app_metadata":{"tenant_access":"admin"}'),
    (',"app_metadata":{"tenant_access":["write"]}'), (',"tenant_access":"write"'),
    (',"exp":0,"tenant_id":"#a","user_permissions":["claimed.read"],"app_metadata":{"tenant_access":"write"}');
SELECT members, pg_temp.says(members) AS tables FROM tokens ORDER BY n;
SET tenancy.authority = 'claims';
SELECT members, pg_temp.says(members) AS claims FROM tokens ORDER BY n;
-- Its own paths.
SET tenancy.permission_claim = 'https://example.com/p.list, scope';
SELECT members, pg_temp.says(members) FROM unnest(ARRAY[
    ',"tenant_id":"#a","https://example.com/p.list":["claimed.read"]', ',"tenant_id":"#a","https://example.com/p":{"list":["claimed.write"]}',
    ',"tenant_id":"#a","scope":["claimed.write"]', ',"tenant_id":"#a","user_permissions":["claimed.read"]']) members;
RESET tenancy.permission_claim;
-- The setting selects among the tenants of the token, whose permissions hold in its own tenant only.
BEGIN;
SELECT tenancy.act_as(:user, :b, claims => format('{"tenant_id":%s,"app_metadata":{"tenants":[%s]},"user_permissions":["claimed.read"]}', to_json(:a::text), to_json(:b::text))::jsonb);
SELECT right(tenancy.current_tenant_id()::text, 1) AS tenant, tenancy.has_permission('claimed.read'), tenancy.has_permission(:a, 'claimed.read') AS in_a;
COMMIT;
-- The rows of the tables are fenced by the same answers, and the application's roles by none that a token gives:
-- not by the nil uuid either, which is their scope.
CREATE FUNCTION pg_temp.attempt(token text, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', replace(token, '#', '3bac2000-0000-0000-0000-00000000000'), true), set_config('role', 'authenticated', true);
    EXECUTE command;
    PERFORM set_config('role', 'none', true);
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SELECT token, pg_temp.attempt(token, $$INSERT INTO tenancy.role_inheritance (senior_id, junior_id)
           SELECT s.id, j.id FROM tenancy.roles s, tenancy.roles j WHERE s.name = 'claimed_writer' AND j.name = 'owner'$$) AS inheritance,
       pg_temp.attempt(token, $$INSERT INTO tenancy.role_permissions (role_id, permission) SELECT id, 'all' FROM tenancy.roles WHERE name = 'claimed_writer'$$) AS permission
  FROM unnest(ARRAY['{"sub":"#1","tenant_id":"00000000-0000-0000-0000-000000000000","user_permissions":["all"]}',
                    '{"sub":"#1","tenant_id":"#a","user_permissions":["all"]}']) token;
SELECT count(*) AS edges FROM tenancy.role_inheritance i JOIN tenancy.roles r ON r.id = i.senior_id WHERE r.name = 'claimed_writer';
-- diagnose() says where this comes from.
BEGIN;
SELECT tenancy.act_as(:user, claims => format('{"tenant_id":%s,"user_permissions":["claimed.read"]}', to_json(:a::text))::jsonb);
SELECT topic, finding FROM tenancy.diagnose() WHERE topic IN ('authority', 'active tenant', 'membership', 'role', 'permissions');
COMMIT;
RESET tenancy.authority;
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_role('claimed_writer', cascade => true);
SELECT tenancy.drop_permission(name) FROM tenancy.permissions WHERE name LIKE 'claimed.%' ORDER BY name;
