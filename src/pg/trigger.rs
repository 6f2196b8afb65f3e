//! What the trigger manager tells a trigger function.

use super::call::Call;
use pgrx::pg_sys::{self, Datum};
use std::ffi::CStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Insert,
    Update,
    Delete,
    Truncate,
}

pub struct Trigger<'c> {
    data: &'c pg_sys::TriggerData,
}

/// A row that is about to be written.
pub struct NewRow<'c> {
    trigger: &'c Trigger<'c>,
    tuple: pg_sys::HeapTuple,
}

impl Call<'_> {
    /// If the trigger manager calls.
    pub fn trigger(&self) -> Option<Trigger<'_>> {
        let data = self.trigger_data()?;
        // SAFETY: the context is a TriggerData for the duration of the call (commands/trigger.h).
        Some(Trigger { data: unsafe { &*data } })
    }
}

impl<'c> Trigger<'c> {
    pub(super) fn data(&self) -> &'c pg_sys::TriggerData {
        self.data
    }

    /// The trigger's own name.
    pub fn name(&self) -> &'c CStr {
        // SAFETY: a trigger has a name, which lives as long as its definition.
        unsafe { CStr::from_ptr((*self.data.tg_trigger).tgname) }
    }

    /// BEFORE … FOR EACH STATEMENT.
    pub fn is_before_statement(&self) -> bool {
        !self.is_per_row() && self.is_when(pg_sys::TRIGGER_EVENT_BEFORE)
    }

    pub fn event(&self) -> Event {
        match self.data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => Event::Insert,
            pg_sys::TRIGGER_EVENT_UPDATE => Event::Update,
            pg_sys::TRIGGER_EVENT_DELETE => Event::Delete,
            _ => Event::Truncate,
        }
    }

    /// The table's name, without its schema.
    pub fn table(&self) -> String {
        // SAFETY: an open relation has a row of pg_class, whose relname ends with NUL.
        let name = unsafe { CStr::from_ptr((*(*self.data.tg_relation).rd_rel).relname.data.as_ptr()) };
        name.to_string_lossy().into_owned()
    }

    /// Its schema's name and its own.
    pub fn qualified_table(&self) -> (&'c CStr, &'c CStr) {
        // SAFETY: an open relation has a row of pg_class, whose relname ends with NUL; the schema of an open relation is there,
        // and its name a copy in the memory context of the call.
        unsafe {
            let row = &*(*self.data.tg_relation).rd_rel;
            (
                CStr::from_ptr(pg_sys::get_namespace_name(row.relnamespace)),
                CStr::from_ptr(row.relname.data.as_ptr()),
            )
        }
    }

    /// The argument the trigger was made with.
    pub fn argument(&self, index: usize) -> Option<&'c CStr> {
        // SAFETY: tgargs holds tgnargs NUL-terminated strings, which live as long as the trigger's definition.
        unsafe {
            let trigger = &*self.data.tg_trigger;
            let count = usize::try_from(trigger.tgnargs).ok()?;
            (index < count).then(|| CStr::from_ptr(*trigger.tgargs.add(index)))
        }
    }

    /// Makes the transition tables visible to what is executed in the SPI connection that is open.
    pub fn show_transition_tables(&self) {
        // SAFETY: trigger data live as long as the call, and so does the connection (spi.h).
        unsafe { pg_sys::SPI_register_trigger_data(std::ptr::from_ref(self.data).cast_mut()) };
    }

    /// The row that is about to be written, if this is BEFORE INSERT or UPDATE … FOR EACH ROW.
    pub fn new_row(&'c self) -> Option<NewRow<'c>> {
        if !self.is_per_row() || !self.is_when(pg_sys::TRIGGER_EVENT_BEFORE) {
            return None;
        }
        let tuple = match self.event() {
            Event::Insert => self.data.tg_trigtuple,
            Event::Update => self.data.tg_newtuple,
            Event::Delete | Event::Truncate => return None,
        };
        (!tuple.is_null()).then_some(NewRow { trigger: self, tuple })
    }

    /// AFTER … FOR EACH STATEMENT.
    pub fn is_after_statement(&self) -> bool {
        !self.is_per_row() && self.is_when(pg_sys::TRIGGER_EVENT_AFTER)
    }

    /// AFTER UPDATE … FOR EACH ROW.
    pub fn is_after_update_of_row(&self) -> bool {
        self.is_per_row() && self.is_when(pg_sys::TRIGGER_EVENT_AFTER) && self.event() == Event::Update
    }

    fn is_per_row(&self) -> bool {
        self.data.tg_event & pg_sys::TRIGGER_EVENT_ROW != 0
    }

    fn is_when(&self, timing: u32) -> bool {
        self.data.tg_event & pg_sys::TRIGGER_EVENT_TIMINGMASK == timing
    }
}

