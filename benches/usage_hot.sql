-- Tenant, meters and tables of usage_hot, quota_far and quota_near, on a server of their own.
SET client_min_messages = warning;
CREATE EXTENSION pg_tenancy;
CREATE SCHEMA bench;
\ir compare.sql
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('10000000-0000-4000-8000-000000000001', 'hot', 'Hot');
SELECT tenancy.create_meter('api.calls', 'calls', 'counter'), tenancy.create_meter('api.far', 'calls', 'counter'), tenancy.create_meter('api.near', 'calls', 'counter');
SELECT tenancy.set_quota('10000000-0000-4000-8000-000000000001', 'api.far', hard => 1000000000000, period => 'month');

CREATE TABLE bench.work (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL);
CREATE TABLE bench.near (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL);
-- What one would write without slots: a row for each tenant, which each transaction adds to.
CREATE TABLE bench.counters (tenant uuid PRIMARY KEY, calls bigint NOT NULL) WITH (fillfactor = 20);
INSERT INTO bench.counters VALUES ('10000000-0000-4000-8000-000000000001', 0);

-- One row that is counted, or none at the limit.
CREATE FUNCTION bench.count_near() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.near (title) VALUES ('a row');
    PERFORM tenancy.record_usage('api.near', 1, '10000000-0000-4000-8000-000000000001');
    RETURN true;
EXCEPTION WHEN check_violation THEN
    RETURN false;
END
$$;
