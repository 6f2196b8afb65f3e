//! Tenants and users with fixed ids, and requests in the shape PostgREST gives them.

use crate::Session;
use serde_json::{Value, json};
use uuid::Uuid;

/// Id of the n-th tenant.
pub fn tenant(n: u32) -> Uuid {
    Uuid::from_u128(0x7e00_0000_0000_4000_8000_0000_0000_0000 | u128::from(n))
}

/// Id of the n-th user.
pub fn user(n: u32) -> Uuid {
    Uuid::from_u128(0x5e00_0000_0000_4000_8000_0000_0000_0000 | u128::from(n))
}

/// The claims of a user's token.
pub fn bearer(user: Uuid) -> Value {
    json!({ "sub": user.to_string(), "role": "authenticated", "aud": "authenticated" })
}

impl Session {
    /// Makes the n-th tenant, with slug `t<n>`.
    #[track_caller]
    pub fn add_tenant(&mut self, n: u32) -> Uuid {
        let id = tenant(n);
        self.run(&format!(
            "INSERT INTO tenancy.tenants (id, slug, name) VALUES ('{id}', 't{n}', 'Tenant {n}')"
        ));
        id
    }

    /// Makes a user a member; roles as in `'editor', 'viewer'`.
    #[track_caller]
    pub fn add_member(&mut self, tenant: Uuid, user: Uuid, roles: &str) {
        self.run(&format!("SELECT tenancy.add_member('{tenant}', '{user}', ARRAY[{roles}]::text[])"));
    }

    /// Docs to read and edit, and a tenant whose first user may do the one and second both: what most scenarios
    /// start from.
    #[track_caller]
    pub fn add_docs_application(&mut self) {
        self.run(
            "SELECT tenancy.create_permission(p) FROM unnest('{docs.read,docs.update}'::text[]) p;
             SELECT tenancy.create_role('viewer', '{docs.read}'), tenancy.create_role('editor', '{docs.*}')",
        );
        let tenant = self.add_tenant(1);
        self.add_member(tenant, user(1), "'viewer'");
        self.add_member(tenant, user(2), "'editor'");
    }

    /// Begins a transaction as PostgREST does for a request with these claims; `mode` is an isolation level, and
    /// READ ONLY after it for GET.
    #[track_caller]
    pub fn begin_request(&mut self, claims: &Value, mode: &str) {
        let claims = claims.to_string().replace('\'', "''");
        self.run(&format!(
            r#"BEGIN ISOLATION LEVEL {mode};
               SELECT set_config('search_path', '"public"', true), set_config('role', 'authenticated', true),
                      set_config('request.jwt.claims', '{claims}', true), set_config('request.method', 'GET', true),
                      set_config('request.path', '/docs', true), set_config('request.headers', '{{}}', true),
                      set_config('request.cookies', '{{}}', true)"#
        ));
    }

    /// A whole request of one user: begin, one query, commit.
    #[track_caller]
    pub fn request(&mut self, user: Uuid, sql: &str) -> Option<String> {
        self.begin_request(&bearer(user), "READ COMMITTED");
        let answer = self.value(sql);
        self.run("COMMIT");
        answer
    }

    /// Whether an expression is true in a request of the user's.
    #[track_caller]
    pub fn request_holds(&mut self, user: Uuid, expression: &str) -> bool {
        self.request(user, &format!("SELECT {expression}")).as_deref() == Some("t")
    }
}