impl NewRow<'_> {
    fn descriptor(&self) -> pg_sys::TupleDesc {
        // SAFETY: an open relation has a tuple descriptor.
        unsafe { (*self.trigger.data.tg_relation).rd_att }
    }

    /// Number and datum of a column of this name and type, or of a domain over it.
    fn column(&self, name: &CStr, type_oid: pg_sys::Oid) -> Option<(i32, Option<Datum>)> {
        // SAFETY: the tuple is of this descriptor; a column's number is positive and below natts.
        unsafe {
            let number = pg_sys::SPI_fnumber(self.descriptor(), name.as_ptr());
            if number <= 0 {
                return None;
            }
            let found = pg_sys::getBaseType(pg_sys::SPI_gettypeid(self.descriptor(), number));
            if found != type_oid {
                return None;
            }
            let mut is_null = false;
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor(), number, &raw mut is_null);
            Some((number, (!is_null).then_some(datum)))
        }
    }

    /// Whether it has a column for a uuid and one for jsonb, of these names.
    pub fn has_claims(&self, uuid: &CStr, jsonb: &CStr) -> bool {
        self.column(uuid, pg_sys::UUIDOID).is_some() && self.column(jsonb, pg_sys::JSONBOID).is_some()
    }

    pub fn uuid(&self, name: &CStr) -> Option<[u8; 16]> {
        let (_, datum) = self.column(name, pg_sys::UUIDOID)?;
        // SAFETY: a uuid is sixteen bytes by reference.
        datum.map(|datum| unsafe { *datum.cast_mut_ptr::<[u8; 16]>() })
    }

    /// The row as it is, for the trigger manager.
    pub fn unchanged(&self) -> Datum {
        Datum::from(self.tuple)
    }

    /// The row with its jsonb column so that the keys in `owned` are those it had before; in a new row, none.
    pub fn with_old_keys(&self, name: &CStr, owned: &[&str]) -> Datum {
        let old = match self.trigger.event() {
            Event::Update => self.trigger.data.tg_trigtuple,
            _ => std::ptr::null_mut(),
        };
        let mut kept = serde_json::Map::new();
        if !old.is_null() {
            let old = Self { trigger: self.trigger, tuple: old };
            // SAFETY: the column was found with type jsonb.
            let text = old
                .column(name, pg_sys::JSONBOID)
                .and_then(|(_, datum)| unsafe { super::jsonb::text(datum?) });
            let value = text.and_then(|text| serde_json::from_str(&text).ok());
            if let Some(serde_json::Value::Object(members)) = value {
                kept.extend(members.into_iter().filter(|(key, _)| owned.contains(&key.as_str())));
            }
        }
        self.with_keys(name, owned, &serde_json::Value::Object(kept).to_string())
    }

    /// The row with its jsonb column so that the keys in `owned` are those of `new`, JSON text of an object.
    pub fn with_keys(&self, name: &CStr, owned: &[&str], new: &str) -> Datum {
        let Some((number, old)) = self.column(name, pg_sys::JSONBOID) else { return self.unchanged() };
        let Some(new) = super::jsonb::parse(new) else { return self.unchanged() };
        // SAFETY: datums of jsonb; the tuple is of this descriptor, and the copy is palloc'd.
        unsafe {
            let merged = super::jsonb::replace(old, owned, new);
            if super::jsonb::equal(old, merged) {
                return self.unchanged();
            }
            let (mut number, mut is_null) = (number, merged.is_none());
            let mut value = merged.unwrap_or(Datum::from(0));
            let tuple = pg_sys::heap_modify_tuple_by_cols(
                self.tuple,
                self.descriptor(),
                1,
                &raw mut number,
                &raw mut value,
                &raw mut is_null,
            );
            Datum::from(tuple)
        }
    }
}
