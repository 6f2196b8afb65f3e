//! Where in a table's rows the tenant stands, and how large a row is: the logical size, the same whether a value is
//! compressed, stored elsewhere or neither.

use super::compat;
use super::function;
use pgrx::pg_sys::{self, Datum, Oid};
use std::ffi::CStr;

mod unguarded {
    use pgrx::pg_sys;
    // SAFETY: declared so in access/detoast.h and fmgr.h; called within a guard.
    unsafe extern "C-unwind" {
        pub fn toast_raw_datum_size(value: pg_sys::Datum) -> usize;
        pub fn pg_detoast_datum_packed(value: *mut pg_sys::varlena) -> *mut pg_sys::varlena;
    }
}

/// What names a tenant in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// NULL: a shared row.
    #[default]
    Nobody,
    Id([u8; 16]),
    Number(i64),
    Text(Vec<u8>),
}

#[derive(Clone, Copy)]
enum Kind {
    Uuid,
    Bigint,
    Integer,
    Text,
}

/// What is added up of each row, beside that it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Nothing,
    /// Its columns, or those of them that this other table has too.
    Row {
        columns_of: Option<Oid>,
    },
    /// A column, or what lies at a path in it.
    Column {
        name: String,
        path: Vec<String>,
    },
}

pub(super) enum Size {
    Nothing,
    Row(Vec<(usize, Width)>),
    Column { index: usize, number: Number },
}

#[derive(Clone, Copy)]
pub(super) enum Width {
    Fixed(i64),
    Varlena,
    Cstring,
}

pub(super) enum Number {
    Smallint,
    Integer,
    Bigint,
    Numeric,
    /// The path as text[].
    Jsonb(Datum),
}

/// Why a column holds no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSize {
    Negative,
    Fractional,
    NotFinite,
    NotANumber,
    TooLarge,
}

impl BadSize {
    pub fn what(self) -> &'static str {
        match self {
            Self::Negative => "is negative",
            Self::Fractional => "is not whole",
            Self::NotFinite => "is not finite",
            Self::NotANumber => "is not a number",
            Self::TooLarge => "is out of range",
        }
    }
}

pub struct Layout {
    tenant: usize,
    kind: Kind,
    pub(super) size: Size,
    /// How many columns of a row must be taken apart.
    pub(super) needed: i32,
}

struct Attribute {
    index: usize,
    type_oid: Oid,
    width: Width,
}

/// The columns that are there and stored.
fn attributes(relation: pg_sys::Relation) -> Vec<(Vec<u8>, Attribute)> {
    // SAFETY: an open relation has a tuple descriptor of `natts` attributes, whose names end with NUL.
    unsafe {
        let descriptor = (*relation).rd_att;
        (0..usize::try_from((*descriptor).natts).unwrap_or(0))
            .filter_map(|index| {
                let attribute = &*compat::attribute(descriptor, index);
                if attribute.attisdropped || attribute.attgenerated as u8 == b'v' {
                    return None;
                }
                let width = match attribute.attlen {
                    -1 => Width::Varlena,
                    -2 => Width::Cstring,
                    length => Width::Fixed(i64::from(length)),
                };
                let name = CStr::from_ptr(attribute.attname.data.as_ptr()).to_bytes().to_vec();
                Some((name, Attribute { index, type_oid: attribute.atttypid, width }))
            })
            .collect()
    }
}

impl Layout {
    /// `None` if there is no such column that can name tenants. What holds no size is of size 0.
    pub(super) fn of(relation: pg_sys::Relation, tenant_column: &str, wanted: &Wanted) -> Option<Self> {
        let all = attributes(relation);
        let find =
            |name: &str| all.iter().find(|(found, _)| found == name.as_bytes()).map(|(_, found)| found);
        let tenant = find(tenant_column)?;
        let kind = match tenant.type_oid {
            pg_sys::UUIDOID => Kind::Uuid,
            pg_sys::INT8OID => Kind::Bigint,
            pg_sys::INT4OID => Kind::Integer,
            pg_sys::TEXTOID | pg_sys::VARCHAROID => Kind::Text,
            _ => return None,
        };
        let size = match wanted {
            Wanted::Nothing => Size::Nothing,
            Wanted::Row { columns_of } => {
                let shared =
                    columns_of.and_then(super::scan::Table::open).map(|other| attributes(other.raw()));
                let counts = |name: &[u8]| match &shared {
                    Some(shared) => shared.iter().any(|(found, _)| found == name),
                    None => true,
                };
                Size::Row(
                    all.iter().filter(|(name, _)| counts(name)).map(|(_, a)| (a.index, a.width)).collect(),
                )
            }
            Wanted::Column { name, path } => match find(name) {
                None => Size::Nothing,
                Some(column) => match number(column.type_oid, path) {
                    None => Size::Nothing,
                    Some(number) => Size::Column { index: column.index, number },
                },
            },
        };
        let last = match &size {
            Size::Nothing => 0,
            Size::Row(widths) => widths.iter().map(|(index, _)| *index).max().unwrap_or(0),
            Size::Column { index, .. } => *index,
        };
        let needed = i32::try_from(last.max(tenant.index) + 1).ok()?;
        Some(Self { tenant: tenant.index, kind, size, needed })
    }

    /// Whether rows have to be looked at one by one for their size.
    pub fn has_size_column(&self) -> bool {
        matches!(self.size, Size::Column { .. })
    }

