//! Guides that are run as they stand: the `sh` and `sql` blocks of a page of docs/guides, in order, in one database.

use crate::{Cluster, required, source};
use std::process::Command;

/// A block of code: its language and its text.
type Block = (String, String);

pub struct Guide {
    blocks: Vec<Block>,
}

impl Guide {
    /// What a reader of the page is told to run. Blocks of other languages are not.
    pub fn read(name: &str) -> Self {
        let mut blocks = blocks(name);
        blocks.retain(|(language, _)| language == "sh" || language == "sql");
        assert!(!blocks.is_empty(), "{name} has nothing to run");
        Self { blocks }
    }

    /// What a reader of the page is told to put into postgresql.conf.
    pub fn settings(name: &str) -> String {
        blocks(name).into_iter().filter(|(language, _)| language == "conf").map(|(_, text)| text).collect()
    }

    /// Runs the blocks up to the first that holds `until`, that one excluded, and forgets them; the last call with an
    /// empty text runs the rest. Each must succeed. Gives back what they printed.
    #[track_caller]
    pub fn run(&mut self, cluster: &Cluster, database: &str, until: &str) -> String {
        let end = match until {
            "" => self.blocks.len(),
            _ => self
                .blocks
                .iter()
                .position(|(_, text)| text.contains(until))
                .unwrap_or_else(|| panic!("no block of the guide holds {until}")),
        };
        let mut printed = String::new();
        for (language, text) in self.blocks.drain(..end) {
            let mut command = Command::new("bash");
            command
                .env("PATH", format!("{}:/usr/bin:/bin", required("PGT_BINDIR").display()))
                .env("PGHOST", cluster.host())
                .envs([("PGPORT", "5432"), ("PGUSER", "postgres"), ("PGDATABASE", database)])
                .current_dir(required("PGT_SOURCE"));
            match language.as_str() {
                "sql" => command.args(["-c", "psql -X -v ON_ERROR_STOP=1 -c \"$1\" 2>&1", "sql", &text]),
                _ => command.args(["-e", "-c", &format!("exec 2>&1\n{text}")]),
            };
            printed += &cluster.succeed(&mut command);
        }
        printed
    }
}

fn blocks(name: &str) -> Vec<Block> {
    let page = std::fs::read_to_string(source("docs/guides").join(name)).expect("the guide is there");
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((language, text))) => open = Some((language, text + line + "\n")),
            (None, None) => {}
        }
    }
    blocks
}
