-- Users whose sub is no uuid: tenancy.subjects says whose it is, and nobody else's word does.
\set a '''5b700000-0000-0000-0000-00000000000a'''
\set ann '''5b700000-0000-0000-0000-0000000000e1'''
\set SHOW_CONTEXT never
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES (:a, 'mapped-a', 'A', '42');
SELECT tenancy.create_permission('mapped.read') IS NULL, tenancy.create_role('mapped_reader', '{mapped.read}') IS NOT NULL;
SELECT tenancy.add_member(:a, :ann, '{mapped_reader}');
CREATE ROLE mapped_app NOLOGIN;
CREATE ROLE mapped_other NOLOGIN;
CREATE ROLE mapped_bypass NOLOGIN BYPASSRLS;
SELECT tenancy.enable_role('mapped_app'), tenancy.enable_role('mapped_other'), tenancy.enable_role('mapped_bypass'), tenancy.trust_caller('mapped_app');
CREATE FUNCTION pg_temp.as_role(db_role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('role', db_role, true);
    EXECUTE command INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN coalesce(answer, 'ok');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
-- Who a token is, whose sub is written like this.
CREATE FUNCTION pg_temp.who(sub text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', format('{"sub": %s, "tenant_id": 42}', sub), true);
    RETURN concat_ws(' ', coalesce(right(tenancy.current_user_id()::text, 2), 'nobody'), tenancy.current_tenant_key(), CASE WHEN tenancy.has_permission('mapped.read') THEN 'reads' END);
END
$$;
CREATE FUNCTION pg_temp.identified(subject text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.set_identity(subject, '42');
    RETURN concat_ws(' ', coalesce(right(tenancy.current_user_id()::text, 2), 'nobody'), tenancy.current_tenant_key(), CASE WHEN tenancy.has_permission('mapped.read') THEN 'reads' END);
END
$$;

-- By default the table says nothing.
SELECT current_setting('tenancy.subject_format') AS subject_format;
INSERT INTO tenancy.subjects (subject, user_id) VALUES ('17', :ann), ('auth0|ann', :ann), ('Ännchen', :ann);
SELECT pg_temp.who('17'), pg_temp.who('"17"'), pg_temp.who('"auth0|ann"'), pg_temp.who('"5b700000-0000-0000-0000-0000000000e1"');
SELECT pg_temp.as_role('mapped_app', 'SET tenancy.subject_format = mapped');
SET tenancy.subject_format = 'numbers';
SET tenancy.subject_format = mapped;
-- A uuid is nobody's by itself then; text counts as it is, a number as it is written canonically.
SELECT left(sub, 40) AS sub, pg_temp.who(sub) FROM unnest(ARRAY['17', '"17"', '17.0', '1.7e1', '017', '"017"', '" 17"', '"17 "', '-17', '170', '"auth0|ann"', '"AUTH0|ANN"', '"auth0|an"', '"auth0|anna"', '"Ännchen"', '"\u00c4nnchen"', '"A\u0308nnchen"',
    '"5b700000-0000-0000-0000-0000000000e1"', '""', 'null', 'true', '["17"]', '{"sub":"17"}', '18446744073709551616', '"\u0000"', format('"%s"', repeat('x', 1025))]) sub;
SELECT pg_temp.identified(subject) AS stated FROM unnest(ARRAY['17', 'auth0|ann', 'Ännchen', '5b700000-0000-0000-0000-0000000000e1', 'nobody', repeat('x', 1024)]) subject;
SELECT pg_temp.as_role('mapped_app', format('SELECT tenancy.set_identity(%L::text)', subject)) FROM unnest(ARRAY['', NULL, repeat('x', 1025), repeat('ä', 513)]) subject;
-- The user's own id is as good, from who may say it.
BEGIN;
SELECT tenancy.set_identity(:ann::uuid), right(tenancy.current_user_id()::text, 2);
SELECT tenancy.set_identity('17'), right(tenancy.current_user_id()::text, 2), tenancy.current_tenant_key();
ROLLBACK;
-- An unknown subject is told so, and no claims count beside it.
BEGIN;
SELECT set_config('request.jwt.claims', '{"sub": "17"}', true) IS NOT NULL AS set;
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic IN ('identity', 'claims', 'user');
SELECT set_config('request.jwt.claims', '{"sub": "18"}', true) IS NOT NULL AS set;
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic IN ('identity', 'claims', 'user');
SELECT set_config('request.jwt.claims', '{"sub": "17"}', true) IS NOT NULL AS set, tenancy.set_identity('18');
SELECT tenancy.current_user_id(), tenancy.current_actor(), tenancy.claims();
SELECT topic, finding, hint FROM tenancy.diagnose() WHERE topic IN ('identity', 'claims', 'user');
ROLLBACK;

-- map_subject: the same user each time; for trusted callers and administrators.
SELECT tenancy.map_subject('17') = :ann AS known, tenancy.map_subject('new') = tenancy.map_subject('new') AS same, tenancy.map_subject('new') = tenancy.map_subject('New') AS case_aside;
-- Who is known is found without writing, in a READ ONLY transaction too.
BEGIN READ ONLY;
SELECT tenancy.map_subject('17') = :ann AS known;
SELECT pg_current_xact_id_if_assigned() AS written_by, pg_temp.as_role('mapped_app', 'SELECT tenancy.map_subject(''unknown'')') AS unknown;
COMMIT;
SELECT count(*) AS mapped FROM tenancy.subjects WHERE subject ILIKE 'new';
SELECT r, left(pg_temp.as_role(r, 'SELECT tenancy.map_subject(''by ' || r || ''') IS NOT NULL'), 60) AS map_subject, pg_temp.as_role(r, 'SELECT count(*) FROM tenancy.subjects') AS reads, pg_temp.as_role(r, 'INSERT INTO tenancy.subjects VALUES (''x'')') AS writes
  FROM unnest(ARRAY['anon', 'authenticated', 'mapped_other', 'mapped_app', 'mapped_bypass']) r;
SELECT pg_temp.as_role('mapped_app', format('SELECT tenancy.map_subject(%L)', subject)) FROM unnest(ARRAY['', NULL, repeat('x', 1025), repeat('ä', 513)]) subject;
SELECT length(pg_temp.as_role('mapped_app', format('SELECT tenancy.map_subject(%L)', repeat('ä', 512)))) AS longest;
-- enable_role and disable_role of either kind leave it where it was.
SELECT tenancy.disable_role('mapped_app'), tenancy.enable_role('mapped_app'), tenancy.disable_role('mapped_bypass');
SELECT r, has_function_privilege(r, 'tenancy.map_subject(text)', 'EXECUTE') FROM unnest(ARRAY['mapped_app', 'mapped_bypass']) r;
SELECT tenancy.enable_role('mapped_bypass'), tenancy.trust_caller('mapped_bypass'), tenancy.distrust_caller('mapped_bypass'), tenancy.distrust_caller('mapped_app');
SELECT r, has_function_privilege(r, 'tenancy.map_subject(text)', 'EXECUTE') FROM unnest(ARRAY['mapped_app', 'mapped_bypass']) r;
-- In a read-only transaction a known one is found.
BEGIN READ ONLY;
SELECT tenancy.map_subject('17') = :ann AS known;
ROLLBACK;

-- What the table says now counts, one's own uncommitted row too, and no longer than it stands.
SET tenancy.claims_scope = 'session';
SET request.jwt.claims = '{"sub": "temporary", "tenant_id": "42"}';
PREPARE me AS SELECT right(tenancy.current_user_id()::text, 2) AS me, tenancy.has_permission('mapped.read');
EXECUTE me;
BEGIN;
INSERT INTO tenancy.subjects VALUES ('temporary', :ann);
EXECUTE me;
ROLLBACK;
EXECUTE me;
BEGIN;
SAVEPOINT s;
INSERT INTO tenancy.subjects VALUES ('temporary', :ann);
EXECUTE me;
ROLLBACK TO s;
EXECUTE me;
COMMIT;
-- Undone within one statement, by a user without memberships too: nothing else would tell of it.
DO $$
BEGIN
    BEGIN
        INSERT INTO tenancy.subjects VALUES ('temporary', '5b700000-0000-0000-0000-0000000000ff');
        RAISE NOTICE 'mapped: %', right(tenancy.current_user_id()::text, 2);
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        RAISE NOTICE 'undone: %', right(tenancy.current_user_id()::text, 2);
    END;
END $$;
INSERT INTO tenancy.subjects VALUES ('temporary', :ann);
EXECUTE me;
UPDATE tenancy.subjects SET user_id = '5b700000-0000-0000-0000-0000000000ff' WHERE subject = 'temporary';
EXECUTE me;
DELETE FROM tenancy.subjects WHERE subject = 'temporary';
EXECUTE me;
-- Where the table announces nothing (pg_restore --disable-triggers), an undone change is noticed all the same.
SET request.jwt.claims = '{"sub": "17", "tenant_id": "42"}';
ALTER TABLE tenancy.subjects DISABLE TRIGGER ALL;
DO $$
BEGIN
    BEGIN
        DELETE FROM tenancy.subjects WHERE subject = '17';
        RAISE NOTICE 'deleted: %', right(tenancy.current_user_id()::text, 2);
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        RAISE NOTICE 'undone: %', right(tenancy.current_user_id()::text, 2);
    END;
END $$;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'cache';
ALTER TABLE tenancy.subjects ENABLE ALWAYS TRIGGER signal_before, ENABLE ALWAYS TRIGGER signal_after, ENABLE REPLICA TRIGGER signal_replicated;
SELECT finding FROM tenancy.diagnose() WHERE topic = 'cache';
-- Without its index, and with other things about it, the same.
SET request.jwt.claims = '{"sub": "17", "tenant_id": "42"}';
BEGIN;
ALTER TABLE tenancy.subjects DROP CONSTRAINT subjects_pkey;
EXECUTE me;
ROLLBACK;
REINDEX TABLE tenancy.subjects;
EXECUTE me;
\set VERBOSITY terse
INSERT INTO tenancy.subjects VALUES ('', :ann);
INSERT INTO tenancy.subjects VALUES ('nil', tenancy.nil());
\set VERBOSITY default
-- act_as says the subject.
RESET request.jwt.claims;
RESET tenancy.claims_scope;
BEGIN;
SELECT tenancy.act_as(:ann);
SELECT tenancy.claims() ->> 'sub' AS sub, right(tenancy.current_user_id()::text, 2) AS me;
ROLLBACK;
SELECT tenancy.act_as('5b700000-0000-0000-0000-0000000000fe');
RESET tenancy.subject_format;
DEALLOCATE me;
DELETE FROM tenancy.subjects;
DROP OWNED BY mapped_app, mapped_other, mapped_bypass;
DROP ROLE mapped_app, mapped_other, mapped_bypass;
SELECT tenancy.drop_tenant(:a), tenancy.drop_role('mapped_reader', cascade => true), tenancy.drop_permission('mapped.read', cascade => true);
