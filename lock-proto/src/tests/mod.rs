//! Tests of the messages as bytes.

mod bytes;
mod samples;
mod vectors;
