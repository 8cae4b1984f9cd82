//! The room below the limits of this process's memory cgroup, and of those above it.
//!
//! Every cgroup on the way up limits what is in it, so each is read, and the tightest counts. Clean pages of files that
//! were not used lately are charged too, but the kernel drops them before anything hurts: they count as room.

use std::path::{Path, PathBuf};

use super::mounts::{self, Place, Version};
use super::source::read_file;
use super::{BudgetSource, Reading, Room, SourceError};

/// Version 1 writes "no limit" as the greatest whole number of pages; no machine has this much memory.
const UNLIMITED: u64 = 1 << 60;

/// The memory cgroup of this process, version 1 or 2.
///
/// ```no_run
/// use tidelock_block_cache::{BudgetRule, BudgetWatch, CgroupSource, MemoryBudget};
///
/// let budget = MemoryBudget::fixed(1 << 30);
/// let rule = BudgetRule::between(64 << 20, 4 << 30);
/// let watch = BudgetWatch::new(&budget, rule).source(CgroupSource::own()?).spawn()?;
/// // ... build caches with `budget`; the watch stops when it is dropped.
/// # drop(watch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CgroupSource {
    version: Version,
    /// Its folder, then those above it.
    folders: Vec<PathBuf>,
}

impl CgroupSource {
    /// The cgroup that this process is in now, as `/proc/self/cgroup` tells. A process that is moved afterwards needs a new
    /// source.
    ///
    /// # Errors
    /// [`SourceError`] when there is none, or it cannot be seen from here.
    pub fn own() -> Result<Self, SourceError> {
        let cgroup = read_file(Path::new("/proc/self/cgroup"))?;
        let mountinfo = read_file(Path::new("/proc/self/mountinfo"))?;
        let place = mounts::find(&cgroup, &mountinfo).ok_or(SourceError::NoCgroup)?;
        Self::at(place)
    }

    fn at(place: Place) -> Result<Self, SourceError> {
        // Seen from another namespace than the one it is named in, the folder may not be there; those above it may.
        let limit = limit_files(place.version)[0];
        let up = place.folder.ancestors().take_while(|folder| folder.starts_with(&place.top));
        let folders: Vec<PathBuf> =
            up.filter(|folder| folder.join(limit).exists()).map(Path::to_path_buf).collect();
        // The root of version 2 has no limit and no such file: being there alone is being unlimited.
        if folders.is_empty() && !place.top.join("cgroup.procs").exists() {
            return Err(SourceError::NoCgroup);
        }
        Ok(Self { version: place.version, folders })
    }

    /// The folder of the cgroup itself; `None` when the process is in the root, which has no limit.
    pub fn folder(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    /// The room in one cgroup; `None` when it has no limit.
    fn room(&self, folder: &Path) -> Result<Option<Room>, SourceError> {
        let mut limit = None;
        for name in limit_files(self.version) {
            let path = folder.join(name);
            // memory.high is younger than memory.max.
            if path.exists() {
                let found = read_limit(&path)?;
                limit = found.into_iter().chain(limit).min();
            }
        }
        let Some(limit) = limit else { return Ok(None) };
        let (usage, inactive) = match self.version {
            Version::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
            Version::V2 => ("memory.current", "inactive_file"),
        };
        let usage = read_bytes(&folder.join(usage))?;
        let stat = folder.join("memory.stat");
        let droppable = droppable_bytes(&stat, &read_file(&stat)?, inactive)?;
        Ok(Some(Room::new(limit, usage.saturating_sub(droppable))))
    }
}

impl BudgetSource for CgroupSource {
    fn read(&mut self, reading: &mut Reading) -> Result<(), SourceError> {
        for folder in &self.folders {
            self.room(folder)?.into_iter().for_each(|room| reading.narrow(room));
        }
        Ok(())
    }
}

/// The files that hold limits; the first is there in every cgroup but the root.
fn limit_files(version: Version) -> &'static [&'static str] {
    match version {
        Version::V1 => &["memory.limit_in_bytes"],
        Version::V2 => &["memory.max", "memory.high"],
    }
}

fn read_limit(path: &Path) -> Result<Option<u64>, SourceError> {
    let text = read_file(path)?;
    parse_limit(&text).ok_or_else(|| SourceError::garbage(path, "limit in bytes", &text))
}

