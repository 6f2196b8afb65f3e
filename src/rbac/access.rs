//! What one user may do, resolved: a bitset of permissions and two sets of role names per tenant.

use super::Id;
use super::bitset::BitSet;
use super::catalogue::Catalogue;
use super::grants::OperatorAccess;
use super::keys::{Keys, Name};
use super::pattern::{Pattern, Scope};
use super::question::Question;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// Tenant ids are uuids, random in most of their bits or counted up from a host's numbers: folding them is
/// hash enough, and a row's check is a few multiplications. Ids are made by the server or an administrator,
/// not by those who would gain from collisions.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (ids, rest) = bytes.as_chunks::<16>();
        for id in ids {
            let words = u128::from_be_bytes(*id);
            self.mix((words >> 64) as u64, words as u64);
        }
        for byte in rest {
            self.mix(0, u64::from(*byte));
        }
    }

    /// How long an array is, which is always the same of an id.
    #[inline]
    fn write_usize(&mut self, length: usize) {
        self.0 ^= length as u64;
    }
}

impl IdHasher {
    /// Both halves of the product: in the lower alone, a word's high bits would reach no low bit, and ids that differ
    /// only there would share a bucket.
    #[inline]
    fn mix(&mut self, high: u64, low: u64) {
        const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xe703_7ed1_a0b4_28db];
        let product = u128::from(self.0.rotate_left(26) ^ high ^ ODD[0]) * u128::from(low ^ ODD[1]);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

pub type IdMap<V> = HashMap<Id, V, BuildHasherDefault<IdHasher>>;

/// One user in one tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct Access {
    /// Member active and tenant open: without it nothing below holds.
    pub open: bool,
    /// Member active and tenant not archived: he may see the tenant's own row, to be told why he is denied.
    pub visible: bool,
    pub permissions: BitSet,
    /// As granted, for delegation: one may hand out only what one's patterns cover.
    pub patterns: Vec<Pattern>,
    /// Authorised roles of the application, and of the tenant: two sets, so that a tenant's own role never
    /// answers for an application role of the same name.
    pub application_roles: BTreeSet<String>,
    pub tenant_roles: BTreeSet<String>,
}

/// What one user holds wherever he is a member.
#[derive(Debug, Default)]
pub struct AccessMap {
    /// Which of `kinds` holds in a tenant.
    tenants: IdMap<u32>,
    /// The same where it is one: most users are members of one tenant, and comparing is less than hashing.
    sole: Option<(Id, u32)>,
    /// What the host calls them, where it has keys of its own.
    pub(super) keys: Keys,
    /// Each distinct access once.
    kinds: Vec<Kind>,
    pub catalogue: Rc<Catalogue>,
    pub operator: Option<OperatorAccess>,
    /// The tenant he chose to work in, which need not be open to him.
    pub chosen: Option<Id>,
    pub next_expiry: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
struct Kind {
    /// Shared with whoever holds the same.
    access: Rc<Access>,
    /// In how many tenants it holds.
    tenants: usize,
}

/// The answers to one question for the first 64 kinds of access, a bit each: what a row's check reads.
pub type Answers = u64;

impl AccessMap {
    #[inline(always)]
    pub(super) fn kind(&self, tenant: &Id) -> Option<u32> {
        match self.sole {
            Some((sole, kind)) => (sole == *tenant).then_some(kind),
            None => self.tenants.get(tenant).copied(),
        }
    }

    /// The access of a member of whatever status.
    #[inline]
    pub fn member(&self, tenant: impl Name) -> Option<&Access> {
        self.kinds.get(tenant.kind(self)? as usize).map(|kind| &*kind.access)
    }

    /// The member's access, if he is an active member of an open tenant.
    pub fn open(&self, tenant: &Id) -> Option<&Access> {
        self.member(tenant).filter(|access| access.open)
    }

    pub fn holds(&self, tenant: &Id, bit: usize) -> bool {
        self.admits(tenant, &Question::Permission(bit))
    }

    /// Whether the answer is yes in this tenant.
    #[inline]
    pub fn admits(&self, tenant: impl Name, question: &Question) -> bool {
        self.member(tenant).is_some_and(|access| question.admits(access))
    }

    /// The same with the answers found beforehand.
    #[inline(always)]
    pub fn admits_by(&self, tenant: impl Name, answers: Answers) -> bool {
        tenant.kind(self).is_some_and(|kind| answers >> (kind & 63) & 1 == 1)
    }

