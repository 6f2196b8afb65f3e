# shellcheck shell=bash
# The demo beside a Supabase stack (make demo STACK=supabase), sourced by tools/demo: what the two templates that this
# project grew from promise, and what they could not. The database is tests/fixtures/supabase.sql with the adapter run
# over it; every request is made as PostgREST makes it, every login as the auth server does. A surprise ends it with
# status 1.

declare -A ID TOKEN
ACME='aaaaaaaa-0000-4000-8000-000000000001'
GLOBEX='bbbbbbbb-0000-4000-8000-000000000002'
INITECH='cccccccc-0000-4000-8000-000000000003'

# Ids are shown by their names.
show() {
    local text=$1 name
    for name in "${!ID[@]}"; do text=${text//"${ID[$name]}"/<$name>}; done
    text=${text//"$ACME"/<acme>}
    text=${text//"$GLOBEX"/<globex>}
    printf '    %s\n' "${text//"$INITECH"/<initech>}"
}
# Output of psql with errors as their SQLSTATE alone.
codes() { sed -E 's/^(psql:[^ ]* )?ERROR:  ([0-9A-Z]{5})$/\2/; /^$/d' | grep -vE '^(NOTICE|HINT|DETAIL)' || true; }
# auth SQL: as the auth server.
auth() { { PGUSER=supabase_auth_admin psql -At -v VERBOSITY=sqlstate -c "$1" 2>&1 || true; } | codes; }
# sign_up NAME EMAIL [CONFIRMED]: a row as the auth server makes it; the id goes to ID[NAME].
sign_up() {
    ID[$1]=$(sql 'SELECT gen_random_uuid()')
    auth "INSERT INTO users (instance_id, id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
          VALUES ('00000000-0000-0000-0000-000000000000', '${ID[$1]}', 'authenticated', 'authenticated', '$2', ${3:-now()},
                  '{\"provider\": \"email\", \"providers\": [\"email\"]}', '{\"full_name\": \"$1\"}', now(), now())"
}
# login NAME: the claims of a new token, as the auth server's hook leaves them, go to TOKEN[NAME].
login() {
    TOKEN[$1]=$(auth "BEGIN; SET LOCAL statement_timeout = '2s';
        SELECT tenancy.custom_access_token_hook(jsonb_build_object('user_id', u.id, 'authentication_method', 'password',
            'claims', jsonb_build_object('aud', u.aud, 'exp', extract(epoch FROM now() + '1 hour')::bigint, 'iat', extract(epoch FROM now())::bigint,
                'sub', u.id, 'email', u.email, 'phone', '', 'role', u.role, 'aal', 'aal1', 'session_id', gen_random_uuid(),
                'is_anonymous', u.is_anonymous, 'app_metadata', u.raw_app_meta_data, 'user_metadata', u.raw_user_meta_data)))
            -> 'claims' FROM users u WHERE u.id = '${ID[$1]}'; COMMIT")
    [[ ${TOKEN[$1]} == '{'* ]] || { echo "FAILED: $1 has no token: ${TOKEN[$1]}"; exit 1; }
}
TOKEN[anon]='{"role": "anon"}'
TOKEN[service]='{"role": "service_role"}'
in_token() { sql "SELECT coalesce('${TOKEN[$1]}'::jsonb $2, '\"nothing\"')"; }

# request METHOD CLAIMS SQL [HEADERS]: one transaction of a connection that logged in as authenticator.
request() {
    local mode='READ WRITE'
    [[ $1 != GET ]] || mode='READ ONLY'
    { PGUSER=authenticator psql -At -v claims="$2" -v headers="${4:-"{}"}" -v method="$1" 2>&1 || true; } <<SQL | codes
\\set VERBOSITY sqlstate
BEGIN ISOLATION LEVEL READ COMMITTED $mode;
SELECT set_config('search_path', '"public", "extensions"', true), set_config('role', :'claims'::jsonb ->> 'role', true),
       set_config('request.jwt.claims', :'claims', true), set_config('request.method', :'method', true),
       set_config('request.path', '/', true), set_config('request.headers', :'headers', true),
       set_config('request.cookies', '{}', true) \\g /dev/null
SELECT tenancy.pre_request() \\g /dev/null
$3;
COMMIT;
SQL
}
# as NAME METHOD SQL EXPECTED [HEADERS]: shows a request and what it answers, which must be what is expected.
as() {
    local answer
    answer=$(request "$2" "${TOKEN[$1]}" "$3" "${5:-}")
    show "$1 $2${5:+ $5}: $3 -> ${answer//$'\n'/ | }"
    expect "$3" "$answer" "$4"
}
# admin SQL [EXPECTED]: as the superuser.
admin() {
    local answer
    answer=$({ psql -At -v VERBOSITY=sqlstate -c "$1" 2>&1 || true; } | codes)
    show "$1${2:+ -> ${answer//$'\n'/ | }}"
    [[ -z ${2:-} ]] || expect "$1" "$answer" "$2"
}
metadata() { sql "SELECT coalesce(raw_app_meta_data $2, '\"nothing\"') FROM auth.users WHERE id = '${ID[$1]}'"; }
# stored NAME KEY EXPECTED: what stands in raw_app_meta_data.
stored() {
    local answer
    answer=$(metadata "$1" "-> '$2'")
    show "auth.users.raw_app_meta_data of $1 -> '$2' = $answer"
    expect "$1's $2" "$answer" "$3"
}

step '1. A Supabase-shaped database, the extension, the adapter (which may run again)'
# The scratch cluster loads the library everywhere; here that is the adapter's business.
echo "session_preload_libraries = ''" | as_pg tee -a "$RUN/server/data/postgresql.conf" >/dev/null
as_pg "$BINDIR/pg_ctl" -D "$RUN/server/data" reload >/dev/null
psql -f tests/fixtures/supabase.sql >/dev/null
psql -c 'CREATE EXTENSION pg_tenancy' >/dev/null
psql -f sql/adapters/supabase.sql >"$RUN/adapter" 2>"$RUN/notices" || { cat "$RUN/notices"; exit 1; }
sed '/^$/d; s/^/    /' "$RUN/adapter"
psql -f sql/adapters/supabase.sql 2>/dev/null | diff "$RUN/adapter" - || { echo 'FAILED: the second run says something else'; exit 1; }

step '2. Tenants, permissions in roles, and a new table, which one call protects'
psql <<SQL
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('$ACME', 'acme', 'Acme'), ('$GLOBEX', 'globex', 'Globex'), ('$INITECH', 'initech', 'Initech');
CREATE TABLE documents (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id uuid, title text NOT NULL, size int NOT NULL DEFAULT 1);
INSERT INTO documents (tenant_id, title) SELECT t.id, t.slug || ' ' || n FROM tenancy.tenants t, generate_series(1, 3) n WHERE t.slug <> 'initech';
SQL
admin "SELECT count(*) FROM tenancy.permissions WHERE name IN ('tenant.edit','members.assign','roles.edit','roles.assign','profiles.edit')" 5
admin "SELECT tenancy.protect_table('documents')" t
admin "SELECT count(tenancy.create_role(r, p::text[])) FROM (VALUES ('admin', '{all}'), ('editor', '{documents.*}'), ('reader', '{documents.read}'), ('manager', '{members.*,roles.*,groups.edit,documents.read,profiles.edit}')) v (r, p)" 4

step '3. Users sign up; a confirmed address of a domain makes a member, with default roles'
admin "SELECT tenancy.set_auto_assignment('$ACME', email_domains => '{acme.example}', default_roles => '{reader}')" t
sign_up ann ann@acme.example NULL
admin "SELECT count(*) FROM tenancy.members" 0
auth "UPDATE users SET email_confirmed_at = now() WHERE id = '${ID[ann]}'"
show 'ann confirms her address'
admin "SELECT m.user_id = '${ID[ann]}', t.slug FROM tenancy.members m JOIN tenancy.tenants t ON t.id = m.tenant_id" 't|acme'
sign_up bob bob@globex.example
sign_up eve eve@acme.example.evil
sign_up max max@consultant.example
sign_up olga olga@platform.example
admin "SELECT tenancy.add_member('$GLOBEX', '${ID[bob]}', '{admin}')" t
admin "SELECT count(*) FROM tenancy.members" 2

step '4. Claims: in raw_app_meta_data, kept by triggers, and in every token, by the hook'
stored ann perms '["documents.read"]'
stored ann tenant_id "\"$ACME\""
stored ann provider '"email"'
stored bob perms '["all"]'
login ann
login bob
login eve
show "the hook's app_metadata for ann: $(in_token ann "-> 'app_metadata'")"
expect 'token' "$(in_token ann "#> '{app_metadata,perms}'")" '["documents.read"]'
expect 'kept' "$(in_token ann "-> 'email'")" '"ann@acme.example"'
admin "ALTER DATABASE postgres SET tenancy.token_user_permissions = on"
login ann
expect 'user_permissions' "$(in_token ann "-> 'user_permissions'")" '["documents.read"]'
show "user_permissions at the top level, too: $(in_token ann "-> 'user_permissions'")"
as ann POST "SELECT tenancy.custom_access_token_hook('{}')" 42501

step '5. Isolation, through PostgREST: GET is READ ONLY, roles are anon, authenticated, service_role'
as ann GET 'SELECT count(*) FROM documents' 3
as bob GET "SELECT count(*) FROM documents WHERE tenant_id = '$ACME'" 0
as eve GET 'SELECT count(*) FROM documents' 0
as anon GET 'SELECT count(*) FROM documents' 0
as service GET 'SELECT count(*) FROM documents' 6
as bob POST "INSERT INTO documents (tenant_id, title) VALUES ('$ACME', 'planted')" 42501
as bob POST "INSERT INTO documents (title) VALUES ('his own') RETURNING tenant_id" "$GLOBEX"
as ann POST "INSERT INTO documents (title) VALUES ('she may read only')" 42501
as ann GET "SELECT tenancy.has_permission('documents.read'), tenancy.has_permission('documents.update')" 't|f'

step '6. Use of resources, counted for each tenant'
psql <<'SQL'
CREATE TABLE tenant_usage (tenant_id uuid, resource text, amount bigint NOT NULL DEFAULT 0, PRIMARY KEY (tenant_id, resource));
INSERT INTO tenant_usage SELECT tenant_id, 'documents', count(*) FROM documents GROUP BY 1;
CREATE FUNCTION count_documents() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.tenant_usage AS u SELECT tenant_id, 'documents', count(*) FROM added GROUP BY 1
    ON CONFLICT (tenant_id, resource) DO UPDATE SET amount = u.amount + excluded.amount;
    RETURN NULL;
END $$;
CREATE TRIGGER count_documents AFTER INSERT ON documents REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_documents();
SQL
admin "SELECT tenancy.protect_table('tenant_usage', resource => 'usage')" t
as bob POST "INSERT INTO documents (title) VALUES ('one more')" ''
as bob GET 'SELECT resource, amount FROM tenant_usage' 'documents|5'
as ann GET 'SELECT count(*) FROM tenant_usage' 0
as bob GET "SELECT count(*) FROM tenant_usage WHERE tenant_id <> '$GLOBEX'" 0

step '7. Roles go to groups, groups to members; the next statement and the next token know'
admin "SELECT tenancy.create_group('$ACME', 'writers') IS NOT NULL, tenancy.grant_role_to_group('$ACME', 'writers', 'editor'), tenancy.add_group_member('$ACME', 'writers', '${ID[ann]}')" 't|t|t'
as ann POST "INSERT INTO documents (title) VALUES ('by a writer') RETURNING title" 'by a writer'
stored ann perms '["documents.*", "documents.read"]'
login ann
admin "SELECT tenancy.remove_group_member('$ACME', 'writers', '${ID[ann]}')" t
show "her token still says $(in_token ann "#> '{app_metadata,perms}'")"
as ann POST "INSERT INTO documents (title) VALUES ('too late')" 42501

step '8. The auth server writes the column from a stale copy: what is ours is put right, what is not stays'
auth "UPDATE users SET raw_app_meta_data = '{\"provider\": \"email\", \"plan\": \"pro\", \"perms\": [\"all\"], \"tenant_id\": \"$GLOBEX\", \"tenant_access\": \"write\"}' WHERE id = '${ID[ann]}'"
stored ann perms '["documents.read"]'
stored ann tenant_id "\"$ACME\""
stored ann tenant_access '"nothing"'
stored ann plan '"pro"'
admin 'SELECT tenancy.sync_claims()' 0

step '9. A user of several tenants: header, stored choice, token; permissions are those of the tenant he works in'
admin "SELECT tenancy.add_member('$ACME', '${ID[max]}', '{reader}'), tenancy.add_member('$GLOBEX', '${ID[max]}', '{editor}')" 't|t'
admin "ALTER DATABASE postgres SET tenancy.tenant_header = 'x-tenant-id'"
login max
in_acme="{\"x-tenant-id\": \"$ACME\"}" in_globex="{\"x-tenant-id\": \"$GLOBEX\"}"
as max GET 'SELECT count(*) FROM documents' 0
as max GET 'SELECT count(*) FROM documents' 4 "$in_acme"
as max GET 'SELECT count(*) FROM documents' 5 "$in_globex"
as max POST "INSERT INTO documents (title) VALUES ('a tab') RETURNING tenant_id" "$GLOBEX" "$in_globex"
as max POST "INSERT INTO documents (title) VALUES ('another tab')" 42501 "$in_acme"
as max GET 'SELECT count(*) FROM documents' 42501 "{\"x-tenant-id\": \"$INITECH\"}"
as max POST "SELECT tenancy.set_active_tenant('$ACME')" t
as max POST "SELECT tenancy.set_active_tenant('$INITECH')" 42501
as max GET 'SELECT tenancy.current_tenant_id()' "$ACME"
login max
show "his next token: $(in_token max "-> 'app_metadata'")"
expect 'chosen' "$(in_token max "#> '{app_metadata,tenant_id}'")" "\"$ACME\""
expect 'tenants' "$(in_token max "#> '{app_metadata,tenants}'")" "[\"$ACME\", \"$GLOBEX\"]"

step '10. The tenant as the other template has it: workspace_id, set by the admin API in app_metadata'
admin "ALTER DATABASE postgres SET tenancy.tenant_claim = 'app_metadata.workspace_id, app_metadata.tenant_id'"
auth "UPDATE users SET raw_app_meta_data = raw_app_meta_data || '{\"workspace_id\": \"$GLOBEX\"}' WHERE id = '${ID[max]}'"
login max
as max GET 'SELECT tenancy.current_tenant_id()' "$GLOBEX"
auth "UPDATE users SET raw_app_meta_data = raw_app_meta_data || '{\"workspace_id\": \"$INITECH\"}' WHERE id = '${ID[max]}'"
login max
as max GET 'SELECT count(*) FROM documents' 0
admin 'ALTER DATABASE postgres RESET tenancy.tenant_claim'

step '11. Members manage their own tenant, and nobody hands out more than he holds'
sign_up mia mia@acme.example
admin "SELECT tenancy.grant_role('$ACME', '${ID[mia]}', 'manager')" t
login mia
as mia POST "SELECT tenancy.create_role('clerk', '{documents.read}', '$ACME') IS NOT NULL" t
as mia POST "SELECT tenancy.grant_role('$ACME', '${ID[ann]}', 'clerk')" t
as mia POST "SELECT tenancy.grant_role('$ACME', '${ID[mia]}', 'admin')" 42501
as mia POST "SELECT tenancy.grant_role('$GLOBEX', '${ID[mia]}', 'reader')" 42501
as ann POST "SELECT tenancy.grant_role('$ACME', '${ID[ann]}', 'manager')" 42501

step '12. Operators: tenant_access without a superuser; of protected data nothing, unless a table says so'
as service POST "SELECT tenancy.grant_operator('${ID[olga]}', 'read', reason => 'support')" t
stored olga tenant_access '"read"'
login olga
as olga GET 'SELECT count(*) FROM tenancy.tenants' 3
as olga GET 'SELECT count(*) FROM documents' 0
as olga POST "SELECT tenancy.create_tenant('hooli', owner => '${ID[eve]}')" 42501
as service POST "SELECT tenancy.grant_operator('${ID[olga]}', 'write')" t
as olga POST "SELECT tenancy.create_tenant('hooli', owner => '${ID[eve]}') IS NOT NULL" t
as ann POST "SELECT tenancy.grant_operator('${ID[ann]}', 'read')" 42501
admin "SELECT tenancy.protect_table('documents', operators => true)" t
as olga GET 'SELECT count(*) > 8 FROM documents' t
as ann GET 'SELECT count(*) FROM documents' 4
as service POST "SELECT tenancy.revoke_operator('${ID[olga]}')" t
as olga GET 'SELECT count(*) FROM documents' 0

step '13. Custom claims, for administrators; ours follow from the tables'
as service POST "SELECT tenancy.set_claim('${ID[ann]}', 'beta', 'true')" t
as service GET "SELECT tenancy.get_claim('${ID[ann]}', 'beta')" true
as service POST "SELECT tenancy.set_claim('${ID[ann]}', 'perms', '[\"all\"]')" 42501
as service POST "SELECT tenancy.delete_claim('${ID[ann]}', 'beta')" t
as service GET "SELECT tenancy.get_claims('${ID[ann]}') ? 'beta'" f
as ann GET "SELECT tenancy.get_claims('${ID[ann]}')" 42501

step '14. Profiles, optional: made at sign-up, copied to raw_user_meta_data, edited by oneself or with profiles.edit'
admin 'SELECT tenancy.enable_profiles()' t
sign_up pam pam@acme.example
admin "SELECT display_name, time_zone, language FROM tenancy.user_profiles WHERE user_id = '${ID[pam]}'" 'pam|UTC|en'
login pam
as pam PATCH "UPDATE tenancy.user_profiles SET display_name = 'Pam', time_zone = 'Europe/Vienna' WHERE user_id = '${ID[pam]}' RETURNING time_zone" 'Europe/Vienna'
as pam PATCH "UPDATE tenancy.user_profiles SET time_zone = 'Mars/Olympus' WHERE user_id = '${ID[pam]}'" 22023
admin "SELECT raw_user_meta_data ->> 'display_name', raw_user_meta_data ->> 'full_name' FROM auth.users WHERE id = '${ID[pam]}'" 'Pam|pam'
as ann PATCH "UPDATE tenancy.user_profiles SET title = 'Dr.' WHERE user_id = '${ID[pam]}' RETURNING title" ''
as mia PATCH "UPDATE tenancy.user_profiles SET title = 'Dr.' WHERE user_id = '${ID[pam]}' RETURNING title" 'Dr.'
as bob GET "SELECT count(*) FROM tenancy.user_profiles WHERE user_id = '${ID[pam]}'" 0
admin 'SELECT tenancy.disable_profiles()' t

step '15. Files: the first part of the path is the tenant; no pre-request is needed'
sed -n '/<!-- storage recipe/,/^```$/p' docs/guides/supabase.md | sed '/^<!--/d; /^```/d' >"$RUN/storage.sql"
psql -f "$RUN/storage.sql" >/dev/null
psql -c "INSERT INTO storage.buckets (id, name) VALUES ('tenants', 'tenants');
         INSERT INTO storage.objects (bucket_id, name) VALUES ('tenants', '$ACME/a.pdf'), ('tenants', '$GLOBEX/b.pdf'), ('tenants', 'nowhere/c.pdf')"
admin "SELECT tenancy.grant_permission('reader', 'files.read')" t
as ann GET 'SELECT name FROM storage.objects' "$ACME/a.pdf"
as eve GET 'SELECT count(*) FROM storage.objects' 0
as ann POST "INSERT INTO storage.objects (bucket_id, name) VALUES ('tenants', '$GLOBEX/planted.pdf')" 42501

step '16. A role with many holders: their claims are queued, and drained in batches or at login'
admin "ALTER DATABASE postgres SET tenancy.claims_sync_limit = 1"
admin "SELECT tenancy.grant_permission('reader', 'documents.update')" t
stored ann perms '["documents.read", "files.read"]'
login ann
show 'ann logs in'
stored ann perms '["documents.read", "documents.update", "files.read"]'
admin 'SELECT tenancy.sync_claims(batch => 1000) > 0' t
admin 'SELECT tenancy.sync_claims()' 0
admin 'ALTER DATABASE postgres RESET tenancy.claims_sync_limit'
show 'deferred: each user once, at the end of the transaction'
admin "SET tenancy.claims_sync = deferred; BEGIN; SELECT tenancy.grant_role('$GLOBEX', '${ID[bob]}', 'editor'); SELECT raw_app_meta_data -> 'perms' FROM auth.users WHERE id = '${ID[bob]}'; COMMIT" $'t\n["all"]'
stored bob perms '["all", "documents.*"]'

step '17. What fails never stops a sign-up, a grant or a login'
psql <<'SQL'
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION refuse();
SQL
admin "SELECT tenancy.grant_role('$ACME', '${ID[pam]}', 'editor')" t
admin 'SELECT DISTINCT what, sqlstate, message FROM tenancy.sync_failures' 'claims|P0001|not now'
login pam
show "pam's token: $(in_token pam "#> '{app_metadata,perms}'")"
expect 'the token' "$(in_token pam "#> '{app_metadata,perms}'")" '["documents.*", "documents.read", "documents.update", "files.read"]'
psql -c 'DROP TRIGGER refuse ON auth.users'
admin 'SELECT tenancy.sync_claims()' 1

step '18. A user is deleted: what he had goes with him'
auth "DELETE FROM users WHERE id = '${ID[max]}'"
admin "SELECT count(*) FROM tenancy.members WHERE user_id = '${ID[max]}'" 0
as max GET 'SELECT count(*) FROM documents' 42501 "$in_acme"

step "19. As the templates had it: tenancy.authority = 'claims', where the token decides until it expires"
admin "ALTER DATABASE postgres SET tenancy.authority = 'claims'"
login ann
admin "SELECT tenancy.revoke_role('$ACME', '${ID[ann]}', 'reader'), tenancy.revoke_role('$ACME', '${ID[ann]}', 'clerk')" 't|t'
as ann GET 'SELECT count(*) FROM documents' 4
as pam GET "SELECT tenancy.has_permission('documents.delete'), tenancy.has_permission_by_name('documents.delete'), tenancy.has_permission_by_name('documents.read')" 't|f|t'
login ann
as ann GET 'SELECT count(*) FROM documents' 0
admin 'ALTER DATABASE postgres RESET tenancy.authority'

printf '\nEverything as expected.\n'
