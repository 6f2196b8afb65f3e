-- Profiles: made at sign-up and for who is there, copied into the user metadata, seen and edited inside a shared tenant.
\set SHOW_CONTEXT never
\set a '''bf000000-0000-0000-0000-00000000000a'''
\set b '''bf000000-0000-0000-0000-00000000000b'''
SET timezone = 'UTC';
CREATE ROLE pf_auth_admin NOLOGIN;
CREATE SCHEMA pf_auth;
CREATE TABLE pf_auth.users (id uuid PRIMARY KEY, email varchar(255), email_confirmed_at timestamptz, raw_user_meta_data jsonb, updated_at timestamptz, raw_app_meta_data jsonb,
    confirmed_at timestamptz GENERATED ALWAYS AS (email_confirmed_at) STORED, is_anonymous boolean NOT NULL DEFAULT false, "odd Name" int[] DEFAULT $${1,2}$$);
GRANT USAGE ON SCHEMA pf_auth TO pf_auth_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON pf_auth.users TO pf_auth_admin;
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql AS $$ SELECT ('bf000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.attempt(who int, command text) RETURNS text LANGUAGE sql AS $$ SELECT test.attempt(pg_temp.id(who), command) $$;
-- What is told of a profile and of metadata: all but the times.
CREATE FUNCTION pg_temp.profile(n int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_strip_nulls(to_jsonb(p)) - '{user_id,created_at,updated_at}'::text[] FROM tenancy.user_profiles p WHERE user_id = pg_temp.id(n) $$;
CREATE FUNCTION pg_temp.metadata(n int) RETURNS jsonb LANGUAGE sql AS $$ SELECT CASE jsonb_typeof(raw_user_meta_data) WHEN 'object' THEN raw_user_meta_data - '{created_at,updated_at}'::text[] ELSE raw_user_meta_data END FROM pf_auth.users WHERE id = pg_temp.id(n) $$;
CREATE FUNCTION pg_temp.equal(n int) RETURNS boolean LANGUAGE sql AS $$
    SELECT jsonb_strip_nulls(to_jsonb(p)) - 'user_id' = (SELECT jsonb_object_agg(k, v) FROM jsonb_each(CASE jsonb_typeof(u.raw_user_meta_data) WHEN 'object' THEN u.raw_user_meta_data ELSE '{}' END) e (k, v) WHERE k = ANY (tenancy.profile_keys()))
      FROM tenancy.user_profiles p JOIN pf_auth.users u ON u.id = p.user_id WHERE user_id = pg_temp.id(n)
$$;
-- As the auth server: a role that knows nothing of tenancy.
CREATE FUNCTION pg_temp.as_auth(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE changed bigint;
BEGIN
    PERFORM set_config('role', 'pf_auth_admin', true);
    EXECUTE command;
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM set_config('role', 'none', true);
    RETURN changed || ' row(s)';
END
$$;
CREATE FUNCTION pg_temp.failures() RETURNS TABLE (what text, of_user text, sqlstate text, message text) LANGUAGE sql AS $$
    WITH d AS (DELETE FROM tenancy.sync_failures RETURNING *) SELECT what, right(user_id::text, 4), sqlstate, message FROM d ORDER BY failed_at
$$;

SELECT tenancy.enable_profiles();
-- Users that are there already.
INSERT INTO pf_auth.users (id, email, raw_user_meta_data) VALUES (pg_temp.id(1), 'ann@pf.example', NULL), (pg_temp.id(2), 'bob@pf.example', '{"full_name":"Bob B.","mine":{"a":[1]},"avatar_url":"https://img.example/bob.png"}');
SELECT tenancy.attach_users('pf_auth.users');
SELECT count(*) AS before FROM tenancy.user_profiles;
SELECT tenancy.enable_profiles();
SELECT n, pg_temp.profile(n), pg_temp.metadata(n), pg_temp.equal(n) FROM generate_series(1, 2) n;
SELECT tenancy.enable_profiles() AS again;
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'pf_auth.users'::regclass AND tgname LIKE '%profile%' ORDER BY 1;

-- At sign-up: what fits of what a stranger says, under the names that GoTrue and OpenID use too. What does not fit is left out.
CREATE FUNCTION pg_temp.sign_up(n int, metadata jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.as_auth(format('INSERT INTO pf_auth.users (id, email, raw_user_meta_data) VALUES (%L, %L, %L)', pg_temp.id(n), 'Cy@pf.example', metadata));
    RETURN pg_temp.profile(n);
END
$$;
SELECT n, pg_temp.sign_up(n::int, m) FROM unnest(ARRAY[
    '{"first_name":"Cy","last_name":"C.","display_name":"cy","salutation":"Ms","title":"Dr.","avatar_url":"https://img.example/c","website_url":"http://c.example/","time_zone":"Europe/London","language":"en-GB","birthday_date":"2000-02-29","phone":"+1 555"}',
    '{"given_name":"Dee","family_name":"D.","name":"Dee D.","picture":"https://img.example/d","website":"https://d.example","zoneinfo":"Asia/Kolkata","locale":"pt_BR","birthdate":"1999-12-31","sub":"1"}',
    '{"first_name":"","last_name":"a\nb","display_name":7,"avatar_url":"javascript:alert(1)","website_url":"data:text/html,x","time_zone":"Mars/Olympus","language":"EN","birthday_date":"2001-02-30","phone":["1"]}',
    '{"time_zone":"EST5EDT4","language":"english please","birthday_date":"yesterday"}', '[1,2]', '"text"', 'null', NULL]::jsonb[]) WITH ORDINALITY v (m, i), LATERAL (SELECT 9 + i) l (n);
SELECT n, pg_temp.metadata(n), pg_temp.equal(n) FROM generate_series(10, 17) n;
SELECT pg_temp.sign_up(18, jsonb_build_object('first_name', repeat('x', 201), 'last_name', repeat('y', 200), 'avatar_url', 'https://' || repeat('z', 2000))) -> 'last_name' IS NOT NULL AS fits, pg_temp.profile(18) ?| '{first_name,avatar_url}' AS too_long;
SELECT * FROM pg_temp.failures();

-- Every change is copied; nothing else of the metadata is touched; what changes nothing changes nothing.
UPDATE tenancy.user_profiles SET title = 'Prof.', time_zone = 'America/Port-au-Prince' WHERE user_id = pg_temp.id(2);
UPDATE tenancy.user_profiles SET avatar_url = NULL WHERE user_id = pg_temp.id(2);
SELECT pg_temp.metadata(2), pg_temp.equal(2);
SELECT u.xmin AS before, p.updated_at AS at FROM pf_auth.users u JOIN tenancy.user_profiles p ON p.user_id = u.id WHERE u.id = pg_temp.id(2) \gset
UPDATE tenancy.user_profiles SET title = 'Prof.' WHERE user_id = pg_temp.id(2);
SELECT u.xmin = :before AS users_row_untouched, p.updated_at = :'at' AS same_time FROM pf_auth.users u JOIN tenancy.user_profiles p ON p.user_id = u.id WHERE u.id = pg_temp.id(2);
UPDATE tenancy.user_profiles SET title = 'Dr.', updated_at = '2000-01-01' WHERE user_id = pg_temp.id(2);
SELECT updated_at > :'at' AS later, updated_at > created_at AS than_creation FROM tenancy.user_profiles WHERE user_id = pg_temp.id(2);
-- GoTrue writes the whole column from a copy it read before, or what a user asked it to: ours comes back, the rest is his.
SELECT pg_temp.as_auth(format($$UPDATE pf_auth.users SET raw_user_meta_data = '{"full_name":"Bobby","title":"King","avatar_url":"https://evil.example/x","new":1}', updated_at = now() WHERE id = %L$$, pg_temp.id(2)));
SELECT pg_temp.metadata(2), pg_temp.equal(2);
SELECT pg_temp.as_auth(format($$UPDATE pf_auth.users SET raw_user_meta_data = NULL, email_confirmed_at = '2026-01-01', is_anonymous = true WHERE id = %L$$, pg_temp.id(2)));
SELECT email, confirmed_at = '2026-01-01' AS generated, is_anonymous, "odd Name" FROM pf_auth.users WHERE id = pg_temp.id(2);
SELECT pg_temp.metadata(2), pg_temp.equal(2);
SELECT pg_temp.as_auth(format($$UPDATE pf_auth.users SET raw_user_meta_data = '[]' WHERE id = %L$$, pg_temp.id(2))), pg_temp.metadata(2) AS before_it;
SELECT pg_temp.metadata(2) AS no_object_is_left_alone;
-- A failing copy, and a failing profile, stop neither the sign-up nor the edit; enable_profiles() mends.
ALTER TABLE pf_auth.users ADD CONSTRAINT no_title CHECK (raw_user_meta_data ->> 'title' IS DISTINCT FROM 'Dr. h.c.');
UPDATE tenancy.user_profiles SET title = CASE user_id WHEN pg_temp.id(10) THEN 'Dr. h.c.' ELSE 'Dr.' END WHERE user_id IN (pg_temp.id(10), pg_temp.id(11));
SELECT n, pg_temp.profile(n) ->> 'title' AS profile, pg_temp.metadata(n) ->> 'title' AS metadata FROM generate_series(10, 11) n;
SELECT pg_temp.sign_up(20, '{"title":"Dr."}') ->> 'title' AS signed_up;
CREATE FUNCTION public.pf_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no more profiles'; END $$;
CREATE TRIGGER pf_refuse BEFORE INSERT ON tenancy.user_profiles FOR EACH ROW EXECUTE FUNCTION public.pf_refuse();
SELECT pg_temp.sign_up(21, '{}') AS no_profile;
SELECT count(*) AS but_signed_up FROM pf_auth.users WHERE id = pg_temp.id(21);
DROP TRIGGER pf_refuse ON tenancy.user_profiles;
SELECT what, right(user_id::text, 4), sqlstate, replace(message, 'pf_auth.', '') FROM tenancy.sync_failures ORDER BY failed_at;
ALTER TABLE pf_auth.users DROP CONSTRAINT no_title;
SELECT tenancy.enable_profiles() AS mended;
SELECT count(*) FILTER (WHERE pg_temp.equal(n)) AS equal, count(pg_temp.profile(21)) AS made FROM (VALUES (10), (11), (21)) v (n);
SELECT count(*) AS failures FROM tenancy.sync_failures;
-- A profile that cannot be read does not stop the auth server either.
ALTER TABLE tenancy.user_profiles RENAME COLUMN user_id TO was_user_id;
SELECT pg_temp.as_auth(format($$UPDATE pf_auth.users SET raw_user_meta_data = '{"a":1}' WHERE id = %L$$, pg_temp.id(2)));
ALTER TABLE tenancy.user_profiles RENAME COLUMN was_user_id TO user_id;
SELECT * FROM pg_temp.failures();
SELECT tenancy.enable_profiles() AS mended;
SELECT pg_temp.equal(2);

-- The default picture: none, by id, or by address if asked for.
SELECT template, set_config('tenancy.profile_avatar_url', template, false) = template AS set, pg_temp.sign_up(29 + n::int, '{}') ->> 'avatar_url' AS avatar
  FROM unnest(ARRAY['https://img.example/{user_id}.svg', 'https://img.example/{user_md5}', 'https://gravatar.example/{email_md5}?d=x', 'no address']) WITH ORDINALITY v (template, n);
SELECT md5(pg_temp.id(31)::text), md5('cy@pf.example');
SELECT pg_temp.sign_up(34, '{"avatar_url":"https://own.example/x"}') ->> 'avatar_url' AS his_own;
RESET tenancy.profile_avatar_url;
SELECT pg_temp.attempt(1, $$SELECT set_config('tenancy.profile_avatar_url', 'https://evil.example/{email_md5}', true)$$);

-- What a profile may hold.
\pset format unaligned
\pset tuples_only on
SELECT command, pg_temp.attempt(1, 'UPDATE tenancy.user_profiles SET ' || command || ' WHERE user_id = tenancy.current_user_id()') FROM unnest(ARRAY[
    $$time_zone = 'Europe/Kiev', language = 'de'$$, $$time_zone = 'Etc/GMT+3'$$, $$time_zone = 'UTC'$$, $$time_zone = 'Mars/Olympus'$$, $$time_zone = 'Foo/Bar+3'$$, $$time_zone = 'FOO+3'$$, $$time_zone = 'europe/london'$$, $$time_zone = 'posix/UTC'$$,
    $$time_zone = ''$$, $$time_zone = NULL$$, $$time_zone = '<x>'';DROP TABLE x;--'$$, $$language = 'en-US'$$, $$language = 'zh-Hant-TW'$$, $$language = 'sl-rozaj-biske'$$, $$language = 'de-DE-u-co-phonebk'$$, $$language = 'es-419'$$, $$language = 'x'$$, $$language = 'EN'$$, $$language = 'en_US'$$,
    $$language = 'en-'$$, $$language = NULL$$, $$avatar_url = 'javascript:alert(1)'$$, $$website_url = 'https://x y'$$, $$avatar_url = 'https://ok.example/a.png?x=1#y', website_url = NULL$$, $$first_name = ''$$, $$first_name = E'a\nb'$$, $$last_name = repeat('x', 201)$$, $$phone = '+49 1', birthday_date = '2000-01-01'$$,
    $$user_id = gen_random_uuid()$$, $$created_at = now()$$, $$updated_at = now()$$]) command;
SELECT command, test.attempt(NULL, command) FROM unnest(ARRAY[$$UPDATE tenancy.user_profiles SET user_id = gen_random_uuid() WHERE user_id = 'bf000000-0000-0000-0000-000000000001'$$, $$INSERT INTO tenancy.user_profiles (user_id, time_zone) VALUES ('bf000000-0000-0000-0000-000000000099', 'Mars/Olympus')$$,
    $$INSERT INTO tenancy.user_profiles (user_id) VALUES ('bf000000-0000-0000-0000-000000000099')$$]) command;
\pset tuples_only off
\pset format aligned

-- Who sees and edits whom: 1 is in a and edits there; 2 in a; 3 in a and b, editing in b; 4 in b; 5 in neither; 6 suspended in a.
SELECT pg_temp.sign_up(n, '{}') IS NOT NULL FROM generate_series(3, 6) n;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'pf-a', 'A'), (:b, 'pf-b', 'B');
SELECT tenancy.create_role('pf_editor', '{profiles.edit}') IS NOT NULL;
SELECT count(tenancy.add_member(t, pg_temp.id(n), r::text[])) FROM (VALUES (:a::uuid, 1, '{pf_editor}'), (:a, 2, '{}'), (:a, 3, '{}'), (:b, 3, '{pf_editor}'), (:b, 4, '{}'), (:a, 6, '{}')) v (t, n, r);
SELECT tenancy.set_member_status(:a, pg_temp.id(6), 'suspended');
CREATE FUNCTION pg_temp.reach(who int) RETURNS TABLE (sees text, edits text) LANGUAGE plpgsql AS $$
BEGIN
    IF who = 0 THEN PERFORM set_config('role', 'anon', true); ELSE PERFORM tenancy.act_as(pg_temp.id(who)); END IF;
    SELECT string_agg(right(user_id::text, 1), '' ORDER BY user_id) INTO sees FROM tenancy.user_profiles;
    WITH u AS (UPDATE tenancy.user_profiles SET title = 'by ' || who RETURNING user_id) SELECT string_agg(right(user_id::text, 1), '' ORDER BY user_id) INTO edits FROM u;
    RAISE EXCEPTION USING ERRCODE = 'P0UND';
EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE <> 'P0UND' THEN sees := SQLSTATE || ' ' || SQLERRM; END IF;
    RETURN NEXT;
END
$$;
SELECT who, r.* FROM generate_series(0, 6) who, pg_temp.reach(who) r;
-- Permission is asked in the tenant that both share, whichever is active.
BEGIN; SELECT tenancy.act_as(pg_temp.id(3), :b); UPDATE tenancy.user_profiles SET title = 'x' WHERE user_id = pg_temp.id(2) RETURNING 'edited in a'; ROLLBACK;
SELECT tenancy.set_tenant_status(:a, 'read_only'); SELECT * FROM pg_temp.reach(1);
SELECT tenancy.set_tenant_status(:a, 'suspended'); SELECT * FROM pg_temp.reach(1);
SELECT tenancy.set_tenant_status(:a, 'active'); SELECT * FROM pg_temp.reach(1);
-- Neither needs, nor gives, members.read: the view says nothing more than the profiles do, to nobody without them.
BEGIN; SELECT tenancy.act_as(pg_temp.id(2)); SELECT count(*) AS members_seen FROM tenancy.members; SELECT array_agg(DISTINCT right(user_id::text, 1)) AS colleagues FROM tenancy.colleagues;
-- A condition of the caller's own sees no row that he may not.
CREATE FUNCTION pg_temp.tell(uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'told of %', right($1::text, 4); RETURN true; END $$;
SELECT count(*) FROM tenancy.colleagues WHERE pg_temp.tell(user_id);
SELECT count(*) FROM tenancy.user_profiles WHERE pg_temp.tell(user_id);
ROLLBACK;
-- Insert and delete are nobody's but the administrators'.
SELECT pg_temp.attempt(1, $$INSERT INTO tenancy.user_profiles (user_id) VALUES (tenancy.current_user_id())$$), pg_temp.attempt(1, $$DELETE FROM tenancy.user_profiles$$), pg_temp.attempt(1, $$SELECT tenancy.enable_profiles()$$), pg_temp.attempt(1, $$SELECT tenancy.disable_profiles()$$);
-- A profile goes with its user.
DELETE FROM pf_auth.users WHERE id = pg_temp.id(6);
SELECT pg_temp.profile(6) AS gone;
-- Also where a restore left the foreign key out; attach_users() puts it back.
ALTER TABLE tenancy.user_profiles DROP CONSTRAINT user_profiles_user_id_fkey;
DELETE FROM pf_auth.users WHERE id = pg_temp.id(20);
SELECT pg_temp.profile(20) AS gone, tenancy.attach_users('pf_auth.users') AS mended, tenancy.enable_profiles() AS nothing_else;

-- Off: nothing is made or copied any more, and what there is stays; on again: all is made good.
SELECT tenancy.disable_profiles(), tenancy.disable_profiles() AS again;
SELECT pg_temp.sign_up(40, '{"title":"Dr."}') AS none;
UPDATE tenancy.user_profiles SET title = 'Sir' WHERE user_id = pg_temp.id(1);
SELECT pg_temp.as_auth(format($$UPDATE pf_auth.users SET raw_user_meta_data = '{"title":"Dame"}' WHERE id = %L$$, pg_temp.id(3)));
SELECT pg_temp.metadata(1) ->> 'title' AS not_copied, pg_temp.metadata(3) AS not_kept, pg_temp.profile(1) ->> 'title' AS stays;
SELECT tenancy.enable_profiles();
SELECT pg_temp.metadata(1) ->> 'title' AS copied, pg_temp.metadata(3) AS ours_again, pg_temp.profile(40) AS made;
SELECT tenancy.disable_profiles(drop_data => true), tenancy.disable_profiles(drop_data => true) AS again;
SELECT count(*) FROM tenancy.user_profiles;
BEGIN; SELECT tenancy.act_as(pg_temp.id(2)); SELECT count(*) AS colleagues FROM tenancy.colleagues; ROLLBACK;
SELECT tenancy.detach_users();
-- A plain table without metadata: profiles, and no copying.
CREATE TABLE public.pf_users (id uuid PRIMARY KEY, email text);
INSERT INTO public.pf_users SELECT id, email FROM pf_auth.users;
SELECT tenancy.attach_users('public.pf_users', app_metadata_column => NULL, user_metadata_column => NULL, email_confirmed_column => NULL);
SELECT tenancy.enable_profiles();
INSERT INTO public.pf_users VALUES (pg_temp.id(50), 'eve@pf.example');
SELECT pg_temp.profile(50), (SELECT count(*) = (SELECT count(*) FROM tenancy.user_profiles) FROM public.pf_users) AS each_has_one;
SELECT pg_temp.attempt(50, $$UPDATE tenancy.user_profiles SET display_name = 'Eve'$$);
SELECT * FROM pg_temp.failures();
-- Detached is off; attached again it stays off until enabled.
SELECT tenancy.detach_users();
INSERT INTO public.pf_users VALUES (pg_temp.id(51), NULL);
SELECT tenancy.attach_users('public.pf_users', app_metadata_column => NULL, user_metadata_column => NULL, email_confirmed_column => NULL);
INSERT INTO public.pf_users VALUES (pg_temp.id(52), NULL);
SELECT pg_temp.profile(51), pg_temp.profile(52), pg_temp.profile(50) AS kept;
SELECT tenancy.disable_profiles(true), tenancy.detach_users(), tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_role('pf_editor', cascade => true);
DROP TABLE public.pf_users; DROP FUNCTION public.pf_refuse(); DROP SCHEMA pf_auth CASCADE; DROP ROLE pf_auth_admin;
