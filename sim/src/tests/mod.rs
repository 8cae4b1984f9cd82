//! Tests of the simulation: that it repeats itself, that it finds what was planted, and that it finds nothing else.

mod canaries;
mod repeating;
mod seeds;
