//! Patterns over whole addresses, compiled once and kept for a while.

use regex::bytes::{Regex, RegexBuilder};
use std::cell::RefCell;

const LONGEST: usize = 1000;
/// Of the compiled program, in bytes: `(a{99}){99}` must not become a million states.
const PROGRAM_SIZE: usize = 64 << 10;
/// How many a backend keeps, so how much memory they may take.
const KEPT: usize = 64;

/// Why a text is no pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("It is empty.")]
    Empty,
    #[error("It is longer than {LONGEST} bytes.")]
    TooLong,
    #[error("It is not valid UTF-8.")]
    NotText,
    #[error("It takes too much memory: use fewer or smaller repetitions.")]
    TooBig,
    #[error("It is no regular expression: {0}.")]
    Syntax(String),
}

thread_local! {
    /// The most recently used last.
    static COMPILED: RefCell<Vec<(Vec<u8>, Option<Regex>)>> = const { RefCell::new(Vec::new()) };
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    // ASCII, so that folding case cannot make an address of other characters equal (the Kelvin sign is a k).
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(true)
        .size_limit(PROGRAM_SIZE)
        .dfa_size_limit(PROGRAM_SIZE)
        .build()
}

pub fn compile(pattern: &[u8]) -> Result<Regex, Problem> {
    if pattern.is_empty() {
        return Err(Problem::Empty);
    }
    if pattern.len() > LONGEST {
        return Err(Problem::TooLong);
    }
    let pattern = std::str::from_utf8(pattern).map_err(|_| Problem::NotText)?;
    // By itself first, or `a)|(b` would leave the group that anchors it.
    build(pattern).and_then(|_| build(&format!(r"\A(?:{pattern})\z"))).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Problem::TooBig,
        // It ends in the reason; before that it shows the pattern, over several lines.
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            Problem::Syntax(reason.strip_prefix("error: ").unwrap_or(reason).to_owned())
        }
    })
}

/// Whether a pattern fits the whole address; one that is none fits nothing.
pub fn matches(pattern: &[u8], address: &[u8]) -> bool {
    if pattern.len() > LONGEST {
        return false;
    }
    COMPILED.with_borrow_mut(|kept| {
        let entry = match kept.iter().position(|(known, _)| known == pattern) {
            Some(at) => kept.remove(at),
            None => (pattern.to_vec(), compile(pattern).ok()),
        };
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        let fits = entry.1.as_ref().is_some_and(|regex| regex.is_match(address));
        kept.push(entry);
        fits
    })
}
