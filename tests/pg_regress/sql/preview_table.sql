-- preview_table against reality: what it says is counted before and after protect_table, by the same users and roles.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA preview;
SET search_path = preview;
INSERT INTO tenancy.tenants (id, slug, name) SELECT format('bead0000-0000-0000-0000-00000000000%s', x)::uuid, 'preview-' || x, x FROM unnest('{a,b,c}'::text[]) x;
-- 1 is member of a with all, of b with reading; 2 owns rows in a and holds nothing; 3 is an operator who reads, 4 one who writes
INSERT INTO tenancy.members (tenant_id, user_id) SELECT format('bead0000-0000-0000-0000-00000000000%s', t)::uuid, format('bead0000-0000-0000-0000-00000000000%s', u)::uuid
  FROM (VALUES ('a', 1), ('b', 1), ('a', 2)) v (t, u);
INSERT INTO tenancy.operators (user_id, access) VALUES ('bead0000-0000-0000-0000-000000000003', 'read'), ('bead0000-0000-0000-0000-000000000004', 'write');
CREATE ROLE preview_owner NOLOGIN;
CREATE ROLE preview_other NOLOGIN;
SELECT tenancy.enable_role('preview_other');
CREATE FUNCTION make() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('preview.docs') IS NOT NULL THEN
        PERFORM tenancy.unprotect_table('docs');
    END IF;
    DROP TABLE IF EXISTS docs;
    CREATE TABLE docs (id int, tenant_id uuid, owner_id uuid, public boolean);
    INSERT INTO docs SELECT n, format('bead0000-0000-0000-0000-00000000000%s', substr('abc', 1 + n % 3, 1))::uuid,
                            format('bead0000-0000-0000-0000-00000000000%s', 1 + n % 4)::uuid, n % 5 = 0 FROM generate_series(1, 120) n;
    INSERT INTO docs VALUES (121, NULL, 'bead0000-0000-0000-0000-000000000001', true);
    GRANT SELECT, INSERT, UPDATE, DELETE ON docs TO authenticated;
    GRANT SELECT ON docs TO preview_other;
    ALTER TABLE docs OWNER TO preview_owner;
END
$$;
GRANT USAGE ON SCHEMA preview TO authenticated, preview_other, preview_owner;
SELECT make();
SELECT tenancy.protect_table('docs', mode => 'observe', resource => 'preview');
INSERT INTO tenancy.roles (tenant_id, name) VALUES (NULL, 'preview_all'), (NULL, 'preview_read');
SELECT tenancy.grant_permission('preview_all', 'preview.*'), tenancy.grant_permission('preview_read', 'preview.read');
SELECT tenancy.grant_role('bead0000-0000-0000-0000-00000000000a', 'bead0000-0000-0000-0000-000000000001', 'preview_all'),
       tenancy.grant_role('bead0000-0000-0000-0000-00000000000b', 'bead0000-0000-0000-0000-000000000001', 'preview_read');
