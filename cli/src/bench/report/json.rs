//! One JSON object for each measurement, one a line.

use std::io::{self, Write};

use super::Report;

pub(super) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for row in &report.rows {
        serde_json::to_writer(&mut *out, row)?;
        writeln!(out)?;
    }
    out.flush()
}
