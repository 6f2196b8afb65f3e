-- A table of a million rows (or :rows) over :tenants tenants, which it names by :tenant. Tenant 1 has a tenth of them, the others share the rest
-- evenly, scattered. Ten folders and ten authors a tenant: what join_rls joins.
SET client_min_messages = warning;
CREATE TABLE bench.:name AS
SELECT n AS id, :tenant AS tenant_id, n % 100 AS amount, t.t * 10 + n % 7 AS folder_id, t.t * 10 + n % 3 AS author_id,
       md5((n % 5000)::text)::uuid AS owner_id
  FROM generate_series(1, :rows) n
  JOIN bench.tenants t ON t.t = CASE WHEN n % 10 = 0 THEN 1 ELSE 2 + n % (:tenants - 1) END
 ORDER BY n;
