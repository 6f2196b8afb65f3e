-- Jobs: a database role that works in one tenant after the other without being a user.
\set a '''eb700000-0000-0000-0000-00000000000a'''
\set b '''eb700000-0000-0000-0000-00000000000b'''
\set c '''eb700000-0000-0000-0000-00000000000c'''
\set ann '''eb700000-0000-0000-0000-0000000000e1'''
\set SHOW_CONTEXT never
INSERT INTO tenancy.tenants (id, slug, name, key, status) VALUES (:a, 'entered-a', 'A', '71', 'active'), (:b, 'entered-b', 'B', 'bee', 'read_only'), (:c, 'entered-c', 'C', NULL, 'suspended'), ('eb700000-0000-0000-0000-00000000000d', 'entered-d', 'D', NULL, 'archived');
SELECT tenancy.create_permission('entered.read') IS NULL, tenancy.create_permission('entered.write') IS NULL, tenancy.create_role('entered_writer', '{entered.*}') IS NOT NULL, tenancy.create_role('entered_senior', '{}') IS NOT NULL;
SELECT tenancy.add_inheritance('entered_senior', 'entered_writer'), tenancy.create_role('entered own', tenant => :a) IS NOT NULL;
SELECT tenancy.add_member(:a, :ann, '{entered_writer}');
CREATE ROLE entered_job NOLOGIN;
CREATE ROLE "entered Other's" NOLOGIN;
CREATE ROLE entered_member NOLOGIN IN ROLE entered_job;
SELECT tenancy.enable_role('entered_job'), tenancy.enable_role('entered Other''s'), tenancy.enable_role('entered_member');
CREATE FUNCTION pg_temp.as_role(db_role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text; found_hint text; found_constraint text;
BEGIN
    PERFORM set_config('role', db_role, true);
    EXECUTE command INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN coalesce(answer, 'ok');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS found_hint = PG_EXCEPTION_HINT, found_constraint = CONSTRAINT_NAME;
    RETURN concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(found_hint, ''), nullif(found_constraint, ''));
END
$$;
CREATE FUNCTION public.whoami() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('user %s tenant %s key %s read %s write %s role %s actor %s', coalesce(right(tenancy.current_user_id()::text, 2), '-'), coalesce(right(tenancy.current_tenant_id()::text, 2), '-'),
                  coalesce(tenancy.current_tenant_key(), '-'), tenancy.has_permission('entered.read'), tenancy.has_permission('entered.write'), tenancy.has_role('entered_writer'), coalesce(regexp_replace(tenancy.current_actor(), 'eb700000.*(..)$', '\1'), '-')) $$;
\set whoami 'SELECT public.whoami();'

-- Nobody may who is not listed, superusers and members of one who is neither.
SELECT r, pg_temp.as_role(r, f) FROM unnest(ARRAY['entered_job', 'entered Other''s', 'anon']) r,
    unnest(ARRAY['SELECT tenancy.enter_tenant(''eb700000-0000-0000-0000-00000000000a''::uuid)', 'SELECT tenancy.enter_tenant(''71'')', 'SELECT tenancy.enterable_tenants()']) f;
SELECT left(pg_temp.as_role(current_user, 'SELECT tenancy.enter_tenant(''71'')'), 24) AS superuser;
SELECT pg_temp.as_role('entered_job', f) FROM unnest(ARRAY['SELECT tenancy.allow_database_role(''entered_job'', ''{owner}'')', 'SELECT tenancy.disallow_database_role(''entered_job'')',
    'INSERT INTO tenancy.database_role_roles (db_role, role_id) SELECT ''entered_job'', id FROM tenancy.roles WHERE name = ''owner''']) f;
