-- One permission of a role is taken away and given back; the time is from before the statement that commits to the end of
-- the next check in another backend, for a role with 100,000 holders and for one with 10. Each check must tell the new state.
SET client_min_messages = warning;
INSERT INTO bench.users (u, tenants, roles)
SELECT u, int4range(1 + u % 1000, 1 + u % 1000, '[]'), CASE WHEN u < 200010 THEN '{wide,narrow}' ELSE '{wide}' END::text[]
  FROM generate_series(200000, 299999) u;
SET session_replication_role = replica;
INSERT INTO tenancy.members (tenant_id, user_id)
SELECT t.id, u.id FROM bench.users u JOIN bench.tenants t ON t.t = lower(u.tenants) WHERE u.u >= 200000;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, role_scope)
SELECT t.id, u.id, r.id, r.scope_id
  FROM bench.users u JOIN bench.tenants t ON t.t = lower(u.tenants) JOIN tenancy.roles r ON r.name = ANY (u.roles) WHERE u.u >= 200000;
RESET session_replication_role;
VACUUM ANALYZE tenancy.members;
VACUUM ANALYZE tenancy.member_roles;

CREATE FUNCTION bench.edit_and_check(role text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
    granted boolean;
BEGIN
    FOREACH granted IN ARRAY '{false,true}'::boolean[] LOOP
        PERFORM FROM dblink('editor', format('SELECT tenancy.%s_permission(%L, %L)', CASE WHEN granted THEN 'grant' ELSE 'revoke' END,
                                             role, 'cache.' || role)) AS edit (changed boolean) WHERE changed;
        ASSERT FOUND, 'nothing was edited';
        PERFORM FROM dblink('reader', format('SELECT tenancy.has_permission(%L, %L)', bench.tenant_id(500), 'cache.' || role))
            AS answer (held boolean) WHERE held = granted;
        ASSERT FOUND, 'the other backend does not know of the edit';
    END LOOP;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1000 / 2;
END
$$;

CREATE FUNCTION bench.compare_revoke(turns int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    here text := format('host=%s port=%s dbname=%s user=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
                        current_setting('port'), current_database(), session_user);
    ours float8[] := '{}';
    other float8[] := '{}';
    a float8;
    b float8;
BEGIN
    PERFORM dblink_connect('editor', here), dblink_connect('reader', here);
    PERFORM dblink_exec('reader', 'SET tenancy.claims_scope = session'),
            dblink_exec('reader', format('SET request.jwt.claims = %L', bench.token(16, NULL)));
    FOR turn IN 0..turns LOOP
        IF turn % 2 = 0 THEN
            a := bench.edit_and_check('wide');
            b := bench.edit_and_check('narrow');
        ELSE
            b := bench.edit_and_check('narrow');
            a := bench.edit_and_check('wide');
        END IF;
        CONTINUE WHEN turn = 0;
        ours := ours || a;
        other := other || b;
    END LOOP;
    PERFORM dblink_disconnect('editor'), dblink_disconnect('reader');
    RETURN bench.summary(ours, other);
END
$$;
