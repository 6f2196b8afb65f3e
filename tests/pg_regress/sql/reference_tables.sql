-- Tables without a tenant's data on purpose, tables nobody decided about, and what existing policies let through.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA undecided;
CREATE SCHEMA unseen;
GRANT USAGE ON SCHEMA undecided TO authenticated;
CREATE TABLE undecided.country (code text);
CREATE TABLE undecided.docs (tenant_id uuid, owner_id uuid, public boolean);
CREATE TABLE undecided.events (tenant_id uuid, at date) PARTITION BY RANGE (at);
CREATE TABLE undecided.events_1 PARTITION OF undecided.events DEFAULT;
CREATE TABLE undecided.columns (a int, b int);
CREATE TABLE undecided.mine (a int);
CREATE TABLE undecided.guarded (a int);
ALTER TABLE undecided.guarded ENABLE ROW LEVEL SECURITY;
CREATE MATERIALIZED VIEW undecided.summary AS SELECT count(*) FROM undecided.docs;
CREATE VIEW undecided.a_view AS SELECT * FROM undecided.docs;
CREATE TABLE unseen.secret (a int);
CREATE TEMP TABLE passing (a int);
GRANT SELECT ON undecided.country, undecided.summary, undecided.guarded, undecided.a_view, undecided.events_1, unseen.secret, passing TO authenticated;
GRANT SELECT, INSERT, DELETE ON undecided.docs, undecided.events TO authenticated;
GRANT SELECT ON undecided.docs TO anon;
GRANT UPDATE (b) ON undecided.columns TO authenticated;
CREATE FUNCTION pg_temp.ours() RETURNS TABLE (relation regclass, kind text, roles name[], privileges text[], row_security boolean, observed boolean) LANGUAGE sql AS $$
    SELECT * FROM tenancy.unprotected_tables() u WHERE u.relation::text ~ '^(undecided|unseen|pg_temp)'
$$;
SELECT * FROM pg_temp.ours();
-- Declared, or protected, with all that is below; nothing changes on the table.
SELECT tenancy.declare_reference_table('undecided.country'), tenancy.declare_reference_table('undecided.country') AS again, tenancy.declare_reference_table('undecided.summary');
SELECT tenancy.declare_reference_table('undecided.events');
SELECT tenancy.protect_table('undecided.docs', resource => 'undecided');
SELECT * FROM pg_temp.ours();
-- One or the other.
SELECT test.attempt(NULL, command) FROM unnest(ARRAY[$$SELECT tenancy.declare_reference_table('undecided.docs')$$, $$SELECT tenancy.protect_table('undecided.events')$$,
    $$SELECT tenancy.protect_table_sql('undecided.country')$$, $$SELECT tenancy.declare_reference_table(NULL)$$, $$SELECT tenancy.declare_reference_table('undecided.a_view')$$,
    $$SELECT tenancy.declare_reference_table('tenancy.tenants')$$, $$SELECT tenancy.declare_reference_table('pg_catalog.pg_class')$$, $$SELECT tenancy.declare_reference_table('passing')$$,
    $$SELECT tenancy.undeclare_reference_table(NULL)$$]) command;
SELECT test.attempt('a77a0000-0000-4000-8000-0000000000a1', command) FROM unnest(ARRAY[$$SELECT tenancy.declare_reference_table('undecided.mine')$$, $$SELECT tenancy.undeclare_reference_table('undecided.country')$$,
    $$SELECT count(*) FROM tenancy.unprotected_tables()$$, $$SELECT count(*) FROM tenancy.existing_policies('undecided.docs')$$, $$SELECT count(*) FROM tenancy.reference_tables$$]) command;
