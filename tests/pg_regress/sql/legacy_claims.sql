-- Claims in a setting each, as older PostgREST passes them (request.jwt.claim.sub …): only with tenancy.legacy_claims.
\set a '7e000000-0000-0000-0000-0000000000d1'
\set b '7e000000-0000-0000-0000-0000000000d2'
\set one '5e000000-0000-0000-0000-0000000000d1'
\set two '5e000000-0000-0000-0000-0000000000d2'
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'a', 'legacy-a', 'A'), (:'b', 'legacy-b', 'B');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'a', :'one'), (:'b', :'one'), (:'b', :'two');
CREATE VIEW pg_temp.who AS SELECT right(tenancy.current_user_id()::text, 2) AS "user", right(tenancy.current_tenant_id()::text, 2) AS tenant, tenancy.claim('role') AS role, tenancy.aal(), tenancy.claims() - '{sub,role,aal}'::text[] AS more;
-- Off: nobody.
BEGIN;
SET LOCAL "request.jwt.claim.sub" = :'one';
SELECT * FROM pg_temp.who;
COMMIT;
SET tenancy.legacy_claims = on;
-- As PostgREST sets them.
BEGIN;
SELECT set_config('request.jwt.claim.sub', :'one', true) <> '', set_config('request.jwt.claim.role', 'authenticated', true) <> '', set_config('request.jwt.claim.exp', '4102444800', true) <> '',
       set_config('request.jwt.claim.aal', 'aal2', true) <> '', set_config('request.jwt.claim.app_metadata', format('{"tenant_id":"%s","perms":["x"]}', :'b'), true) <> '',
       set_config('request.jwt.claim.user_metadata', '{"tenant_id":"7"}', true) <> '', set_config('request.jwt.claim.email', '12', true) <> '', set_config('request.jwt.claim.session_id', 'null', true) <> '';
SELECT * FROM pg_temp.who;
COMMIT;
SELECT * FROM pg_temp.who;
-- The new form, if it is there at all, is the whole token, whatever it is worth.
CREATE FUNCTION pg_temp.both(claims text) RETURNS TABLE (claims_setting text, "user" text, role jsonb) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', claims, true), set_config('request.jwt.claim.sub', '5e000000-0000-0000-0000-0000000000d1', true), set_config('request.jwt.claim.role', 'authenticated', true);
    RETURN QUERY SELECT claims, w."user", w.role FROM pg_temp.who w;
END
$$;
SELECT b.* FROM unnest(ARRAY['', '{"sub":"5e000000-0000-0000-0000-0000000000d2"}', '{"role":"anon"}', '{}', '{', 'null', ' ']) c, pg_temp.both(c) b;
-- Values that are no claims make nobody, quietly.
CREATE FUNCTION pg_temp.legacy(name text, value text, sub text DEFAULT '5e000000-0000-0000-0000-0000000000d1') RETURNS SETOF pg_temp.who LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', '', true), set_config('request.jwt.claim.sub', sub, true);
    PERFORM set_config('request.jwt.claim.' || n, '', true) FROM unnest('{role,exp,nbf,app_metadata,aal,tenant_id}'::text[]) n;
    PERFORM set_config('request.jwt.claim.' || name, value, true);
    RETURN QUERY SELECT * FROM pg_temp.who;