    /// # Safety
    /// The arrays hold a row of this layout.
    #[inline]
    unsafe fn text<'r>(&self, values: *const Datum) -> &'r [u8] {
        // SAFETY: the caller's promise; the column is of type text or varchar and not null. What is not plain is copied
        // into the current memory context.
        unsafe {
            let mut value = (*values.add(self.tenant)).cast_mut_ptr::<pg_sys::varlena>();
            if !function::is_plain(value) {
                value = unguarded::pg_detoast_datum_packed(value);
            }
            std::slice::from_raw_parts(pgrx::vardata_any(value).cast::<u8>(), pgrx::varsize_any_exhdr(value))
        }
    }

    /// # Safety
    /// Within a guard; the arrays hold a row of this layout.
    pub(super) unsafe fn store_key(&self, values: *const Datum, nulls: *const bool, key: &mut Key) {
        // SAFETY: the caller's promise, and the column's type.
        unsafe {
            if *nulls.add(self.tenant) {
                *key = Key::Nobody;
                return;
            }
            let value = *values.add(self.tenant);
            *key = match self.kind {
                Kind::Uuid => Key::Id(*value.cast_mut_ptr::<[u8; 16]>()),
                Kind::Bigint => Key::Number(value.value() as i64),
                Kind::Integer => Key::Number(i64::from(value.value() as i32)),
                Kind::Text => Key::Text(self.text(values).to_vec()),
            };
        }
    }

    /// Whether the row is of the same tenant.
    ///
    /// # Safety
    /// Within a guard; the arrays hold a row of this layout.
    #[inline]
    pub(super) unsafe fn has_key(&self, values: *const Datum, nulls: *const bool, key: &Key) -> bool {
        // SAFETY: the caller's promise, and the column's type.
        unsafe {
            if *nulls.add(self.tenant) {
                return *key == Key::Nobody;
            }
            let value = *values.add(self.tenant);
            match (self.kind, key) {
                (Kind::Uuid, Key::Id(id)) => *value.cast_mut_ptr::<[u8; 16]>() == *id,
                (Kind::Bigint, Key::Number(number)) => value.value() as i64 == *number,
                (Kind::Integer, Key::Number(number)) => i64::from(value.value() as i32) == *number,
                (Kind::Text, Key::Text(text)) => self.text(values) == text.as_slice(),
                _ => false,
            }
        }
    }

    /// # Safety
    /// Within a guard; the arrays hold a row of this layout.
    #[inline]
    pub(super) unsafe fn width(
        &self,
        values: *const Datum,
        nulls: *const bool,
        widths: &[(usize, Width)],
    ) -> i64 {
        let mut sum = 0;
        for (index, width) in widths {
            // SAFETY: the caller's promise, and the column's length in its descriptor.
            unsafe {
                if *nulls.add(*index) {
                    continue;
                }
                let value = *values.add(*index);
                sum += match width {
                    Width::Fixed(bytes) => *bytes,
                    Width::Cstring => CStr::from_ptr(value.cast_mut_ptr()).to_bytes().len() as i64,
                    Width::Varlena => {
                        let varlena = value.cast_mut_ptr::<pg_sys::varlena>();
                        match function::is_plain(varlena) {
                            true => pgrx::varsize_any_exhdr(varlena) as i64,
                            false => unguarded::toast_raw_datum_size(value) as i64 - pg_sys::VARHDRSZ as i64,
                        }
                    }
                };
            }
        }
        sum
    }

    /// # Safety
    /// The arrays hold a row of this layout.
    pub(super) unsafe fn column_size(
        &self,
        values: *const Datum,
        nulls: *const bool,
    ) -> Result<i64, BadSize> {
        let Size::Column { index, number } = &self.size else { return Ok(0) };
        // SAFETY: the caller's promise, and the column's type.
        let value = unsafe {
            if *nulls.add(*index) {
                return Ok(0);
            }
            *values.add(*index)
        };
        let size = match number {
            Number::Smallint => i64::from(value.value() as i16),
            Number::Integer => i64::from(value.value() as i32),
            Number::Bigint => value.value() as i64,
            // SAFETY: the column's type.
            Number::Numeric => return parse(&unsafe { super::jsonb::numeric_text(value) }),
            // SAFETY: as above, and a path that `number` made.
            Number::Jsonb(path) => match unsafe { super::jsonb::number_at(value, *path) } {
                None => return Ok(0),
                Some(None) => return Err(BadSize::NotANumber),
                Some(Some(text)) => return parse(&text),
            },
        };
        if size < 0 { Err(BadSize::Negative) } else { Ok(size) }
    }
}

fn number(type_oid: Oid, path: &[String]) -> Option<Number> {
    match type_oid {
        pg_sys::INT2OID if path.is_empty() => Some(Number::Smallint),
        pg_sys::INT4OID if path.is_empty() => Some(Number::Integer),
        pg_sys::INT8OID if path.is_empty() => Some(Number::Bigint),
        pg_sys::NUMERICOID if path.is_empty() => Some(Number::Numeric),
        pg_sys::JSONBOID if !path.is_empty() => pgrx::IntoDatum::into_datum(path.to_vec()).map(Number::Jsonb),
        _ => None,
    }
}

/// A numeric as the server prints it: digits, perhaps a sign and a fraction, or a word.
pub fn parse(text: &str) -> Result<i64, BadSize> {
    if text.ends_with(|last: char| !last.is_ascii_digit()) {
        return Err(BadSize::NotFinite);
    }
    if text.starts_with('-') {
        return Err(BadSize::Negative);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.contains(|digit| digit != '0') {
        return Err(BadSize::Fractional);
    }
    whole.parse().map_err(|_| BadSize::TooLarge)
}
