-- Baseline (d), the strongest design in SQL alone: triggers keep one row per user with what he holds in each tenant,
-- a function called before each request puts it into a setting, and a plpgsql helper looks the row's tenant up in it.
CREATE SCHEMA claims_d;
CREATE ROLE claims_d NOLOGIN;
CREATE TABLE claims_d.grants (user_id uuid, tenant_id uuid, permissions text[] NOT NULL, PRIMARY KEY (user_id, tenant_id));
CREATE TABLE claims_d.user_claims (user_id uuid PRIMARY KEY, claims jsonb NOT NULL);

CREATE FUNCTION claims_d.refresh() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO claims_d.user_claims
    SELECT g.user_id, jsonb_object_agg(g.tenant_id, to_jsonb(g.permissions))
      FROM claims_d.grants g WHERE g.user_id IN (SELECT user_id FROM changed) GROUP BY 1
    ON CONFLICT (user_id) DO UPDATE SET claims = excluded.claims;
    RETURN NULL;
END
$$;
-- Only what the benchmark does is written out: grants are inserted.
CREATE TRIGGER refresh AFTER INSERT ON claims_d.grants REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION claims_d.refresh();

CREATE FUNCTION claims_d.pre_request() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held jsonb;
BEGIN
    SELECT claims INTO held FROM claims_d.user_claims
     WHERE user_id = (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid;
    PERFORM set_config('request.held', coalesce(held, '{}')::text, true);
END
$$;

CREATE FUNCTION claims_d.has_permission(tenant uuid, permission text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(current_setting('request.held', true)::jsonb -> tenant::text ? permission, false);
END
$$;
GRANT USAGE ON SCHEMA claims_d TO claims_d;

INSERT INTO claims_d.grants
SELECT u.id, t.id, '{docs.read,docs.create,docs.update,docs.delete}'
  FROM bench.users u JOIN bench.tenants t ON t.t <@ u.tenants WHERE u.u = 12 OR u.u BETWEEN 10000 AND 19999;
VACUUM ANALYZE claims_d.user_claims;
