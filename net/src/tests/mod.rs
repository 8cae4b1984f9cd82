//! Tests of what sessions are made of.
mod greeting;
mod stream;
