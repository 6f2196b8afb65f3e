-- A user of many tenants with keys: what the cache holds grows with the keys, stays within tenancy.cache_size, and every
-- one of them answers in every type.
SET client_min_messages = warning;
CREATE SCHEMA host_keys_many;
SET search_path = host_keys_many, public;
\set alice '''a7000000-0000-4000-8000-0000000000a1'''
\set bob '''a7000000-0000-4000-8000-0000000000b0'''
INSERT INTO tenancy.tenants (id, slug, name, key)
SELECT ('a7000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'host-many-' || n, 'T', CASE WHEN n <= 10000 THEN (n * 3)::text END FROM generate_series(1, 20000) n;
INSERT INTO tenancy.members (tenant_id, user_id) SELECT id, CASE WHEN key IS NULL THEN :bob ELSE :alice END::uuid FROM tenancy.tenants WHERE slug LIKE 'host-many-%';
CREATE FUNCTION measured(who uuid) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.act_as(who, db_role => current_user::text);
    PERFORM tenancy.is_member();
    RETURN (SELECT bytes FROM tenancy.cache_stats());
END $$;
-- Alice's tenants have keys, bob's as many have none: a key costs as much as an id or a few, not many.
SET tenancy.cache_size = '64MB';
SELECT measured('a7000000-0000-4000-8000-0000000000ff') AS none_bytes \gset
SELECT measured(:bob) - :none_bytes AS bob_bytes \gset
SELECT measured(:alice) - :none_bytes - :bob_bytes AS alice_bytes \gset
SELECT :bob_bytes / 10000 BETWEEN 20 AND 60 AS an_id, :alice_bytes / 10000 BETWEEN 100 AND 300 AS an_id_and_a_key, :alice_bytes < 4000000 AS within_the_default;
BEGIN;
SELECT tenancy.act_as(:alice, db_role => current_user::text);
SELECT count(*) FILTER (WHERE tenancy.is_member(n::bigint)) AS bigint, count(*) FILTER (WHERE tenancy.is_member(n::integer)) AS integer, count(*) FILTER (WHERE tenancy.is_member(n::text)) AS text,
       bool_and(tenancy.is_member(n::bigint) = (n % 3 = 0 AND n BETWEEN 3 AND 30000)) AS right_ones FROM generate_series(-100, 40000) n;
SELECT cardinality(tenancy.tenant_ids(NULL::bigint)) AS bigints, cardinality(tenancy.tenant_ids(NULL::text)) AS texts, tenancy.tenant_ids(NULL::integer) = ARRAY(SELECT n * 3 FROM generate_series(1, 10000) n) AS in_order;
COMMIT;
-- With less room it is answered all the same, and one user is held, the last.
SET tenancy.cache_size = '64kB';
BEGIN;
SELECT tenancy.act_as(:alice, db_role => current_user::text);
SELECT count(*) FILTER (WHERE tenancy.is_member(n::bigint)) FROM generate_series(1, 40000) n;
COMMIT;
BEGIN;
SELECT tenancy.act_as(:bob, db_role => current_user::text);
SELECT tenancy.is_member(), (SELECT entries FROM tenancy.cache_stats()) AS only_the_last;
COMMIT;
RESET tenancy.cache_size;
DROP SCHEMA host_keys_many CASCADE;
DELETE FROM tenancy.tenants WHERE slug LIKE 'host-many-%';
