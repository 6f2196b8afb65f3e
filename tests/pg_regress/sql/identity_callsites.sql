-- Threat 3, at one call site: an answer is kept where the call stands, and must never be given for other
-- arguments, another identity or another tenant than it was found for.
\set tenant '''1d000000-0000-0000-0000-0000000000ca'''
\set other '''1d000000-0000-0000-0000-0000000000cb'''
\set user '''1d000000-0000-0000-0000-0000000000c1'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:tenant, 'callsites-a', 'A'), (:other, 'callsites-b', 'B');
SELECT tenancy.create_permission('sites.read'), tenancy.create_permission('sites.write');
SELECT tenancy.create_role('sites_reader', '{sites.read}') IS NOT NULL, tenancy.create_role('sites_writer', '{sites.write}') IS NOT NULL;
SELECT tenancy.add_member(:tenant, :user, '{sites_reader}'), tenancy.add_member(:other, :user, '{sites_writer}');
CREATE TABLE public.sites (n int, tenant uuid, name text, role text);
INSERT INTO public.sites VALUES
    (1, :tenant, 'sites.read', 'sites_reader'), (2, :tenant, 'sites.write', 'sites_writer'),
    (3, :other, 'sites.read', 'sites_reader'), (4, :other, 'sites.write', 'sites_writer'),
    (5, :tenant, 'sites.read', 'sites_reader'), (6, NULL, 'sites.read', 'sites_reader'),
    (7, :tenant, NULL, NULL), (8, gen_random_uuid(), 'sites.read', 'sites_reader');
GRANT SELECT ON public.sites TO authenticated;

BEGIN;
SELECT tenancy.act_as(:user, :tenant);
-- Arguments that vary by row.
SELECT n, tenancy.has_permission(name) AS p, tenancy.has_permission(tenant, name) AS tp, tenancy.has_role(role) AS r,
       tenancy.has_role(tenant, role) AS tr, tenancy.is_member(tenant) AS m,
       tenancy.has_any_permission(ARRAY[name]) AS a, tenancy.has_all_permissions(tenant, ARRAY[name, 'sites.read']) AS ta,
       cardinality(tenancy.tenant_ids_with(name)) AS ids
  FROM public.sites ORDER BY n;
-- Tenant varying, permission fixed, and the other way about; with names, and by notation by name.
SELECT n, tenancy.has_permission(tenant, 'sites.read') AS fixed_name, tenancy.has_permission(:tenant, name) AS fixed_tenant,
       tenancy.has_permission(permission => name, tenant => tenant) AS by_name
  FROM public.sites ORDER BY n;
SELECT n FROM public.sites WHERE tenancy.has_permission(tenant, name) ORDER BY n;
-- A variable of plpgsql that changes while one call site stands.
DO $$
DECLARE
    p text;
    t uuid;
    answers text := '';
BEGIN
    FOREACH p IN ARRAY ARRAY['sites.read', 'sites.write', 'sites.read', NULL, 'sites.fly', 'sites.read'] LOOP
        answers := answers || coalesce(tenancy.has_permission(p)::text, 'null') || ' ';
    END LOOP;
    RAISE NOTICE 'permission in a loop: %', answers;
    answers := '';
    FOR t, p IN SELECT tenant, name FROM public.sites ORDER BY n LOOP
        answers := answers || coalesce(tenancy.has_permission(t, p)::text, 'null') || ' ';
    END LOOP;
    RAISE NOTICE 'both in a loop: %', answers;
    answers := '';
    p := 'sites.read';
    FOR i IN 1..4 LOOP
        p := CASE p WHEN 'sites.read' THEN 'sites.write' ELSE 'sites.read' END;
        PERFORM set_config('tenancy.tenant_id',
            CASE WHEN i < 3 THEN '1d000000-0000-0000-0000-0000000000ca' ELSE '1d000000-0000-0000-0000-0000000000cb' END, true);
        answers := answers || p || ' ' || tenancy.has_permission(p) || ', ';
    END LOOP;
    RAISE NOTICE 'tenant and permission: %', answers;
    -- Identity that changes under it.
    answers := '';
    FOREACH p IN ARRAY ARRAY['1d000000-0000-0000-0000-0000000000c1', '1d000000-0000-0000-0000-0000000000c2', '', 'x',
                             '1d000000-0000-0000-0000-0000000000c1'] LOOP
        PERFORM set_config('tenancy.tenant_id', '', true);
        PERFORM set_config('request.jwt.claims', json_build_object('sub', p, 'tenant_id', '1d000000-0000-0000-0000-0000000000ca')::text, true);
        answers := answers || tenancy.has_permission('sites.read') || ' '
            || coalesce(right(tenancy.current_user_id()::text, 2), '-') || ' '
            || coalesce(right(tenancy.current_tenant_id()::text, 2), '-') || ', ';
    END LOOP;
    RAISE NOTICE 'identity in a loop: %', answers;
END
$$;
COMMIT;

-- A request header as the source, named while the session runs: no hook of ours watches it.
SET tenancy.tenant_header = 'x-tenant';
DO $$
DECLARE
    t text;
    answers text := '';
BEGIN
    PERFORM set_config('request.jwt.claims', '{"sub":"1d000000-0000-0000-0000-0000000000c1"}', true);
    FOREACH t IN ARRAY ARRAY['ca', 'cb', 'ca', 'cc'] LOOP
        PERFORM set_config('request.headers', format('{"x-tenant":"1d000000-0000-0000-0000-0000000000%s"}', t), true);
        answers := answers || coalesce(right(tenancy.current_tenant_id()::text, 2), '-') || ' '
            || tenancy.has_permission('sites.read') || ', ';
    END LOOP;
    RAISE NOTICE 'header in a loop: %', answers;
END
$$;
RESET tenancy.tenant_header;

-- Prepared, generic plan, the parameter and the identity changing between executions.
BEGIN;
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE by_parameter(text) AS SELECT tenancy.has_permission($1) AS held, right(tenancy.current_tenant_id()::text, 2) AS tenant;
SELECT tenancy.act_as(:user, :tenant);
EXECUTE by_parameter('sites.read');
EXECUTE by_parameter('sites.write');
SELECT set_config('tenancy.tenant_id', :other, true) IS NOT NULL AS changed;
EXECUTE by_parameter('sites.read');
EXECUTE by_parameter('sites.write');
SAVEPOINT s;
SELECT set_config('request.jwt.claims', '', true);
EXECUTE by_parameter('sites.write');
ROLLBACK TO s;
EXECUTE by_parameter('sites.write');
COMMIT;
EXECUTE by_parameter('sites.write');

-- Odd call sites: an operator, a domain's check, defaults, an aggregate, SQL functions inlined and not.
CREATE OPERATOR public.?~ (LEFTARG = uuid, RIGHTARG = text, FUNCTION = tenancy.has_permission);
CREATE DOMAIN public.sites_domain AS text CHECK (tenancy.has_permission(VALUE));
CREATE TABLE public.sites_rows (n int, by_user uuid DEFAULT tenancy.current_user_id(), in_tenant uuid DEFAULT tenancy.current_tenant_id(),
                                may boolean DEFAULT tenancy.has_permission('sites.write'));
CREATE FUNCTION public.every_permission_step(boolean, text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT $1 AND tenancy.has_permission($2) $$;
CREATE AGGREGATE public.every_permission(text) (SFUNC = public.every_permission_step, STYPE = boolean, INITCOND = 'true');
CREATE FUNCTION public.sites_inlined(p text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT tenancy.has_permission(p) $$;
CREATE FUNCTION public.sites_not_inlined(p text) RETURNS boolean LANGUAGE sql STABLE SET work_mem = '1MB' AS $$ SELECT tenancy.has_permission(p) $$;
GRANT ALL ON public.sites_rows TO authenticated;
BEGIN;
SELECT tenancy.act_as(:user, :tenant);
SELECT n, tenant OPERATOR(public.?~) name AS by_operator, public.sites_inlined(name) AS inlined, public.sites_not_inlined(name) AS not_inlined
  FROM public.sites ORDER BY n;
SELECT 'sites.read'::public.sites_domain;
SAVEPOINT s;
SELECT name::public.sites_domain FROM public.sites WHERE n IN (1, 2) ORDER BY n;
ROLLBACK TO s;
SELECT name, public.every_permission(name) FROM public.sites GROUP BY name ORDER BY name;
INSERT INTO public.sites_rows (n) SELECT 1;
SELECT set_config('tenancy.tenant_id', :other, true) IS NOT NULL AS changed;
INSERT INTO public.sites_rows (n) SELECT 2;
COPY public.sites_rows (n) FROM stdin;
3
\.
COMMIT;
SELECT * FROM public.sites_rows ORDER BY n;

-- Answers belong to a moment: nothing may store them in an index, a generated column or a partition key.
CREATE INDEX ON public.sites (tenancy.has_permission(name));
CREATE INDEX ON public.sites (n) WHERE tenancy.is_member(tenant);
ALTER TABLE public.sites ADD COLUMN may boolean GENERATED ALWAYS AS (tenancy.has_permission(name)) STORED;
CREATE TABLE public.sites_parts (n int) PARTITION BY LIST (tenancy.current_tenant_id());

-- Inside a READ ONLY transaction, and in a cursor.
BEGIN READ ONLY;
SELECT tenancy.act_as(:user, :tenant);
DECLARE c CURSOR FOR SELECT n, tenancy.has_permission(tenant, name) FROM public.sites ORDER BY n;
FETCH 2 FROM c;
SELECT set_config('request.jwt.claims', '', true);
SELECT tenancy.has_permission('sites.read');
COMMIT;

DROP TABLE public.sites, public.sites_rows;
DROP OPERATOR public.?~ (uuid, text);
DROP DOMAIN public.sites_domain;
DROP AGGREGATE public.every_permission(text);
DROP FUNCTION public.every_permission_step(boolean, text), public.sites_inlined(text), public.sites_not_inlined(text);
SELECT tenancy.drop_tenant(:tenant), tenancy.drop_tenant(:other);
SELECT tenancy.drop_role('sites_reader', cascade => true), tenancy.drop_role('sites_writer', cascade => true);
SELECT tenancy.drop_permission('sites.read', cascade => true), tenancy.drop_permission('sites.write', cascade => true);