-- What cannot be allowed.
SELECT pg_temp.as_role(current_user, f) FROM unnest(ARRAY['SELECT tenancy.allow_database_role(''no such role'', ''{owner}'')', 'SELECT tenancy.allow_database_role(''public'', ''{owner}'')', 'SELECT tenancy.allow_database_role(NULL, ''{owner}'')',
    'SELECT tenancy.allow_database_role(''entered_job'', NULL)', 'SELECT tenancy.allow_database_role(''entered_job'', ''{}'')', 'SELECT tenancy.allow_database_role(''entered_job'', ''{owner,NULL}'')', 'SELECT tenancy.allow_database_role(''entered_job'', ''{{owner}}'')', 'SELECT tenancy.allow_database_role(''entered_job'', ''{{owner,NULL},{owner,owner}}'')',
    'SELECT tenancy.allow_database_role(''entered_job'', ''{owner,no such role}'')', 'SELECT tenancy.allow_database_role(''entered_job'', ''{owner,entered own}'')', 'SELECT tenancy.disallow_database_role(''no such role'')',
    'INSERT INTO tenancy.database_role_roles (db_role, role_id, role_scope) SELECT ''entered_job'', id, scope_id FROM tenancy.roles WHERE name = ''entered own''',
    'INSERT INTO tenancy.database_role_roles (db_role, role_id) SELECT ''entered_job'', id FROM tenancy.roles WHERE name = ''entered own''']) f;
SELECT count(*) AS half_done FROM tenancy.database_role_roles;
SELECT tenancy.allow_database_role('entered_job', '{entered_senior}'), tenancy.allow_database_role('entered_job', '{entered_senior,entered_senior}') AS again, tenancy.allow_database_role('entered Other''s', '{entered_writer}') AS other;
SELECT db_role, r.name FROM tenancy.database_role_roles d JOIN tenancy.roles r ON r.id = role_id ORDER BY 2;
-- A member of the role may not unless it sets the role: whose rights are exercised is then said.
SELECT pg_temp.as_role('entered_member', 'SELECT tenancy.enter_tenant(''71'')');