    /// All answers to a question, if there are no more than bits.
    pub fn answers(&self, question: &Question) -> Option<Answers> {
        let admitted = |kind: &Kind| Answers::from(question.admits(&kind.access));
        (self.kinds.len() <= Answers::BITS as usize)
            .then(|| self.kinds.iter().enumerate().map(|(bit, kind)| admitted(kind) << bit).sum())
    }

    /// Whether the member may hand this pattern to others in the tenant: one of his covers it. A name that
    /// is registered nowhere is covered by nothing.
    pub fn covers(&self, tenant: &Id, wanted: &Pattern) -> bool {
        let scope = match wanted {
            Pattern::Exact(name) => match self.catalogue.scope(name) {
                Some(scope) => scope,
                None => return false,
            },
            _ => Scope::Tenant,
        };
        self.open(tenant).is_some_and(|access| access.patterns.iter().any(|held| held.covers(wanted, scope)))
    }

    /// The tenants in which the answer is yes, in order of id.
    pub fn tenants_where(&self, question: &Question) -> Vec<Id> {
        let admits = self.kinds_where(question);
        let mut ids: Vec<Id> =
            self.tenants.iter().filter(|(_, kind)| admits(**kind)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Whether the answer is yes for a kind of access, found once for each.
    pub(super) fn kinds_where(&self, question: &Question) -> impl Fn(u32) -> bool + use<> {
        let admitted: Vec<bool> = self.kinds.iter().map(|kind| question.admits(&kind.access)).collect();
        move |kind| admitted.get(kind as usize).copied().unwrap_or_default()
    }

    /// Whether he is an active member of any open tenant.
    pub fn is_member_of_any(&self) -> bool {
        self.kinds.iter().any(|kind| kind.access.open)
    }

    /// How many those are, counted by kind.
    pub fn count_where(&self, test: impl Fn(&Access) -> bool) -> usize {
        self.kinds.iter().filter(|kind| test(&kind.access)).map(|kind| kind.tenants).sum()
    }

    /// Tenants of any status, in no order.
    pub fn member_of(&self) -> impl Iterator<Item = &Id> {
        self.tenants.keys()
    }

    /// The only membership there is, of any status.
    pub fn sole_tenant(&self) -> Option<Id> {
        self.sole.map(|(tenant, _)| tenant)
    }

    /// Memory held, roughly, without what users share.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.tenants.capacity() * (size_of::<(Id, u32)>() + 1)
            + self.kinds.capacity() * size_of::<Kind>()
            + self.keys.bytes()
    }

    /// What `resolve` found for each tenant.
    pub(super) fn new(
        found: impl ExactSizeIterator<Item = (Id, Option<String>, Rc<Access>)>,
        catalogue: Rc<Catalogue>,
        operator: Option<OperatorAccess>,
        chosen: Option<Id>,
        next_expiry: Option<i64>,
    ) -> Self {
        let mut tenants = IdMap::with_capacity_and_hasher(found.len(), Default::default());
        let mut kinds: Vec<Kind> = Vec::new();
        let mut keys = Keys::default();
        let mut known: HashMap<*const Access, u32> = HashMap::new();
        // Most users hold one combination everywhere.
        let mut last: Option<(*const Access, u32)> = None;
        for (tenant, key, access) in found {
            let pointer = Rc::as_ptr(&access);
            let kind = match last {
                Some((same, kind)) if same == pointer => kind,
                _ => *known.entry(pointer).or_insert_with(|| {
                    kinds.push(Kind { access, tenants: 0 });
                    // Four thousand million kinds would need more memory than there is.
                    u32::try_from(kinds.len() - 1).unwrap_or(u32::MAX)
                }),
            };
            last = Some((pointer, kind));
            if let Some(kind) = kinds.get_mut(kind as usize) {
                kind.tenants += 1;
            }
            if let Some(key) = key {
                keys.add(tenant, kind, &key);
            }
            tenants.insert(tenant, kind);
        }
        let sole = match tenants.len() {
            1 => tenants.iter().next().map(|(tenant, kind)| (*tenant, *kind)),
            _ => None,
        };
        Self { tenants, sole, keys, kinds, catalogue, operator, chosen, next_expiry }
    }
}

impl Access {
    pub(super) fn bytes(&self) -> usize {
        // What a set allocates for its first few names.
        const NODE: usize = 280;
        let sets = [&self.application_roles, &self.tenant_roles];
        size_of::<Self>()
            + self.permissions.bytes()
            + self.patterns.iter().map(|p| size_of::<Pattern>() + p.text().len()).sum::<usize>()
            + sets.iter().filter(|set| !set.is_empty()).count() * NODE
            + sets.into_iter().flatten().map(|name| name.len() + 48).sum::<usize>()
    }
}
