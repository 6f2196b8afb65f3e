-- Quotas: hard ones are never exceeded, soft ones are told once; what is left; plans, exceptions, and their ends.
CALL test.stay_within_the_hour();
\set a '''6d000000-0000-0000-0000-00000000000a'''
\set b '''6d000000-0000-0000-0000-00000000000b'''
CREATE FUNCTION pg_temp.att(command text) RETURNS text LANGUAGE sql AS $$ SELECT test.attempt('6d000000-0000-0000-0000-000000000001', command) $$;
-- Times change from run to run.
CREATE FUNCTION pg_temp.record(meter text, amount bigint DEFAULT 1, tenant text DEFAULT 'a') RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(test.attempt(NULL, format('SELECT tenancy.record_usage(%L, %s, %L)', meter, amount, '6d000000-0000-0000-0000-00000000000' || tenant)), '\d{4}-\d\d-\d\d \d\d:00:00\+00', '<moment>') $$;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'enforced', 'Enforced'), (:b, 'enforced-too', 'Enforced too');
SELECT tenancy.add_member(:a, '6d000000-0000-0000-0000-000000000001');
SELECT tenancy.create_meter('qe.calls', 'calls', 'counter'), tenancy.create_meter('qe.rows', 'rows', 'gauge');

-- Hard: exactly to the limit, by one or by many; others are not bound.
SELECT tenancy.set_quota(:a, 'qe.rows', hard => 10);
SELECT pg_temp.record('qe.rows', 9), pg_temp.record('qe.rows', 2), pg_temp.record('qe.rows', 1), pg_temp.record('qe.rows', 1), pg_temp.record('qe.rows', 100, 'b');
SELECT pg_temp.record('qe.rows', 9223372036854775807), pg_temp.record('qe.rows', -4), pg_temp.record('qe.rows', 4), pg_temp.record('qe.rows');
SELECT tenancy.remaining('qe.rows', :a), tenancy.check_quota('qe.rows', 0, :a), tenancy.check_quota('qe.rows', 1, :a), tenancy.check_quota('qe.rows', -1, :a), tenancy.remaining('qe.rows', :b) IS NULL AS none, tenancy.check_quota('qe.rows', 9223372036854775807, :b);
-- The error carries the constraint's name, and undoes the statement it is in.
\set VERBOSITY verbose
DO $$
BEGIN
    PERFORM tenancy.record_usage('qe.rows', 1, '6d000000-0000-0000-0000-00000000000a');
EXCEPTION WHEN check_violation THEN
    RAISE NOTICE 'caught';
END
$$;
\set VERBOSITY default
BEGIN;
SELECT tenancy.record_usage('qe.rows', -3, :a);
SELECT count(tenancy.record_usage('qe.rows', 1, :a)) FROM generate_series(1, 4);
ROLLBACK;
SELECT sum(total) FROM tenancy.usage WHERE tenant_id = :a;
-- Room that a transaction made itself it may use at once; a savepoint gives back what it took.
BEGIN;
SELECT tenancy.record_usage('qe.rows', -3, :a), tenancy.record_usage('qe.rows', 2, :a), tenancy.remaining('qe.rows', :a);
SAVEPOINT s;
SELECT tenancy.record_usage('qe.rows', 1, :a);
ROLLBACK TO s;
SELECT tenancy.remaining('qe.rows', :a), tenancy.record_usage('qe.rows', 1, :a);
COMMIT;
SELECT sum(total) FROM tenancy.usage WHERE tenant_id = :a;
-- Row by row in one statement: to the limit, and the statement as a whole or not at all.
SELECT tenancy.set_quota(:a, 'qe.rows', hard => 1000);
SELECT count(tenancy.record_usage('qe.rows', 1, :a)) FROM generate_series(1, 991);
SELECT count(tenancy.record_usage('qe.rows', 1, :a)) FROM generate_series(1, 990);
SELECT tenancy.remaining('qe.rows', :a), pg_temp.record('qe.rows');
-- Lowered below what is used: nothing more, until there is less.
SELECT tenancy.set_quota(:a, 'qe.rows', hard => 5), tenancy.remaining('qe.rows', :a), pg_temp.record('qe.rows'), pg_temp.record('qe.rows', -995), pg_temp.record('qe.rows', -1), pg_temp.record('qe.rows');
SELECT tenancy.set_quota(:a, 'qe.rows', hard => 0), pg_temp.record('qe.rows');

