-- An attached users table with everybody in it, and beside it what the one-tenant template does when a role is edited: a
-- trigger that loops over the role's holders, gathers each one's permissions and writes his metadata.
SET client_min_messages = warning;
CREATE TABLE bench.auth_users AS
SELECT u.id, 'user' || u.u || '@example.com' AS email, '{"provider": "email", "providers": ["email"]}'::jsonb AS raw_app_meta_data FROM bench.users u;
ALTER TABLE bench.auth_users ADD PRIMARY KEY (id);
CREATE TABLE bench.template_users AS SELECT * FROM bench.auth_users;
ALTER TABLE bench.template_users ADD PRIMARY KEY (id);
-- Members that other rows of the benchmark made are users too.
INSERT INTO bench.auth_users (id) SELECT DISTINCT m.user_id FROM tenancy.members m ON CONFLICT DO NOTHING;
SELECT tenancy.attach_users('bench.auth_users');
SELECT tenancy.sync_claims();

-- The template's tables, with one role of 10,000 holders.
CREATE TABLE bench.template_roles (id bigint PRIMARY KEY, permissions text[] NOT NULL);
CREATE TABLE bench.template_user_roles (user_id uuid, role_id bigint REFERENCES bench.template_roles, PRIMARY KEY (user_id, role_id));
CREATE INDEX ON bench.template_user_roles (role_id);
INSERT INTO bench.template_roles VALUES (1, '{cache.ten,docs.read}'), (2, '{docs.read}');
INSERT INTO bench.template_user_roles SELECT u.id, r FROM bench.users u, generate_series(1, 2) r WHERE u.u BETWEEN 200000 AND 209999;
CREATE FUNCTION bench.template_set_claim(uid uuid, claim text, value jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE bench.template_users SET raw_app_meta_data = raw_app_meta_data || jsonb_build_object(claim, value) WHERE id = uid;
END
$$;
CREATE FUNCTION bench.template_role_edited() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    holder uuid;
    held jsonb;
BEGIN
    FOR holder IN SELECT r.user_id FROM bench.template_user_roles r WHERE r.role_id = NEW.id LOOP
        SELECT jsonb_agg(DISTINCT p) INTO held FROM bench.template_user_roles r JOIN bench.template_roles o ON o.id = r.role_id, unnest(o.permissions) p
         WHERE r.user_id = holder;
        PERFORM bench.template_set_claim(holder, 'perms', held);
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER edited AFTER UPDATE ON bench.template_roles FOR EACH ROW EXECUTE FUNCTION bench.template_role_edited();

-- The same 10,000 in one role of ours.
SELECT tenancy.create_permission('cache.ten'), tenancy.create_role('ten', '{cache.ten}');
SET session_replication_role = replica;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, role_scope)
SELECT bench.tenant_id(lower(u.tenants)), u.id, r.id, r.scope_id FROM bench.users u, tenancy.roles r WHERE r.name = 'ten' AND u.u BETWEEN 200000 AND 209999;
RESET session_replication_role;
SELECT tenancy.sync_claims();
VACUUM ANALYZE bench.auth_users, bench.template_users, tenancy.member_roles;

-- Milliseconds from before a statement to the end of its commit, in a session of its own.
CREATE FUNCTION bench.commit_ms(statement text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
BEGIN
    PERFORM dblink_exec('editor', statement);
    RETURN extract(epoch FROM clock_timestamp() - start) * 1000;
END
$$;
CREATE FUNCTION bench.edits(role text, verbs text[] DEFAULT '{revoke,grant}') RETURNS text[] LANGUAGE sql
    RETURN ARRAY(SELECT format('DO $$ BEGIN ASSERT tenancy.%s_permission(%L, %L); END $$', verb, role, 'cache.' || role)
                   FROM unnest(verbs) verb);

-- The commits of `ours` and of `other`, alternately, in pairs that leave all as it was; between them the queue is worked off.
CREATE FUNCTION bench.compare_edits(ours text[], other text[], turns int, settings_ours text DEFAULT '', settings_other text DEFAULT '')
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    here text := format('host=%s port=%s dbname=%s user=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
                        current_setting('port'), current_database(), session_user);
    a float8[] := '{}';
    b float8[] := '{}';
    first float8;
    second float8;
BEGIN
    PERFORM dblink_connect('editor', here);
    FOR turn IN 0 .. 2 * turns + 1 LOOP
        PERFORM dblink_exec('editor', 'RESET ALL'), dblink_exec('editor', 'SET client_min_messages = warning');
        IF settings_ours <> '' THEN
            PERFORM dblink_exec('editor', settings_ours);
        END IF;
        first := bench.commit_ms(ours[1 + turn % 2]);
        PERFORM dblink_exec('editor', 'RESET ALL');
        IF settings_other <> '' THEN
            PERFORM dblink_exec('editor', settings_other);
        END IF;
        second := bench.commit_ms(other[1 + turn % 2]);
        PERFORM dblink_exec('editor', 'DO $do$ BEGIN PERFORM tenancy.sync_claims(); END $do$');
        CONTINUE WHEN turn < 2;
        a := a || first;
        b := b || second;
    END LOOP;
    PERFORM dblink_disconnect('editor');
    RETURN bench.summary(a, b);
END
$$;

-- How long the hook takes for a user of 100 tenants whom this backend does not know yet: grants have just changed.
CREATE FUNCTION bench.time_hook(turns int) RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE
    event jsonb := jsonb_build_object('user_id', bench.user_id(13), 'authentication_method', 'password', 'claims',
        bench.token(13, NULL)::jsonb || '{"aud": "authenticated", "iat": 1, "session_id": "x", "email": "x", "phone": "", "is_anonymous": false}');
    took float8[] := '{}';
    start timestamptz;
    answer jsonb;
BEGIN
    PERFORM set_config('tenancy.claims_max_tenants', '100', true);
    FOR turn IN 1..turns LOOP
        UPDATE tenancy.operators SET reason = reason WHERE false;
        start := clock_timestamp();
        answer := tenancy.custom_access_token_hook(event);
        took := took || extract(epoch FROM clock_timestamp() - start) * 1000;
        ASSERT jsonb_array_length(answer #> '{claims,app_metadata,tenants}') = 100, 'the hook lists the tenants';
    END LOOP;
    RETURN took;
END
$$;
