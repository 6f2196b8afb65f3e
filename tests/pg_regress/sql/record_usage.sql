-- Recording usage: who may, what is refused and then not counted, and what a transaction sees of its own.
CALL test.stay_within_the_hour();
SET client_min_messages = warning;
\set a '''6c000000-0000-0000-0000-00000000000a'''
\set b '''6c000000-0000-0000-0000-00000000000b'''
-- 1 is a member of a and b, 2 may lower gauges in a, 3 writes as an operator, 4 is nobody, 5 is a suspended member of a.
CREATE FUNCTION pg_temp.att(n int, command text) RETURNS text LANGUAGE sql AS $$
    SELECT test.attempt(CASE WHEN n > 0 THEN ('6c000000-0000-0000-0000-00000000000' || n)::uuid END,
        replace(replace(command, '$A', '''6c000000-0000-0000-0000-00000000000a'''), '$B', '''6c000000-0000-0000-0000-00000000000b''')) $$;
CREATE VIEW pg_temp.totals AS
    SELECT right(tenant_id::text, 1) AS tenant, meter, sum(hour_amount) AS hour, sum(day_amount) AS day, sum(month_amount) AS month, sum(total) AS total
      FROM tenancy.usage WHERE meter LIKE 'ru.%' GROUP BY 1, 2;
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:a, 'records', 'Records'), (:b, 'records-too', 'Records too');
SELECT tenancy.create_role('ru editor') IS NOT NULL, tenancy.grant_permission('ru editor', 'usage.edit');
SELECT tenancy.add_member(t, ('6c000000-0000-0000-0000-00000000000' || n)::uuid, r)
  FROM (VALUES (:a::uuid, 1, '{}'::text[]), (:b, 1, '{}'), (:a, 2, '{ru editor}'), (:a, 5, '{ru editor}')) v (t, n, r);
UPDATE tenancy.members SET status = 'suspended' WHERE user_id = '6c000000-0000-0000-0000-000000000005';
SELECT tenancy.grant_operator('6c000000-0000-0000-0000-000000000003', 'write');
SELECT tenancy.create_meter('ru.calls', 'calls', 'counter'), tenancy.create_meter('ru.seats', 'seats', 'gauge'), tenancy.create_meter('ru.rows', 'rows', 'gauge');

-- A member, of each of his tenants: the active one unless one is named.
SELECT c.command, pg_temp.att(1, c.command) FROM (VALUES
    (1, $$SELECT tenancy.record_usage('ru.calls', tenant => $A)$$), (2, $$SELECT tenancy.record_usage('ru.calls', 5, $B)$$), (3, $$SELECT tenancy.record_usage('ru.calls', 0, $A)$$),
    (4, $$SELECT tenancy.record_usage('ru.seats', 3, $A)$$), (5, $$SELECT tenancy.record_usage('ru.calls')$$)) c (i, command) ORDER BY c.i;
BEGIN;
SELECT tenancy.act_as('6c000000-0000-0000-0000-000000000001', :a);
SELECT tenancy.record_usage('ru.calls', 2);
COMMIT;
SELECT * FROM pg_temp.totals ORDER BY 1, 2;

