//! What the host calls its tenants: numbers or texts of its own, by which its tables name them.

use super::access::{AccessMap, IdMap};
use super::question::Question;
use super::{Id, format_id, parse_id};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// The key as a number, if it is written as Postgres writes a bigint: one number has one such key.
pub fn number(key: &str) -> Option<i64> {
    key.parse().ok().filter(|number: &i64| number.to_string() == key)
}

/// The id, if a text has the form in which Postgres writes a uuid. Nothing is allocated: a column may hold ids.
fn canonical_id(text: &str) -> Option<Id> {
    let bytes = text.as_bytes();
    let has_form = bytes.len() == 36
        && [8, 13, 18, 23].iter().all(|dash| bytes.get(*dash) == Some(&b'-'))
        && !bytes.iter().any(u8::is_ascii_uppercase);
    has_form.then(|| parse_id(text)).flatten()
}

/// One multiplication, both halves of it: hosts count their keys up, and nobody chooses his own.
#[derive(Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_i64(i64::from(*byte));
        }
    }

    #[inline]
    fn write_i64(&mut self, number: i64) {
        let product = u128::from(self.0 ^ number as u64 ^ 0xe703_7ed1_a0b4_28db) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

/// The keys of one user's tenants, and which kind of access holds there.
#[derive(Debug, Default)]
pub struct Keys {
    of: IdMap<Rc<str>>,
    texts: HashMap<Rc<str>, (Id, u32)>,
    numbers: HashMap<i64, (Id, u32), BuildHasherDefault<NumberHasher>>,
    /// The number where it is one.
    sole: Option<(i64, u32)>,
}

impl Keys {
    pub(super) fn add(&mut self, tenant: Id, kind: u32, key: &str) {
        let key: Rc<str> = Rc::from(key);
        if let Some(number) = number(&key) {
            self.numbers.insert(number, (tenant, kind));
            self.sole = (self.numbers.len() == 1).then_some((number, kind));
        }
        self.of.insert(tenant, Rc::clone(&key));
        self.texts.insert(key, (tenant, kind));
    }

    /// Memory held, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.of.capacity() * size_of::<(Id, Rc<str>)>()
            + self.texts.capacity() * size_of::<(Rc<str>, (Id, u32))>()
            + self.numbers.capacity() * size_of::<(i64, (Id, u32))>()
            + self.of.values().map(|key| key.len() + 32).sum::<usize>()
    }
}

/// A tenant as a column, a claim or an argument names it.
pub trait Name: Copy {
    /// Which kind of access the user has there, if he is a member.
    fn kind(self, access: &AccessMap) -> Option<u32>;

    /// Whether it is this tenant, of which he is a member.
    fn is(self, tenant: &Id, access: &AccessMap) -> bool;
}

impl Name for &Id {
    #[inline(always)]
    fn kind(self, access: &AccessMap) -> Option<u32> {
        access.kind(self)
    }

    fn is(self, tenant: &Id, _: &AccessMap) -> bool {
        self == tenant
    }
}

impl Name for i64 {
    #[inline(always)]
    fn kind(self, access: &AccessMap) -> Option<u32> {
        match access.keys.sole {
            Some((sole, kind)) => (sole == self).then_some(kind),
            None => access.keys.numbers.get(&self).map(|(_, kind)| *kind),
        }
    }

    fn is(self, tenant: &Id, access: &AccessMap) -> bool {
        access.keys.numbers.get(&self).is_some_and(|(own, _)| own == tenant)
    }
}

/// The key, or the id as Postgres writes it: no tenant's key is another's id.
impl Name for &str {
    #[inline]
    fn kind(self, access: &AccessMap) -> Option<u32> {
        match access.keys.texts.get(self) {
            Some((_, kind)) => Some(*kind),
            None => access.kind(&canonical_id(self)?),
        }
    }

    fn is(self, tenant: &Id, access: &AccessMap) -> bool {
        access.key(tenant).as_deref() == Some(self) || canonical_id(self).as_ref() == Some(tenant)
    }
}

impl AccessMap {
    /// What the host calls the tenant, if the user is a member and it has a key.
    pub fn key(&self, tenant: &Id) -> Option<Rc<str>> {
        self.keys.of.get(tenant).map(Rc::clone)
    }

    /// The tenant of that key, if the user is a member.
    pub fn tenant_of_key(&self, key: &str) -> Option<Id> {
        self.keys.texts.get(key).map(|(tenant, _)| *tenant)
    }

    /// The numbers of the tenants in which the answer is yes, in order.
    pub fn numbers_where(&self, question: &Question) -> Vec<i64> {
        let admits = self.kinds_where(question);
        let mut numbers: Vec<i64> = self
            .keys
            .numbers
            .iter()
            .filter(|(_, (_, kind))| admits(*kind))
            .map(|(number, _)| *number)
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// All texts that name those tenants, in order of their bytes: their ids, and their keys.
    pub fn texts_where(&self, question: &Question) -> Vec<String> {
        texts(self.tenants_where(question).iter().map(|id| (*id, self.key(id))))
    }
}

/// All texts that name these tenants, in order.
pub fn texts(tenants: impl Iterator<Item = (Id, Option<Rc<str>>)>) -> Vec<String> {
    let mut texts: Vec<String> = tenants
        .flat_map(|(id, key)| [Some(format_id(&id)), key.map(|key| key.to_string())])
        .flatten()
        .collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}
