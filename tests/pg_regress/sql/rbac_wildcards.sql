-- Wildcards: all and docs.* match the tenant's permissions there are, now and later; never the platform's
-- (threat 18), never a name that is not registered, and never beside the resource.
\set tenant '''3bac0000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:tenant, 'rbac-wildcards', 'W');
SELECT tenancy.create_permission(p) FROM unnest(ARRAY['wild', 'wild.read', 'wild.write', 'wild.deep.read', 'wilder.read', 'wild_card.read']) p;
SELECT tenancy.create_permission(p, scope => 'platform') FROM unnest(ARRAY['wild.platform', 'wildplat.manage']) p;
SELECT r, tenancy.create_role('wild ' || r, ARRAY[r]) IS NOT NULL AS created
  FROM unnest(ARRAY['all', 'wild.*', 'wild.deep.*', 'wild.read', 'wild.platform', 'wildplat.*', 'nothing.here.*']) r;
SELECT tenancy.create_role('wild own', '{wild.*}', :tenant) IS NOT NULL AS created;

CREATE FUNCTION pg_temp.held(role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    t uuid := '3bac0000-0000-0000-0000-00000000000a';
    u uuid := '3bac0000-0000-0000-0000-000000000001';
    names text;
BEGIN
    DELETE FROM tenancy.members WHERE user_id = u;
    PERFORM tenancy.add_member(t, u, ARRAY[role]), set_config('request.jwt.claims', json_build_object('sub', u)::text, true);
    SELECT string_agg(p.name, ' ' ORDER BY p.name COLLATE "C") INTO names FROM tenancy.permissions p
     WHERE (p.builtin OR p.name ~ '^wild') AND tenancy.has_permission(t, p.name);
    IF names IS DISTINCT FROM (SELECT string_agg(p.name, ' ' ORDER BY p.name COLLATE "C") FROM tenancy.permissions p
                                WHERE (p.builtin OR p.name ~ '^wild') AND tenancy.has_permission(p.name) AND tenancy.has_any_permission(t, ARRAY[p.name])
                                  AND tenancy.has_all_permissions(ARRAY[p.name]) AND t = ANY (tenancy.tenant_ids_with(p.name))) THEN
        RAISE EXCEPTION 'the functions disagree';
    END IF;
    RETURN names;
END
$$;
SELECT r, pg_temp.held(r) FROM unnest(ARRAY['wild all', 'owner', 'wild wild.*', 'wild own', 'wild wild.deep.*', 'wild wild.read',
                                            'wild wild.platform', 'wild wildplat.*', 'wild nothing.here.*']) r;
-- Registered later, matched at once; dropped, held by nobody.
SELECT tenancy.create_permission('wild.later'), pg_temp.held('wild wild.*') AS before_own_statement;
SELECT pg_temp.held('wild wild.*');
SELECT tenancy.drop_permission('wild.later');
SELECT pg_temp.held('wild wild.*');
-- Names as they are written: no pattern is a permission, nor a permission a pattern.
BEGIN;
SELECT pg_temp.held('wild all') IS NOT NULL AS holds_all;
SELECT name, tenancy.has_permission(:tenant, name) FROM unnest(ARRAY['all', 'wild.*', 'wild.', '.read', 'wild.%', 'wild%read', 'wild_read', 'Wild.read', 'wild.nobody']) name;
COMMIT;
-- What can be registered, and what can be granted.
SELECT name, tenancy.is_permission_name(name) AS registered, tenancy.is_permission_pattern(name) AS granted FROM unnest(ARRAY[
    'a', 'a.b', 'a1_.b_2', 'a.b.c.d', 'all', 'all.read', 'alls', 'a.*', 'a.b.*', 'all.*', '*', '*.read', 'a.*.b', 'a*', 'a.b*', '', '.', 'a.', '.a',
    'a..b', 'A', 'a.B', '1a', 'a.1', '_a', 'a-b', 'a b', E'a\n', 'é', NULL]) name;

SELECT tenancy.drop_tenant(:tenant);
SELECT tenancy.drop_role(name, cascade => true) FROM tenancy.roles WHERE name LIKE 'wild %' ORDER BY name;
SELECT tenancy.drop_permission(name) FROM tenancy.permissions WHERE name LIKE 'wild%' ORDER BY name;
