//! What cargo-pgrx's test runner asks the crate for, by these names.

pub fn setup(_options: Vec<&str>) {}

pub fn postgresql_conf_options() -> Vec<&'static str> {
    vec!["session_preload_libraries = 'pg_tenancy'"]
}
