//! Scratch clusters for the scenarios in tests/.
