//! Tests of the grant machine.
mod exhaustive;
mod peer;
mod stories;
