-- What lets an index be searched instead of asking row by row: in the set are exactly the tenants for which the
-- function says yes, and whoever may do something somewhere is a member there. For every kind of user, tenant, token,
-- name and authority.
SET client_min_messages = warning;
CREATE SCHEMA sets;
SET search_path = sets;
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('98000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION u(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('98000000-0000-0000-1111-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO tenancy.tenants (id, slug, name) SELECT t(n), 'sets-' || n, 'T' FROM generate_series(1, 6) n;
SELECT tenancy.create_permission(p) FROM unnest('{sets.read, sets.edit, sets.deep.read}'::text[]) p;
SELECT tenancy.create_permission('sets_platform.see', scope => 'platform');
SELECT tenancy.create_role('sets_reader', '{sets.read}') IS NOT NULL, tenancy.create_role('sets_all', '{sets.*}') IS NOT NULL,
       tenancy.create_role('sets_own', '{sets.edit}', t(2)) IS NOT NULL;
-- Users: 1 of all kinds, 2 an operator, 3 suspended, 4 by a group, 5 of one closed tenant, 6 nobody.
SELECT tenancy.add_member(t(1), u(1), '{sets_reader}'), tenancy.add_member(t(2), u(1), '{sets_own}'), tenancy.add_member(t(3), u(1), '{sets_all, owner}'),
       tenancy.add_member(t(4), u(1), '{sets_all}'), tenancy.add_member(t(5), u(1), '{sets_all}'), tenancy.add_member(t(6), u(1)),
       tenancy.add_member(t(1), u(2), '{sets_reader}'), tenancy.add_member(t(1), u(3), '{sets_all}'), tenancy.add_member(t(2), u(3), '{sets_all}'),
       tenancy.add_member(t(1), u(4)), tenancy.add_member(t(5), u(5), '{sets_all}');
SELECT tenancy.set_member_status(t(1), u(3), 'suspended');
SELECT tenancy.create_group(t(1), 'sets') IS NOT NULL, tenancy.grant_role_to_group(t(1), 'sets', 'sets_all'), tenancy.add_group_member(t(1), 'sets', u(4));
INSERT INTO tenancy.operators (user_id, access) VALUES (u(2), 'write');
UPDATE tenancy.tenants SET status = 'suspended' WHERE id = t(4);
UPDATE tenancy.tenants SET status = 'archived' WHERE id = t(5);
UPDATE tenancy.tenants SET status = 'read_only' WHERE id = t(6);
CREATE TABLE tokens (n serial, members text);
INSERT INTO tokens (members) VALUES (''), (',"tenant_id":"#1","user_permissions":["sets.read"]'), (',"tenant_id":"#1","user_permissions":["all"]'),
    (',"tenant_id":"#2","user_permissions":["sets.*"]'), (',"tenant_id":"#2","app_metadata":{"tenants":["#1","#3","#5"]},"user_permissions":["sets.read"]'),
    (',"tenant_id":"#9","user_permissions":["sets.edit", "sets_platform.see"]'), (',"app_metadata":{"tenants":["#1","#4"]},"user_permissions":["sets.read"]'),
    (',"tenant_id":"00000000-0000-0000-0000-000000000000","user_permissions":["all"]'),
    (',"app_metadata":{"tenants":["00000000-0000-0000-0000-000000000000","#1"],"tenant_access":"write"},"user_permissions":["all"]'),
    (',"exp":0,"tenant_id":"#1","user_permissions":["all"]'), (',"tenant_id":"x","user_permissions":["all"]');
CREATE VIEW places AS SELECT t(n) AS tenant FROM generate_series(0, 9) n UNION ALL SELECT '00000000-0000-0000-0000-000000000000' UNION ALL SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'
    UNION ALL SELECT NULL UNION ALL SELECT u(1);
CREATE VIEW names AS SELECT name FROM unnest(ARRAY['sets.read', 'sets.edit', 'sets.deep.read', 'sets_platform.see', 'sets.fly', 'sets.*', 'all', '*', '', 'SETS.READ', ' sets.read',
    'tenant.edit', repeat('x', 5000), NULL]) name UNION ALL SELECT name FROM tenancy.permissions WHERE builtin;
-- Whether two answers, NULL counting as no, differ.
CREATE FUNCTION differ(boolean, boolean) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce($1, false) <> coalesce($2, false) $$;
CREATE FUNCTION differences(OUT asked int, OUT yes int, OUT one int, OUT any_of int, OUT all_of int, OUT members int, OUT not_member int) LANGUAGE sql AS $$
    SELECT count(*), count(*) FILTER (WHERE tenancy.has_permission(tenant, a.name)),
           count(*) FILTER (WHERE sets.differ(tenancy.has_permission(tenant, a.name), tenant = ANY (tenancy.tenant_ids_with(a.name)))),
           count(*) FILTER (WHERE sets.differ(tenancy.has_any_permission(tenant, ARRAY[a.name, b.name]), tenant = ANY (tenancy.tenant_ids_with_any(ARRAY[a.name, b.name])))),
           count(*) FILTER (WHERE sets.differ(tenancy.has_all_permissions(tenant, ARRAY[a.name, b.name]), tenant = ANY (tenancy.tenant_ids_with_all(ARRAY[a.name, b.name])))),
           count(*) FILTER (WHERE sets.differ(tenancy.is_member(tenant), tenant = ANY (tenancy.tenant_ids()))),
           count(*) FILTER (WHERE (tenancy.has_permission(tenant, a.name) OR tenancy.has_any_permission(tenant, ARRAY[a.name, b.name])
                                   OR tenancy.has_all_permissions(tenant, ARRAY[a.name, b.name])) AND NOT tenancy.is_member(tenant))
      FROM sets.places, sets.names a, (SELECT * FROM sets.names LIMIT 6) b
$$;
CREATE FUNCTION by_token(who uuid, members text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', replace(format('{"sub":"%s"%s}', who, members), '"#', '"98000000-0000-0000-0000-00000000000'), true);
    RETURN QUERY SELECT * FROM sets.differences();
END $$;
SET tenancy.authority = 'tables';
SELECT n, d.* FROM generate_series(1, 6) n, by_token(u(n), '') d (asked int, yes int, one int, any_of int, all_of int, members int, not_member int) ORDER BY n;
SET tenancy.authority = 'claims';
SELECT n, d.* FROM tokens, by_token(u(1), members) d (asked int, yes int, one int, any_of int, all_of int, members int, not_member int) ORDER BY n;
RESET tenancy.authority;
-- Empty lists, and lists of nothing but NULL.
BEGIN;
SELECT FROM by_token(u(1), '') d (asked int, yes int, one int, any_of int, all_of int, members int, not_member int);
SELECT l, tenancy.tenant_ids_with_any(l) AS any_of, count(*) FILTER (WHERE tenancy.has_any_permission(tenant, l)) AS any_by_row,
       tenancy.tenant_ids_with_all(l) AS all_of, count(*) FILTER (WHERE tenancy.has_all_permissions(tenant, l)) AS all_by_row
  FROM (VALUES ('{}'::text[]), ('{NULL}'), (NULL), ('{{sets.read,sets.edit},{sets.fly,NULL}}'), ('[5:5]={sets.read}')) v (l), places GROUP BY l ORDER BY l;
COMMIT;

DROP SCHEMA sets CASCADE;
DELETE FROM tenancy.operators WHERE user_id::text LIKE '98000000-%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'sets-%';
DELETE FROM tenancy.roles WHERE name LIKE 'sets\_%';
DELETE FROM tenancy.permissions WHERE name LIKE 'sets%';