-- Refused, and nothing is counted.
SELECT n, c.command, pg_temp.att(n, c.command) FROM (VALUES
    (1, 1, $$SELECT tenancy.record_usage('ru.calls', -1, $A)$$), (2, 2, $$SELECT tenancy.record_usage('ru.calls', -1, $A)$$), (3, 0, $$SELECT tenancy.record_usage('ru.calls', -1, $A)$$),
    (4, 1, $$SELECT tenancy.record_usage('ru.seats', -1, $A)$$), (5, 2, $$SELECT tenancy.record_usage('ru.seats', -1, $B)$$), (6, 3, $$SELECT tenancy.record_usage('ru.seats', 1, $A)$$),
    (7, 4, $$SELECT tenancy.record_usage('ru.calls', 1, $A)$$), (8, 5, $$SELECT tenancy.record_usage('ru.seats', 1, $A)$$), (9, 1, $$SELECT tenancy.record_usage('ru.calls', 1, gen_random_uuid())$$),
    (10, 0, $$SELECT tenancy.record_usage('ru.calls', 1, gen_random_uuid())$$), (11, 1, $$SELECT tenancy.record_usage('ru.none', 1, $A)$$), (12, 1, $$SELECT tenancy.record_usage(NULL, 1, $A)$$),
    (13, 1, $$SELECT tenancy.record_usage('ru.calls', NULL, $A)$$), (14, 1, $$SELECT tenancy.record_usage('ru.calls', 1, NULL)$$), (15, 4, $$SELECT tenancy.record_usage('ru.calls')$$),
    (16, 1, $$SELECT tenancy.record_usage('ru.calls', 'NaN', $A)$$), (17, 1, $$SELECT tenancy.record_usage('ru.calls', 'NaN'::numeric::bigint, $A)$$), (18, 1, $$SELECT tenancy.record_usage('ru.calls', 9223372036854775808::numeric::bigint, $A)$$),
    (19, 1, $$SELECT tenancy.record_usage('ru.calls', 9223372036854775807, $A)$$), (20, 1, $$SELECT tenancy.record_usage(repeat('x', 100000), 1, $A)$$), (21, 1, $$SELECT tenancy.record_usage(E'ru.calls\n', 1, $A)$$)) c (i, n, command) ORDER BY c.i;
SELECT * FROM pg_temp.totals ORDER BY 1, 2;
-- Nor by those who have no right to call it.
SET ROLE anon;
SELECT tenancy.record_usage('ru.calls', 1, :a);
RESET ROLE;
CREATE ROLE ru_stranger;
GRANT USAGE ON SCHEMA tenancy TO ru_stranger;
SET ROLE ru_stranger;
SELECT tenancy.record_usage('ru.calls', 1, :a);
SELECT tenancy.fold_usage();
SELECT tenancy.check_quota('ru.calls', 1, :a), tenancy.remaining('ru.calls', :a);
RESET ROLE;
REVOKE USAGE ON SCHEMA tenancy FROM ru_stranger;
DROP ROLE ru_stranger;

-- A tenant that is suspended records nothing; one that is read only does.
UPDATE tenancy.tenants SET status = 'suspended' WHERE id = :a;
SELECT pg_temp.att(1, $$SELECT tenancy.record_usage('ru.calls', 1, $A)$$);
UPDATE tenancy.tenants SET status = 'active' WHERE id = :a;

-- With the permission a gauge falls, also below what was: a correction. A counter's sum stays in bigint, and a gauge's.
SELECT pg_temp.att(2, $$SELECT tenancy.record_usage('ru.seats', -2, $A)$$);
SELECT tenancy.record_usage('ru.rows', 9223372036854775807, :b);
SELECT tenancy.record_usage('ru.rows', 1, :b);
SELECT tenancy.record_usage('ru.rows', -9223372036854775807, :b), tenancy.record_usage('ru.rows', -9223372036854775807, :b);
SELECT tenancy.record_usage('ru.rows', -9223372036854775807, :b);
SELECT * FROM pg_temp.totals ORDER BY 1, 2;

-- READ ONLY: an error, as of any statement that writes; nothing else is said to those who may not.
BEGIN READ ONLY;
SELECT tenancy.record_usage('ru.calls', 1, :a);
ROLLBACK;
BEGIN READ ONLY;
SELECT tenancy.fold_usage();
ROLLBACK;
BEGIN READ ONLY;
SELECT tenancy.check_quota('ru.calls', 1, :a), tenancy.remaining('ru.calls', :a) IS NULL AS no_limit;
COMMIT;

