-- The active tenant: setting, header, claim, only membership. The first that is present decides; when it is
-- refused the answer is NULL, and never the next source (threat 4).
\set user '''7e000000-0000-0000-0000-0000000000e1'''
\set sole '''7e000000-0000-0000-0000-0000000000e2'''
INSERT INTO tenancy.tenants (id, slug, name, key) VALUES
    ('7e000000-0000-0000-0000-00000000000a', 'choice-a', 'A', 'key-a'), ('7e000000-0000-0000-0000-00000000000b', 'choice-b', 'B', NULL),
    ('7e000000-0000-0000-0000-00000000000c', 'choice-c', 'C', 'key-c'), ('7e000000-0000-0000-0000-00000000000d', 'choice-d', 'D', 'key-d'),
    ('7e000000-0000-0000-0000-00000000000f', 'choice-f', 'F', 'key-f');
-- a, b and c are open to the user; in d he is suspended; f is not his.
INSERT INTO tenancy.members (tenant_id, user_id, status)
SELECT ('7e000000-0000-0000-0000-00000000000' || t)::uuid, :user, CASE t WHEN 'd' THEN 'suspended' ELSE 'active' END
  FROM unnest(ARRAY['a', 'b', 'c', 'd']) t;
SELECT tenancy.add_member('7e000000-0000-0000-0000-00000000000a', :sole);
-- Chosen by last letter; '!' is no uuid, '' is set and empty, NULL leaves it away.
CREATE FUNCTION pg_temp.chosen(setting text, header text, claim text, token_path text[] DEFAULT '{tenant_id}',
                               who uuid DEFAULT '7e000000-0000-0000-0000-0000000000e1') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    token jsonb := jsonb_build_object('sub', who);
    named text[];
BEGIN
    SELECT array_agg(CASE WHEN n ~ '^[a-f]$' THEN '7e000000-0000-0000-0000-00000000000' || n ELSE n END ORDER BY i)
      INTO named FROM unnest(ARRAY[setting, header, claim]) WITH ORDINALITY u(n, i);
    IF named[3] IS NOT NULL THEN
        FOR i IN 1 .. cardinality(token_path) - 1 LOOP
            token := jsonb_set(token, token_path[:i], '{}');
        END LOOP;
        token := jsonb_set(token, token_path, to_jsonb(named[3]));
    END IF;
    PERFORM set_config('request.jwt.claims', token::text, true),
            set_config('request.headers', coalesce(jsonb_build_object('Accept', '*/*', 'X-Tenant', named[2])::text, ''), true),
            set_config('tenancy.tenant_id', coalesce(named[1], ''), true);
    IF header IS NULL THEN
        PERFORM set_config('request.headers', '{"Accept":"*/*"}', true);
    END IF;
    RETURN coalesce(right(tenancy.current_tenant_id()::text, 1) || coalesce(' ' || tenancy.current_tenant_key(), ''), '-')
        || CASE tenancy.is_member(tenancy.current_tenant_id()) WHEN true THEN '' WHEN false THEN ' (no member!)' ELSE '' END;
END
$$;
CREATE TEMP TABLE requests AS
SELECT s, h, c FROM unnest(ARRAY['a', 'd', 'f', '!', NULL]) WITH ORDINALITY s(s, n1),
                    unnest(ARRAY['b', 'd', '!', NULL]) WITH ORDINALITY h(h, n2),
                    unnest(ARRAY['c', 'f', NULL]) WITH ORDINALITY c(c, n3) ORDER BY n1, n2, n3;
-- Headers are not looked at unless an administrator names one.
SELECT s AS setting, c AS claim, pg_temp.chosen(s, 'b', c) FROM requests WHERE h = 'b';
SET tenancy.tenant_header = 'x-TENANT';
SELECT s AS setting, h AS header, c AS claim, pg_temp.chosen(s, h, c) FROM requests;

