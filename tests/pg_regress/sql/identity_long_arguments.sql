-- Threats 1 and 31: arguments and claims of any length deny quietly, are never copied whole (running out of memory
-- in the library would end the server), and never run on uninterrupted.
INSERT INTO tenancy.tenants (id, slug, name) VALUES ('72000000-0000-4000-8000-000000000001', 'long-arguments', 'Long');
SELECT tenancy.add_member('72000000-0000-4000-8000-000000000001', '72111111-0000-4000-8000-000000000001', '{owner}');
BEGIN;
SELECT tenancy.act_as('72111111-0000-4000-8000-000000000001');
SELECT tenancy.has_permission('members.read') AS held;
-- A name as long as any, one longer, and one of 200 MB: nobody holds them.
SELECT length(name), tenancy.has_permission(name), tenancy.has_permission('72000000-0000-4000-8000-000000000001', name),
       tenancy.has_role(name), tenancy.has_role('72000000-0000-4000-8000-000000000001', name),
       tenancy.has_tenant_role('72000000-0000-4000-8000-000000000001', name),
       tenancy.has_any_permission(ARRAY[name]), tenancy.has_all_permissions(ARRAY[name]),
       tenancy.tenant_ids_with(name), tenancy.claim(name), tenancy.is_permission_name(name)
  FROM (VALUES (repeat('x', 1024)), (repeat('x', 1025)), (repeat('members.read', 20000000))) v (name);
COMMIT;
-- A claim whose key takes long to look for.
BEGIN;
SET LOCAL statement_timeout = '5s';
SELECT set_config('request.jwt.claims', jsonb_build_object('sub', '72111111-0000-4000-8000-000000000001',
                                                           repeat('a.', 200000), 1)::text, true) IS NOT NULL AS set;
SELECT tenancy.current_user_id(), tenancy.claim(repeat('a.', 1000000));
COMMIT;
-- A tenant_id and headers of a megabyte and more.
BEGIN;
SELECT tenancy.act_as('72111111-0000-4000-8000-000000000001', db_role => current_user::text);
SELECT set_config('tenancy.tenant_id', repeat('7', 3000000), true) IS NOT NULL AS set;
SELECT tenancy.current_tenant_id();
COMMIT;
-- request.headers is not ours while the library has been loaded without a tenant_header; it ends with its
-- transaction all the same once one is named.
SET tenancy.tenant_header = 'x-tenant';
BEGIN;
SET request.headers = '{"X-Tenant": "72000000-0000-4000-8000-000000000001"}';
COMMIT;
SELECT current_setting('request.headers', true) = '' AS blank;
RESET tenancy.tenant_header;
DELETE FROM tenancy.tenants WHERE slug = 'long-arguments';