fn read_bytes(path: &Path) -> Result<u64, SourceError> {
    let text = read_file(path)?;
    text.trim().parse().map_err(|_| SourceError::garbage(path, "number of bytes", &text))
}

/// A limit in bytes; `Some(None)` is none at all.
fn parse_limit(text: &str) -> Option<Option<u64>> {
    match text.trim() {
        "max" => Some(None),
        number => number.parse().ok().map(|bytes| Some(bytes).filter(|bytes| *bytes < UNLIMITED)),
    }
}

/// The value of `key` in the text of a `memory.stat`.
fn droppable_bytes(path: &Path, stat: &str, key: &'static str) -> Result<u64, SourceError> {
    let values = stat.lines().filter_map(|line| line.split_once(' '));
    let value = values.filter(|(name, _)| *name == key).find_map(|(_, value)| value.trim().parse().ok());
    value.ok_or_else(|| SourceError::garbage(path, "size of inactive files", stat))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A tree of cgroups made of plain files.
    fn tree(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, CgroupSource) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let place = Place { version, folder: dir.path().join("app/worker"), top: dir.path().into() };
        let source = CgroupSource::at(place).unwrap();
        (dir, source)
    }

    fn read(source: &mut CgroupSource) -> Result<Option<Room>, SourceError> {
        let mut reading = Reading::default();
        source.read(&mut reading).map(|()| reading.room)
    }

    #[test]
    fn the_tightest_limit_on_the_way_up_counts() {
        let (_dir, mut source) = tree(
            Version::V2,
            &[
                ("cgroup.procs", ""),
                ("app/memory.max", "1000\n"),
                ("app/memory.high", "900\n"),
                ("app/memory.current", "880\n"),
                ("app/memory.stat", "anon 700\ninactive_file 100\n"),
                ("app/worker/memory.max", "max\n"),
                ("app/worker/memory.high", "800\n"),
                ("app/worker/memory.current", "500\n"),
                ("app/worker/memory.stat", "inactive_file 50\nactive_file 1\n"),
            ],
        );
        assert!(source.folder().unwrap().ends_with("app/worker"));
        assert_eq!(read(&mut source).unwrap(), Some(Room::new(900, 780)));
    }

    #[test]
    fn version_1_says_unlimited_with_a_huge_number() {
        let (dir, mut source) = tree(
            Version::V1,
            &[
                ("app/worker/memory.limit_in_bytes", "9223372036854771712\n"),
                ("app/worker/memory.usage_in_bytes", "70\n"),
                ("app/worker/memory.stat", "inactive_file 1\ntotal_inactive_file 30\n"),
            ],
        );
        assert_eq!(read(&mut source).unwrap(), None);
        fs::write(dir.path().join("app/worker/memory.limit_in_bytes"), "100\n").unwrap();
        assert_eq!(read(&mut source).unwrap(), Some(Room::new(100, 40)));
    }

    #[test]
    fn a_process_in_the_root_is_unlimited() {
        let (_dir, mut source) = tree(Version::V2, &[("cgroup.procs", "")]);
        assert_eq!((source.folder().is_none(), read(&mut source).unwrap()), (true, None));
    }

    #[test]
    fn garbage_names_the_file_and_what_it_holds() {
        let name = "app/worker/memory.max";
        for garbage in ["", "-1", "12 kB", "99999999999999999999999", "\0\0"] {
            let (_dir, mut source) = tree(Version::V2, &[(name, garbage)]);
            let error = read(&mut source).unwrap_err();
            assert!(matches!(error, SourceError::Garbage { .. }), "{garbage:?}");
            assert!(error.to_string().contains(name), "{error}");
        }
        let (_dir, mut source) = tree(
            Version::V2,
            &[
                (name, "100"),
                ("app/worker/memory.current", "1"),
                ("app/worker/memory.stat", "inactive_file many"),
            ],
        );
        assert!(matches!(read(&mut source), Err(SourceError::Garbage { .. })));
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let (_dir, mut source) = tree(Version::V2, &[("app/worker/memory.max", "100")]);
        assert!(matches!(read(&mut source), Err(SourceError::Io { .. })));
    }
}
