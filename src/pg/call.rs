//! One call of a function by the function manager: its arguments, and what is remembered at its call site.

use super::array::Texts;
use super::function;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Datum};
use std::any::TypeId;
use std::marker::PhantomData;

/// In bytes, and well beyond what the tables admit as a name or a claim has as a path.
pub const LONGEST_NAME: usize = 1024;

pub struct Call<'c> {
    raw: pg_sys::FunctionCallInfo,
    during: PhantomData<&'c ()>,
}

/// What hangs on fn_extra: tagged, so that reading it back as another type is noticed.
struct Tagged<T> {
    tag: TypeId,
    value: T,
}

impl<'c> Call<'c> {
    /// # Safety
    /// `raw` is valid until the call returns.
    pub(super) unsafe fn new(raw: pg_sys::FunctionCallInfo) -> Self {
        Self { raw, during: PhantomData }
    }

    pub(super) fn answer_null(&mut self) {
        // SAFETY: `raw` is valid during the call.
        unsafe { (*self.raw).isnull = true }
    }

    /// The same call once more, to read arguments while what its site remembers is being changed.
    pub fn copy(&self) -> Self {
        Self { raw: self.raw, during: PhantomData }
    }

    /// The function that is called, as pg_proc has it.
    pub fn function(&self) -> pg_sys::Oid {
        // SAFETY: flinfo is null or valid during the call, and fn_oid was set when it was looked up (fmgr.h).
        unsafe { (*self.raw).flinfo.as_ref().map_or(pg_sys::Oid::INVALID, |info| info.fn_oid) }
    }

    pub fn is_null(&self, index: usize) -> bool {
        self.argument(index).is_none()
    }

    #[inline(always)]
    fn argument(&self, index: usize) -> Option<Datum> {
        // SAFETY: `raw` is valid and holds `nargs` arguments.
        unsafe {
            let count = usize::try_from((*self.raw).nargs).unwrap_or(0);
            let arguments = (*self.raw).args.as_slice(count);
            arguments.get(index).filter(|argument| !argument.isnull).map(|argument| argument.value)
        }
    }

