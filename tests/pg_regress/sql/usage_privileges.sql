-- Attacks on usage and quotas: reading another tenant's by table, view, report and Prometheus; planted functions and operators;
-- what a tenant's plan and the default plan tell.
SET client_min_messages = warning;
\set a '''71000000-0000-0000-0000-00000000000a'''
\set b '''71000000-0000-0000-0000-00000000000b'''
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'use-a', 'A'), (:b, 'use-b', 'B');
-- 1 owns a, 2 is a member of a without permissions, 3 holds usage.read in a and is a member of b, 4 reads as an operator, 5 writes as one, 6 is nobody, 7 was an operator, 8 holds usage.edit alone.
SELECT tenancy.create_role('use reader', '{usage.read}') IS NOT NULL, tenancy.create_role('use editor', '{usage.edit}') IS NOT NULL;
SELECT tenancy.add_member(:a, '71000000-0000-0000-0000-000000000001', '{owner}'), tenancy.add_member(:a, '71000000-0000-0000-0000-000000000002'), tenancy.add_member(:a, '71000000-0000-0000-0000-000000000003', '{use reader}'),
       tenancy.add_member(:b, '71000000-0000-0000-0000-000000000003'), tenancy.add_member(:a, '71000000-0000-0000-0000-000000000008', '{use editor}'),
       tenancy.grant_operator('71000000-0000-0000-0000-000000000004', 'read'), tenancy.grant_operator('71000000-0000-0000-0000-000000000005', 'write');
