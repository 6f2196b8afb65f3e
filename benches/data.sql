-- Who there is: roles of the database, 10,000 tenants, and the users that the rows of the benchmark are measured as.
-- Grants are loaded without the guards' row triggers (replica), which are not what is measured and take minutes.
SET client_min_messages = warning;
CREATE EXTENSION pg_tenancy;
CREATE EXTENSION dblink;
CREATE ROLE authenticated NOLOGIN;
-- What literal predicates run as in requests; elsewhere they run as superuser.
CREATE ROLE bypassing NOLOGIN BYPASSRLS;
-- On tables with several policies the database role chooses which one is measured (policies.sql).
CREATE ROLE compound NOLOGIN;
CREATE ROLE any_select NOLOGIN;
SELECT tenancy.enable_role('authenticated');
CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA bench GRANT SELECT, INSERT ON TABLES TO PUBLIC;

-- Ids whose leading digits are scattered, as random ones are, yet that a pgbench script can write as a literal.
CREATE FUNCTION bench.tenant_id(t int) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN (10000000 + (10000 + t)::bigint * 7368787 % 90000000 || '-0000-4000-9000-' || lpad((10000 + t)::text, 12, '0'))::uuid;
CREATE FUNCTION bench.user_id(u int) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN (10000000 + u::bigint * 7368787 % 90000000 || '-0000-4000-8000-' || lpad(u::text, 12, '0'))::uuid;
CREATE TABLE bench.tenants AS SELECT t, bench.tenant_id(t) AS id FROM generate_series(1, 10000) t;
CREATE TABLE bench.users (u int, id uuid GENERATED ALWAYS AS (bench.user_id(u)) STORED, tenants int4range, roles text[]);

INSERT INTO bench.users (u, tenants, roles) VALUES
    -- of the tenant measured in mode active, and of the big one besides, which has a tenth of the rows
    (1, '[500,500]', '{staff}'), (2, '[1,1]', '{staff}'),
    -- of N tenants
    (11, '[500,500]', '{staff}'), (12, '[500,509]', '{staff}'), (13, '[500,599]', '{staff}'), (14, '[1,1000]', '{staff}'),
    (15, '[1001,2000]', '{staff}'),
    -- told of changes by the row revoke
    (16, '[500,500]', '{staff,wide,narrow}');
-- Of all tenants, for cold_user_10k.
INSERT INTO bench.users (u, tenants, roles) SELECT u, '[1,10000]', '{staff}' FROM generate_series(21, 30) u;
-- Those who make requests.
INSERT INTO bench.users (u, tenants, roles)
SELECT u, int4range(1 + u % 1000, 1 + u % 1000, '[]'), '{staff}' FROM generate_series(10000, 19999) u;
-- Those whose first check is measured.
INSERT INTO bench.users (u, tenants, roles)
SELECT u, int4range(1 + u % 1000, 1 + u % 1000, '[]'), '{cold_a,cold_b,cold_c}' FROM generate_series(30000, 31999) u;
-- Those whose memberships change while others work: nobody measured is among them.
INSERT INTO bench.users (u, tenants, roles)
SELECT u, int4range(1 + u % 1000, 1 + u % 1000, '[]'), '{staff}' FROM generate_series(40000, 40999) u;
CREATE UNIQUE INDEX ON bench.users (u);

SELECT tenancy.create_permission('docs.read'), tenancy.create_permission('cache.wide'), tenancy.create_permission('cache.narrow');
SELECT tenancy.create_permission('cold.p' || n) FROM generate_series(1, 20) n;
SELECT tenancy.create_role('staff', '{docs.*,folders.*,authors.*}'),
       tenancy.create_role('wide', '{cache.wide}'), tenancy.create_role('narrow', '{cache.narrow}');
SELECT tenancy.create_role(role, permissions)
  FROM (SELECT 'cold_' || substr('abc', 1 + n % 3, 1) AS role, array_agg('cold.p' || n) AS permissions
          FROM generate_series(1, 20) n GROUP BY 1) AS r;

SET session_replication_role = replica;
INSERT INTO tenancy.tenants (id, slug, name) SELECT id, 't' || t, 'Tenant ' || t FROM bench.tenants;
INSERT INTO tenancy.members (tenant_id, user_id)
SELECT t.id, u.id FROM bench.users u CROSS JOIN LATERAL generate_series(lower(u.tenants), upper(u.tenants) - 1) n JOIN bench.tenants t ON t.t = n;
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id, role_scope)
SELECT m.tenant_id, m.user_id, r.id, r.scope_id
  FROM bench.users u JOIN tenancy.members m ON m.user_id = u.id JOIN tenancy.roles r ON r.name = ANY (u.roles);
RESET session_replication_role;

-- A token as Supabase makes them. pgbench/request*.sql spell the same one.
CREATE FUNCTION bench.token(u int, t int) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN format('{"aud": "authenticated", "exp": 4102444800, "iat": 1700000000, "iss": "https://example.supabase.co/auth/v1", '
        '"sub": "%s", "email": "user%s@example.com", "phone": "", '
        '"app_metadata": {"provider": "email", "providers": ["email"]%s}, "user_metadata": {"name": "User %s"}, '
        '"role": "authenticated", "aal": "aal1", "amr": [{"method": "password", "timestamp": 1700000000}], '
        '"session_id": "5b2b6c5e-6a57-4c1e-9d5c-0f4b0a3f8a11", "is_anonymous": false}',
        bench.user_id(u), u, ', "tenant_id": "' || bench.tenant_id(t) || '", "workspace_id": "' || bench.tenant_id(t) || '"', u);

-- For the rest of the transaction: user u, in tenant t if one is given, as that database role.
CREATE FUNCTION bench.become(u int, t int DEFAULT NULL, role text DEFAULT 'authenticated') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', bench.token(u, t), true), set_config('role', role, true);
END
$$;

-- One check as each of these users, so that the backend has loaded them; an error if one is denied.
CREATE FUNCTION bench.warm(first int, last int) RETURNS int LANGUAGE sql
    RETURN (SELECT 1 / (count(*) FILTER (WHERE CASE WHEN set_config('request.jwt.claims', format('{"sub": "%s"}', u.id), true) IS NOT NULL
                                                    THEN tenancy.has_permission(t.id, 'docs.read') END) = last - first + 1)::int
              FROM bench.users u JOIN bench.tenants t ON t.t = lower(u.tenants) WHERE u.u BETWEEN first AND last);

-- What a new connection's first call of plpgsql costs: partner of first_call.
CREATE FUNCTION bench.trivial(tenant uuid, permission text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN true; END $$;
VACUUM ANALYZE;
