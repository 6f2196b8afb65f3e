//! What a call site keeps between calls, and when that still counts: while nothing that can change an answer has
//! happened (the epoch), within one execution, and for the same argument.

use super::identity::Identity;
use crate::cache;
use crate::pg::call::Call;
use crate::pg::execution::Execution;
use crate::settings;

/// Longer arguments are not remembered: a copy of one in Rust's memory could end the server, as running out of
/// that does.
const LONGEST_ARGUMENT: usize = 4096;

/// When something was answered. The default never counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    epoch: u64,
    execution: Execution,
}

impl Stamp {
    /// Settings that no hook watches have to be compared at every call, so nothing counts then.
    fn of(identity: &Identity) -> Self {
        match settings::all_watched() {
            true => Self { epoch: identity.epoch, execution: Execution::current() },
            false => Self::default(),
        }
    }

    /// Looks at counters only.
    #[inline(always)]
    fn counts(self) -> bool {
        self.epoch == cache::epoch() && self.execution == Execution::current()
    }
}

/// The argument an answer was given for.
#[derive(Default)]
enum Argument {
    #[default]
    Unknown,
    /// Written as a constant, or there is none.
    Constant,
    Bytes(Vec<u8>),
}

#[derive(Default)]
pub struct Site<T> {
    stamp: Stamp,
    argument: Argument,
    value: T,
}

impl<T: Default + 'static> Site<T> {
    /// What was remembered, if it counts for this call, whose argument `index` decides. Runs on every row and
    /// outside any guard: it only looks.
    #[inline(always)]
    pub fn recall<'c>(call: &'c Call, index: Option<usize>) -> Option<&'c T> {
        let site = call.remembered::<Self>().filter(|site| site.stamp.counts())?;
        let same = match &site.argument {
            Argument::Constant => true,
            Argument::Bytes(known) => index.and_then(|index| call.bytes(index)) == Some(known),
            Argument::Unknown => false,
        };
        same.then_some(&site.value)
    }

    /// Has `update` find the answer anew, in place, and remembers it.
    pub fn renew<R>(
        call: &mut Call,
        index: Option<usize>,
        update: impl FnOnce(&mut T, &std::rc::Rc<Identity>),
        read: impl FnOnce(&T) -> R,
    ) -> R {
        let identity = super::current(call.remembered::<Self>().is_none());
        let argument = match index {
            Some(index) if !call.is_constant(index) => call
                .bytes(index)
                .filter(|bytes| bytes.len() <= LONGEST_ARGUMENT)
                .map_or(Argument::Unknown, |bytes| Argument::Bytes(bytes.to_vec())),
            _ => Argument::Constant,
        };
        let Some(site) = call.site::<Self>() else {
            let mut value = T::default();
            update(&mut value, &identity);
            return read(&value);
        };
        // Should the update raise, what it left behind counts for nothing.
        site.stamp = Stamp::default();
        update(&mut site.value, &identity);
        site.argument = argument;
        site.stamp = Stamp::of(&identity);
        read(&site.value)
    }
}
