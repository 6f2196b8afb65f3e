-- Claims and tenant changed more than once inside one transaction, one function, one prepared plan: each
-- question is answered for the identity of its moment.
\set ann '{"sub": "f0000000-0000-0000-0000-000000000001"}'
\set tenant f1111111-1111-1111-1111-111111111111
\set user_id f0000000-0000-0000-0000-000000000001
INSERT INTO tenancy.tenants (id, slug, name) VALUES (:'tenant', 'fresh', 'Fresh');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES (:'tenant', :'user_id');
SELECT tenancy.create_permission('fresh.read');
INSERT INTO tenancy.roles (id, name) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh_reader');
INSERT INTO tenancy.role_permissions (role_id, permission) VALUES ('f0000000-0000-0000-0000-0000000000d1', 'fresh.read');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES (:'tenant', :'user_id', 'f0000000-0000-0000-0000-0000000000d1');
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('f2222222-2222-2222-2222-222222222222', 'fresh-two', 'Fresh two');
INSERT INTO tenancy.members (tenant_id, user_id) VALUES ('f2222222-2222-2222-2222-222222222222', 'f0000000-0000-0000-0000-000000000002'), (:'tenant', 'f0000000-0000-0000-0000-000000000002');
INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id) VALUES ('f2222222-2222-2222-2222-222222222222', 'f0000000-0000-0000-0000-000000000002', 'f0000000-0000-0000-0000-0000000000d1');
\set bob '{"sub": "f0000000-0000-0000-0000-000000000002"}'
CREATE VIEW fresh_answers AS SELECT right(tenancy.current_user_id()::text, 1) AS who,
    left(tenancy.current_tenant_id()::text, 2) AS tenant, tenancy.has_permission('fresh.read') AS may,
    tenancy.has_permission('f1111111-1111-1111-1111-111111111111', 'fresh.read') AS may_in_f1, tenancy.has_permission('f2222222-2222-2222-2222-222222222222', 'fresh.read') AS may_in_f2,
    tenancy.claim('sub') IS NOT NULL AS claim;
CREATE TABLE fresh_one (id int);
INSERT INTO fresh_one VALUES (1), (2), (3);

-- Inside one transaction, and by the same generic plan.
SET plan_cache_mode = force_generic_plan;
PREPARE answers AS SELECT * FROM fresh_answers;
PREPARE rows AS SELECT count(*) FILTER (WHERE tenancy.has_permission('f1111111-1111-1111-1111-111111111111', 'fresh.read')) FROM fresh_one;
BEGIN;
EXECUTE answers;
SET LOCAL request.jwt.claims = :'ann';
EXECUTE answers;
EXECUTE rows;
SET LOCAL request.jwt.claims = :'bob';
EXECUTE answers;
EXECUTE rows;
SET LOCAL tenancy.tenant_id = 'f2222222-2222-2222-2222-222222222222';
EXECUTE answers;
SET LOCAL tenancy.tenant_id = 'f1111111-1111-1111-1111-111111111111';
EXECUTE answers;
SET LOCAL tenancy.tenant_id = '';
SET LOCAL request.jwt.claims = '';
EXECUTE answers;
COMMIT;

-- After ROLLBACK TO, and RELEASE.
BEGIN;
SET LOCAL request.jwt.claims = :'ann';
EXECUTE answers;
SAVEPOINT s;
SET LOCAL request.jwt.claims = :'bob';
SET LOCAL tenancy.tenant_id = 'f2222222-2222-2222-2222-222222222222';
EXECUTE answers;
ROLLBACK TO s;
EXECUTE answers;
SET LOCAL request.jwt.claims = :'bob';
SET LOCAL tenancy.tenant_id = 'f2222222-2222-2222-2222-222222222222';
RELEASE s;
EXECUTE answers;
ROLLBACK;
EXECUTE answers;

-- Where a function's own SET ends.
CREATE FUNCTION fresh_as_bob() RETURNS text LANGUAGE plpgsql SET request.jwt.claims = '{"sub": "f0000000-0000-0000-0000-000000000002"}'
    SET tenancy.tenant_id = 'f2222222-2222-2222-2222-222222222222' AS
    $$ BEGIN RETURN (SELECT f::text FROM fresh_answers f); END $$;
BEGIN;
SET LOCAL request.jwt.claims = :'ann';
SELECT who, may, fresh_as_bob() FROM fresh_answers;
EXECUTE answers;
COMMIT;

-- Inside one function, by one expression and by one query that are kept.
CREATE FUNCTION fresh_in_turns() RETURNS TABLE (turn int, who text, by_expression boolean, by_query boolean)
LANGUAGE plpgsql AS $$
BEGIN
    FOR turn IN 1..4 LOOP
        PERFORM set_config('request.jwt.claims',
                           format('{"sub": "f0000000-0000-0000-0000-%s"}', lpad((2 - turn % 2)::text, 12, '0')), true);
        by_expression := tenancy.has_permission('f1111111-1111-1111-1111-111111111111', 'fresh.read');
        SELECT right(tenancy.current_user_id()::text, 1), tenancy.has_permission('f2222222-2222-2222-2222-222222222222', 'fresh.read')
          INTO who, by_query;
        fresh_in_turns.turn := turn;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM fresh_in_turns();

-- Inside one query, changed by a row of it: the rows that follow are answered for the other user.
BEGIN;
SET LOCAL request.jwt.claims = :'ann';
SELECT id, tenancy.has_permission('f1111111-1111-1111-1111-111111111111', 'fresh.read') AS before,
       set_config('request.jwt.claims', CASE id WHEN 2 THEN :'bob' ELSE :'ann' END, true) IS NOT NULL AS changed,
       tenancy.has_permission('f1111111-1111-1111-1111-111111111111', 'fresh.read') AS after
  FROM fresh_one;
COMMIT;

-- A changed setting that says where to look is felt at once, too.
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "f0000000-0000-0000-0000-000000000002", "elsewhere": "f2222222-2222-2222-2222-222222222222"}';
EXECUTE answers;
SET LOCAL tenancy.tenant_claim = 'elsewhere';
EXECUTE answers;
SET LOCAL tenancy.require_exp = on;
EXECUTE answers;
ROLLBACK;

DEALLOCATE ALL;
RESET plan_cache_mode;
DROP FUNCTION fresh_in_turns();
DROP FUNCTION fresh_as_bob();
DROP TABLE fresh_one;
DROP VIEW fresh_answers;
DELETE FROM tenancy.tenants WHERE slug LIKE 'fresh%';
DELETE FROM tenancy.roles WHERE name LIKE 'fresh%';
DELETE FROM tenancy.permissions WHERE name LIKE 'fresh.%';
