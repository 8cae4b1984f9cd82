//! Tests of the server: stories by hand, and a world that takes every turn.

mod endings;
mod greetings;
mod handovers;
mod node;
mod quotas;
mod recoveries;
mod replay;
mod rig;
mod talk;
mod world;