-- What a user really reaches: by commands that read, undone.
CREATE FUNCTION reached(who uuid, tenant uuid, db_role name, command text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    BEGIN
        PERFORM tenancy.act_as(who, tenant, db_role);
        EXECUTE CASE command WHEN 'SELECT' THEN 'SELECT FROM preview.docs' WHEN 'UPDATE' THEN 'UPDATE preview.docs SET public = public WHERE id > 0' ELSE 'DELETE FROM preview.docs WHERE id > 0' END;
        GET DIAGNOSTICS n = ROW_COUNT;
        RAISE EXCEPTION USING ERRCODE = 'P0UND';
    EXCEPTION WHEN SQLSTATE 'P0UND' THEN
        RETURN n;
    WHEN insufficient_privilege THEN
        RETURN 0;
    END;
END
$$;
CREATE TABLE cases AS
    SELECT format('bead0000-0000-0000-0000-00000000000%s', u)::uuid AS who, nullif(format('bead0000-0000-0000-0000-00000000000%s', t)::uuid, 'bead0000-0000-0000-0000-00000000000f') AS tenant, r::name AS db_role
      FROM generate_series(1, 4) u, unnest('{a,c,f}'::text[]) t, unnest('{authenticated,preview_other,preview_owner}'::text[]) r;
INSERT INTO cases VALUES (NULL, NULL, 'authenticated');
-- compare(OPTIONS): how many previews there were, of how many rows, and how many were wrong, before or after
CREATE FUNCTION compare(options text, existing text DEFAULT '') RETURNS TABLE (previews bigint, seen_before numeric, seen_after numeric, wrong_before bigint, wrong_after bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM make();
    IF options NOT LIKE '%shared%' THEN
        DELETE FROM docs WHERE tenant_id IS NULL;
    END IF;
    EXECUTE existing;
    CREATE TEMPORARY TABLE said ON COMMIT DROP AS SELECT c.*, ''::text AS command, 0::bigint AS rows_before, 0::bigint AS rows_after FROM cases c LIMIT 0;
    EXECUTE 'INSERT INTO said SELECT c.*, p.* FROM cases c CROSS JOIN LATERAL tenancy.preview_table(''preview.docs'', c.who, c.tenant, c.db_role, resource => ''preview''' || options || ') p';
    SELECT count(*), sum(s.rows_before), sum(s.rows_after), count(*) FILTER (WHERE s.rows_before <> reached(s.who, s.tenant, s.db_role, s.command))
      INTO previews, seen_before, seen_after, wrong_before FROM said s;
    EXECUTE 'SELECT tenancy.protect_table(''preview.docs'', resource => ''preview''' || CASE WHEN options LIKE '%existing_policies%' THEN '' ELSE ', existing_policies => ''keep''' END || options || ')';
    SELECT count(*) FILTER (WHERE s.rows_after <> reached(s.who, s.tenant, s.db_role, s.command)) INTO wrong_after FROM said s;
    DROP TABLE said;
    RETURN NEXT;
END
$$;
SELECT * FROM compare('');
SELECT * FROM compare(', mode => ''membership''');
SELECT * FROM compare(', owner_column => ''owner_id''');
SELECT * FROM compare(', owner_column => ''owner_id'', mode => ''membership'', roles => ''{authenticated}''');
SELECT * FROM compare(', operators => true');
SELECT * FROM compare(', operators => true, mode => ''membership'', owner_column => ''owner_id''');
SELECT * FROM compare(', force => false');
-- FORCE that the owner set by hand stays, whatever the option says.
SELECT * FROM compare(', force => false', 'ALTER TABLE preview.docs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY theirs ON preview.docs USING (public)');
SELECT * FROM compare(', shared => ''read''');
-- Policies that are there already, in force or not; kept or dropped; for some roles only; that ask who the role is.
SELECT * FROM compare('', 'CREATE POLICY theirs ON preview.docs USING (public)');
SELECT * FROM compare('', 'ALTER TABLE preview.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY theirs ON preview.docs USING (public)');
SELECT * FROM compare(', existing_policies => ''drop''', 'ALTER TABLE preview.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY theirs ON preview.docs USING (public)');
SELECT * FROM compare(', mode => ''membership''', $$ALTER TABLE preview.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE preview.docs FORCE ROW LEVEL SECURITY;
    CREATE POLICY readers ON preview.docs FOR SELECT TO preview_other USING (id < 50); CREATE POLICY theirs ON preview.docs TO authenticated USING (public);
    CREATE POLICY fewer ON preview.docs AS RESTRICTIVE FOR UPDATE USING (id % 2 = 0); CREATE POLICY none ON preview.docs AS RESTRICTIVE FOR DELETE TO preview_other USING (false)$$);
SELECT * FROM compare('', $$CREATE POLICY theirs ON preview.docs USING (current_user = 'authenticated' AND EXISTS (SELECT FROM preview.cases c WHERE c.who = docs.owner_id));
    GRANT SELECT ON preview.cases TO authenticated, preview_other, preview_owner$$);
-- One that asks a table which has policies itself: they bind the reader, not who asks for the preview.
CREATE TABLE guarded AS SELECT n AS id FROM generate_series(1, 120) n;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON guarded USING (id < 20 AND current_user <> 'preview_other');
GRANT SELECT ON guarded TO authenticated, preview_other, preview_owner;
SELECT * FROM compare('', 'CREATE POLICY theirs ON preview.docs USING (EXISTS (SELECT FROM preview.guarded g WHERE g.id = docs.id))');
-- A function of theirs that counts on the caller's search_path, and claims of theirs.
CREATE FUNCTION theirs(who uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM cases c WHERE c.who = $1); END $$;
SELECT * FROM compare('', 'ALTER TABLE preview.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY theirs ON preview.docs USING (preview.theirs(owner_id))');
SELECT make();
CREATE POLICY theirs ON docs USING (current_setting('request.jwt.claims')::jsonb ->> 'plan' = 'gold');
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001', 'bead0000-0000-0000-0000-00000000000a', claims => '{"plan": "gold"}', resource => 'preview');
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001', 'bead0000-0000-0000-0000-00000000000a', resource => 'preview');
-- Whole rows and system columns, which only a table has; in a subquery too.
SELECT * FROM compare('', $$ALTER TABLE preview.docs ENABLE ROW LEVEL SECURITY; CREATE POLICY theirs ON preview.docs USING (public AND ctid >= '(0,3)' AND docs.xmin IS NOT NULL AND tableoid = 'preview.docs'::regclass)$$);
SELECT * FROM compare(', mode => ''membership''', $$ALTER TABLE preview.docs ENABLE ROW LEVEL SECURITY; ALTER TABLE preview.docs ADD gone int, ADD kept int DEFAULT 1; ALTER TABLE preview.docs DROP gone;
    CREATE FUNCTION preview.is_public(preview.docs, int) RETURNS boolean LANGUAGE sql AS 'SELECT $1.public AND $1.kept = $2';
    CREATE POLICY theirs ON preview.docs USING (preview.is_public(docs, 1) AND ctid >= '(0,3)' AND EXISTS (SELECT FROM preview.cases c WHERE preview.is_public(docs, docs.kept)))$$);
DROP FUNCTION is_public CASCADE;
SELECT * FROM compare('', $$CREATE FUNCTION preview.is_public(preview.docs) RETURNS boolean LANGUAGE sql AS 'SELECT $1.public';
    CREATE POLICY theirs ON preview.docs FOR SELECT USING (preview.is_public(docs) AND EXISTS (SELECT FROM preview.guarded g WHERE docs.ctid IS NOT NULL))$$);
DROP FUNCTION is_public CASCADE;
-- A temporary relation of the caller's, of the same name.
BEGIN;
CREATE TEMP TABLE docs (id int) ON COMMIT DROP;
SELECT count(*) FROM tenancy.preview_table('preview.docs', 'bead0000-0000-0000-0000-000000000001');
COMMIT;
-- An observed table has the options already; a protected one shows what another option would change.
SELECT make();
SELECT tenancy.protect_table('docs', mode => 'observe', resource => 'preview', owner_column => 'owner_id');
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000002');
DELETE FROM docs WHERE tenant_id IS NULL;
SELECT tenancy.protect_table('docs', resource => 'preview', owner_column => 'owner_id');
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000002');
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000003', operators => true);
-- Nothing is written or left behind, and nobody is kept waiting: no lock but the reader's.
BEGIN;
SELECT count(*) FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001');
SELECT DISTINCT mode FROM pg_locks WHERE relation = 'docs'::regclass AND pid = pg_backend_pid() ORDER BY 1;
SELECT current_user = session_user AS myself, current_setting('request.jwt.claims', true) AS claims, current_setting('search_path') AS path, current_setting('row_security') AS row_security;
COMMIT;
BEGIN READ ONLY;
SELECT count(*) FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001');
COMMIT;
-- Whatever it was before, and whether the preview succeeds or not.
CREATE FUNCTION settings() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(s || '=' || current_setting(s, true), ' ' ORDER BY s) FROM unnest('{row_security,request.jwt.claims,tenancy.tenant_id,role,search_path}'::text[]) s $$;
CREATE FUNCTION changed(preview text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before text := preview.settings();
    outcome text := 'ok';
BEGIN
    BEGIN
        EXECUTE preview;
    EXCEPTION WHEN OTHERS THEN
        outcome := SQLSTATE;
    END;
    RETURN outcome || CASE WHEN before = preview.settings() THEN ', as before' ELSE ' ' || before || ' became ' || preview.settings() END;
END $$;
BEGIN;
SET LOCAL row_security = off; SET LOCAL request.jwt.claims = '{"sub": "bead0000-0000-0000-0000-000000000002"}'; SET LOCAL tenancy.tenant_id = 'bead0000-0000-0000-0000-00000000000a';
SELECT changed(format('SELECT tenancy.preview_table(''docs'', ''bead0000-0000-0000-0000-000000000001'', %s)', a))
  FROM unnest(ARRAY['db_role => ''authenticated''', 'db_role => ''preview_nobody''', 'claims => ''[]''', 'mode => ''x''']) a;
CREATE POLICY raises ON docs USING (1 / (id - id) = 1);
SELECT changed('SELECT tenancy.preview_table(''docs'', ''bead0000-0000-0000-0000-000000000001'', ''bead0000-0000-0000-0000-00000000000a'')'), current_user = session_user AS myself;
ROLLBACK;
-- A policy that raises, raises; and nothing is left then either.
SELECT make();
CREATE POLICY theirs ON docs USING (1 / (id - id) = 1);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
\set VERBOSITY sqlstate
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001', resource => 'preview');
SELECT current_user = session_user AS myself;
-- Who may not, and what there is not.
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001', db_role => 'preview_nobody');
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001', mode => 'observe');
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001', mode => 'x');
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001', tenant_column => 'none');
SELECT * FROM tenancy.preview_table('docs', 'bead0000-0000-0000-0000-000000000001', claims => '[]');
SELECT * FROM tenancy.preview_table('cases', 'bead0000-0000-0000-0000-000000000001', tenant_column => 'tenant', db_role => 'authenticated');
SET ROLE authenticated;
SELECT * FROM tenancy.preview_table('preview.docs', 'bead0000-0000-0000-0000-000000000001');
RESET ROLE;
SELECT r.rolname FROM pg_roles r WHERE has_function_privilege(r.oid, 'tenancy.preview_rows(regclass,uuid,uuid,name,jsonb,jsonb,text)', 'EXECUTE') AND NOT r.rolsuper;
DROP SCHEMA preview CASCADE;
SELECT tenancy.disable_role('preview_other');
DROP ROLE preview_other, preview_owner;
DELETE FROM tenancy.operators WHERE user_id::text LIKE 'bead0000-%';
DELETE FROM tenancy.tenants WHERE slug LIKE 'preview-_';
DELETE FROM tenancy.roles WHERE name LIKE 'preview_%';