INSERT INTO tenancy.operators (user_id, access, expires_at) VALUES ('71000000-0000-0000-0000-000000000007', 'write', '2020-01-01');
SELECT tenancy.create_meter('up.calls', 'calls', 'counter');
INSERT INTO tenancy.usage SELECT t, 'up.calls', 0, date_trunc('hour', now(), 'UTC'), 1, 1, 1, 1 FROM unnest(ARRAY[:a, :b]::uuid[]) t;
INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) SELECT t, 'up.calls', '2026-01-01 UTC', 5 FROM unnest(ARRAY[:a, :b]::uuid[]) t;
INSERT INTO tenancy.quota_events (tenant_id, meter, period, period_start, soft, used) SELECT t, 'up.calls', 'day', '2026-01-01 UTC', 1, 2 FROM unnest(ARRAY[:a, :b]::uuid[]) t;
SELECT tenancy.create_plan('for B only'), tenancy.set_plan_quota('for B only', 'up.calls', hard => 9), tenancy.create_plan('for all', is_default => true), tenancy.set_plan_quota('for all', 'up.calls', hard => 3), tenancy.set_tenant_plan(:b, 'for B only'), tenancy.set_quota(:a, 'up.calls', 1, 2, 'day'), tenancy.set_quota(:b, 'up.calls', 1, 2, 'day');
CREATE FUNCTION pg_temp.seen(n int, query text) RETURNS text LANGUAGE sql AS $$
    SELECT test.attempt(CASE WHEN n > 0 THEN ('71000000-0000-0000-0000-00000000000' || n)::uuid END, 'SELECT string_agg(DISTINCT right(' || replace(query, ' FROM', '::text, 1), '''') FROM')) $$;
CREATE TEMP TABLE queries (i serial, query text);
INSERT INTO queries (query) SELECT 'tenant_id FROM tenancy.' || t FROM unnest('{usage,usage_periods,quota_events,quotas,tenant_plans,usage_current,usage_changes,usage_history,effective_quotas,quota_status}'::text[]) WITH ORDINALITY u (t, i) ORDER BY i;
INSERT INTO queries (query) VALUES ('tenant FROM tenancy.prometheus'), ($$tenant_id FROM tenancy.usage_report('-infinity', 'infinity')$$), ($$t ->> 'id' FROM jsonb_array_elements(tenancy.usage_report_json('-infinity', 'infinity') -> 'tenants') t$$),
    ($$m[1] FROM regexp_matches(tenancy.prometheus_text(), 'tenant="([^"]+)"', 'g') m$$), ($$plan FROM tenancy.plan_quotas$$), ($$name FROM tenancy.plans$$);
UPDATE queries SET query = regexp_replace(query, '^t ->> .id.', '(t ->> ''id'')');
SELECT query, pg_temp.seen(1, query) AS owner_of_a, pg_temp.seen(2, query) AS member_of_a, pg_temp.seen(3, query) AS reader_of_a_member_of_b, pg_temp.seen(8, query) AS editor_of_a, pg_temp.seen(4, query) AS operator_read, pg_temp.seen(5, query) AS operator_write,
       pg_temp.seen(6, query) AS nobody, pg_temp.seen(7, query) AS former_operator, pg_temp.seen(0, query) AS administrator FROM queries ORDER BY i;
-- In a tenant that is read-only one reads on, in one that is suspended not.
SELECT tenancy.set_tenant_status(:a, 'read_only');
SELECT pg_temp.seen(1, 'tenant_id FROM tenancy.quota_status') AS read_only;
SELECT tenancy.set_tenant_status(:a, 'suspended');
SELECT pg_temp.seen(1, 'tenant_id FROM tenancy.quota_status') AS suspended, pg_temp.seen(1, 'tenant_id FROM tenancy.usage') AS usage;
SELECT tenancy.set_tenant_status(:a, 'active');
-- By name in a condition: a condition of the reader's sees no other tenant's rows.
CREATE FUNCTION public.up_leak(t uuid, n numeric) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN
    PERFORM set_config('up.seen', concat_ws(', ', nullif(current_setting('up.seen', true), ''), format('%s uses %s', right(t::text, 1), n)), false); RETURN true; END $$;
SELECT test.attempt('71000000-0000-0000-0000-000000000001', format('SELECT count(*) FROM %s WHERE public.up_leak(tenant_id, %s)', v, c)) FROM (VALUES ('tenancy.usage', 'total'), ('tenancy.usage_current', 'total'), ('tenancy.usage_history', 'amount'), ('tenancy.quotas', 'hard'), ('tenancy.effective_quotas', 'hard'), ('tenancy.quota_status', 'used')) q (v, c);
SELECT test.attempt('71000000-0000-0000-0000-000000000001', 'SELECT count(*) FROM tenancy.prometheus WHERE public.up_leak(tenant, value)');
SELECT seen, count(*) FROM string_to_table(current_setting('up.seen'), ', ') seen GROUP BY seen ORDER BY seen COLLATE "C";
DROP FUNCTION public.up_leak;

-- What is planted in the caller's schemas is not called by ours, not even when an administrator calls.
CREATE SCHEMA up_planted;
CREATE FUNCTION up_planted.sprung() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'sprung as %', current_user; END $$;
CREATE FUNCTION up_planted.date_trunc(text, timestamptz, text) RETURNS timestamptz LANGUAGE sql AS 'SELECT up_planted.sprung(); SELECT $2';
CREATE FUNCTION up_planted.sum(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT up_planted.sprung(); SELECT $1';
CREATE FUNCTION up_planted.round(numeric, int) RETURNS numeric LANGUAGE sql AS 'SELECT up_planted.sprung(); SELECT $1';
CREATE FUNCTION up_planted.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE FUNCTION up_planted.same(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT up_planted.sprung(); SELECT true';
CREATE OPERATOR up_planted.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = up_planted.same);
CREATE FUNCTION up_planted.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT up_planted.sprung(); SELECT true';
CREATE OPERATOR up_planted.= (LEFTARG = text, RIGHTARG = text, FUNCTION = up_planted.same);
CREATE FUNCTION up_planted.statement_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT up_planted.sprung(); SELECT now()';
CREATE VIEW up_planted.meters AS SELECT 1 / 0 AS name;
SET search_path = up_planted, pg_catalog;
\set SHOW_CONTEXT never
SELECT 'a'::text = 'b'::text;
SELECT count(*) > 0 AS shown FROM tenancy.quota_status;
SELECT count(*) > 0 AS history FROM tenancy.usage_history;
SELECT count(*) > 0 AS report FROM tenancy.usage_report('-infinity', 'infinity');
SELECT length(tenancy.usage_report_json('-infinity', 'infinity')::text) > 10 AS json, length(tenancy.prometheus_text()) > 10 AS text;
SELECT tenancy.set_quota(:a, 'up.calls', 1, 3, 'day'), tenancy.drop_quota(:a, 'up.calls', 'day'), tenancy.set_tenant_plan(:a, 'for all'), tenancy.set_tenant_plan(:a, NULL), tenancy.prune_usage('2020-01-01');
RESET search_path;
DROP SCHEMA up_planted CASCADE;

DELETE FROM tenancy.operators WHERE user_id::text LIKE '71000000%';
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b), tenancy.drop_plan('for B only'), tenancy.drop_plan('for all', true), tenancy.drop_meter('up.calls'), tenancy.drop_role('use reader'), tenancy.drop_role('use editor');