-- Seen at once by the transaction, gone after rollback, and of savepoints what stands.
TRUNCATE tenancy.usage;
BEGIN;
SELECT tenancy.record_usage('ru.calls', 1, :a);
SELECT total FROM pg_temp.totals;
SAVEPOINT s;
SELECT tenancy.record_usage('ru.calls', 10, :a);
SELECT total FROM pg_temp.totals;
ROLLBACK TO s;
SELECT total FROM pg_temp.totals;
SELECT tenancy.record_usage('ru.calls', 100, :a);
SAVEPOINT t;
SELECT tenancy.record_usage('ru.calls', 1000, :a);
RELEASE t;
SELECT total FROM pg_temp.totals;
ROLLBACK TO s;
COMMIT;
SELECT total FROM pg_temp.totals;
BEGIN;
SELECT count(tenancy.record_usage('ru.calls', 1, :a)) FROM generate_series(1, 1000);
ROLLBACK;
SELECT total FROM pg_temp.totals;
-- Many calls leave few versions; after commit the sum is exact, through savepoints too, as plpgsql makes them.
BEGIN;
SELECT count(tenancy.record_usage('ru.calls', 1, :a)) FROM generate_series(1, 1000);
DO $$
BEGIN
    FOR i IN 1..100 LOOP
        BEGIN
            PERFORM tenancy.record_usage('ru.calls', 1, '6c000000-0000-0000-0000-00000000000a') FROM generate_series(1, 20);
            IF i % 2 = 0 THEN
                RAISE division_by_zero;
            END IF;
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
END
$$;
COMMIT;
SELECT total FROM pg_temp.totals;
SELECT pg_relation_size('tenancy.usage') <= 16 * 8192 AS small;
-- In a prepared transaction it waits for its end, and the backend writes another slot.
BEGIN;
SELECT count(tenancy.record_usage('ru.calls', 1, :a)) FROM generate_series(1, 50);
PREPARE TRANSACTION 'ru';
SELECT tenancy.record_usage('ru.calls', 2, :a);
SELECT total FROM pg_temp.totals;
COMMIT PREPARED 'ru';
SELECT total FROM pg_temp.totals;
SELECT count(*) AS slots FROM tenancy.usage WHERE meter = 'ru.calls';
-- The table is rewritten by the transaction that has recorded: nothing of it is lost.
BEGIN;
SELECT count(tenancy.record_usage('ru.calls', 1, :a)) FROM generate_series(1, 100);
CLUSTER tenancy.usage USING usage_pkey;
COMMIT;
SELECT total FROM pg_temp.totals;
BEGIN;
SELECT count(tenancy.record_usage('ru.calls', 1, :a)) FROM generate_series(1, 100);
CLUSTER tenancy.usage USING usage_pkey;
SELECT count(tenancy.record_usage('ru.calls', 1, :a)) FROM generate_series(1, 3);
COMMIT;
SELECT total FROM pg_temp.totals;
-- Whoever locks a slot by hand, this transaction even, has it passed over.
BEGIN;
SELECT count(*) FROM (SELECT FROM tenancy.usage WHERE meter = 'ru.calls' FOR UPDATE) locked;
SELECT tenancy.record_usage('ru.calls', 1, :a);
COMMIT;
SELECT total FROM pg_temp.totals;
-- The tenant is deleted by the transaction that recorded for it.
BEGIN;
SELECT count(tenancy.record_usage('ru.calls', 1, :b)) FROM generate_series(1, 50);
DELETE FROM tenancy.tenants WHERE id = :b;
SELECT tenancy.record_usage('ru.calls', 1, :b);
ROLLBACK;
BEGIN;
SELECT count(tenancy.record_usage('ru.calls', 1, :b)) FROM generate_series(1, 50);
DELETE FROM tenancy.tenants WHERE id = :b;
COMMIT;
SELECT * FROM pg_temp.totals ORDER BY 1, 2;

-- SQL planted under the names that it uses changes nothing.
CREATE SCHEMA ru_planted;
CREATE TABLE ru_planted.usage (LIKE tenancy.usage);
CREATE FUNCTION ru_planted.eq(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'planted'; END$$;
CREATE OPERATOR ru_planted.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = ru_planted.eq);
SET search_path = ru_planted, pg_catalog;
TRUNCATE tenancy.usage;
SELECT tenancy.record_usage('ru.calls', 7, :a);
RESET search_path;
SELECT total FROM pg_temp.totals;
\set VERBOSITY terse
DROP SCHEMA ru_planted CASCADE;
SELECT tenancy.drop_meter('ru.calls', true), tenancy.drop_meter('ru.seats', true), tenancy.drop_meter('ru.rows', true);
DELETE FROM tenancy.operators WHERE user_id::text LIKE '6c000000%';
SELECT tenancy.drop_tenant(:a), tenancy.drop_role('ru editor');
