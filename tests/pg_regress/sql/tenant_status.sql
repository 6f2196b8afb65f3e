-- Statuses: read_only keeps only permissions named *.read; suspended denies all but the tenant's own row to its
-- members; archived hides that too, from all but operators.
\set tenant '''57000000-0000-0000-0000-00000000000a'''
\set owner '''57000000-0000-0000-0000-000000000001'''
\set member '''57000000-0000-0000-0000-000000000002'''
\set out '''57000000-0000-0000-0000-000000000003'''
\set reader '''57000000-0000-0000-0000-000000000004'''
\set writer '''57000000-0000-0000-0000-000000000005'''
\set stranger '''57000000-0000-0000-0000-000000000006'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:tenant, 'status', 'Status');
SELECT tenancy.create_permission(p) FROM unnest(ARRAY['status.read', 'status.write', 'status.reread', 'status.read.deep', 'read']) p;
SELECT tenancy.create_role('status_all', '{status.read,status.write,status.reread,status.read.deep,read}') IS NOT NULL AS created;
SELECT tenancy.add_member(:tenant, :owner, '{owner}'), tenancy.add_member(:tenant, :member, '{status_all}'), tenancy.add_member(:tenant, :out, '{status_all}'),
       tenancy.set_member_status(:tenant, :out, 'suspended');
INSERT INTO tenancy.operators VALUES (:reader, 'read'), (:writer, 'write');

CREATE FUNCTION pg_temp.seen(who text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    t uuid := '57000000-0000-0000-0000-00000000000a';
    seen text;
BEGIN
    PERFORM tenancy.act_as(('57000000-0000-0000-0000-00000000000' || who)::uuid, t);
    SELECT concat_ws(' ', 'row ' || (SELECT count(*) FROM tenancy.tenants x WHERE x.id = t), 'members ' || (SELECT count(*) FROM tenancy.members m WHERE m.tenant_id = t),
        'grants ' || (SELECT count(*) FROM tenancy.member_roles m WHERE m.tenant_id = t),
        CASE WHEN tenancy.current_tenant_id() IS NOT NULL THEN 'active' END, CASE WHEN tenancy.is_member(t) THEN 'member' END,
        CASE WHEN tenancy.can_see_tenant(t) THEN 'sees' END, CASE WHEN tenancy.has_role(t, 'status_all') THEN 'role' END,
        CASE WHEN t = ANY (tenancy.tenant_ids()) THEN 'listed' END,
        (SELECT string_agg(p, ',' ORDER BY p) FROM unnest(ARRAY['status.read', 'status.write', 'status.reread', 'status.read.deep', 'read', 'members.read', 'tenant.edit']) p
          WHERE tenancy.has_permission(p) AND tenancy.has_permission(t, p) AND t = ANY (tenancy.tenant_ids_with(p))))
      INTO seen;
    PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', '', true);
    RETURN seen;
END
$$;
CREATE TEMP TABLE actors (n int, who text);
INSERT INTO actors VALUES (1, 'owner'), (2, 'member'), (3, 'suspended member'), (4, 'operator, read'), (5, 'operator, write'), (6, 'stranger');
SELECT 'active' AS status, who, pg_temp.seen(n::text) FROM actors ORDER BY n;
SELECT tenancy.set_tenant_status(:tenant, 'read_only');
SELECT 'read_only' AS status, who, pg_temp.seen(n::text) FROM actors ORDER BY n;
SELECT tenancy.set_tenant_status(:tenant, 'suspended');
SELECT 'suspended' AS status, who, pg_temp.seen(n::text) FROM actors ORDER BY n;
SELECT tenancy.set_tenant_status(:tenant, 'archived');
SELECT 'archived' AS status, who, pg_temp.seen(n::text) FROM actors ORDER BY n;

-- What the functions say to those who ask for more. Only who sees the tenant is told that it is suspended.
CREATE FUNCTION pg_temp.refused(who text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    constraint_name text;
    detail text;
BEGIN
    PERFORM tenancy.act_as(('57000000-0000-0000-0000-00000000000' || who)::uuid);
    EXECUTE command;
    PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', '', true);
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS constraint_name = CONSTRAINT_NAME, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(constraint_name, ''), nullif(detail, ''));
END
$$;
SELECT status, tenancy.set_tenant_status(:tenant, status), who,
       pg_temp.refused(n::text, $$SELECT tenancy.add_member('57000000-0000-0000-0000-00000000000a', '57000000-0000-0000-0000-000000000009')$$)
  FROM unnest(ARRAY['read_only', 'suspended', 'archived']) status, actors WHERE n <> 3;
-- Who may lift it.
SELECT who, pg_temp.refused(n::text, $$SELECT tenancy.set_tenant_status('57000000-0000-0000-0000-00000000000a', 'active')$$) AS by_function,
       pg_temp.refused(n::text, $$UPDATE tenancy.tenants SET status = 'read_only' WHERE id = '57000000-0000-0000-0000-00000000000a'$$) AS by_update,
       tenancy.set_tenant_status(:tenant, 'archived') AS was_lifted FROM actors ORDER BY n;
SELECT status FROM tenancy.tenants WHERE slug = 'status';
SELECT tenancy.set_tenant_status(:tenant, 'active') AS again;
-- A member who is let in again has what he had.
SELECT tenancy.set_member_status(:tenant, :out, 'active'), tenancy.set_member_status(:tenant, :out, 'active') AS again, pg_temp.seen('3');

DELETE FROM tenancy.operators WHERE user_id IN (:reader, :writer);
SELECT tenancy.drop_tenant(:tenant), tenancy.drop_role('status_all', cascade => true);
SELECT tenancy.drop_permission(p) FROM unnest(ARRAY['status.read', 'status.write', 'status.reread', 'status.read.deep', 'read']) p;
