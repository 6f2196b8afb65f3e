-- authority = claims beside what the two templates' own functions answer, request by request as PostgREST makes them:
-- the same yes for the same token, and where the templates get it wrong (errors instead of answers, yes to every other
-- database role, VOLATILE, no tenant) a no.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT to_regrole('service_role') IS NULL AS no_service_role, to_regrole('authenticator') IS NULL AS no_authenticator \gset
\if :no_service_role
CREATE ROLE service_role NOLOGIN BYPASSRLS;
\endif
\if :no_authenticator
CREATE ROLE authenticator NOLOGIN NOINHERIT;
\endif
CREATE SCHEMA template;
GRANT USAGE ON SCHEMA template TO anon, authenticated, service_role, authenticator;
GRANT USAGE ON SCHEMA tenancy TO service_role, authenticator;
-- The templates' functions, in our words: they read the token and nothing else.
CREATE FUNCTION template.jwt() RETURNS jsonb LANGUAGE sql STABLE AS
    $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
CREATE FUNCTION template.jwt_get_claim(claim text) RETURNS jsonb LANGUAGE sql STABLE AS
    $$ SELECT template.jwt() -> 'app_metadata' -> claim $$;
CREATE FUNCTION template.jwt_tenant_id() RETURNS uuid LANGUAGE sql STABLE AS
    $$ SELECT (template.jwt() -> 'app_metadata' ->> 'tenant_id')::uuid $$;
CREATE FUNCTION template.jwt_has_permission(perm text, strict boolean DEFAULT false) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    held jsonb := coalesce(template.jwt_get_claim('perms'), '[]');
BEGIN
    IF current_user <> 'authenticated' THEN
        RETURN true;
    ELSIF extract(epoch FROM now()) > coalesce(template.jwt() ->> 'exp', '0')::numeric THEN
        RAISE EXCEPTION 'invalid_jwt';
    END IF;
    RETURN held @> jsonb_build_array(perm) OR NOT strict AND held @> '["all"]';
END
$$;
CREATE FUNCTION template.user_has_permissions(requested text[]) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER STABLE AS $$
DECLARE
    held jsonb := (template.jwt() ->> 'user_permissions')::jsonb;
BEGIN
    RETURN held IS NOT NULL AND EXISTS (SELECT FROM jsonb_array_elements_text(held) h (name) WHERE h.name = ANY (requested));
END
$$;

