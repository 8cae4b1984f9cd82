//! A scratch file that nobody has to clean up.
//!
//! It loses its name as soon as it is open, so the system takes it back when the process ends, however that happens. Only
//! between making it and unlinking it an interrupt could leave it behind: that is what the handler is for.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once};

use tidelock_dev::{OpenError, OpenOptions, Opened};

use crate::error::{CliError, INTERRUPTED};

/// The file that has a name now.
static NAMED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Makes a scratch file of `bytes` in `folder`.
pub(crate) fn create(folder: &Path, bytes: u64, options: &OpenOptions) -> Result<Opened, CliError> {
    let path = folder.join(format!(".tidelock-scratch-{}", std::process::id()));
    *named() = Some(path.clone());
    let opened = options.clone().create(bytes).open(&path);
    if !matches!(opened, Err(OpenError::Exists(_))) {
        unlink(&path);
    }
    *named() = None;
    opened.map_err(|error| CliError::open("--dir", &error))
}

/// From now on an interrupt ends the process with [`INTERRUPTED`] and a line that says so.
pub(crate) fn end_on_interrupt() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let handler = ctrlc::set_handler(|| {
            if let Some(path) = named().take() {
                unlink(&path);
            }
            // Standard error may be a closed pipe by now.
            let _ = writeln!(io::stderr(), "\ninterrupted; the scratch file is gone");
            std::process::exit(INTERRUPTED);
        });
        if let Err(error) = handler {
            eprintln!("note: cannot watch for Ctrl-C: {error}");
        }
    });
}

fn unlink(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            eprintln!("note: {} could not be removed: {error}", path.display());
        }
        _ => {}
    }
}

fn named() -> MutexGuard<'static, Option<PathBuf>> {
    NAMED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidelock_dev::blocking;
    use tidelock_format::DeviceRange;

    #[test]
    fn a_scratch_file_has_no_name_and_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let opened = create(folder.path(), 1 << 20, &OpenOptions::new()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let range = DeviceRange::new(0, 4096).unwrap();
        assert_eq!(blocking::read(&*opened.device, range).unwrap().len(), 4096);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_with_its_flag() {
        let error = create(Path::new("/nowhere/at/all"), 1 << 20, &OpenOptions::new()).unwrap_err();
        assert!(error.to_string().starts_with("--dir: /nowhere/at/all/"), "{error}");
    }
}
