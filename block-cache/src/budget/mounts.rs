//! Where this process's memory cgroup can be seen: `/proc/self/cgroup` says which it is, `/proc/self/mountinfo` where that
//! hierarchy is mounted, and how much of it.

use std::path::{Component, Path, PathBuf};

/// The two generations of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// One hierarchy for each controller: `memory.limit_in_bytes`.
    V1,
    /// One for all: `memory.max`, `memory.high`.
    V2,
}

/// A cgroup as it can be seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The folder of the highest cgroup that can be seen.
    pub(super) top: PathBuf,
}

/// Finds the memory cgroup that `cgroup` (the text of `/proc/self/cgroup`) names in what `mountinfo` (the text of
/// `/proc/self/mountinfo`) shows. The memory controller is in one hierarchy only; version 1 tells that it is there.
pub(super) fn find(cgroup: &str, mountinfo: &str) -> Option<Place> {
    let (version, path) = own_path(cgroup)?;
    let (root, top) = mountinfo.lines().find_map(|line| mount_of(line, version))?;
    // The mount may show a part of the hierarchy only, and a container's own root may look like the whole.
    let within = path.strip_prefix(&root).unwrap_or(Path::new(""));
    let parts = within.components().filter(|part| *part != Component::RootDir);
    let is_below = parts.clone().all(|part| matches!(part, Component::Normal(_)));
    let folder = if is_below { top.components().chain(parts).collect() } else { top.clone() };
    Some(Place { version, folder, top })
}

/// The version and path of the cgroup that this process's memory is charged to.
fn own_path(cgroup: &str) -> Option<(Version, PathBuf)> {
    // Each line: hierarchy number, controllers, path. The path may hold colons.
    let lines = || cgroup.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let v1 = lines().find(|(controllers, _)| controllers.split(',').any(|name| name == "memory"));
    let v2 = || cgroup.lines().find_map(|line| line.strip_prefix("0::"));
    match v1 {
        Some((_, path)) => Some((Version::V1, path.into())),
        None => Some((Version::V2, v2()?.into())),
    }
}

/// The root and the mount point of `line`, if it is a mount of that hierarchy.
fn mount_of(line: &str, version: Version) -> Option<(PathBuf, PathBuf)> {
    // "36 35 98:0 /root /point options [tags] - type source super-options"
    let (mount, kind) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (unescape(mount.next()?), unescape(mount.next()?));
    let mut kind = kind.split(' ');
    let is_it = match (kind.next()?, version) {
        ("cgroup2", Version::V2) => true,
        ("cgroup", Version::V1) => kind.nth(1)?.split(',').any(|option| option == "memory"),
        _ => false,
    };
    is_it.then(|| (root.into(), point.into()))
}

/// Spaces, tabs, line ends and backslashes are written as octal numbers there.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const UNIFIED_MOUNT: &str = "26 23 0:23 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn folder(cgroup: &str, mounts: &str) -> Option<(Version, String)> {
        find(cgroup, mounts).map(|place| (place.version, place.folder.display().to_string()))
    }

    #[test]
    fn the_controller_of_version_1_is_preferred_where_both_are_mounted() {
        let cgroup = "9:name=systemd:/\n4:memory:/jobs/7\n1:cpu:/\n0::/elsewhere\n";
        assert_eq!(folder(cgroup, HYBRID_MOUNTS), Some((Version::V1, "/sys/fs/cgroup/memory/jobs/7".into())));
    }

    #[test]
    fn a_unified_hierarchy_is_version_2() {
        let cgroup = "0::/user.slice/app:1.scope\n";
        let expected = (Version::V2, "/sys/fs/cgroup/user.slice/app:1.scope".into());
        assert_eq!(folder(cgroup, UNIFIED_MOUNT), Some(expected));
    }

    #[test]
    fn a_mount_of_a_part_shows_that_part() {
        let mounts = "26 23 0:23 /docker/abc /sys/fs/cgroup\\040x ro - cgroup2 cgroup2 rw\n";
        assert_eq!(
            folder("0::/docker/abc/inner\n", mounts),
            Some((Version::V2, "/sys/fs/cgroup x/inner".into()))
        );
        // Not below what is shown: the top of it is all that can be seen.
        let top = Some((Version::V2, "/sys/fs/cgroup x".into()));
        assert_eq!(folder("0::/../other\n", mounts), top);
        assert_eq!(folder("0::/docker/abc\n", mounts), top);
    }

    #[test]
    fn garbage_is_no_place() {
        for (cgroup, mounts) in [
            ("", ""),
            ("0::/a", ""),
            ("0::/a", " - "),
            ("nonsense", UNIFIED_MOUNT),
            ("4:memory:/a", UNIFIED_MOUNT),
            ("0::/a", "1 2 3 - cgroup2 x y"),
        ] {
            assert_eq!(find(cgroup, mounts), None, "{cgroup:?} in {mounts:?}");
        }
    }
}
