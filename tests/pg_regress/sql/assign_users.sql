-- Sign-ups: who has a confirmed address that a tenant takes in becomes its member, and nothing that goes wrong there
-- stops the sign-up. The auth server writes as GoTrue does: as a role of its own that knows nothing of tenancy.
\set SHOW_CONTEXT never
\set a '''a5510000-0000-0000-0000-00000000000a'''
\set b '''a5510000-0000-0000-0000-00000000000b'''
\set c '''a5510000-0000-0000-0000-00000000000c'''
CREATE ROLE as_auth_admin NOLOGIN;
CREATE SCHEMA as_auth AUTHORIZATION as_auth_admin;
CREATE TABLE as_auth.users (id uuid PRIMARY KEY, email varchar(255), email_confirmed_at timestamptz, raw_user_meta_data jsonb, updated_at timestamptz, raw_app_meta_data jsonb);
ALTER TABLE as_auth.users OWNER TO as_auth_admin;
INSERT INTO tenancy.tenants (id, slug, name, created_at) VALUES (:b, 'asu-b', 'B', '2020-01-02'), (:a, 'asu-a', 'A', '2020-01-01'), (:c, 'asu-c', 'C', '2020-01-03');
SELECT tenancy.create_permission('asu.read') IS NOT NULL, tenancy.create_role('asu_reader', '{asu.read}') IS NOT NULL, tenancy.create_role('asu own', '{asu.read}', :a) IS NOT NULL, tenancy.create_role('asu_gone') IS NOT NULL;
SELECT tenancy.attach_users('as_auth.users');
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'as_auth.users'::regclass AND tgname LIKE '%assign%' ORDER BY 1;

-- A sign-up as GoTrue writes it: the row, then the confirmation in an update of its own. A uuid's last digits are the user.
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT ('a5510000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.memberships(n int) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(' ', t.slug, nullif(m.status, 'active'), (SELECT string_agg(r.name, ',' ORDER BY r.name) FROM tenancy.member_roles g JOIN tenancy.roles r ON r.id = g.role_id
                                         WHERE g.tenant_id = m.tenant_id AND g.user_id = m.user_id)), '; ' ORDER BY t.slug), '-')
      FROM tenancy.members m JOIN tenancy.tenants t ON t.id = m.tenant_id WHERE m.user_id = pg_temp.id(n)
