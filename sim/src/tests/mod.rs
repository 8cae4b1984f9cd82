//! Tests of the simulation: that it repeats itself, and that it finds what was planted.
