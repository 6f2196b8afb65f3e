//! A template as the scenarios need it: its fixture, its script, and the requests that are asked of both sides.

use super::CLUSTER;
use pg_tenancy_integration::{Row, Session, source, user};
use serde_json::{Value, json};
use std::process::Output;

/// A template: its fixture, script and guide, and how its own functions are asked.
pub struct Template {
    pub name: &'static str,
    pub users: u32,
    pub permissions: &'static [&'static str],
    /// Whether the token holds the permission in its tenant, by the template's functions.
    pub theirs: fn(&str) -> String,
    pub ours: fn(&str) -> String,
    pub tenant: (&'static str, &'static str),
    pub table: &'static str,
}

pub const RBAC: Template = Template {
    name: "rbac",
    users: 10,
    permissions: &[
        "tenant_members.assign",
        "roles.edit",
        "roles.assign",
        "profiles.edit",
        "documents.read",
        "documents.update",
    ],
    theirs: |permission| format!("jwt_tenant_id() <> -1 AND jwt_has_permission('{permission}')"),
    ours: |permission| {
        format!("tenancy.has_permission('{}')", permission.replace("tenant_members.", "members."))
    },
    tenant: ("nullif(jwt_tenant_id(), -1)::text", "tenancy.current_tenant_key()"),
    table: "documents",
};
pub const WORKSPACE: Template = Template {
    name: "workspace",
    users: 7,
    permissions: &[
        "users.read",
        "users.create",
        "settings.read",
        "settings.create",
        "workspaces.read",
        "workspaces.update",
    ],
    theirs: |permission| format!("base.user_has_permissions('{{{permission}}}')"),
    ours: |permission| format!("tenancy.has_any_permission('{{{permission}}}')"),
    tenant: ("base.jwt() -> 'app_metadata' ->> 'workspace_id'", "tenancy.current_tenant_id()::text"),
    table: "base.settings",
};

impl Template {
    /// A database as the template leaves it.
    #[track_caller]
    pub fn database(&self, name: &str) -> Session {
        let admin = CLUSTER.database(name);
        let fixture = source(&format!("tests/fixtures/{}_template.sql", self.name));
        CLUSTER.psql(name, &["-f", &fixture.display().to_string()]);
        admin
    }

    pub fn migrate(&self, database: &str, options: &[&str]) -> Output {
        let script = source(&format!("sql/adapters/from_{}_template.sql", self.name));
        let mut command = CLUSTER.program("psql");
        command.args(["-X", "-d", database]).args(options.iter().flat_map(|option| ["-v", option]));
        command.arg("-f").arg(script).output().expect("psql starts")
    }

    /// What it says, having done all of it.
    #[track_caller]
    pub fn succeeds(&self, database: &str, options: &[&str]) -> String {
        let output = self.migrate(database, options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{options:?}: {said}");
        assert!(said.contains("NOTICE:  checked: "), "no comparison: {said}");
        said
    }

    /// What it says, having refused and changed nothing.
    #[track_caller]
    pub fn refuses(&self, database: &str, options: &[&str], message: &str) -> String {
        let mut admin = CLUSTER.connect(database);
        let before = rows(&mut admin);
        let output = self.migrate(database, options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(message), "expected: {message}\n{said}");
        assert_eq!(rows(&mut admin), before, "it changed something: {said}");
        said
    }

    /// For every user, in a request with the token he would have: his tenant, each permission, the rows he sees.
    pub fn answers(&self, admin: &mut Session, database: &str, by: Side) -> Vec<Row> {
        self.answers_to("auth.users", admin, database, by)
    }

    /// The same with metadata out of another table.
    pub fn answers_to(&self, tokens: &str, admin: &mut Session, database: &str, by: Side) -> Vec<Row> {
        let mut request = CLUSTER.connect_as(database, "authenticator");
        let mut answers = Vec::new();
        for n in 1..=self.users {
            let metadata =
                admin.value(&format!("SELECT raw_app_meta_data FROM {tokens} WHERE id = '{}'", user(n)));
            let metadata: Value =
                metadata.map_or(json!({}), |text| serde_json::from_str(&text).expect("jsonb"));
            let mut claims = json!({ "sub": user(n).to_string(), "role": "authenticated", "exp": 32503680000_u64, "app_metadata": metadata });
            if self.name == "workspace" && by == Side::Template {
                let event = json!({ "user_id": user(n).to_string(), "claims": claims })
                    .to_string()
                    .replace('\'', "''");
                let event = admin.text(&format!("SELECT base.custom_access_token_hook('{event}')"));
                claims = serde_json::from_str::<Value>(&event).expect("jsonb")["claims"].clone();
            }
            let (ask, tenant) = match by {
                Side::Template => (self.theirs, self.tenant.0),
                Side::Tenancy => (self.ours, self.tenant.1),
            };
            let permissions: Vec<String> =
                self.permissions.iter().map(|name| format!("coalesce({}, false)", ask(name))).collect();
            request.begin_request(&claims, "READ COMMITTED");
            let columns = match self.name {
                "rbac" => "string_agg(title, ',' ORDER BY title)",
                _ => "string_agg(settings_json::text, ',' ORDER BY settings_json::text)",
            };
            answers.extend(request.rows(&format!(
                "SELECT {n}, {tenant}, {}, (SELECT {columns} FROM {})",
                permissions.join(", "),
                self.table
            )));
            request.run("COMMIT");
        }
        answers
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Side {
    Template,
    Tenancy,
}

/// Every row of ours, and when it was written.
pub fn rows(admin: &mut Session) -> Vec<Row> {
    let tables = admin.rows(
        "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
          WHERE nspname IN ('tenancy', 'tenancy_migration') AND relkind = 'r' ORDER BY 1",
    );
    let all = tables.iter().flatten().flatten();
    all.flat_map(|table| {
        admin.rows(&format!("SELECT '{table}', xmin, ctid, t.* FROM {table} t ORDER BY ctid"))
    })
    .collect()
}