-- Headers as PostgREST passes them, and as it would not.
CREATE FUNCTION pg_temp.with_headers(headers text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', '{"sub":"7e000000-0000-0000-0000-0000000000e1","tenant_id":"7e000000-0000-0000-0000-00000000000c"}', true),
            set_config('tenancy.tenant_id', '', true), set_config('request.headers', headers, true);
    RETURN coalesce(right(tenancy.current_tenant_id()::text, 1), '-');
END
$$;
SELECT headers, pg_temp.with_headers(headers) FROM unnest(ARRAY[
    '{"x-tenant":"7e000000-0000-0000-0000-00000000000b"}', '{"X-TENANT":"7e000000-0000-0000-0000-00000000000b"}',
    '{"x-tenant":"7E000000-0000-0000-0000-00000000000B"}', '{"x-tenant":"7e000000-0000-0000-0000-00000000000f"}',
    '{"x-tenant":""}', '{"x-tenant":null}', '{"x-tenant":1}', '{"x-tenant":["7e000000-0000-0000-0000-00000000000b"]}',
    '{"x-tenant":"choice-b"}', '{"x-tenants":"7e000000-0000-0000-0000-00000000000b"}',
    '{"x-tenant":" 7e000000-0000-0000-0000-00000000000b"}', '{"x-tenant":"f","x-tenant":"7e000000-0000-0000-0000-00000000000b"}',
    '', '{', '[]', 'null', '"x-tenant"']) headers;
SET tenancy.tenant_header = '';
SELECT pg_temp.with_headers('{"x-tenant":"7e000000-0000-0000-0000-00000000000b"}') AS off_again;
RESET tenancy.tenant_header;

-- The claim: by default app_metadata.tenant_id, then tenant_id.
SELECT path, pg_temp.chosen(NULL, NULL, 'b', path::text[]) FROM unnest(ARRAY[
    '{tenant_id}', '{app_metadata,tenant_id}', '{user_metadata,tenant_id}', '{app_metadata,workspace_id}', '{tid}']) path;
CREATE FUNCTION pg_temp.with_claims(members text, paths text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('tenancy.tenant_claim', coalesce(paths, current_setting('tenancy.tenant_claim')), true),
            set_config('tenancy.tenant_id', '', true),
            set_config('request.jwt.claims', replace(format('{"sub":"7e000000-0000-0000-0000-0000000000e1",%s}', members), '#', '7e000000-0000-0000-0000-00000000000'), true);
    RETURN coalesce(right(tenancy.current_tenant_id()::text, 1), '-');
END
$$;
SELECT members, pg_temp.with_claims(members) FROM unnest(ARRAY[
    '"app_metadata":{"tenant_id":"#a"},"tenant_id":"#b"', '"app_metadata":{"tenant_id":"#f"},"tenant_id":"#b"',
    '"app_metadata":{"tenant_id":null},"tenant_id":"#b"', '"app_metadata":{"tenant_id":""},"tenant_id":"#b"',
    '"app_metadata":{"tenant_id":{}},"tenant_id":"#b"', '"app_metadata":"#a","tenant_id":"#b"', '"app_metadata":[{"tenant_id":"#a"}]',
    '"app_metadata.tenant_id":"#a"', '"tenant_id":7', '"tenant_id":"#a","tenant_id":"#b"', '"tenant_id":"00000000-0000-0000-0000-000000000000"']) members;
-- Its own paths, with keys that hold dots themselves.
SELECT members, paths, pg_temp.with_claims(members, paths) FROM (VALUES
    ('"app_metadata":{"workspace_id":"#b"},"tenant_id":"#a"', 'app_metadata.workspace_id'),
    ('"app_metadata":{"tenant_id":"#b"}', 'app_metadata.workspace_id'),
    ('"https://example.com/tenant":"#b"', 'https://example.com/tenant'),
    ('"https://example.com/claims":{"v1.2":{"tenant":"#b"}}', 'https://example.com/claims.v1.2.tenant'),
    ('"a.b":{"c":"#a"},"a":{"b.c":"#b"}', 'a.b.c'), ('"a.b.c":"#c","a.b":{"c":"#a"}', 'a.b.c'),
    ('"t":"#a","u":"#b"', ' , u ,, t'), ('"t":"#a"', ''), ('"":"#a"', '.'), ('"t":"#a"', 't.'), ('"t":"#a"', '$.t')) v (members, paths);

-- The only membership, of whatever status, and only while nothing else is present.
SELECT pg_temp.chosen(NULL, NULL, NULL) AS of_many, pg_temp.chosen(NULL, NULL, NULL, who => :sole) AS of_one,
       pg_temp.chosen('b', NULL, NULL, who => :sole) AS setting_first, pg_temp.chosen(NULL, NULL, '!', who => :sole) AS claim_first;
SET tenancy.sole_tenant = off;
SELECT pg_temp.chosen(NULL, NULL, NULL, who => :sole) AS off, pg_temp.chosen('a', NULL, NULL, who => :sole) AS chosen;
RESET tenancy.sole_tenant;
INSERT INTO tenancy.members (tenant_id, user_id, status) VALUES ('7e000000-0000-0000-0000-00000000000d', :sole, 'suspended');
SELECT pg_temp.chosen(NULL, NULL, NULL, who => :sole) AS one_more_though_suspended;
DELETE FROM tenancy.members WHERE user_id = :sole AND tenant_id <> '7e000000-0000-0000-0000-00000000000d';
SELECT pg_temp.chosen(NULL, NULL, NULL, who => :sole) AS only_suspended;

-- A tenant that closes is refused from whichever source, the others standing.
SELECT status, tenancy.set_tenant_status('7e000000-0000-0000-0000-00000000000a', status),
       pg_temp.chosen('a', NULL, 'b') AS setting, pg_temp.chosen(NULL, NULL, 'a') AS claim, pg_temp.chosen('b', NULL, 'a') AS other
  FROM unnest(ARRAY['read_only', 'suspended', 'archived', 'active']) status;
-- Nobody without identity has a tenant, whatever he sets.
BEGIN;
SET LOCAL tenancy.tenant_id = '7e000000-0000-0000-0000-00000000000a';
SELECT tenancy.current_tenant_id() AS nobodys, tenancy.tenant_ids();
COMMIT;
-- A plain SET of the tenant ends with its transaction, like the claims.
SELECT set_config('tenancy.tenant_id', '7e000000-0000-0000-0000-00000000000a', false) IS NOT NULL AS set;
SELECT current_setting('tenancy.tenant_id') AS after_commit;

SELECT tenancy.drop_tenant(id) FROM tenancy.tenants WHERE slug LIKE 'choice-%';