SELECT tenancy.undeclare_reference_table('undecided.events'), tenancy.undeclare_reference_table('undecided.events') AS again;
SELECT tenancy.protect_table('undecided.events', resource => 'undecided');
SELECT relation FROM pg_temp.ours();
-- What protect_table revoked and GRANT ALL gives back.
GRANT ALL ON undecided.events_1 TO authenticated;
GRANT REFERENCES (tenant_id) ON undecided.docs TO PUBLIC;
SELECT * FROM pg_temp.ours();
SELECT tenancy.protect_table('undecided.events', resource => 'undecided'), tenancy.protect_table('undecided.docs', resource => 'undecided');
SELECT relation FROM pg_temp.ours();
-- A foreign table is below a protected one, and not protected.
CREATE FOREIGN DATA WRAPPER undecided_wrapper;
CREATE SERVER undecided_server FOREIGN DATA WRAPPER undecided_wrapper;
CREATE FOREIGN TABLE undecided.elsewhere () INHERITS (undecided.docs) SERVER undecided_server;
GRANT SELECT ON undecided.elsewhere TO authenticated;
SELECT * FROM pg_temp.ours();
SELECT tenancy.declare_reference_table('undecided.elsewhere');
SELECT relation FROM pg_temp.ours();
DROP FOREIGN DATA WRAPPER undecided_wrapper CASCADE;
-- Only observed is not enforced: it is listed, and so is what is below it.
UPDATE tenancy.protected_tables SET options = options || '{"mode": "observe"}' WHERE root_id = 'undecided.events'::regclass;
SELECT relation, observed FROM pg_temp.ours();
UPDATE tenancy.protected_tables SET options = options || '{"mode": "active"}' WHERE root_id = 'undecided.events'::regclass;
-- Nor is one whose fence was taken down, by a migration tool say; protect_table puts it back.
CREATE FUNCTION pg_temp.after(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    listed text;
BEGIN
    EXECUTE format(change, 'undecided.docs');
    SELECT coalesce(string_agg(u.relation || ' ' || u.row_security, ', '), 'none') INTO listed FROM pg_temp.ours() u WHERE u.relation = 'undecided.docs'::regclass;
    RETURN listed || '; again: ' || tenancy.protect_table('undecided.docs', resource => 'undecided')
           || '; still ' || (SELECT count(*) FROM pg_temp.ours() u WHERE u.relation = 'undecided.docs'::regclass);
END
$$;
SELECT change, pg_temp.after(change) FROM unnest(ARRAY['ALTER TABLE %s DISABLE ROW LEVEL SECURITY', 'DROP POLICY "!pg_tenancy_isolation" ON %s',
    'ALTER POLICY "!pg_tenancy_isolation" ON %s USING (true)', 'ALTER POLICY "!pg_tenancy_isolation" ON %s WITH CHECK (true)', 'ALTER POLICY "!pg_tenancy_isolation" ON %s TO authenticated',
    'DROP POLICY "!pg_tenancy_isolation" ON %1$s; CREATE POLICY "!pg_tenancy_isolation" ON %1$s AS RESTRICTIVE FOR UPDATE USING (tenant_id = tenancy.current_tenant_id()) WITH CHECK (tenant_id = tenancy.current_tenant_id())',
    'DROP POLICY "!pg_tenancy_isolation" ON %1$s; CREATE POLICY "!pg_tenancy_isolation" ON %1$s USING (tenant_id = tenancy.current_tenant_id())',
    'DROP POLICY pg_tenancy_select ON %s']) change;
-- A dropped one is gone from the list, and its number is nobody's permission.
DROP TABLE undecided.country;
SELECT table_id AS declared FROM tenancy.reference_tables;
-- Never both: a declared child of a table to be protected, one that comes below it, one that was declared after the script was made.
CREATE TABLE undecided.below () INHERITS (undecided.mine);
ALTER TABLE undecided.mine ADD tenant_id uuid;
SELECT tenancy.declare_reference_table('undecided.below');
SELECT test.attempt(NULL, $$SELECT tenancy.protect_table('undecided.mine', resource => 'undecided')$$);
SELECT tenancy.undeclare_reference_table('undecided.below');
SELECT tenancy.protect_table_sql('undecided.mine', resource => 'undecided') AS script \gset
SELECT tenancy.declare_reference_table('undecided.mine');
:script
SELECT tenancy.undeclare_reference_table('undecided.mine');
SELECT tenancy.protect_table('undecided.mine', resource => 'undecided');
CREATE TABLE undecided.joins (a int, tenant_id uuid NOT NULL);
CREATE TABLE undecided.events_2 (tenant_id uuid NOT NULL, at date);
SELECT tenancy.declare_reference_table('undecided.joins'), tenancy.declare_reference_table('undecided.events_2');
SET client_min_messages = notice;
ALTER TABLE undecided.joins INHERIT undecided.mine;
ALTER TABLE undecided.events ATTACH PARTITION undecided.events_2 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
SET client_min_messages = warning;
SELECT p.table_id, r.table_id IS NOT NULL AS declared FROM tenancy.protected_tables p LEFT JOIN tenancy.reference_tables r USING (table_id)
 WHERE p.table_id::text ~ 'undecided\.(mine|below|joins|events_2)' ORDER BY 1;
SELECT tenancy.unprotect_table('undecided.mine');
SELECT tenancy.unprotect_table('undecided.docs'), tenancy.unprotect_table('undecided.events');

-- Policies that were there, in words.
CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT tenancy.current_user_id()';
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'authenticated' $$;
ALTER TABLE undecided.docs ALTER tenant_id DROP NOT NULL;
INSERT INTO undecided.docs SELECT NULL, NULL, false FROM generate_series(1, 120);
ANALYZE undecided.docs;
CREATE POLICY a_everything ON undecided.docs USING (true);
CREATE POLICY b_own ON undecided.docs FOR SELECT USING (owner_id = auth.uid());
CREATE POLICY c_own ON undecided.docs FOR UPDATE TO authenticated USING ((SELECT auth.uid()) = owner_id) WITH CHECK (true);
CREATE POLICY d_public ON undecided.docs FOR SELECT TO anon, authenticated USING (public);
CREATE POLICY e_insert ON undecided.docs FOR INSERT WITH CHECK (owner_id = tenancy.current_user_id());
CREATE POLICY f_role ON undecided.docs FOR DELETE USING (auth.role() = 'service_role');
CREATE POLICY g_database ON undecided.docs FOR DELETE USING (CURRENT_USER = 'boss');
CREATE POLICY h_permission ON undecided.docs FOR SELECT USING (tenancy.has_permission(tenant_id, 'docs.audit'));
CREATE POLICY i_none ON undecided.docs FOR SELECT USING (false);
CREATE POLICY j_narrow ON undecided.docs AS RESTRICTIVE USING (NOT public);
CREATE POLICY k_closed ON undecided.docs AS RESTRICTIVE FOR DELETE USING (false);
CREATE POLICY l_idle ON undecided.docs AS RESTRICTIVE FOR SELECT USING (true);
-- Looks like the user's own, and is not.
CREATE POLICY m_or ON undecided.docs FOR SELECT USING (owner_id = auth.uid() OR public);
CREATE POLICY n_other ON undecided.docs FOR SELECT USING (owner_id <> auth.uid());
-- Begin as known forms do, and let through something else.
CREATE POLICY o_or ON undecided.docs FOR SELECT USING (CURRENT_USER = 'boss' OR public);
CREATE POLICY p_row ON undecided.docs FOR SELECT USING (CURRENT_USER = owner_id::text);
CREATE POLICY q_not ON undecided.docs FOR SELECT USING (NOT tenancy.has_permission('docs.audit'));
CREATE POLICY r_or ON undecided.docs FOR SELECT USING (tenancy.has_permission('docs.audit') OR true);
CREATE POLICY s_string ON undecided.docs FOR SELECT USING (CURRENT_USER = 'it''s' OR owner_id::text = 'x');
-- Longer, but known.
CREATE POLICY t_roles ON undecided.docs FOR SELECT USING (SESSION_USER IN ('boss', 'it''s', 'a "b"'));
CREATE POLICY u_not_anon ON undecided.docs FOR SELECT USING ((SELECT auth.role()) <> 'anon');
CREATE POLICY v_permissions ON undecided.docs FOR SELECT USING ((SELECT tenancy.has_permission('docs.audit')) AND tenancy.has_any_permission(tenant_id, ARRAY['a.b', 'c.d']) OR tenancy.has_permission(tenant_id::text, 'it''s)'));
CREATE POLICY part ON undecided.events_1 USING (true);
SELECT policy, permissive, command, roles, lets_through, estimated_rows FROM tenancy.existing_policies('undecided.docs');
SELECT relation, policy, lets_through FROM tenancy.existing_policies('undecided.events');
SELECT policy, using_condition, check_condition FROM tenancy.existing_policies('undecided.docs') WHERE policy ~ '^[c]';
SELECT test.attempt(NULL, $$SELECT tenancy.protect_table('undecided.docs')$$);
SELECT test.attempt(NULL, $$SELECT count(*) FROM tenancy.existing_policies(NULL)$$), test.attempt(NULL, $$SELECT count(*) FROM tenancy.existing_policies(4711)$$);
-- Kept: ours are not in the list, theirs still are, now in force.
DELETE FROM undecided.docs;
SELECT tenancy.protect_table('undecided.docs', resource => 'undecided', existing_policies => 'keep');
SELECT policy, lets_through FROM tenancy.existing_policies('undecided.docs') WHERE policy < 'c';
SELECT tenancy.unprotect_table('undecided.docs');
DELETE FROM tenancy.reference_tables;
DELETE FROM tenancy.permissions WHERE name LIKE 'undecided.%' OR name LIKE 'events.%';
DROP SCHEMA undecided, unseen, auth CASCADE;
