import { defineConfig } from 'prisma/config';

// The tables of the extension, which Prisma neither makes, changes nor drops.
const tenancy = `
  active_tenants attached_members attached_tables attached_tenants cache_signal claims_queue
  database_role_roles group_members group_roles groups member_roles members metered_tables meters
  operators permissions plan_quotas plans protected_tables quota_events quota_signal quotas
  reference_tables role_inheritance role_permissions role_signal roles subjects sync_failures
  tenant_plans tenants usage usage_periods user_profiles users_table
`;

export default defineConfig({
  schema: 'schema.prisma',
  datasource: { url: process.env.DATABASE_URL, shadowDatabaseUrl: process.env.SHADOW_DATABASE_URL },
  experimental: { externalTables: true },
  tables: { external: tenancy.trim().split(/\s+/).map((table) => `tenancy.${table}`) },
});
