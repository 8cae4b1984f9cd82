//! Looking into a server that runs: questions and answers as lines of JSON, over a Unix socket of this machine.
//!
//! ```text
//! {"ask":"locks","waiting":true,"limit":10}
//! {"ok":{"locks":[...],"more":false}}
//! ```
//!
//! One line asks, one line answers, and a connection takes any number of them, one after the other. Nothing that can be asked
//! changes anything. Only the server's own user and root are answered: the socket's file says so, and each connection is
//! looked at again. The server goes on while an answer is put together: of what is large it is shown a part at a time, so
//! that a long list is not of one moment.

mod answer;
mod client;
mod question;
mod report;
mod server;
mod sift;

pub use client::{AdminClient, AdminError};
pub use question::Question;
pub use report::{
    About, Answer, CountersReport, GraceReport, HolderRow, LockRow, LocksReport, Report, SessionReport,
    SessionRow, SessionsReport, WaiterRow,
};
pub use server::AdminServer;
pub use sift::parse_key;
