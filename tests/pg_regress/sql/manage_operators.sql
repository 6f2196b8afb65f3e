-- Operators manage operators: by function and by plain DML, within what they have themselves.
SET client_min_messages = warning;
-- 1 writes for ever, 2 writes for a day, 3 reads, 4 wrote until yesterday, 5 is a tenant's owner, 6 to 9 are nobody yet.
CREATE FUNCTION pg_temp.u(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('0a000000-0000-0000-0000-00000000000' || n)::uuid $$;
CREATE FUNCTION pg_temp.att(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.attempt(pg_temp.u(n), replace(command, '@', '0a000000-0000-0000-0000-00000000000')) $$;
CREATE FUNCTION pg_temp.try(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.try(pg_temp.u(n), replace(command, '@', '0a000000-0000-0000-0000-00000000000')) $$;

-- An administrator begins.
SELECT tenancy.grant_operator(pg_temp.u(1), 'write', reason => 'founder'),
       tenancy.grant_operator(pg_temp.u(2), 'write', now() + interval '1 day'),
       tenancy.grant_operator(pg_temp.u(3), 'read');
INSERT INTO tenancy.operators (user_id, access, expires_at) VALUES (pg_temp.u(4), 'write', now() - interval '1 day');
SELECT tenancy.create_tenant('operated', owner => pg_temp.u(5)) IS NOT NULL AS created;
INSERT INTO tenancy.tenants (slug, name, status) VALUES ('operated-archived', 'Archived', 'archived'), ('operated-suspended', 'Suspended', 'suspended');

-- Granting again replaces all three, and says whether anything changed.
SELECT tenancy.grant_operator(pg_temp.u(3), 'read') AS same, tenancy.grant_operator(pg_temp.u(3), 'read', reason => 'support') AS reason_given,
       tenancy.grant_operator(pg_temp.u(3), 'read', 'infinity') AS until_given, tenancy.grant_operator(pg_temp.u(3), 'read') AS all_taken_back;
SELECT right(user_id::text, 1) AS id, access, expires_at IS NULL AS for_ever, reason, granted_by FROM tenancy.operators WHERE user_id::text LIKE '0a000000%' ORDER BY 1;

-- Who sees whom: a write operator everybody, others themselves, whose access has ended nobody else.
SELECT n, pg_temp.att(n, $$SELECT string_agg(right(user_id::text, 1), ',' ORDER BY user_id) FROM tenancy.operators WHERE user_id::text LIKE '0a000000%'$$)
  FROM generate_series(1, 5) n;

-- By function: who may at all.
SELECT n, c.command, pg_temp.try(n, c.command)
  FROM generate_series(1, 5) n, (VALUES (1, $$SELECT tenancy.grant_operator('@6', 'read', now() + '1 hour')$$), (2, $$SELECT tenancy.revoke_operator('@6')$$)) c (i, command)
 ORDER BY n, c.i;
-- By plain DML the same, though it sees no rows where it may change none.
SELECT n, c.command, pg_temp.try(n, c.command)
  FROM generate_series(1, 5) n, (VALUES (1, $$INSERT INTO tenancy.operators (user_id, access, expires_at) VALUES ('@6', 'read', now() + '1 hour')$$),
      (2, $$INSERT INTO tenancy.operators (user_id, access) VALUES ('@6', 'write')$$), (3, $$UPDATE tenancy.operators SET reason = 'x' WHERE user_id = '@4'$$),
      (4, $$DELETE FROM tenancy.operators WHERE user_id = '@4'$$)) c (i, command)
 ORDER BY n, c.i;

-- No grant lasts longer than the grantor's own access: new, extended, made endless, or of somebody who has longer.
SELECT c.command, pg_temp.att(2, c.command) FROM (VALUES
    (1, $$SELECT tenancy.grant_operator('@6', 'write', now() + '1 hour', 'incident')$$), (2, $$SELECT tenancy.grant_operator('@6', 'write', now() + '2 days')$$),
    (3, $$SELECT tenancy.grant_operator('@6', 'write')$$), (4, $$SELECT tenancy.grant_operator('@6', 'write', 'infinity')$$),
    (5, $$UPDATE tenancy.operators SET expires_at = NULL WHERE user_id = '@6'$$), (6, $$UPDATE tenancy.operators SET expires_at = now() + '2 hours' WHERE user_id = '@6'$$),
    (7, $$SELECT tenancy.grant_operator('@1', 'read', now() + '1 hour')$$), (8, $$SELECT tenancy.revoke_operator('@1')$$), (9, $$SELECT tenancy.revoke_operator('@3')$$),
    (10, $$DELETE FROM tenancy.operators WHERE user_id = '@1'$$), (11, $$UPDATE tenancy.operators SET access = 'read' WHERE user_id = '@1'$$),
    (12, $$SELECT tenancy.grant_operator('@4', 'read', now() + '1 hour')$$), (13, $$SELECT tenancy.revoke_operator('@4')$$)) c (i, command) ORDER BY c.i;
SELECT right(user_id::text, 1) AS id, access, reason, right(granted_by::text, 1) AS granted_by FROM tenancy.operators WHERE user_id::text LIKE '0a000000%' ORDER BY 1;
-- Whom he made is bounded by him, and so can neither outlast him nor reach him.
SELECT c.command, pg_temp.try(6, c.command) FROM (VALUES
    (1, $$SELECT tenancy.grant_operator('@7', 'write', now() + '3 hours')$$), (2, $$SELECT tenancy.revoke_operator('@2')$$)) c (i, command) ORDER BY c.i;

-- His own row: neither changed nor extended, but given up; and nobody is moved to another user.
SELECT c.command, pg_temp.try(n, c.command) FROM (VALUES
    (1, 2, $$SELECT tenancy.grant_operator('@2', 'write', now() + '1 hour')$$), (2, 2, $$SELECT tenancy.grant_operator('@2', 'write')$$), (3, 1, $$SELECT tenancy.grant_operator('@1', 'write', reason => 'still')$$),
    (4, 2, $$UPDATE tenancy.operators SET expires_at = now() + '1 hour' WHERE user_id = '@2'$$), (5, 2, $$INSERT INTO tenancy.operators (user_id, access) VALUES ('@2', 'write') ON CONFLICT (user_id) DO UPDATE SET expires_at = NULL$$),
    (6, 2, $$SELECT tenancy.revoke_operator('@2')$$), (7, 1, $$UPDATE tenancy.operators SET user_id = '@9' WHERE user_id = '@3'$$), (8, 1, $$UPDATE tenancy.operators SET granted_by = '@9' WHERE user_id = '@3'$$),
    (9, 1, $$TRUNCATE tenancy.operators$$)) c (i, n, command) ORDER BY c.i;

-- Bad arguments.
SELECT c.command, pg_temp.att(1, c.command) FROM (VALUES
    (1, $$SELECT tenancy.grant_operator(NULL, 'read')$$), (2, $$SELECT tenancy.grant_operator('00000000-0000-0000-0000-000000000000', 'read')$$),
    (3, $$SELECT tenancy.grant_operator('@6', 'admin')$$), (4, $$SELECT tenancy.grant_operator('@6', NULL)$$), (5, $$SELECT tenancy.grant_operator('@6', 'read', now())$$),
    (6, $$SELECT tenancy.revoke_operator(NULL)$$), (7, $$SELECT tenancy.revoke_operator('@9')$$),
    (8, $$INSERT INTO tenancy.operators (user_id, access) VALUES ('00000000-0000-0000-0000-000000000000', 'read')$$)) c (i, command) ORDER BY c.i;
-- anon, and a user who is nobody
BEGIN;
SELECT set_config('request.jwt.claims', '{"role":"anon"}', true) IS NOT NULL AS set;
SET LOCAL ROLE anon;
SELECT tenancy.grant_operator(pg_temp.u(9), 'write');
ROLLBACK;

-- The bound is the newest state's, at every isolation level. Where tokens decide who is
-- an operator, how long is still the table's.
SET tenancy.authority = 'claims';
BEGIN;
SELECT tenancy.act_as(pg_temp.u(9), claims => '{"app_metadata":{"tenant_access":"write"}}');
SELECT tenancy.operator_access();
SELECT tenancy.grant_operator(pg_temp.u(8), 'read', now() + interval '1 hour');
ROLLBACK;
RESET tenancy.authority;

-- What operators do with tenants: read sees all of them, archived ones too; write also edits and creates.
SELECT n, pg_temp.try(n, $$SELECT string_agg(slug, ' ' ORDER BY slug) FROM tenancy.tenants WHERE slug LIKE 'operated%'$$) AS sees,
       pg_temp.try(n, $$UPDATE tenancy.tenants SET name = 'Renamed' WHERE slug = 'operated-archived'$$) AS edits,
       pg_temp.try(n, $$SELECT tenancy.set_tenant_status((SELECT id FROM tenancy.tenants WHERE slug = 'operated-archived'), 'active')$$) AS opens,
       pg_temp.try(n, $$SELECT tenancy.create_tenant('operated-new', owner => '@9') IS NOT NULL$$) AS creates
  FROM generate_series(1, 5) n;
-- and nothing of what is in them
CREATE TABLE public.operated (id int, tenant_id uuid);
INSERT INTO public.operated SELECT 1, id FROM tenancy.tenants WHERE slug = 'operated';
GRANT ALL ON public.operated TO authenticated;
SELECT tenancy.protect_table('operated');
SELECT n, pg_temp.try(n, 'SELECT count(*) FROM public.operated') AS rows, pg_temp.try(n, 'SELECT count(*) FROM tenancy.members') AS members,
       pg_temp.try(n, 'SELECT count(*) FROM tenancy.member_roles') AS grants
  FROM generate_series(1, 5) n;
-- In an open session: access ends at the next statement after it was revoked, by anybody.
BEGIN;
SELECT tenancy.act_as(pg_temp.u(3));
SELECT tenancy.operator_access(), (SELECT count(*) FROM tenancy.tenants WHERE slug LIKE 'operated%') AS tenants;
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic = 'operator';
RESET ROLE;
SELECT tenancy.revoke_operator(pg_temp.u(3));
SET LOCAL ROLE authenticated;
SELECT tenancy.operator_access(), (SELECT count(*) FROM tenancy.tenants WHERE slug LIKE 'operated%') AS tenants;
ROLLBACK;
-- granted_by follows the last grantor
SELECT pg_temp.att(1, $$SELECT tenancy.grant_operator('@3', 'write')$$), right(granted_by::text, 1) AS granted_by FROM tenancy.operators WHERE user_id = pg_temp.u(3);
SELECT right(granted_by::text, 1) AS granted_by FROM tenancy.operators WHERE user_id = pg_temp.u(3);
SELECT tenancy.grant_operator(pg_temp.u(3), 'read');
SELECT granted_by FROM tenancy.operators WHERE user_id = pg_temp.u(3);

DROP TABLE public.operated;
DELETE FROM tenancy.operators WHERE user_id::text LIKE '0a000000%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'operated%';
