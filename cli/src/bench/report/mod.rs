//! What was measured, and the three ways to show it: a [`table`] for people, [`json`] for programs, a page ([`html`]) to keep.

mod charts;
pub(crate) mod html;
mod json;
mod table;
mod units;

use std::io;

use super::row::Row;
use super::setting::Setting;
use super::sweep::Point;
use crate::error::CliError;

/// Everything a run came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) setting: Setting,
    /// The device, in its own words.
    pub(crate) place: Option<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) sweep: Vec<Point>,
    /// What ended a measurement early, if anything did.
    pub(crate) failure: Option<CliError>,
}

impl Report {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self { setting: setting.clone(), place: None, rows: Vec::new(), sweep: Vec::new(), failure: None }
    }

    /// Adds a measurement. One that the system failed is told at the end, after what else was measured.
    ///
    /// # Errors
    /// The measurement's own, if it says that somebody has to give something else.
    pub(crate) fn add(&mut self, mut row: Row) -> Result<(), CliError> {
        match row.failure.take() {
            Some(error @ CliError::Input(_)) => return Err(error),
            Some(error) => {
                self.failure.get_or_insert(error);
            }
            None => {}
        }
        self.rows.push(row);
        Ok(())
    }

    /// Prints it on standard output. Whoever closed that has seen enough.
    pub(crate) fn print(&self, as_json: bool) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        let printed = if as_json { json::print(self, &mut out) } else { table::print(self, &mut out) };
        match printed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}