-- One tenant after the other; no user, whatever claims say; permissions only in that one.
SET ROLE entered_job;
SELECT * FROM tenancy.enterable_tenants() WHERE slug LIKE 'entered-%';
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', :ann)::text, true) IS NOT NULL AS set, set_config('tenancy.tenant_id', :b, true) IS NOT NULL AS set;
:whoami
SELECT tenancy.enter_tenant(:a::uuid);
:whoami
SELECT tenancy.current_user_id(), tenancy.claims(), tenancy.tenant_ids(), tenancy.tenant_ids_with('entered.write'), tenancy.is_member(:a::uuid), tenancy.is_member(:b::uuid), tenancy.has_permission(:b::uuid, 'entered.read'), tenancy.is_member(71::bigint), tenancy.operator_access();
SELECT tenancy.has_role(:a::uuid, 'entered_senior'), tenancy.has_role(:b::uuid, 'entered_senior'), tenancy.has_any_permission('{entered.read,x}'), tenancy.has_all_permissions('{entered.read,x}');
SELECT tenancy.require_permission('entered.write');
SELECT pg_temp.as_role('entered_job', 'SELECT tenancy.require_permission(''members.read'')'), pg_temp.as_role('entered_job', 'SELECT tenancy.require_permission(''eb700000-0000-0000-0000-00000000000b'', ''entered.read'')');
SELECT tenancy.enter_tenant('bee');
:whoami
SAVEPOINT s;
SELECT tenancy.enter_tenant('eb700000-0000-0000-0000-00000000000a');
:whoami
ROLLBACK TO s;
:whoami
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic NOT IN ('library', 'authority');
COMMIT;
:whoami
SELECT tenancy.enter_tenant(:a::uuid);
:whoami
-- Tenants that there are not, that are closed, and what is none; what was entered before stands.
BEGIN;
SELECT tenancy.enter_tenant(:a::uuid);
SELECT n, pg_temp.as_role('entered_job', n) FROM unnest(ARRAY['SELECT tenancy.enter_tenant(NULL::uuid)', 'SELECT tenancy.enter_tenant(NULL::text)', 'SELECT tenancy.enter_tenant('''')', 'SELECT tenancy.enter_tenant(''072'')',
    'SELECT tenancy.enter_tenant(''eb700000-0000-0000-0000-0000000000ff''::uuid)', 'SELECT tenancy.enter_tenant(''eb700000-0000-0000-0000-00000000000c'')', 'SELECT tenancy.enter_tenant(''eb700000-0000-0000-0000-00000000000d''::uuid)',
    'SELECT tenancy.enter_tenant(repeat(''x'', 1025))', 'SELECT tenancy.set_active_tenant(''eb700000-0000-0000-0000-00000000000a'')']) n;
:whoami
COMMIT;
RESET ROLE;

-- Changes count at the next statement: of the tenant, of the role's permissions, of what is allowed.
BEGIN;
SET LOCAL ROLE entered_job;
SELECT tenancy.enter_tenant(:a::uuid);
RESET ROLE;
:whoami
SELECT tenancy.set_tenant_status(:a, 'suspended');
:whoami
SELECT tenancy.set_tenant_status(:a, 'active');
SELECT tenancy.revoke_permission('entered_writer', 'entered.*'), tenancy.grant_permission('entered_writer', 'entered.read');
:whoami
SELECT tenancy.allow_database_role('entered_job', '{entered_writer,owner}');
SELECT public.whoami(), tenancy.has_permission('members.assign') AS owner;
SELECT tenancy.allow_database_role('entered_job', '{entered_writer}');
SELECT public.whoami(), tenancy.has_permission('members.assign') AS owner;
SELECT hint FROM tenancy.diagnose() WHERE topic = 'permissions lacking';
SELECT tenancy.disallow_database_role('entered_job'), tenancy.disallow_database_role('entered_job') AS again;
:whoami
ROLLBACK;
-- An operator of the name, a token's authority and another identity have no say in it.
BEGIN;
SET LOCAL tenancy.authority = 'claims';
SELECT set_config('request.jwt.claims', json_build_object('sub', :ann, 'app_metadata', json_build_object('tenant_access', 'write', 'tenant_id', :b, 'perms', '{all}'::text[]))::text, true) IS NOT NULL AS set;
SET LOCAL ROLE entered_job;
SELECT tenancy.enter_tenant(:b::uuid);
SELECT public.whoami(), tenancy.operator_access();
RESET ROLE;
SELECT tenancy.set_identity(:ann::uuid, :a);
:whoami
SET LOCAL ROLE entered_job;
SELECT tenancy.enter_tenant(:b::uuid);
:whoami
COMMIT;

-- Protected tables: its own tenant's rows, as its permissions allow.
SET client_min_messages = warning;
CREATE TABLE entered_docs (id int, tenant_id uuid, body text);
SELECT tenancy.protect_table('entered_docs', resource => 'entered') IS NOT NULL AS protected;
RESET client_min_messages;
GRANT ALL ON entered_docs TO entered_job;
INSERT INTO entered_docs VALUES (1, :a, 'a'), (2, :b, 'b'), (3, :c, 'c');
SELECT tenancy.create_permission(p) IS NULL, tenancy.grant_permission('entered_writer', p) FROM unnest(ARRAY['entered.create', 'entered.edit', 'entered.delete']) p WHERE NOT EXISTS (SELECT FROM tenancy.permissions WHERE name = p);
SET ROLE entered_job;
BEGIN;
SELECT id FROM entered_docs;
SELECT tenancy.enter_tenant(:a::uuid);
SELECT id FROM entered_docs;
INSERT INTO entered_docs (id, body) VALUES (4, 'by default') RETURNING id, tenant_id;
SAVEPOINT s;
INSERT INTO entered_docs VALUES (5, :b, 'elsewhere');
ROLLBACK TO s;
UPDATE entered_docs SET body = 'changed' RETURNING id;
DELETE FROM entered_docs WHERE id IN (2, 3);
SELECT tenancy.enter_tenant(:b::uuid);
SELECT id FROM entered_docs;
SAVEPOINT s;
INSERT INTO entered_docs (id, body) VALUES (6, 'read only');
ROLLBACK TO s;
COMMIT;
SELECT id FROM entered_docs;
RESET ROLE;
DROP TABLE entered_docs;

-- Delegation: no more than its roles cover, by function and by plain DML, and nobody granted it.
SELECT tenancy.grant_permission('entered_writer', p) FROM unnest(ARRAY['members.read', 'members.assign', 'roles.assign']) p;
GRANT SELECT ON tenancy.members TO entered_job;
BEGIN;
SET LOCAL ROLE entered_job;
SELECT tenancy.enter_tenant(:a::uuid);
SELECT tenancy.add_member(:a, 'eb700000-0000-0000-0000-0000000000e2', '{entered_writer}');
SELECT granted_by IS NULL AS by_nobody FROM tenancy.member_roles WHERE user_id = 'eb700000-0000-0000-0000-0000000000e2';
SELECT pg_temp.as_role('entered_job', f) FROM unnest(ARRAY['SELECT tenancy.grant_role(''eb700000-0000-0000-0000-00000000000a'', ''eb700000-0000-0000-0000-0000000000e2'', ''owner'')',
    'INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) SELECT ''eb700000-0000-0000-0000-00000000000a'', ''eb700000-0000-0000-0000-0000000000e2'', id FROM tenancy.roles WHERE name = ''owner''',
    'SELECT tenancy.add_member(''eb700000-0000-0000-0000-00000000000b'', ''eb700000-0000-0000-0000-0000000000e2'')', 'SELECT tenancy.create_tenant(''entered-e'')',
    'SELECT tenancy.grant_operator(''eb700000-0000-0000-0000-0000000000e2'', ''read'')', 'SELECT tenancy.create_role(''entered_more'', ''{entered.read}'')', 'SELECT count(*) FROM tenancy.members', 'SELECT count(*) FROM tenancy.tenants']) f;
