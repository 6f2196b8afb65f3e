//! Whose claims a statement on one of the tables may have changed.

use crate::pg::trigger::{Event, Trigger};
use crate::rbac::Id;
use pgrx::Uuid;
use pgrx::spi::{SpiClient, SpiResult};

/// How rows lead to users, as SQL with the rows as `{rows}`.
#[derive(Debug)]
pub enum Affected {
    /// By their column user_id.
    Users,
    /// The members of a group.
    Group,
    /// The holders of a role, or of one senior to it, named in this column.
    Role(&'static str),
    /// The members of a tenant whose status changed.
    Tenant,
    /// The members of read-only tenants: what a wildcard comes to there is listed by name, and a name came or went.
    ReadOnly,
}

const READ_ONLY: &str = "(SELECT t.id FROM tenancy.tenants t WHERE t.status = 'read_only')";

/// A user holds a role many times, in one tenant after another: so many rows more are looked at than users wanted.
const ROWS_PER_USER: i64 = 10;

impl Affected {
    pub fn by(trigger: &Trigger) -> Option<Self> {
        match trigger.table().as_str() {
            "members" | "member_roles" | "group_members" | "operators" | "active_tenants" => {
                Some(Self::Users)
            }
            "group_roles" => Some(Self::Group),
            "role_permissions" => Some(Self::Role("role_id")),
            "role_inheritance" => Some(Self::Role("senior_id")),
            "tenants" => Some(Self::Tenant),
            "permissions" => Some(Self::ReadOnly),
            _ => None,
        }
    }

    /// What the statement changed, as a relation for FROM.
    fn rows(&self, event: Event) -> &'static str {
        match (event, self) {
            (Event::Update, Self::Tenant) => {
                "(SELECT n.id FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE o.status <> n.status)"
            }
            (_, Self::ReadOnly) => READ_ONLY,
            (Event::Insert, _) => "new_rows",
            (Event::Update, _) => "(SELECT * FROM old_rows UNION ALL SELECT * FROM new_rows)",
            (Event::Delete | Event::Truncate, _) => "old_rows",
        }
    }

    /// The users, unless they are more than `most`. What a role leads to is looked at only so far.
    pub fn users(&self, client: &mut SpiClient, trigger: &Trigger, most: i64) -> SpiResult<Option<Vec<Id>>> {
        trigger.show_transition_tables();
        let rows = self.rows(trigger.event());
        let found = match self {
            Self::Users => format!("SELECT DISTINCT r.user_id FROM {rows} r LIMIT $1"),
            Self::Group => format!(
                "SELECT m.user_id FROM {rows} r JOIN tenancy.group_members m ON m.group_id = r.group_id LIMIT $1"
            ),
            Self::Tenant | Self::ReadOnly => format!(
                "SELECT m.user_id FROM {rows} r JOIN tenancy.members m ON m.tenant_id = r.id LIMIT $1"
            ),
            Self::Role(column) => format!(
                "WITH RECURSIVE line (id) AS (\
                     SELECT r.{column} FROM {rows} r \
                     UNION SELECT i.senior_id FROM line JOIN tenancy.role_inheritance i ON i.junior_id = line.id) \
                 (SELECT g.user_id FROM line, LATERAL (SELECT g.user_id FROM tenancy.member_roles g \
                   WHERE g.role_id = line.id LIMIT $1) g LIMIT $1) \
                 UNION ALL \
                 (SELECT m.user_id FROM line JOIN tenancy.group_roles g ON g.role_id = line.id \
                    JOIN tenancy.group_members m ON m.group_id = g.group_id LIMIT $1)"
            ),
        };
        let query =
            format!("SELECT coalesce(array_agg(DISTINCT f.user_id), '{{}}'), count(*) FROM ({found}) f");
        let cap = match self {
            Self::Users => most + 1,
            _ => most * ROWS_PER_USER + 1,
        };
        let (users, looked_at) =
            client.update(&query, None, &[cap.into()])?.first().get_two::<Vec<Uuid>, i64>()?;
        let users = users.unwrap_or_default();
        let few = looked_at.unwrap_or(0) < cap && i64::try_from(users.len()).unwrap_or(i64::MAX) <= most;
        Ok(few.then(|| users.iter().map(|id| *id.as_bytes()).collect()))
    }

    /// Queues them: for the end of this transaction, or until sync_claims() comes by. A role's holders are queued by
    /// their role, however many they are.
    pub fn queue(&self, client: &mut SpiClient, trigger: &Trigger, this_transaction: bool) -> SpiResult<()> {
        let transaction = if this_transaction { "pg_current_xact_id()" } else { "NULL::xid8" };
        if trigger.event() == Event::Truncate {
            let query = format!(
                "INSERT INTO tenancy.claims_queue (kind, transaction_id) VALUES ('everybody', {transaction})"
            );
            return client.update(&query, None, &[]).map(|_| ());
        }
        trigger.show_transition_tables();
        let rows = self.rows(trigger.event());
        let (kind, column) = match self {
            Self::Users => {
                // In lots, because a statement may have touched any number.
                let query = format!(
                    "INSERT INTO tenancy.claims_queue (kind, user_ids, transaction_id) \
                     SELECT 'users', array_agg(u.user_id ORDER BY u.user_id), {transaction} \
                       FROM (SELECT d.user_id, row_number() OVER (ORDER BY d.user_id) / 10000 AS lot \
                               FROM (SELECT DISTINCT r.user_id FROM {rows} r) d) u GROUP BY u.lot"
                );
                return client.update(&query, None, &[]).map(|_| ());
            }
            Self::Group => ("group", "group_id"),
            Self::Role(column) => ("role", *column),
            Self::Tenant | Self::ReadOnly => ("tenant", "id"),
        };
        let query = format!(
            "INSERT INTO tenancy.claims_queue (kind, object_id, transaction_id) \
             SELECT DISTINCT '{kind}', r.{column}, {transaction} FROM {rows} r"
        );
        client.update(&query, None, &[]).map(|_| ())
    }
}
