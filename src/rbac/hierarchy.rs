//! The role hierarchy: which roles a role authorises, itself included.

use super::Id;
use std::collections::{HashMap, HashSet};

/// Every role reached from the assigned ones through junior edges, in the order found. Iterative, and each
/// role once, so that depth costs no stack and a cycle that got past the guards ends.
pub fn authorised(assigned: &[Id], juniors: impl Fn(&Id) -> Vec<Id>) -> Vec<Id> {
    walk(assigned, juniors).into_iter().map(|(role, _)| role).collect()
}

/// As `authorised`, each with the senior role it was first reached through (`None` if assigned).
pub fn walk(assigned: &[Id], juniors: impl Fn(&Id) -> Vec<Id>) -> Vec<(Id, Option<Id>)> {
    let mut seen: HashSet<Id> = HashSet::new();
    let mut found: Vec<(Id, Option<Id>)> = Vec::new();
    for role in assigned {
        if seen.insert(*role) {
            found.push((*role, None));
        }
    }
    let mut next = 0;
    while let Some((senior, _)) = found.get(next).copied() {
        next += 1;
        for junior in juniors(&senior) {
            if seen.insert(junior) {
                found.push((junior, Some(senior)));
            }
        }
    }
    found
}

/// Whether making `junior` a junior of `senior` would close a cycle.
pub fn would_cycle(senior: Id, junior: Id, edges: &HashMap<Id, Vec<Id>>) -> bool {
    authorised(&[junior], |role| edges.get(role).cloned().unwrap_or_default()).contains(&senior)
}
