//! Real clients and a real server, with threads, sockets and processes.

mod ending;
mod freezing;
mod ground;
mod sharing;
