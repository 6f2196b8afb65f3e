//! The ways in which columns and arguments name a tenant: by its id, or by what the host calls it.

use crate::pg::array;
use crate::pg::call::Call;
use crate::rbac::Id;
use crate::rbac::access::AccessMap;
use crate::rbac::keys::{self, Name};
use crate::rbac::question::Question;
use pgrx::pg_sys::Datum;

/// A tenant by id and key, for sets beyond a user's memberships.
pub type Tenant = (Id, Option<std::rc::Rc<str>>);

pub trait Naming: 'static {
    type Name<'c>: Name;
    /// What a set keeps of a tenant.
    type Element: 'static;

    /// The tenant in the first argument. Runs on every row and outside any guard: nothing is raised or allocated.
    fn recall<'c>(call: &Call<'c>) -> Option<Self::Name<'c>>;

    /// The same inside the guard; `None` if it can name none.
    fn read<'c>(call: &Call<'c>) -> Option<Self::Name<'c>> {
        Self::recall(call)
    }

    /// The tenants in which the answer is yes, in order.
    fn set(access: &AccessMap, question: &Question) -> Vec<Self::Element>;

    /// These tenants, in order.
    fn all(tenants: Vec<Tenant>) -> Vec<Self::Element>;

    fn array(set: &[Self::Element]) -> Datum;
}

pub struct ById;
pub struct ByBigint;
pub struct ByInteger;
pub struct ByText;

impl Naming for ById {
    type Name<'c> = &'c Id;
    type Element = Id;

    #[inline(always)]
    fn recall<'c>(call: &Call<'c>) -> Option<&'c Id> {
        call.uuid(0)
    }

    fn set(access: &AccessMap, question: &Question) -> Vec<Id> {
        access.tenants_where(question)
    }

    fn all(tenants: Vec<Tenant>) -> Vec<Id> {
        tenants.into_iter().map(|(id, _)| id).collect()
    }

    fn array(set: &[Id]) -> Datum {
        array::of_uuids(set)
    }
}

fn numbers(tenants: Vec<Tenant>) -> Vec<i64> {
    let mut numbers: Vec<i64> = tenants.iter().filter_map(|(_, key)| keys::number(key.as_deref()?)).collect();
    numbers.sort_unstable();
    numbers
}

impl Naming for ByBigint {
    type Name<'c> = i64;
    type Element = i64;

    #[inline(always)]
    fn recall<'c>(call: &Call<'c>) -> Option<i64> {
        call.bigint(0)
    }

    fn set(access: &AccessMap, question: &Question) -> Vec<i64> {
        access.numbers_where(question)
    }

    fn all(tenants: Vec<Tenant>) -> Vec<i64> {
        numbers(tenants)
    }

    fn array(set: &[i64]) -> Datum {
        array::of_bigints(set)
    }
}

/// Keys beyond the type's range are in no column of it.
fn integers(numbers: Vec<i64>) -> Vec<i32> {
    numbers.into_iter().filter_map(|number| i32::try_from(number).ok()).collect()
}

impl Naming for ByInteger {
    type Name<'c> = i64;
    type Element = i32;

    #[inline(always)]
    fn recall<'c>(call: &Call<'c>) -> Option<i64> {
        call.integer(0).map(i64::from)
    }

    fn set(access: &AccessMap, question: &Question) -> Vec<i32> {
        integers(access.numbers_where(question))
    }

    fn all(tenants: Vec<Tenant>) -> Vec<i32> {
        integers(numbers(tenants))
    }

    fn array(set: &[i32]) -> Datum {
        array::of_integers(set)
    }
}

impl Naming for ByText {
    type Name<'c> = &'c str;
    type Element = String;

    #[inline(always)]
    fn recall<'c>(call: &Call<'c>) -> Option<&'c str> {
        std::str::from_utf8(call.plain_text(0)?).ok()
    }

    fn read<'c>(call: &Call<'c>) -> Option<&'c str> {
        std::str::from_utf8(call.name(0)?).ok()
    }

    fn set(access: &AccessMap, question: &Question) -> Vec<String> {
        access.texts_where(question)
    }

    fn all(tenants: Vec<Tenant>) -> Vec<String> {
        keys::texts(tenants.into_iter())
    }

    fn array(set: &[String]) -> Datum {
        array::of_texts(set)
    }
}
