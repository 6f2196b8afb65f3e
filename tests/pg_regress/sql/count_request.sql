-- Counting requests in a server that does not preload the library: what is refused, and what counts. With it: x requests.
\set tenant c0111111-1111-1111-1111-111111111111
\set ann c0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'counted', 'Counted');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'ann');
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('count.calls', 'calls', 'counter', 'none'), ('count.rows', 'rows', 'gauge', 'none');

-- As an application role, in READ ONLY: errors are errors, and nothing else happens.
BEGIN READ ONLY;
SELECT tenancy.act_as(:'ann');
SAVEPOINT s;
SELECT tenancy.count_request('count.calls');
SELECT tenancy.count_request('count.none');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT tenancy.count_request(NULL);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT tenancy.count_request('count.rows');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT tenancy.count_request('count.calls', 0);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT tenancy.count_request('count.calls', -9223372036854775808);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT tenancy.count_request('count.calls', NULL);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT * FROM tenancy.diagnose() WHERE topic = 'usage';
SELECT * FROM tenancy.usage_shared_stats();
ROLLBACK;

-- Where it may write it does, in the transaction.
BEGIN;
SELECT tenancy.act_as(:'ann');
SELECT tenancy.count_request('count.calls'), tenancy.count_request('count.calls', 41);
RESET ROLE;
SELECT sum(total) FROM tenancy.usage WHERE meter = 'count.calls';
SAVEPOINT s;
SELECT tenancy.act_as(:'ann');
SELECT tenancy.count_request('count.calls', 9223372036854775807);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT tenancy.act_as(:'ann');
SELECT tenancy.count_request('count.calls', 58);
COMMIT;
RESET ROLE;
SELECT sum(total) FROM tenancy.usage WHERE meter = 'count.calls';
BEGIN;
SELECT tenancy.act_as(:'ann');
SELECT tenancy.count_request('count.calls', 1000);
ROLLBACK;
SELECT sum(total) FROM tenancy.usage WHERE meter = 'count.calls';

-- Nobody's tenant: no error, as anybody and for who is no member of anything. Bad arguments are errors all the same.
BEGIN;
SET LOCAL ROLE anon;
SELECT tenancy.count_request('count.calls');
SELECT tenancy.count_request('count.none');
ROLLBACK;
BEGIN;
SELECT tenancy.act_as('c0000000-0000-0000-0000-000000000009');
SELECT tenancy.count_request('count.calls');
COMMIT;
-- A quota says no to record_usage(), not to what has happened.
INSERT INTO tenancy.quotas (tenant_id, meter, period, hard) VALUES (:'tenant', 'count.calls', 'none', 101);
BEGIN;
SELECT tenancy.act_as(:'ann');
SELECT tenancy.count_request('count.calls', 5), tenancy.remaining('count.calls');
SELECT tenancy.record_usage('count.calls');
ROLLBACK;
SELECT p.provolatile, p.proparallel, p.proisstrict, p.prosecdef FROM pg_proc p WHERE p.oid = 'tenancy.count_request'::regproc;
-- There is no memory to be told of.
SELECT * FROM tenancy.usage_shared_stats();
SHOW tenancy.usage_flush_interval;
SHOW tenancy.usage_shared_entries;
SET tenancy.usage_flush_interval = '2s';
SET tenancy.usage_shared_entries = 100;
DELETE FROM tenancy.meters WHERE name LIKE 'count.%';
SELECT tenancy.drop_tenant(:'tenant');
