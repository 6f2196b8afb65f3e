//! What one tenant's user tries against another's rows through an application, before it is fenced and after.

use crate::Browser;

/// Method, path, body; the answer's status while nothing isolates, and the one when tenancy does.
pub type Attack = (&'static str, &'static str, &'static str, u16, u16);

/// Tries all, in order. With the fence up no answer holds `secret`, which the other tenant's rows are full of;
/// without it at least one does.
#[track_caller]
pub fn attack(attacker: &mut Browser, attacks: &[Attack], fenced: bool, secret: &str) {
    let mut leaks = 0;
    for (method, path, body, open, closed) in attacks {
        let answer = attacker.send(method, path, body);
        let expected = if fenced { closed } else { open };
        assert_eq!(answer.status, *expected, "{method} {path} {body}, fenced {fenced}: {answer:?}");
        let leaked = answer.body.contains(secret);
        assert!(!(fenced && leaked), "{method} {path} {body}: {answer:?}");
        leaks += usize::from(leaked);
    }
    assert!(fenced || leaks > 0, "nothing leaks without the fence either: this shows nothing");
}
