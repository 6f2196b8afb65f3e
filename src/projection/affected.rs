//! Whose claims a statement on one of the tables may have changed.

use crate::cache::{self, Kind};
use crate::pg::trigger::{Event, Trigger};
use crate::rbac::Id;
use pgrx::Uuid;
use pgrx::spi::{SpiClient, SpiResult};

/// How the rows that the statement changed lead to users.
#[derive(Debug)]
pub enum Affected {
    /// By their column user_id.
    Users,
    /// By this column, to whom the object that it names reaches.
    By(Kind, &'static str),
    /// To the members of read-only tenants: what a wildcard comes to there is listed by name, and a name came or went.
    ReadOnly,
}

const READ_ONLY: &str = "(SELECT t.id FROM tenancy.tenants t WHERE t.status = 'read_only')";

impl Affected {
    pub fn by(trigger: &Trigger) -> Option<Self> {
        match trigger.table().as_str() {
            "members" | "member_roles" | "group_members" | "operators" | "active_tenants" => {
                Some(Self::Users)
            }
            "group_roles" => Some(Self::By(Kind::Group, "group_id")),
            "role_permissions" => Some(Self::By(Kind::Role, "role_id")),
            "role_inheritance" => Some(Self::By(Kind::Role, "senior_id")),
            "tenants" => Some(Self::By(Kind::Tenant, "id")),
            "permissions" => Some(Self::ReadOnly),
            _ => None,
        }
    }

    fn column(&self) -> &'static str {
        match self {
            Self::Users => "user_id",
            Self::By(_, column) => column,
            Self::ReadOnly => "id",
        }
    }

    /// What its objects are, where they are no users.
    fn kind(&self) -> Kind {
        match self {
            Self::By(kind, _) => *kind,
            Self::Users | Self::ReadOnly => Kind::Tenant,
        }
    }

    /// What the statement changed, as a relation for FROM. Of tenants only the status matters.
    fn rows(&self, event: Event) -> &'static str {
        match (event, self) {
            (Event::Update, Self::By(Kind::Tenant, _)) => {
                "(SELECT n.id FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE o.status <> n.status)"
            }
            (_, Self::ReadOnly) => READ_ONLY,
            (Event::Insert, _) => "new_rows",
            (Event::Update, _) => "(SELECT * FROM old_rows UNION ALL SELECT * FROM new_rows)",
            (Event::Delete | Event::Truncate, _) => "old_rows",
        }
    }

    /// The users, unless they are more than `most`, by the newest committed state and one's own changes: the transaction's
    /// snapshot may be older than its locks.
    pub fn users(
        &self,
        client: &mut SpiClient,
        trigger: &Trigger,
        most: usize,
    ) -> SpiResult<Option<Vec<Id>>> {
        trigger.show_transition_tables();
        let query = format!(
            "SELECT coalesce(array_agg(d.id), '{{}}') FROM (SELECT DISTINCT r.{} FROM {} r LIMIT $1) d (id)",
            self.column(),
            self.rows(trigger.event())
        );
        let cap = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
        let named: Vec<Uuid> =
            client.update(&query, None, &[cap.into()])?.first().get_one()?.unwrap_or_default();
        if named.len() > most {
            return Ok(None);
        }
        let ids: Vec<Id> = named.iter().map(|id| *id.as_bytes()).collect();
        match self {
            Self::Users => Ok(Some(ids)),
            Self::By(..) | Self::ReadOnly => {
                Ok(cache::reached(self.kind(), &ids, most).map(|users| users.into_iter().collect()))
            }
        }
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
        let query = match self {
            // In lots, because a statement may have touched any number.
            Self::Users => format!(
                "INSERT INTO tenancy.claims_queue (kind, user_ids, transaction_id) \
                 SELECT 'users', array_agg(u.user_id ORDER BY u.user_id), {transaction} \
                   FROM (SELECT d.user_id, row_number() OVER (ORDER BY d.user_id) / 10000 AS lot \
                           FROM (SELECT DISTINCT r.user_id FROM {rows} r) d) u GROUP BY u.lot"
            ),
            Self::By(..) | Self::ReadOnly => {
                let column = self.column();
                let kind = match self.kind() {
                    Kind::Role => "role",
                    Kind::Group => "group",
                    Kind::Tenant => "tenant",
                };
                format!(
                    "INSERT INTO tenancy.claims_queue (kind, object_id, transaction_id) \
                     SELECT DISTINCT '{kind}', r.{column}, {transaction} FROM {rows} r"
                )
            }
        };
        client.update(&query, None, &[]).map(|_| ())
    }
}