    /// Argument of type uuid, in place.
    #[inline(always)]
    pub fn uuid(&self, index: usize) -> Option<&'c [u8; 16]> {
        // SAFETY: declared uuid in SQL: sixteen bytes by reference that live as long as the call.
        self.argument(index).map(|datum| unsafe { &*datum.cast_mut_ptr::<[u8; 16]>() })
    }

    /// Argument of type bigint.
    #[inline(always)]
    pub fn bigint(&self, index: usize) -> Option<i64> {
        self.argument(index).map(|datum| datum.value() as i64)
    }

    /// Argument of type integer or smallint, which a datum holds alike.
    #[inline(always)]
    pub fn integer(&self, index: usize) -> Option<i32> {
        self.argument(index).map(|datum| datum.value() as i32)
    }

    /// Argument of variable length as it lies in memory, header and all, if it lies there whole.
    #[inline]
    pub fn bytes(&self, index: usize) -> Option<&'c [u8]> {
        // SAFETY: declared text or text[] in SQL; a datum that is neither compressed nor elsewhere is as long as
        // its header says, and lives as long as the call.
        self.argument(index).and_then(|datum| unsafe { function::plain_bytes(datum) })
    }

    /// Argument of type text, in place if it is not toasted.
    #[inline]
    pub fn text(&self, index: usize) -> Option<&'c [u8]> {
        // SAFETY: declared text in SQL; datum and any detoasted copy outlive the call.
        self.argument(index).map(|datum| unsafe { function::text_bytes(datum) })
    }

    /// Argument of type text, to be passed on as a parameter of a statement, in whatever encoding.
    pub fn text_parameter(&self, index: usize) -> Option<DatumWithOid<'c>> {
        // SAFETY: declared text in SQL; the datum lives as long as the call.
        self.argument(index).map(|datum| unsafe { DatumWithOid::new(datum, pg_sys::TEXTOID) })
    }

    /// The same, if it lies in memory whole: nothing is raised or allocated.
    #[inline]
    pub fn plain_text(&self, index: usize) -> Option<&'c [u8]> {
        // SAFETY: declared text in SQL; what is plain is not copied.
        self.argument(index)
            .and_then(|datum| unsafe { function::plain_bytes(datum).map(|_| function::text_bytes(datum)) })
    }

    /// Argument of type text that names something. What is longer than any name is answered as the empty
    /// name, which nothing has: a copy of it in Rust's memory could end the server, as running out of that does.
    #[inline]
    pub fn name(&self, index: usize) -> Option<&'c [u8]> {
        self.text(index).map(|text| if text.len() > LONGEST_NAME { b"" } else { text })
    }

    /// Argument of type text[], in place.
    pub fn texts(&self, index: usize) -> Option<Texts<'c>> {
        // SAFETY: declared text[] in SQL; datum and any detoasted copy outlive the call.
        self.argument(index).map(|datum| unsafe { Texts::of(datum) })
    }

    /// Argument of type jsonb as text, if this database's encoding makes it UTF-8.
    pub fn json(&self, index: usize) -> Option<String> {
        // SAFETY: declared jsonb in SQL.
        self.argument(index).and_then(|datum| unsafe { super::jsonb::text(datum) })
    }

    /// An argument of the type that is answered, as it came.
    pub fn same(&self, index: usize) -> function::Reply {
        self.argument(index).map_or(function::Reply::Null, function::Reply::Datum)
    }

    /// Two arguments of type jsonb, the second an object: the first with the second's keys in place of those it has of
    /// `owned`.
    pub fn replaced_keys(&self, owned: &[&str]) -> function::Reply {
        let Some(new) = self.argument(1) else { return self.same(0) };
        // SAFETY: both declared jsonb in SQL.
        let merged = unsafe { super::jsonb::replace(self.argument(0), owned, new) };
        merged.map_or(function::Reply::Null, function::Reply::Datum)
    }

    /// Argument of type internal, which only the server can pass.
    pub fn internal(&self, index: usize) -> Option<*mut std::ffi::c_void> {
        let pointer: *mut std::ffi::c_void = self.argument(index)?.cast_mut_ptr();
        (!pointer.is_null()).then_some(pointer)
    }

    /// Whether the trigger manager calls; a trigger function must refuse anybody else.
    pub fn is_trigger(&self) -> bool {
        self.trigger_data().is_some()
    }

    pub(super) fn trigger_data(&self) -> Option<*const pg_sys::TriggerData> {
        // SAFETY: the test is CALLED_AS_TRIGGER of commands/trigger.h; context is null or a node.
        unsafe {
            let context = (*self.raw).context;
            let called = !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_TriggerData;
            called.then(|| context.cast::<pg_sys::TriggerData>().cast_const())
        }
    }

    /// Whether the argument is written as a constant, so that it is the same at every call of this site.
    pub fn is_constant(&self, index: usize) -> bool {
        // SAFETY: fn_expr is null or the parse node of the call; FuncExpr holds its arguments as a list of
        // nodes (nodes/primnodes.h).
        unsafe {
            let Some(info) = (*self.raw).flinfo.as_ref() else { return false };
            let node = info.fn_expr;
            if node.is_null() || (*node).type_ != pg_sys::NodeTag::T_FuncExpr {
                return false;
            }
            let list = pgrx::PgList::<pg_sys::Node>::from_pg((*node.cast::<pg_sys::FuncExpr>()).args);
            list.get_ptr(index).is_some_and(|argument| (*argument).type_ == pg_sys::NodeTag::T_Const)
        }
    }

    /// Whether anything can be remembered: not under DirectFunctionCall.
    pub fn has_site(&self) -> bool {
        // SAFETY: flinfo is null or valid during the call.
        unsafe { !(*self.raw).flinfo.is_null() }
    }

    /// What this call site remembers, if it was called before: nothing is made, allocated or raised here.
    #[inline(always)]
    pub fn remembered<T: 'static>(&self) -> Option<&T> {
        // SAFETY: as in `site`.
        unsafe {
            let tagged = (*self.raw).flinfo.as_ref()?.fn_extra.cast::<Tagged<T>>().as_ref()?;
            (tagged.tag == TypeId::of::<T>()).then_some(&tagged.value)
        }
    }

    /// What this call site remembers, made on its first call; `None` where there is no call site, as under
    /// DirectFunctionCall. It lives as long as the expression, which may be more than one statement.
    #[inline]
    pub fn site<T: Default + 'static>(&mut self) -> Option<&mut T> {
        // SAFETY: fn_extra belongs to the function and is null at first; fn_mcxt lives as long as flinfo and
        // drops the value when it is reset (fmgr.h). The tag guards against another type.
        unsafe {
            let info = (*self.raw).flinfo.as_mut()?;
            if info.fn_extra.is_null() {
                let tagged = Tagged { tag: TypeId::of::<T>(), value: T::default() };
                info.fn_extra =
                    pgrx::PgMemoryContexts::For(info.fn_mcxt).leak_and_drop_on_delete(tagged).cast();
            }
            let tagged = &mut *info.fn_extra.cast::<Tagged<T>>();
            (tagged.tag == TypeId::of::<T>()).then_some(&mut tagged.value)
        }
    }
}
