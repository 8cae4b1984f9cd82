//! Tests of the grant machine.
mod exhaustive;
mod model;
pub(crate) mod peer;
mod stories;