\set tenant '''c1a00000-0000-0000-0000-00000000000a'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:tenant, 'claims-authority', 'C');
SELECT tenancy.create_permission(p) FROM unnest(ARRAY['ca.read', 'ca.write']) p;

-- One request: role and claims for a transaction, one question to each side. # stands for the tenant, @ for the user and
-- a time to come.
CREATE FUNCTION template.ask(db_role name, token text, question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('request.jwt.claims', replace(replace(token, '#', 'c1a00000-0000-0000-0000-00000000000a'), '"@"',
                '"sub":"c1a00000-0000-0000-0000-000000000001","exp":32503680000'), true), set_config('role', db_role, true);
    EXECUTE 'SELECT (' || question || ')::text' INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN coalesce(answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
    RETURN 'raises ' || SQLSTATE;
END
$$;
CREATE FUNCTION template.both(db_role name, token text, theirs text, ours text, OUT template text, OUT tenancy text) LANGUAGE sql AS
    $$ SELECT template.ask(db_role, token, theirs), template.ask(db_role, token, ours) $$;
SET tenancy.authority = 'claims';

-- The one-tenant template: perms and tenant_id in app_metadata.
CREATE TEMP TABLE tokens (n serial, token text);
INSERT INTO tokens (token) VALUES
    ('{"@","app_metadata":{"tenant_id":"#","perms":["ca.read"]}}'),
    ('{"@","app_metadata":{"tenant_id":"#","perms":["ca.read","ca.write"]}}'),
    ('{"@","app_metadata":{"tenant_id":"#","perms":["all"]}}'),
    ('{"@","app_metadata":{"tenant_id":"#","perms":["all","ca.read"]}}'),
    ('{"@","app_metadata":{"tenant_id":"#","perms":[]}}'),
    ('{"@","app_metadata":{"tenant_id":"#"}}');
SELECT token, a.template AS "read", a.tenancy AS "ours", b.template AS "strict", b.tenancy AS "ours", c.template AS "strict all", c.tenancy AS "ours", d.template = d.tenancy AS same_tenant
  FROM tokens, template.both('authenticated', token, $$template.jwt_has_permission('ca.read')$$, $$tenancy.has_permission('ca.read')$$) a,
       template.both('authenticated', token, $$template.jwt_has_permission('ca.read', true)$$, $$tenancy.has_permission_by_name('ca.read')$$) b,
       template.both('authenticated', token, $$template.jwt_has_permission('all', true)$$, $$tenancy.has_permission_by_name('all')$$) c,
       template.both('authenticated', token, 'template.jwt_tenant_id()', 'tenancy.current_tenant_id()') d
 ORDER BY n;
-- jwt_get_claim, and tenant_access.
SELECT token, a.template AS claim, a.tenancy AS ours, b.template AS may_read, b.tenancy AS ours, c.template AS may_write, c.tenancy AS ours
  FROM unnest(ARRAY['{"@","app_metadata":{"tenant_access":"read","plan":{"name":"pro"}}}', '{"@","app_metadata":{"tenant_access":"write"}}',
                    '{"@","app_metadata":{"tenant_access":"none"}}', '{"@","app_metadata":{"tenant_access":null}}', '{"@","app_metadata":{}}', '{"@"}']) token,
       template.both('authenticated', token, $$template.jwt_get_claim('plan')$$, $$tenancy.claim('app_metadata.plan')$$) a,
       template.both('authenticated', token, $$template.jwt_get_claim('tenant_access') IS NOT NULL$$, 'tenancy.operator_access() IS NOT NULL') b,
       template.both('authenticated', token, $$coalesce(template.jwt_get_claim('tenant_access')::text = '"write"', false)$$, $$coalesce(tenancy.operator_access() = 'write', false)$$) c;

-- The workspace template: workspace_id in app_metadata, user_permissions at the top, any of the names asked for.
SET tenancy.tenant_claim = 'app_metadata.workspace_id';
SELECT token, a.template AS "read or write", a.tenancy AS ours, b.template AS write, b.tenancy AS ours, c.template AS isolation, c.tenancy AS ours
  FROM unnest(ARRAY['{"@","app_metadata":{"workspace_id":"#"},"user_permissions":["ca.read"]}',
                    '{"@","app_metadata":{"workspace_id":"#"},"user_permissions":["ca.write","ca.other"]}',
                    '{"@","app_metadata":{"workspace_id":"#"},"user_permissions":[]}',
                    '{"@","app_metadata":{"workspace_id":"#"}}',
                    '{"@","app_metadata":{"tenant_id":"#"},"user_permissions":["ca.read"]}',
                    '{"@","app_metadata":{"workspace_id":"no uuid"},"user_permissions":["ca.read"]}']) token,
       template.both('authenticated', token, $$template.user_has_permissions('{ca.read,ca.write}')$$, $$tenancy.has_any_permission('{ca.read,ca.write}')$$) a,
       template.both('authenticated', token, $$template.user_has_permissions('{ca.write}')$$, $$tenancy.has_any_permission('{ca.write}')$$) b,
       template.both('authenticated', token, $$'c1a00000-0000-0000-0000-00000000000a' = (template.jwt() -> 'app_metadata' ->> 'workspace_id')::uuid$$,
                                             $$'c1a00000-0000-0000-0000-00000000000a' = tenancy.current_tenant_id()$$) c;
-- Its hook writes null for a user without permissions.
SELECT a.* FROM template.both('authenticated', '{"@","app_metadata":{"workspace_id":"#"},"user_permissions":null}', $$template.user_has_permissions('{ca.read}')$$, $$tenancy.has_any_permission('{ca.read}')$$) a;
-- Its words are names, where ours has wildcards: the same token says more here.
SELECT a.* FROM template.both('authenticated', '{"@","app_metadata":{"workspace_id":"#"},"user_permissions":["all"]}', $$template.user_has_permissions('{ca.read}')$$, $$tenancy.has_any_permission('{ca.read}')$$) a;
RESET tenancy.tenant_claim;

-- Every other database role holds everything by the template; by us, what the token says, whoever asks.
SELECT db_role, a.template AS "without token", a.tenancy AS ours, b.template AS "other permission", b.tenancy AS ours, c.template AS "held", c.tenancy AS ours
  FROM unnest(ARRAY['anon', 'authenticated', 'service_role', 'authenticator', current_user]) WITH ORDINALITY r (db_role, n),
       template.both(db_role, '', $$template.jwt_has_permission('ca.read')$$, $$tenancy.has_permission('ca.read')$$) a,
       template.both(db_role, '{"@","app_metadata":{"tenant_id":"#","perms":["ca.write"]}}', $$template.jwt_has_permission('ca.read')$$, $$tenancy.has_permission('ca.read')$$) b,
       template.both(db_role, '{"@","app_metadata":{"tenant_id":"#","perms":["ca.read"]}}', $$template.jwt_has_permission('ca.read')$$, $$tenancy.has_permission('ca.read')$$) c
 WHERE db_role <> current_user OR db_role = 'postgres' ORDER BY n;
-- A function that runs as its owner asks as nobody else.
CREATE FUNCTION template.as_owner(question text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
    $$ DECLARE answer text; BEGIN EXECUTE 'SELECT ' || question INTO answer; RETURN answer; END $$;
SELECT a.* FROM template.both('authenticated', '{"@","app_metadata":{"tenant_id":"#","perms":[]}}',
    'template.as_owner($$template.jwt_has_permission(''ca.read'')$$)', 'template.as_owner($$tenancy.has_permission(''ca.read'')$$)') a;

-- Expired, not yet valid, without expiry: a no, where the template raises and breaks the whole query. exp itself is
-- too late here, and one second longer there.
SELECT token, a.template, a.tenancy
  FROM unnest(ARRAY['{"sub":"c1a00000-0000-0000-0000-000000000001","exp":1,"app_metadata":{"tenant_id":"#","perms":["ca.read"]}}',
                    '{"sub":"c1a00000-0000-0000-0000-000000000001","exp":"soon","app_metadata":{"tenant_id":"#","perms":["ca.read"]}}',
                    '{"@","nbf":32503670000,"app_metadata":{"tenant_id":"#","perms":["ca.read"]}}',
                    '{"sub":"c1a00000-0000-0000-0000-000000000001","app_metadata":{"tenant_id":"#","perms":["ca.read"]}}']) token,
       template.both('authenticated', token, $$template.jwt_has_permission('ca.read')$$, $$tenancy.has_permission('ca.read')$$) a;
-- The template takes a token without exp for expired, and so does this setting.
SET tenancy.require_exp = on;
SELECT template.ask('authenticated', token, $$tenancy.has_permission('ca.read')$$) AS require_exp
  FROM unnest(ARRAY['{"sub":"c1a00000-0000-0000-0000-000000000001","app_metadata":{"tenant_id":"#","perms":["ca.read"]}}', '{"@","app_metadata":{"tenant_id":"#","perms":["ca.read"]}}']) token;
RESET tenancy.require_exp;

-- Malformed claims: no helper of ours raises, for any role.
CREATE TEMP TABLE malformed (n serial, token text);
INSERT INTO malformed (token) VALUES (''), ('{'), ('[]'), ('"text"'), ('7'), ('null'), ('{"app_metadata":"text"}'),
    ('{"@","app_metadata":[]}'), ('{"@","app_metadata":{"tenant_id":50,"perms":["ca.read"]}}'), ('{"@","app_metadata":{"tenant_id":"fifty","perms":["ca.read"]}}'),
    ('{"@","app_metadata":{"tenant_id":{},"perms":["ca.read"]}}'), ('{"@","app_metadata":{"tenant_id":"#","perms":"ca.read"}}'),
    ('{"@","app_metadata":{"tenant_id":"#","perms":{"ca.read":true}}}'), ('{"@","app_metadata":{"tenant_id":"#","perms":[["ca.read"],null,1]}}'),
    ('{"sub":"nobody","exp":32503680000,"app_metadata":{"tenant_id":"#","perms":["ca.read"]}}'),
    ('{"@","app_metadata":{"tenant_id":"#","perms":["ca.read\u0000"]}}'), ('{"@","user_permissions":"x","app_metadata":{"tenant_id":"#"}}');
SELECT token, a.template AS permission, a.tenancy AS ours, b.template AS tenant, b.tenancy AS ours, c.template AS any, c.tenancy AS ours
  FROM malformed, template.both('authenticated', token, $$template.jwt_has_permission('ca.read')$$, $$tenancy.has_permission('ca.read')$$) a,
       template.both('authenticated', token, 'template.jwt_tenant_id()', 'tenancy.current_tenant_id()') b,
       template.both('authenticated', token, $$template.user_has_permissions('{ca.read}')$$, $$tenancy.has_any_permission('{ca.read}')$$) c
 ORDER BY n;
SELECT db_role, question, count(*) AS tokens, count(*) FILTER (WHERE answer LIKE 'raises%') AS raised, count(*) FILTER (WHERE answer = 'true') AS yes
  FROM unnest(ARRAY['anon', 'authenticated', 'service_role', 'authenticator']) db_role,
       unnest(ARRAY[$$tenancy.has_permission('ca.read')$$, $$tenancy.has_permission_by_name('ca.read')$$, $$tenancy.has_any_permission('{ca.read}')$$,
                    'tenancy.current_tenant_id() IS NOT NULL', 'tenancy.operator_access() IS NOT NULL', $$tenancy.claim('app_metadata.perms') IS NULL$$]) question,
       LATERAL (SELECT template.ask(db_role, token, question) AS answer FROM malformed) a
 GROUP BY 1, 2 ORDER BY 2, 1;
-- An e-mail address, confirmed or not, says nothing.
SELECT template.ask('authenticated', '{"@","email":"root@example.com","email_verified":true,"user_metadata":{"tenant_id":"#","perms":["all"],"tenant_access":"write"}}',
    $$concat_ws(' ', tenancy.has_permission('ca.read'), tenancy.current_tenant_id(), tenancy.operator_access())$$) AS "user metadata";

-- No table is read for a member, a role or a grant: what the tables say makes no difference.
RESET tenancy.authority;
SELECT tenancy.add_member(:tenant, 'c1a00000-0000-0000-0000-000000000001', '{owner}');
SET tenancy.authority = 'claims';
SELECT template.ask('authenticated', '{"@","app_metadata":{"tenant_id":"#","perms":["ca.read"]}}', $$tenancy.has_permission('ca.read') AND NOT tenancy.has_permission('ca.write')$$) AS "token decides";
RESET tenancy.authority;
SELECT template.ask('authenticated', '{"@","app_metadata":{"tenant_id":"#","perms":[]}}', $$tenancy.has_permission('ca.write') AND NOT tenancy.has_permission_by_name('ca.write') AND tenancy.has_permission_by_name('all')$$) AS "tables decide";
-- By the tables in a tenant that is read-only, or closed.
SELECT tenancy.create_role('ca_named', '{ca.read,ca.write}', tenant => :tenant) IS NOT NULL AS created, tenancy.grant_role(:tenant, 'c1a00000-0000-0000-0000-000000000001', 'ca_named');
SELECT status, tenancy.set_tenant_status(:tenant, status) AS changed,
       template.ask('authenticated', '{"@"}', $$concat_ws(' ', tenancy.has_permission_by_name('ca.read'), tenancy.has_permission_by_name('ca.write'), tenancy.has_permission_by_name('all'))$$) AS "read, write, all"
  FROM unnest(ARRAY['active', 'read_only', 'suspended']) status;
SELECT tenancy.has_permission_by_name(NULL) IS NULL AS null_in_null_out;

-- A policy that asks so for a name nobody registered is told of; for the wildcard all it is not.
CREATE TABLE template.papers (id int);
CREATE POLICY by_name ON template.papers USING (tenancy.has_permission_by_name('ca.lost') AND tenancy.has_permission_by_name('all'));
SELECT topic, finding FROM tenancy.diagnose() WHERE finding LIKE '%papers%';

-- None of the functions that policies call is VOLATILE.
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace = 'tenancy'::regnamespace AND p.provolatile = 'v'
   AND p.proname ~ '^(has_|is_member|current_|claim|tenant_ids|operator_access|aal$|can_see)'
   AND p.proname <> 'claims_of'; -- an administrator's, not a policy's
DROP SCHEMA template CASCADE;
SELECT tenancy.drop_tenant(:tenant), tenancy.drop_permission('ca.read'), tenancy.drop_permission('ca.write');
\if :no_service_role
REVOKE USAGE ON SCHEMA tenancy FROM service_role;
DROP ROLE service_role;
\endif
\if :no_authenticator
REVOKE USAGE ON SCHEMA tenancy FROM authenticator;
DROP ROLE authenticator;
\endif
