//! Which tenants a predicate admits for one user: what `Question` asks of each, or more than his memberships can say.

use super::Id;
use super::access::AccessMap;
use super::grants::OperatorAccess;
use super::keys::Name;
use super::question::{Question, Topic};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// An operator's.
    All,
    /// The active tenant, if there is one.
    One(Option<Id>),
    Where(Question),
}

impl Default for Reach {
    fn default() -> Self {
        Self::Where(Question::Never)
    }
}

impl Reach {
    /// The names are bytes in the database's encoding, `None` for NULL: of permissions, a role, or an operator's access.
    pub fn new<'a>(
        topic: Topic,
        access: &AccessMap,
        active: Option<&Id>,
        mut names: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Self {
        if !topic.has_operators() {
            return Self::Where(Question::new(topic, &access.catalogue, names));
        }
        let name = names.next().flatten().and_then(|name| std::str::from_utf8(name).ok());
        let Some(wanted) = name.and_then(OperatorAccess::parse) else { return Self::default() };
        match topic {
            _ if access.operator >= Some(wanted) => Self::All,
            Topic::ActiveOrOperator => Self::One(active.copied()),
            _ => Self::Where(Question::Member),
        }
    }

    pub fn admits(&self, tenant: impl Name, access: &AccessMap) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one.as_ref().is_some_and(|one| tenant.is(one, access)),
            Self::Where(question) => access.admits(tenant, question),
        }
    }

    /// How many tenants all of these admit; `None` for all there are.
    pub fn count(reaches: &[Self], access: &AccessMap) -> Option<usize> {
        let mut narrow = reaches.iter().filter(|reach| **reach != Self::All).peekable();
        narrow.peek()?;
        let one = reaches.iter().find_map(|reach| match reach {
            Self::One(one) => Some(one),
            _ => None,
        });
        Some(match one {
            None => access.count_where(|kind| {
                narrow.clone().all(|reach| matches!(reach, Self::Where(question) if question.admits(kind)))
            }),
            Some(one) => {
                one.as_ref().map_or(0, |tenant| usize::from(narrow.all(|reach| reach.admits(tenant, access))))
            }
        })
    }
}