-- Lowered while a transaction has written ahead: it binds the next call, and so does one of another period.
SELECT tenancy.set_quota(:b, 'qe.calls', hard => 1000000, period => 'none');
BEGIN;
SELECT count(tenancy.record_usage('qe.calls', 1, :b)) FROM generate_series(1, 600);
SELECT tenancy.set_quota(:b, 'qe.calls', hard => 601, period => 'none');
SELECT count(tenancy.record_usage('qe.calls', 1, :b)) FROM generate_series(1, 1);
SAVEPOINT s;
SELECT tenancy.record_usage('qe.calls', 1, :b);
ROLLBACK TO s;
SELECT tenancy.set_quota(:b, 'qe.calls', period => 'none'), tenancy.set_quota(:b, 'qe.calls', hard => 602, period => 'month');
\set VERBOSITY terse
SELECT count(tenancy.record_usage('qe.calls', 1, :b)) FROM generate_series(1, 2);
\set VERBOSITY default
ROLLBACK;
-- A soft one is told at the call that crosses it, however many there are.
SELECT tenancy.set_quota(:b, 'qe.calls', 700, 1000000, 'none');
SELECT count(tenancy.record_usage('qe.calls', 1, :b)) FROM generate_series(1, 900);
SELECT soft, used FROM tenancy.quota_events WHERE meter = 'qe.calls';
SELECT tenancy.drop_quota(:b, 'qe.calls');
DELETE FROM tenancy.usage WHERE meter = 'qe.calls';
DELETE FROM tenancy.quota_events WHERE meter = 'qe.calls';

-- Counters, in periods: the tightest decides, and says when it ends.
SELECT tenancy.set_quota(:a, 'qe.calls', hard => 3, period => 'hour'), tenancy.set_quota(:a, 'qe.calls', hard => 5, period => 'day'), tenancy.set_quota(:a, 'qe.calls', hard => 100, period => 'none');
SELECT pg_temp.record('qe.calls', 3), pg_temp.record('qe.calls'), tenancy.remaining('qe.calls', :a);
UPDATE tenancy.usage SET hour = hour - interval '1 hour', hour_amount = 0 WHERE meter = 'qe.calls' AND hour <> date_trunc('day', now(), 'UTC');
UPDATE tenancy.usage SET hour_amount = 0 WHERE meter = 'qe.calls';
SELECT pg_temp.record('qe.calls', 2), pg_temp.record('qe.calls'), tenancy.remaining('qe.calls', :a);
-- A month ago: only what counts for ever still does, and the day is history.
UPDATE tenancy.usage SET hour = hour - interval '40 days' WHERE meter = 'qe.calls';
SELECT tenancy.remaining('qe.calls', :a), pg_temp.record('qe.calls', 3), tenancy.remaining('qe.calls', :a);
SELECT hour_amount, day_amount, month_amount, total FROM tenancy.usage WHERE meter = 'qe.calls';
SELECT amount, period_start = date_trunc('day', now() - interval '40 days', 'UTC') AS of_that_day FROM tenancy.usage_periods WHERE meter = 'qe.calls';

-- Soft: one NOTICE, one row, one notification; a gauge that falls and rises again is told again.
SELECT tenancy.set_quota(:a, 'qe.rows', 8, 10);
SELECT tenancy.record_usage('qe.rows', 4, :a);
SELECT tenancy.record_usage('qe.rows', 1, :a);
SELECT tenancy.record_usage('qe.rows', 1, :a);
SELECT period, period_start, soft, used, ended_at IS NULL AS open FROM tenancy.quota_events WHERE meter = 'qe.rows' ORDER BY created_at;
SELECT tenancy.record_usage('qe.rows', -2, :a);
SELECT tenancy.record_usage('qe.rows', 1, :a);
SELECT soft, used, ended_at IS NULL AS open FROM tenancy.quota_events WHERE meter = 'qe.rows' ORDER BY created_at;
-- Not told after a rollback, so told the next time. A limit that was changed is another.
SELECT tenancy.set_quota(:a, 'qe.rows', 9, 20);
BEGIN;
SELECT tenancy.record_usage('qe.rows', 1, :a);
ROLLBACK;
SELECT tenancy.record_usage('qe.rows', 1, :a);
SELECT soft, used, ended_at IS NULL AS open FROM tenancy.quota_events WHERE meter = 'qe.rows' ORDER BY created_at;
-- Only soft: nothing is refused.
SELECT tenancy.set_quota(:b, 'qe.calls', 2, period => 'day');
SELECT count(tenancy.record_usage('qe.calls', 1, :b)) FROM generate_series(1, 100);
SELECT sum(total) FROM tenancy.usage WHERE meter = 'qe.calls' AND tenant_id = :b;
SELECT tenant_id = :b AS of_b, soft, used, period_start = date_trunc('day', now(), 'UTC') AS today FROM tenancy.quota_events WHERE meter = 'qe.calls';

