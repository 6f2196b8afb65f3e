//! The extension's SQL, in order. Functions written in Rust come after the bootstrap.

use pgrx::prelude::*;

extension_sql_file!("../sql/bootstrap/tables.sql", name = "tables", bootstrap);
extension_sql_file!("../sql/bootstrap/users_tables.sql", name = "users_tables", requires = ["tables"]);
extension_sql_file!("../sql/bootstrap/host_tables.sql", name = "host_tables", requires = ["users_tables"]);
extension_sql_file!("../sql/bootstrap/identity_tables.sql", name = "identity_tables", requires = ["tables"]);
extension_sql_file!("../sql/bootstrap/usage_tables.sql", name = "usage_tables", requires = ["tables"]);
extension_sql_file!(
    "../sql/bootstrap/helpers.sql",
    name = "helpers",
    requires = ["host_tables", "identity_tables", "usage_tables"]
);
extension_sql_file!("../sql/bootstrap/key_helpers.sql", name = "key_helpers", requires = ["helpers"]);
extension_sql_file!("../sql/bootstrap/builtin.sql", name = "builtin", requires = ["key_helpers"]);
extension_sql_file!("../sql/bootstrap/signals.sql", name = "signals", requires = ["builtin"]);
extension_sql_file!(
    "../sql/bootstrap/guards.sql",
    name = "guards",
    requires = ["signals", api::administration::can_grant_role]
);
extension_sql_file!(
    "../sql/bootstrap/policies.sql",
    name = "policies",
    requires = ["guards", api::administration::is_administrator]
);
extension_sql_file!(
    "../sql/bootstrap/auto_assignment.sql",
    name = "auto_assignment",
    requires = ["policies", api::email::email_pattern_problem]
);
extension_sql_file!("../sql/bootstrap/usage_policies.sql", name = "usage_policies", requires = ["policies"]);
extension_sql_file!(
    "../sql/bootstrap/manage_meters.sql",
    name = "manage_meters",
    requires = ["usage_policies"]
);
extension_sql_file!(
    "../sql/bootstrap/manage_quotas.sql",
    name = "manage_quotas",
    requires = ["manage_meters"]
);
extension_sql_file!("../sql/bootstrap/manage_plans.sql", name = "manage_plans", requires = ["manage_quotas"]);
extension_sql_file!("../sql/bootstrap/usage_views.sql", name = "usage_views", requires = ["usage_policies"]);
extension_sql_file!("../sql/bootstrap/usage_report.sql", name = "usage_report", requires = ["usage_views"]);
extension_sql_file!("../sql/bootstrap/prometheus.sql", name = "prometheus", requires = ["usage_views"]);
extension_sql_file!("../sql/bootstrap/manage_tenants.sql", name = "manage_tenants", requires = ["policies"]);
extension_sql_file!(
    "../sql/bootstrap/manage_members.sql",
    name = "manage_members",
    requires = ["policies", api::administration::can_grant_role]
);
extension_sql_file!("../sql/bootstrap/manage_roles.sql", name = "manage_roles", requires = ["policies"]);
extension_sql_file!("../sql/bootstrap/manage_groups.sql", name = "manage_groups", requires = ["policies"]);
extension_sql_file!(
    "../sql/bootstrap/manage_operators.sql",
    name = "manage_operators",
    requires = ["policies", api::administration::operator_until]
);
extension_sql_file!(
    "../sql/bootstrap/pre_request.sql",
    name = "pre_request",
    requires = ["policies", api::administration::request_is_refused]
);
extension_sql_file!(
    "../sql/bootstrap/manage_claims.sql",
    name = "manage_claims",
    requires = ["attach_users", api::administration::caller_is_administrator, api::rights::read_as_owner]
);
extension_sql_file!(
    "../sql/bootstrap/database_roles.sql",
    name = "database_roles",
    requires = ["policies", "prometheus"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_types.sql",
    name = "protect_types",
    requires = ["database_roles"]
);
extension_sql_file!(
    "../sql/bootstrap/trusted_callers.sql",
    name = "trusted_callers",
    requires = ["database_roles"]
);
extension_sql_file!(
    "../sql/bootstrap/job_roles.sql",
    name = "job_roles",
    requires = ["trusted_callers", api::trusted::roles_of_database_role]
);
extension_sql_file!(
    "../sql/bootstrap/protect_inspect.sql",
    name = "protect_inspect",
    requires = ["protect_types"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_reference.sql",
    name = "protect_reference",
    requires = ["protect_inspect"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_check.sql",
    name = "protect_check",
    requires = ["protect_reference"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_backfill.sql",
    name = "protect_backfill",
    requires = ["owner_rights", "protect_check"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_structure.sql",
    name = "protect_structure",
    requires = ["protect_backfill"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_access.sql",
    name = "protect_access",
    requires = ["protect_structure"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_keys.sql",
    name = "protect_keys",
    requires = ["protect_access"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_observe.sql",
    name = "protect_observe",
    requires = ["protect_keys"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_table.sql",
    name = "protect_table",
    requires = ["protect_observe"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_staged.sql",
    name = "protect_staged",
    requires = [api::rights::read_as_owner, "protect_table"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_staged_check.sql",
    name = "protect_staged_check",
    requires = ["protect_staged"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_staged_script.sql",
    name = "protect_staged_script",
    requires = ["protect_staged_check"]
);
extension_sql_file!(
    "../sql/bootstrap/protect_partitions.sql",
    name = "protect_partitions",
    requires = [api::rights::execute_as_owner, "protect_table"]
);
extension_sql_file!(
    "../sql/bootstrap/unprotect_table.sql",
    name = "unprotect_table",
    requires = ["protect_partitions"]
);
extension_sql_file!(
    "../sql/bootstrap/meter_table.sql",
    name = "meter_table",
    requires = [
        "unprotect_table",
        api::metering::measure_table,
        api::metering::usage_differences,
        api::metering::correct_usage
    ]
);
extension_sql_file!(
    "../sql/bootstrap/metered_partitions.sql",
    name = "metered_partitions",
    requires = ["meter_table"]
);
extension_sql_file!(
    "../sql/bootstrap/preview_table.sql",
    name = "preview_table",
    requires = [api::rights::read_as_role, api::rights::count_as_role, "protect_table"]
);
extension_sql_file!(
    "../sql/bootstrap/assign_users.sql",
    name = "assign_users",
    requires = ["auto_assignment", "users_tables", api::rights::read_as_owner]
);
extension_sql_file!(
    "../sql/bootstrap/profile_tables.sql",
    name = "profile_tables",
    requires = ["policies", api::profiles::is_time_zone]
);
extension_sql_file!(
    "../sql/bootstrap/owner_rights.sql",
    name = "owner_rights",
    requires = [
        "policies",
        api::rights::read_as_owner,
        api::rights::execute_as_owner,
        api::rights::change_as_owner,
        api::rights::change_and_tell_as_owner
    ]
);
extension_sql_file!(
    "../sql/bootstrap/attach_users.sql",
    name = "attach_users",
    requires = ["assign_users", "profile_tables", "owner_rights"]
);
extension_sql_file!(
    "../sql/bootstrap/attach_tenants.sql",
    name = "attach_tenants",
    requires = ["attach_users", "protect_inspect"]
);
extension_sql_file!(
    "../sql/bootstrap/attach_members.sql",
    name = "attach_members",
    requires = ["attach_tenants", "trusted_callers", api::rights::read_as_owner]
);
extension_sql_file!(
    "../sql/bootstrap/reference_tables.sql",
    name = "reference_tables",
    requires = ["protect_table"]
);
extension_sql_file!(
    "../sql/bootstrap/policy_report.sql",
    name = "policy_report",
    requires = ["protect_table"]
);
extension_sql_file!(
    "../sql/bootstrap/tenant_tables.sql",
    name = "tenant_tables",
    requires = ["attach_members", "manage_tenants"]
);
extension_sql_file!(
    "../sql/bootstrap/export_tenant.sql",
    name = "export_tenant",
    requires = ["tenant_tables"]
);
extension_sql_file!(
    "../sql/bootstrap/import_tenant.sql",
    name = "import_tenant",
    requires = ["export_tenant"]
);
extension_sql_file!(
    "../sql/bootstrap/delete_tenant_rows.sql",
    name = "delete_tenant_rows",
    requires = ["tenant_tables"]
);
extension_sql_file!("../sql/bootstrap/erase_user.sql", name = "erase_user", requires = ["tenant_tables"]);
extension_sql_file!(
    "../sql/bootstrap/profiles.sql",
    name = "profiles",
    requires = [api::projection::write_metadata, "attach_users"]
);
extension_sql_file!("../sql/bootstrap/usage.sql", name = "usage", requires = ["policies"]);
extension_sql_file!("../sql/bootstrap/active_tenant.sql", name = "active_tenant", requires = ["policies"]);
extension_sql_file!(
    "../sql/bootstrap/sync_claims.sql",
    name = "sync_claims",
    requires = [
        "attach_users",
        api::projection::sync_users,
        api::projection::projected_claims,
        api::rights::read_as_owner
    ]
);
extension_sql_file!(
    "../sql/bootstrap/native_comments.sql",
    name = "native_comments",
    requires = [
        "helpers",
        "usage",
        api::require::require_permission,
        api::require::require_permission_in,
        api::administration::is_administrator,
        api::administration::caller_is_administrator,
        api::administration::can_grant_role,
        api::administration::can_grant_permission,
        api::administration::is_permission_name_sql,
        api::administration::is_permission_pattern,
        api::administration::would_create_cycle,
        api::administration::count_roles_named,
        api::administration::count_direct_grants,
        api::administration::operator_until,
        api::administration::request_is_refused,
        api::projection::sync_users,
        api::projection::write_metadata,
        api::projection::projected_claims,
        api::rights::read_as_role,
        api::rights::count_as_role,
        api::rights::execute_as_owner,
        api::rights::change_as_owner,
        api::rights::change_and_tell_as_owner,
        api::rights::read_as_owner,
        api::requests::count_request,
        api::requests::usage_shared_stats,
        api::metering::measure_table,
        api::metering::usage_differences,
        api::metering::correct_usage,
        api::statistics::cache_stats,
        api::trusted::enterable_tenants,
        api::trusted::roles_of_database_role,
        api::diagnosis::diagnose
    ]
);
extension_sql_file!("../sql/bootstrap/privileges.sql", name = "privileges", finalize);
