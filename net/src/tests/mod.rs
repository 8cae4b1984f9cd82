//! Tests of what sessions are made of.
mod frames;
mod greeting;
mod stream;
