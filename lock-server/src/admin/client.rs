//! The side that asks.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Question;
use super::report::{Answer, Report};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a server's admin socket.
#[derive(Debug)]
pub struct AdminClient {
    path: PathBuf,
    reader: BufReader<UnixStream>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Nobody is there.
    #[error("no lock server answers at {}: it does not run, or has another admin socket", path.display())]
    NotThere {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Only the server's user may ask.
    #[error("no permission for {}: be the server's own user, or root", path.display())]
    Permission {
        /// Where.
        path: PathBuf,
    },
    /// It broke off.
    #[error("the lock server at {} did not answer: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not want to answer.
    #[error("{0}")]
    Refused(String),
}

impl AdminClient {
    /// Connects to the socket at this path.
    ///
    /// # Errors
    /// If nobody answers there, or only to others.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, AdminError> {
        let path = path.as_ref();
        let connect = || -> io::Result<BufReader<UnixStream>> {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(BufReader::new(stream))
        };
        let reader = connect().map_err(|source| {
            let path = path.into();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AdminError::NotThere { path },
                io::ErrorKind::PermissionDenied => AdminError::Permission { path },
                _ => AdminError::Io { path, source },
            }
        })?;
        Ok(Self { path: path.into(), reader })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// If there is none.
    pub fn ask(&mut self, question: &Question) -> Result<Report, AdminError> {
        let line =
            self.exchange(question).map_err(|source| AdminError::Io { path: self.path.clone(), source })?;
        match line {
            Answer::Ok(report) => Ok(report),
            Answer::Error(why) => Err(AdminError::Refused(why)),
        }
    }

    fn exchange(&mut self, question: &Question) -> io::Result<Answer> {
        let mut line = serde_json::to_string(question)?;
        line.push('\n');
        self.reader.get_mut().write_all(line.as_bytes())?;
        line.clear();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}
