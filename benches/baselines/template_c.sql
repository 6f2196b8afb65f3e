-- Baseline (c), the pattern of the workspace template: the host's function that returns the token as jsonb, wrapped in
-- (SELECT …), with the workspace taken out of it and cast for every row.
CREATE SCHEMA template_c;
CREATE ROLE template_c NOLOGIN;
CREATE FUNCTION template_c.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
GRANT USAGE ON SCHEMA template_c TO template_c;
