-- Baseline (b), the pattern of the one-tenant template: the token names the tenant and a plpgsql function reads it out
-- of the setting. Its policies call the function per row, or wrapped in (SELECT …), which Postgres evaluates once.
CREATE SCHEMA template_b;
CREATE ROLE template_b NOLOGIN;
CREATE ROLE template_b_select NOLOGIN;
CREATE FUNCTION template_b.tenant_id() RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'app_metadata' ->> 'tenant_id')::uuid;
END
$$;
GRANT USAGE ON SCHEMA template_b TO template_b, template_b_select;
