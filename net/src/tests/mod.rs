//! Tests of what sessions are made of.
mod client;
mod client_and_server;
mod frames;
mod greeting;
mod stream;
