//! The result, for people and for programs.

mod finding;
mod json;
mod table;

pub use finding::Finding;
pub use json::lines;
pub use table::{figures_tables, ratio_table};
