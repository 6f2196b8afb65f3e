//! The matrix in docs/security.md is what the regress test `matrix` found when it tried every command.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of a table in Markdown, cell by cell.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter(|line| line.starts_with("| ") || line.starts_with("|--"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn the_documented_matrix_is_the_one_that_was_tried() {
    let page = read("docs/security.md");
    let (_, rest) =
        page.split_once("<!-- matrix:begin -->").expect("docs/security.md: no <!-- matrix:begin -->");
    let (documented, _) =
        rest.split_once("<!-- matrix:end -->").expect("docs/security.md: no <!-- matrix:end -->");
    let (documented, tried) = (rows(documented), rows(&read("tests/pg_regress/expected/matrix.out")));
    assert!(tried.len() > 50, "the test printed {} rows", tried.len());
    for (documented, tried) in documented.iter().zip(&tried) {
        assert_eq!(documented, tried, "docs/security.md (left) differs from expected/matrix.out (right)");
    }
    assert_eq!(documented.len(), tried.len(), "rows of docs/security.md and of expected/matrix.out");
}

#[test]
fn no_cell_is_a_surprise() {
    let known = ["none", "own", "tenant", "all", "yes", "refused"];
    for row in rows(&read("tests/pg_regress/expected/matrix.out")).iter().skip(2) {
        for cell in [2, 3, 5, 6, 7] {
            assert!(known.contains(&row[cell].as_str()), "{row:?}");
        }
    }
}