ROLLBACK;

-- A role of the application that a job holds is in use; dropped, it takes what it gave along.
SELECT tenancy.remove_inheritance('entered_senior', 'entered_writer');
SELECT pg_temp.as_role(current_user, 'SELECT tenancy.drop_role(''entered_senior'')');
SELECT tenancy.drop_role('entered_senior', cascade => true);
SELECT pg_temp.as_role('entered_job', 'SELECT tenancy.enter_tenant(''71'')');
-- A database role dropped and made again under the same name is another: it gets nothing, and nothing of it is dumped.
SELECT pg_temp.as_role('entered Other''s', 'SELECT tenancy.enter_tenant(''71'')');
BEGIN;
SET LOCAL ROLE "entered Other's";
SELECT tenancy.enter_tenant(:a::uuid);
:whoami
ROLLBACK;
-- While it is dropped it is nobody, and enters nothing, in transactions and sessions that had taken it.
BEGIN;
SET LOCAL ROLE "entered Other's";
SELECT tenancy.enter_tenant(:a::uuid);
RESET ROLE;
SAVEPOINT s;
DROP OWNED BY "entered Other's";
DROP ROLE "entered Other's";
:whoami
SELECT finding FROM tenancy.diagnose() WHERE topic IN ('identity', 'user', 'active tenant');
ROLLBACK TO s;
:whoami
-- Within one statement, too, and put back.
DO $$ BEGIN
    RAISE NOTICE '%', public.whoami();
    BEGIN
        DROP OWNED BY "entered Other's";
        DROP ROLE "entered Other's";
        RAISE NOTICE '%', public.whoami();
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN RAISE NOTICE '%', public.whoami();
    END;
END $$;
ROLLBACK;
DROP OWNED BY "entered Other's";
DROP ROLE "entered Other's";
CREATE ROLE "entered Other's" NOLOGIN;
SELECT tenancy.enable_role('entered Other''s');
SELECT pg_temp.as_role('entered Other''s', 'SELECT tenancy.enter_tenant(''71'')');
SELECT count(*) AS rows, count(*) FILTER (WHERE db_role IN (SELECT oid FROM pg_roles)) AS dumped FROM tenancy.database_role_roles;
SELECT tenancy.allow_database_role('entered_job', '{entered_writer}');
SELECT count(*) AS rows FROM tenancy.database_role_roles;
-- A role that is renamed is the same.
ALTER ROLE entered_job RENAME TO entered_renamed;
BEGIN;
SET LOCAL ROLE entered_renamed;
SELECT tenancy.enter_tenant(:a::uuid);
:whoami
COMMIT;
SELECT tenancy.disallow_database_role('entered_renamed');

DROP FUNCTION public.whoami();
DROP OWNED BY entered_renamed, "entered Other's", entered_member;
DROP ROLE entered_renamed, "entered Other's", entered_member;
DELETE FROM tenancy.tenants WHERE slug LIKE 'entered-%';
SELECT tenancy.drop_role('entered_writer', cascade => true);
SELECT tenancy.drop_permission(name, cascade => true) FROM tenancy.permissions WHERE name LIKE 'entered.%';
