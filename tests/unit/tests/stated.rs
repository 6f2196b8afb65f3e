//! The identity that a trusted caller stated, written to the setting and read back.

mod common;

use common::id;
use pg_tenancy_unit::claims::stated::Stated;
use proptest::prelude::*;

fn stated() -> impl Strategy<Value = Stated> {
    let tenant = || proptest::option::of(".{0,40}");
    prop_oneof![
        (any::<[u8; 16]>(), tenant()).prop_map(|(id, tenant)| Stated::User { id, tenant }),
        (".{0,60}", tenant()).prop_map(|(subject, tenant)| Stated::Subject { subject, tenant }),
        (any::<u32>(), any::<[u8; 16]>()).prop_map(|(role, tenant)| Stated::Job { role, tenant }),
        Just(Stated::Nobody),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(stated in stated()) {
        let text = stated.encode();
        prop_assert!(!text.is_empty() && !text.contains('\0'));
        prop_assert_eq!(Stated::decode(text.as_bytes()), Some(stated));
    }

    #[test]
    fn whatever_else_stands_there_is_nobody(text in ".{1,60}") {
        prop_assert_eq!(Stated::decode(text.as_bytes()), Some(Stated::Nobody));
    }
}

#[test]
fn empty_is_none_stated() {
    assert_eq!(Stated::decode(b""), None);
}

#[test]
fn what_is_nearly_one_is_nobody() {
    let user = Stated::User { id: id(1), tenant: None }.encode();
    let shorter = user.get(..user.len() - 1).expect("shorter");
    for text in [shorter, "{}", "null", r#"{"User":{"id":[1,2]}}"#, r#"{"Admin":{}}"#] {
        assert_eq!(Stated::decode(text.as_bytes()), Some(Stated::Nobody), "{text}");
    }
    assert_eq!(Stated::decode(&[0xff]), Some(Stated::Nobody));
}
