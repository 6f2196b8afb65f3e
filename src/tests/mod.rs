//! Tests inside a server, of what cannot be reached from outside it: the fence, and calls that no SQL makes.
#![allow(clippy::expect_used, clippy::undocumented_unsafe_blocks)]

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use crate::cache;
    use crate::pg::scan::{self, Table};
    use crate::pg::snapshot::CatalogSnapshot;
    use crate::pg::{array, invalidation, role, setting, xact};
    use crate::rbac::parse_id;
    use crate::session;
    use pgrx::datum::Uuid;
    use pgrx::prelude::*;
    use pgrx::{FromDatum, IntoDatum, pg_sys};

    const TENANT: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const USER: &str = "11111111-0000-4000-8000-000000000001";

    fn member() {
        Spi::run(&format!(
            "INSERT INTO tenancy.tenants (id, slug, name) VALUES ('{TENANT}', 'acme', 'Acme');
             SELECT tenancy.add_member('{TENANT}', '{USER}', '{{owner}}');
             SELECT set_config('request.jwt.claims', '{{\"sub\": \"{USER}\"}}', true)"
        ))
        .expect("a member");
    }

    fn tenants() -> Table {
        let schema = scan::schema(c"tenancy").expect("schema");
        Table::open(scan::relation(c"tenants", schema).expect("relation")).expect("table")
    }

    #[pg_test]
    fn a_call_without_call_site_answers_the_same() {
        member();
        // DirectFunctionCall gives no flinfo, so there is nowhere to remember anything.
        let by_sql = Spi::get_one::<bool>("SELECT tenancy.has_permission('members.read')");
        let call = |function: unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum| unsafe {
            let argument = "members.read".into_datum().expect("text");
            pg_sys::DirectFunctionCall1Coll(Some(function), pg_sys::InvalidOid, argument)
        };
        let direct = call(crate::api::checks::tenancy_has_permission).value() == 1;
        assert_eq!((by_sql, direct), (Ok(Some(true)), true));
        let user = unsafe { Uuid::from_datum(call(crate::api::identity::tenancy_current_user_id), false) };
        assert_eq!(user.map(|user| user.to_string()), Some(USER.to_owned()));
    }

    #[pg_test]
    fn a_missing_schema_relation_or_table_is_none() {
        assert!(scan::schema(c"no such schema").is_none());
        let schema = scan::schema(c"tenancy").expect("schema");
        assert!(scan::relation(c"no_such_table", schema).is_none());
        assert!(Table::open(pg_sys::Oid::from(4_000_000_000u32)).is_none());
    }

    #[pg_test]
    fn a_column_of_another_type_or_name_is_not_found() {
        let tenants = tenants();
        assert!(tenants.column(c"id", pg_sys::UUIDOID).is_some());
        assert!(tenants.column(c"id", pg_sys::TEXTOID).is_none());
        assert!(tenants.column(c"no_such_column", pg_sys::UUIDOID).is_none());
    }

    #[pg_test]
    fn a_dropped_column_is_not_found() {
        Spi::run("CREATE TABLE t (a uuid, b uuid); ALTER TABLE t DROP COLUMN a").expect("table");
        let oid = Spi::get_one::<pg_sys::Oid>("SELECT 't'::regclass::oid").expect("oid").expect("oid");
        let table = Table::open(oid).expect("table");
        assert!(table.column(c"a", pg_sys::UUIDOID).is_none());
        assert!(table.column(c"b", pg_sys::UUIDOID).is_some());
    }

    #[pg_test]
    fn a_scan_without_usable_index_reads_the_same_rows() {
        Spi::run(
            "CREATE TABLE t (k uuid, v text);
             INSERT INTO t SELECT ('00000000-0000-0000-0000-' || lpad((n % 10)::text, 12, '0'))::uuid, n::text
               FROM generate_series(1, 1000) n",
        )
        .expect("table");
        let oid = Spi::get_one::<pg_sys::Oid>("SELECT 't'::regclass::oid").expect("oid").expect("oid");
        let read = || {
            let table = Table::open(oid).expect("table");
            let (k, v) = (
                table.column(c"k", pg_sys::UUIDOID).expect("k"),
                table.column(c"v", pg_sys::TEXTOID).expect("v"),
            );
            let key = parse_id("00000000-0000-0000-0000-000000000007").expect("key");
            let mut found = Vec::new();
            table.read(&CatalogSnapshot::take(oid), Some((k, &key)), |row| {
                found.extend(row.text(v).map(str::to_owned))
            });
            found.sort();
            found
        };
        let by_heap = read();
        Spi::run("CREATE INDEX ON t (k)").expect("index");
        assert_eq!((by_heap.len(), read()), (100, by_heap));
        // A partial index would hide rows, and a hash index is none of ours.
        Spi::run("DROP INDEX t_k_idx; CREATE INDEX ON t (k) WHERE v < '5'; CREATE INDEX ON t USING hash (k)")
            .expect("indexes");
        assert_eq!(read().len(), 100);
    }

    #[pg_test]
    fn nulls_are_read_as_none() {
        member();
        let tenants = tenants();
        let key = tenants.column(c"key", pg_sys::TEXTOID).expect("key");
        let mut seen = 0;
        tenants.read(&CatalogSnapshot::take(tenants.oid()), None, |row| {
            seen += 1;
            assert_eq!(row.text(key), None);
        });
        assert_eq!(seen, 1);
    }

    #[pg_test]
    fn one_asks_twice_and_loads_once() {
        member();
        let user = parse_id(USER).expect("user");
        session::fresh();
        let before = cache::stats().counters;
        cache::access_of(&user);
        cache::access_of(&user);
        let after = cache::stats().counters;
        assert_eq!((after.loads, after.hits), (before.loads, before.hits + 2));
    }

    #[pg_test]
    fn a_signal_moves_the_epoch_after_the_command_and_other_relations_do_not() {
        member();
        session::fresh();
        let epoch = cache::epoch();
        Spi::run("CREATE TABLE elsewhere (); ALTER TABLE elsewhere ADD a int").expect("ddl");
        invalidation::accept();
        assert_eq!(cache::epoch(), epoch);
        cache::signal_change();
        Spi::run("SELECT 1; CREATE TABLE next_command ()").expect("command");
        assert!(cache::epoch() > epoch);
    }

    #[pg_test]
    fn a_change_of_claims_moves_the_epoch() {
        let epoch = cache::epoch();
        Spi::run("SELECT set_config('request.jwt.claims', '{}', true)").expect("claims");
        assert!(cache::epoch() > epoch);
        assert!(session::fresh().user.is_none());
    }

    #[pg_test]
    fn the_bootstrap_superuser_administers_and_a_plain_role_does_not() {
        Spi::run("CREATE ROLE plain").expect("role");
        let plain = Spi::get_one::<pg_sys::Oid>("SELECT 'plain'::regrole::oid").expect("oid").expect("oid");
        assert!(role::is_administrator(role::current(), cache::schema_owner));
        assert!(!role::is_administrator(plain, cache::schema_owner));
        let own = role::name(role::current());
        Spi::run(&format!("GRANT \"{own}\" TO plain")).expect("grant");
        assert!(role::is_administrator(plain, cache::schema_owner));
    }

    #[pg_test]
    fn a_setting_that_somebody_defined_is_not_taken_over() {
        assert!(setting::is_definable(c"nobody.has_this"));
        Spi::run("SET somebody.set_this = 'x'").expect("placeholder");
        assert!(setting::is_definable(c"somebody.set_this"));
        assert!(!setting::is_definable(c"work_mem"));
        assert_eq!(setting::show(c"somebody.set_this").as_deref(), Some("x"));
    }

    #[pg_test]
    fn arrays_hold_what_was_put_in() {
        let ids = [[1u8; 16], [2u8; 16]];
        let datum = array::of_uuids(&ids);
        let read = unsafe { Vec::<Uuid>::from_datum(datum, false) }.expect("array");
        assert_eq!(read.iter().map(|id| *id.as_bytes()).collect::<Vec<_>>(), ids);
        let texts = Spi::get_one::<bool>("SELECT tenancy.has_any_permission(ARRAY['a', NULL, 'b'])");
        assert_eq!(texts, Ok(Some(false)));
    }

    #[pg_test]
    fn a_statement_has_one_timestamp_and_a_transaction_is_in_progress() {
        assert_eq!(xact::statement_timestamp(), xact::statement_timestamp());
        assert!(xact::in_transaction() && !xact::in_parallel_mode());
        Spi::run("CREATE TABLE written ()").expect("write");
        assert!(xact::has_written());
    }

    #[pg_test(error = "permission denied: docs.read is required, and the request has no identity")]
    fn requiring_a_permission_without_identity_raises() {
        Spi::run("SELECT tenancy.require_permission('docs.read')").expect("raises");
    }
}
