//! Tests of the grant machine.
mod exhaustive;
pub(crate) mod peer;
mod stories;
