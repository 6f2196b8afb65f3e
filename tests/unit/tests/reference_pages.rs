//! The reference pages name what the regress tests saw: every error, setting, table and public function.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// Whether a message fits a documented one, in which `<…>` stands for anything.
fn fits(message: &str, pattern: &str) -> bool {
    let Some((literal, rest)) = pattern.split_once('<') else { return message == pattern };
    let Some(message) = message.strip_prefix(literal) else { return false };
    let (_, rest) = rest.split_once('>').expect("< without >");
    (0..=message.len()).filter(|at| message.is_char_boundary(*at)).any(|at| fits(&message[at..], rest))
}

#[test]
fn every_error_that_was_raised_is_documented_with_its_sqlstate_and_constraint() {
    let page = read("docs/reference/errors.md");
    let (_, each) = page.split_once("## Each").expect("docs/reference/errors.md: no section Each");
    let documented: Vec<Vec<String>> =
        each.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
    let expected = read("tests/pg_regress/expected/errors.out");
    let raised: Vec<Vec<String>> =
        expected.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
    assert!(raised.len() > 40, "the test printed {} errors", raised.len());
    for error in &raised {
        let [state, message, constraint] = error.as_slice() else { panic!("{error:?}") };
        let found = documented
            .iter()
            .any(|row| row[0] == *state && fits(message, &row[1]) && row[2].contains(constraint.as_str()));
        assert!(found, "docs/reference/errors.md has no row for {state} {message} {constraint}");
    }
}

/// The first column of a psql table that has this header.
fn first_column(expected: &str, header: &str) -> Vec<String> {
    // A column is as wide as its longest value.
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = expected.lines().skip_while(|line| !squeezed(line).starts_with(header)).skip(2);
    lines
        .by_ref()
        .take_while(|line| !line.starts_with('(') && !line.is_empty())
        .map(|line| line.split('|').next().unwrap_or_default().trim().to_owned())
        .collect()
}

#[test]
fn every_setting_is_documented() {
    let settings = first_column(&read("tests/pg_regress/expected/tenant_settings.out"), "name |");
    let page = read("docs/reference/settings.md");
    assert!(settings.len() > 10, "{settings:?}");
    for setting in settings {
        assert!(page.contains(&format!("| `{setting}` |")), "docs/reference/settings.md: {setting}");
    }
}

#[test]
fn every_function_of_everybody_and_every_table_is_documented() {
    let expected = read("tests/pg_regress/expected/privileges.out");
    let functions = first_column(&expected, "public_function");
    let page = read("docs/reference/functions.md");
    assert!(functions.len() > 20, "{functions:?}");
    for function in functions {
        let name = function.trim_start_matches("tenancy.").split('(').next().unwrap_or_default();
        assert!(page.contains(&format!("`{name}(")), "docs/reference/functions.md: {function}");
    }
    let tables = first_column(&expected, "relname | rls");
    let page = read("docs/reference/tables.md");
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        assert!(page.contains(&format!("| `{table}` |")), "docs/reference/tables.md: {table}");
    }
}

#[test]
fn every_option_and_type_of_protect_table_is_documented() {
    let printed = read("tests/pg_regress/expected/protect_again.out");
    let page = read("docs/reference/protect_table.md");
    let parameters = first_column(&printed, "parameter");
    assert!(parameters.len() > 10, "{parameters:?}");
    for parameter in parameters.iter().skip(1) {
        assert!(page.contains(&format!("| `{parameter}` |")), "docs/reference/protect_table.md: {parameter}");
    }
    let defaults = first_column(&printed, "active tenant");
    assert_eq!(defaults.len(), 5, "{defaults:?}");
    for default in defaults {
        assert!(page.contains(&format!("`{default}`")), "docs/reference/protect_table.md: {default}");
    }
}

/// The guide's table has the lock of every statement of the script that a regress test printed.
#[test]
fn every_lock_of_a_staged_rollout_is_in_its_guide() {
    let page = read("docs/guides/adopting_a_large_table.md");
    let printed = read("tests/pg_regress/expected/protect_staged.out");
    let locks: Vec<&str> = printed
        .lines()
        .take_while(|line| !line.contains("It has changed nothing yet"))
        .filter_map(|line| line.strip_prefix("-- ")?.split_once(". Lock: "))
        .map(|(_, lock)| lock)
        .collect();
    assert!(locks.len() >= 10, "{locks:?}");
    let rows: Vec<Vec<String>> = page.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
    for (n, lock) in locks.iter().enumerate() {
        let lock = lock.replace("staged.plain_inward", "docs");
        // The header comes first, then one row for each statement, in order.
        let row = &rows[n + 1];
        let names: Vec<&str> = lock.split([',', ';', ':', '.']).map(str::trim).collect();
        assert!(row[1].starts_with(names[0]), "statement {}: {lock} / {row:?}", n + 1);
    }
    assert_eq!(rows.len(), locks.len() + 1);
}