END
$$;
SELECT v, l.* FROM unnest(ARRAY['5E000000-0000-0000-0000-0000000000D1', '{5e000000-0000-0000-0000-0000000000d1}', ' 5e000000-0000-0000-0000-0000000000d1', '"5e000000-0000-0000-0000-0000000000d1"', '5e000000-0000-0000-0000-0000000000d1"', 'null', '1', 'x', '','00000000-0000-0000-0000-000000000000', E'5e000000-0000-0000-0000-0000000000d1\n', '5e000000-0000-0000-0000-0000000000d1","role":"service_role']) v, pg_temp.legacy('sub', v) l;
SELECT v, l.* FROM unnest(ARRAY['1', '4102444800', '4102444800.5', '"4102444800"', 'NaN', 'Infinity', '1e400', 'null', 'true', '[]', 'x', ' 4102444800 ']) v, pg_temp.legacy('exp', v) l;
SELECT v, l.* FROM unnest(ARRAY['4102444800', '1', 'x']) v, pg_temp.legacy('nbf', v) l;
SELECT v, l.* FROM unnest(ARRAY['{"tenant_id":"7e000000-0000-0000-0000-0000000000d1"}', '{"tenant_id":"7e000000-0000-0000-0000-0000000000d1","tenant_id":"7e000000-0000-0000-0000-0000000000d2"}', '{"tenant_id":"x"}', '{"tenant_id":', '[]', '"x"', 'null', '']) v, pg_temp.legacy('app_metadata', v) l;
-- A claim at the top level is a string where it looks like one.
SELECT v, l.* FROM unnest(ARRAY['7e000000-0000-0000-0000-0000000000d1', '"7e000000-0000-0000-0000-0000000000d1"', '7e000000-0000-0000-0000-0000000000d9', '']) v, pg_temp.legacy('tenant_id', v) l;
-- Too long, or in sum.
SELECT "user" FROM pg_temp.legacy('app_metadata', '{"x":"' || repeat('y', 2000000) || '"}');
SELECT "user" FROM pg_temp.legacy('app_metadata', repeat('[', 100000));
SELECT "user" FROM pg_temp.legacy('sub', repeat('5', 100000));
-- They end with the transaction, also by plain SET and set_config(…, false); and a savepoint takes them back.
BEGIN; SET LOCAL "request.jwt.claim.sub" = :'one'; SELECT "user" FROM pg_temp.who; COMMIT; SELECT "user" AS after_set_local FROM pg_temp.who;
BEGIN; SET "request.jwt.claim.sub" = :'one'; SELECT "user" FROM pg_temp.who; COMMIT; SELECT "user" AS after_set FROM pg_temp.who;
BEGIN; SET "request.jwt.claim.sub" = :'one'; SET LOCAL "request.jwt.claim.sub" = :'two'; SELECT "user" FROM pg_temp.who; COMMIT; SELECT "user" AS after_both FROM pg_temp.who;
BEGIN; SELECT set_config('request.jwt.claim.sub', :'one', false) <> '', set_config('request.jwt.claim.app_metadata', '{"tenant_id":"7e000000-0000-0000-0000-0000000000d1"}', false) <> ''; COMMIT;
SELECT current_setting('request.jwt.claim.sub', true) AS sub, current_setting('request.jwt.claim.app_metadata', true) AS app_metadata, (SELECT "user" FROM pg_temp.who);
SET "request.jwt.claim.sub" = :'one'; SELECT "user" AS next_transaction FROM pg_temp.who;
BEGIN; SET "request.jwt.claim.sub" = :'one'; ROLLBACK; SELECT "user" AS after_rollback FROM pg_temp.who;
BEGIN; SET "request.jwt.claim.sub" = :'two'; SAVEPOINT s; SET "request.jwt.claim.sub" = :'one'; SELECT "user" FROM pg_temp.who; ROLLBACK TO s; SELECT "user" AS after_rollback_to FROM pg_temp.who; COMMIT;
-- A claim that only a path names ends as well.
SET tenancy.tenant_claim = 'workspace.id, tenant_id';
BEGIN; SET "request.jwt.claim.sub" = :'one'; SET "request.jwt.claim.workspace" = '{"id":"7e000000-0000-0000-0000-0000000000d1"}'; SELECT "user", tenant FROM pg_temp.who; COMMIT;
BEGIN; SET LOCAL "request.jwt.claim.sub" = :'one'; SELECT "user", tenant AS of_nobody_before FROM pg_temp.who; COMMIT;
RESET tenancy.tenant_claim;
SET tenancy.claims_scope = session;
SET "request.jwt.claim.sub" = :'two'; SELECT "user" AS session_scope FROM pg_temp.who;
SET tenancy.claims_scope = transaction;
SELECT "user" AS first, (SELECT "user" FROM pg_temp.who) AS second FROM pg_temp.who;
SELECT "user" AS ended FROM pg_temp.who;
-- Changed inside a function, between executions of a prepared statement, within one query string, in one cursor's life.
SET plan_cache_mode = force_generic_plan;
PREPARE mine AS SELECT slug FROM tenancy.tenants WHERE tenancy.is_member(id) AND slug LIKE 'legacy-%' ORDER BY 1;
BEGIN;
SET LOCAL "request.jwt.claim.sub" = :'one'; EXECUTE mine;
SET LOCAL "request.jwt.claim.sub" = :'two'; EXECUTE mine;
SET LOCAL "request.jwt.claim.sub" = ''; EXECUTE mine;
SET LOCAL "request.jwt.claims" = '{"sub":"5e000000-0000-0000-0000-0000000000d2"}'; EXECUTE mine;
SET LOCAL "request.jwt.claim.sub" = :'one'; EXECUTE mine;
SET LOCAL "request.jwt.claims" = ''; EXECUTE mine;
SET LOCAL "request.jwt.claim.exp" = '1'; EXECUTE mine;
COMMIT;
DO $$
DECLARE
    u text; seen text := '';
BEGIN
    FOREACH u IN ARRAY ARRAY['d1', 'd2', 'xx', 'd1'] LOOP
        PERFORM set_config('request.jwt.claim.sub', '5e000000-0000-0000-0000-0000000000' || u, true);
        seen := seen || ' ' || coalesce(right(tenancy.current_user_id()::text, 2), '-');
    END LOOP;
    RAISE NOTICE 'seen:%', seen;
END
$$;
SELECT n, right(tenancy.current_user_id()::text, 2) FROM (SELECT n, set_config('request.jwt.claim.sub', '5e000000-0000-0000-0000-0000000000d' || n, true) FROM generate_series(1, 2) n OFFSET 0) s;
-- An application user does not switch it on.
RESET tenancy.legacy_claims;
SELECT test.try(NULL, $$SELECT set_config('tenancy.legacy_claims', 'on', true)$$);
BEGIN; SET LOCAL "request.jwt.claim.sub" = :'one'; SELECT "user" AS off_again FROM pg_temp.who; COMMIT;
RESET plan_cache_mode;
DELETE FROM tenancy.tenants WHERE slug LIKE 'legacy-%';