-- Plans: the tenant's, its exceptions, their ends, and the default plan; each holds from its commit on, and a rollback undoes it.
SELECT tenancy.drop_quota(:a, 'qe.rows'), tenancy.drop_quota(:a, 'qe.calls');
DELETE FROM tenancy.usage WHERE meter LIKE 'qe.%';
SELECT tenancy.create_plan('qe small', is_default => true), tenancy.create_plan('qe big');
SELECT tenancy.set_plan_quota('qe small', 'qe.rows', NULL, 2), tenancy.set_plan_quota('qe big', 'qe.rows', NULL, 4);
SELECT tenancy.remaining('qe.rows', :a) AS by_default, tenancy.set_tenant_plan(:a, 'qe big'), tenancy.remaining('qe.rows', :a) AS by_plan, tenancy.set_quota(:a, 'qe.rows', hard => 6), tenancy.remaining('qe.rows', :a) AS by_exception,
       tenancy.set_quota(:a, 'qe.rows'), tenancy.remaining('qe.rows', :a) IS NULL AS lifted, tenancy.drop_quota(:a, 'qe.rows'), tenancy.remaining('qe.rows', :a) AS plan_again;
BEGIN;
SELECT tenancy.set_quota(:a, 'qe.rows', hard => 1), tenancy.remaining('qe.rows', :a);
SAVEPOINT s;
SELECT tenancy.set_quota(:a, 'qe.rows', hard => 0), tenancy.remaining('qe.rows', :a);
ROLLBACK TO s;
SELECT tenancy.remaining('qe.rows', :a);
ROLLBACK;
SELECT tenancy.remaining('qe.rows', :a);
UPDATE tenancy.tenant_plans SET expires_at = now() - interval '1 second' WHERE tenant_id = :a;
SELECT tenancy.remaining('qe.rows', :a) AS plan_has_ended;
SELECT tenancy.set_quota(:a, 'qe.rows', hard => 7, expires_at => clock_timestamp() + interval '300 milliseconds'), tenancy.remaining('qe.rows', :a) AS for_now;
SELECT pg_sleep(0.35);
SELECT tenancy.remaining('qe.rows', :a) AS after_it, pg_temp.record('qe.rows', 3);

-- What a member sees of it, and of other tenants: nothing is raised.
SELECT c.command, pg_temp.att(c.command) FROM (VALUES
    (1, $$SELECT tenancy.remaining('qe.rows', '6d000000-0000-0000-0000-00000000000a')$$), (2, $$SELECT tenancy.remaining('qe.rows', '6d000000-0000-0000-0000-00000000000b') IS NULL$$),
    (3, $$SELECT tenancy.check_quota('qe.rows', 1, '6d000000-0000-0000-0000-00000000000b')$$), (4, $$SELECT tenancy.check_quota('qe.rows', 2, '6d000000-0000-0000-0000-00000000000a')$$),
    (5, $$SELECT tenancy.check_quota('qe.none', 1, '6d000000-0000-0000-0000-00000000000a')$$), (6, $$SELECT tenancy.remaining('qe.none', '6d000000-0000-0000-0000-00000000000a') IS NULL$$),
    (7, $$SELECT tenancy.check_quota(NULL) IS NULL$$), (8, $$SELECT tenancy.check_quota('qe.rows', NULL) IS NULL$$), (9, $$SELECT tenancy.check_quota('qe.rows')$$)) c (i, command) ORDER BY c.i;
-- Anonymous: no tenant, so no answer, which denies.
SET ROLE anon;
SELECT tenancy.check_quota('qe.rows') IS NULL, tenancy.remaining('qe.rows') IS NULL, tenancy.check_quota('qe.rows', 1, :a);
RESET ROLE;
SELECT tenancy.drop_meter('qe.calls', true), tenancy.drop_meter('qe.rows', true), tenancy.set_default_plan(NULL), tenancy.drop_plan('qe small', true), tenancy.drop_plan('qe big', true);
SELECT tenancy.drop_tenant(:a), tenancy.drop_tenant(:b);