$$;
CREATE FUNCTION pg_temp.sign_up(n int, email text, confirmed boolean DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('role', 'as_auth_admin', true);
    INSERT INTO as_auth.users (id, email) VALUES (pg_temp.id(n), sign_up.email);
    IF confirmed THEN
        UPDATE as_auth.users SET email_confirmed_at = now(), updated_at = now() WHERE id = pg_temp.id(n);
    END IF;
    PERFORM set_config('role', 'none', true);
    RETURN pg_temp.memberships(n);
END
$$;
CREATE FUNCTION pg_temp.failures() RETURNS TABLE (what text, of_user text, sqlstate text, message text) LANGUAGE sql AS $$
    WITH d AS (DELETE FROM tenancy.sync_failures RETURNING *) SELECT what, right(user_id::text, 4), sqlstate, message FROM d ORDER BY failed_at
$$;
SELECT tenancy.set_auto_assignment(:a, '{a.example}', '.*@(b|both)\.example', '{asu_reader,asu own,asu_reader}'),
       tenancy.set_auto_assignment(:b, '{b.example,both.example,gone.example}', default_roles => '{asu_gone,asu_reader}'), tenancy.set_auto_assignment(:c, '{a.example,c.example}', '.*@(shared|late)\.example');
SELECT pg_temp.sign_up(1, 'Ann@A.example') AS by_domain_of_two_the_first_created, pg_temp.sign_up(2, 'bob@b.example') AS domain_before_pattern, pg_temp.sign_up(3, 'cy@late.example') AS by_pattern,
       pg_temp.sign_up(4, 'dan@elsewhere.example') AS nobodys, pg_temp.sign_up(5, 'eve@sub.a.example') AS not_below, pg_temp.sign_up(6, 'a@evil.example@a.example') AS two_ats,
       pg_temp.sign_up(7, NULL) AS no_address, pg_temp.sign_up(8, repeat('x', 240) || '@a.example') AS no_address_either;
-- Roles are held at once, and projected for the token; the grant is nobody's.
SELECT raw_app_meta_data FROM as_auth.users WHERE id = pg_temp.id(1);
SELECT granted_by FROM tenancy.member_roles WHERE user_id = pg_temp.id(1) GROUP BY 1;
BEGIN; SELECT tenancy.act_as(pg_temp.id(1)); SELECT tenancy.has_permission('asu.read'), tenancy.current_tenant_id() = :a AS in_a; COMMIT;

-- Unconfirmed is nobody's, until it is confirmed; confirmed at once is at once. A later change of address, or a second confirmation, assigns nothing.
SELECT pg_temp.sign_up(10, 'jo@a.example', false) AS unconfirmed;
UPDATE as_auth.users SET raw_user_meta_data = '{"email":"jo@a.example","email_verified":true}' WHERE id = pg_temp.id(10);
SELECT pg_temp.memberships(10) AS says_so_himself;
UPDATE as_auth.users SET email = 'jo@b.example', email_confirmed_at = now() WHERE id = pg_temp.id(10);
SELECT pg_temp.memberships(10) AS confirmed_with_another_address;
INSERT INTO as_auth.users VALUES (pg_temp.id(11), 'kay@c.example', now());
SELECT pg_temp.memberships(11) AS confirmed_at_once;
UPDATE as_auth.users SET email = 'kay@b.example' WHERE id = pg_temp.id(11);
UPDATE as_auth.users SET email_confirmed_at = now() + interval '1 second' WHERE id = pg_temp.id(11);
SELECT pg_temp.memberships(11) AS changed_address;
-- Many at once.
INSERT INTO as_auth.users SELECT pg_temp.id(1000 + n), 'u' || n || '@' || (ARRAY['a.example', 'x.example'])[n % 2 + 1], now() FROM generate_series(1, 100) n;
SELECT count(*) FROM tenancy.members WHERE user_id BETWEEN pg_temp.id(1001) AND pg_temp.id(1100);

-- An existing membership stays as it is, even suspended and without roles.
INSERT INTO as_auth.users (id, email) VALUES (pg_temp.id(12), 'lee@a.example');
INSERT INTO tenancy.members (tenant_id, user_id, status) VALUES (:a, pg_temp.id(12), 'suspended');
UPDATE as_auth.users SET email_confirmed_at = now() WHERE id = pg_temp.id(12);
SELECT pg_temp.memberships(12) AS as_he_was;
-- Only active tenants take in.
SELECT s AS status_of_a, tenancy.set_tenant_status(:a, s), pg_temp.sign_up(20 + n::int, 'mo@a.example') AS next_one, pg_temp.sign_up(30 + n::int, 'ned@b.example') FROM unnest(ARRAY['read_only', 'suspended', 'archived']) WITH ORDINALITY v (s, n);
SELECT tenancy.set_tenant_status(:a, 'active'), tenancy.set_tenant_status(:c, 'suspended');
SELECT pg_temp.sign_up(39, 'nel@late.example') AS by_pattern_neither;
SELECT tenancy.set_tenant_status(:c, 'active');
SELECT * FROM pg_temp.failures();

-- A default role that is gone: the others are given, and it is recorded.
SELECT tenancy.drop_role('asu_gone', cascade => true);
SELECT pg_temp.sign_up(40, 'oz@gone.example');
SELECT * FROM pg_temp.failures();
-- A failing assignment does not stop the sign-up. Once what failed is mended, assign_users() makes up for it.
CREATE FUNCTION public.asu_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no more members'; END $$;
CREATE TRIGGER asu_refuse BEFORE INSERT ON tenancy.members FOR EACH ROW EXECUTE FUNCTION public.asu_refuse();
SELECT pg_temp.sign_up(41, 'pat@a.example'), pg_temp.sign_up(42, 'pia@elsewhere.example');
SELECT count(*) AS signed_up FROM as_auth.users WHERE id IN (pg_temp.id(41), pg_temp.id(42)) AND email_confirmed_at IS NOT NULL;
-- Not even when the failure cannot be recorded either.
CREATE TRIGGER asu_refuse BEFORE INSERT ON tenancy.sync_failures FOR EACH ROW EXECUTE FUNCTION public.asu_refuse();
SELECT pg_temp.sign_up(43, 'quinn@a.example');
SELECT count(*) AS signed_up FROM as_auth.users WHERE id = pg_temp.id(43);
DROP TRIGGER asu_refuse ON tenancy.sync_failures;
DROP TRIGGER asu_refuse ON tenancy.members;
SELECT what, right(user_id::text, 4), sqlstate, message FROM tenancy.sync_failures;
SELECT tenancy.assign_users() AS those_that_failed, pg_temp.memberships(41);
SELECT count(*) AS left FROM tenancy.sync_failures;
SELECT tenancy.assign_users(pg_temp.id(43)) AS one, pg_temp.memberships(43), tenancy.assign_users() AS again;
SELECT tenancy.assign_users(pg_temp.id(4)) AS nobodys, tenancy.assign_users(pg_temp.id(999)) AS nobody, tenancy.assign_users(pg_temp.id(1)) AS member_already;
INSERT INTO as_auth.users VALUES (pg_temp.id(44), 'rob@a.example', NULL);
SELECT tenancy.assign_users(pg_temp.id(44)) AS unconfirmed;
SELECT test.attempt(pg_temp.id(1), $$SELECT tenancy.assign_users()$$), test.attempt(pg_temp.id(1), $$SELECT tenancy.tenant_for_email('x@a.example')$$), test.attempt(pg_temp.id(1), $$SELECT tenancy.assign_by_email(tenancy.current_user_id(), 'x@b.example')$$);
-- The kill switch.
SET tenancy.auto_assignment = off;
SELECT pg_temp.sign_up(45, 'sam@a.example') AS switched_off;
RESET tenancy.auto_assignment;
SELECT test.attempt(pg_temp.id(1), $$SELECT set_config('tenancy.auto_assignment', 'off', true)$$);
-- Evil patterns take linear time, whatever is signed up with.
SELECT tenancy.set_auto_assignment(:c, email_pattern => '(([a-z]+)+\.?)+@(.+)+$');
SET statement_timeout = '20s';
SELECT pg_temp.sign_up(46, repeat('a', 64) || '@' || repeat('a.', 60) || 'b1');
SELECT pg_temp.sign_up(47, repeat('a', 60) || '!@' || repeat('a.', 60) || 'bc');
RESET statement_timeout;
SELECT tenancy.set_auto_assignment(:c);
-- A tenant's own admin cannot capture sign-ups: what he may edit takes nobody in.
SELECT tenancy.create_role('asu_admin', '{all}') IS NOT NULL, tenancy.grant_role(:a, pg_temp.id(1), 'asu_admin');
SELECT test.attempt(pg_temp.id(1), $$UPDATE tenancy.tenants SET email_domains = '{gmail.com}', default_roles = '{asu_admin}' WHERE slug = 'asu-a'$$),
       test.attempt(pg_temp.id(1), $$UPDATE tenancy.tenants SET metadata = '{"email_domains":["gmail.com"]}' WHERE slug = 'asu-a'$$);
SELECT pg_temp.sign_up(48, 'victim@gmail.com');
-- Nothing planted in the way is run as the owner.
CREATE FUNCTION pg_temp.email_matches(text, text[], text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE TEMP TABLE tenants AS SELECT * FROM tenancy.tenants;
SELECT pg_temp.sign_up(49, 'tom@planted.example');
SELECT * FROM pg_temp.failures();

-- A plain table with a boolean; columns that are missing turn it off.
SELECT tenancy.detach_users();
DELETE FROM tenancy.members WHERE user_id::text LIKE 'a5510000%';
CREATE TABLE public.asu_users (id uuid PRIMARY KEY, email text, verified boolean);
SELECT tenancy.attach_users('public.asu_users', email_confirmed_column => 'verified', app_metadata_column => NULL, user_metadata_column => NULL);
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'public.asu_users'::regclass AND tgname LIKE '%assign%' ORDER BY tgname;
INSERT INTO public.asu_users VALUES (pg_temp.id(50), 'ann@a.example', true), (pg_temp.id(51), 'bob@a.example', false), (pg_temp.id(52), 'cy@a.example', NULL), (pg_temp.id(53), 'dan@a.example', NULL);
SELECT n, pg_temp.memberships(n) FROM generate_series(50, 53) n;
UPDATE public.asu_users SET verified = true WHERE id <> pg_temp.id(53);
SELECT n, pg_temp.memberships(n) FROM generate_series(50, 53) n;
UPDATE public.asu_users SET verified = false; DELETE FROM tenancy.members WHERE user_id = pg_temp.id(50); UPDATE public.asu_users SET verified = true WHERE id = pg_temp.id(50);
SELECT pg_temp.memberships(50) AS confirmed_again;
-- An application's user who inserts his own row, as through PostgREST: confirmed is what the host says, not he.
ALTER TABLE public.asu_users ALTER verified SET DEFAULT false;
GRANT INSERT (id, email) ON public.asu_users TO authenticated;
SELECT test.attempt(pg_temp.id(54), format('INSERT INTO public.asu_users (id, email) VALUES (%L, %L)', pg_temp.id(54), 'eve@a.example')), pg_temp.memberships(54);
SELECT tenancy.detach_users();
SELECT tenancy.attach_users('public.asu_users', email_confirmed_column => NULL, app_metadata_column => NULL, user_metadata_column => NULL);
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.asu_users'::regclass AND tgname LIKE '%assign%';
SELECT test.attempt(NULL, 'SELECT tenancy.assign_users()');
SELECT tenancy.detach_users();

DELETE FROM tenancy.members WHERE user_id::text LIKE 'a5510000%';
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_tenant(:c), tenancy.drop_role('asu_reader'), tenancy.drop_role('asu_admin'), tenancy.drop_permission('asu.read');
DROP TABLE public.asu_users; DROP FUNCTION public.asu_refuse(); DROP SCHEMA as_auth CASCADE; DROP ROLE as_auth_admin;
