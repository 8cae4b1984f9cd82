//! The workspace as the checks see it: what cargo says about it, and the text of its files.
//!
//! Plain data, so that a test can plant a fault by building one in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use walkdir::WalkDir;

use super::source::{Source, sources};
use crate::process::root;

/// Everything that a check may look at.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) members: Vec<Member>,
    /// Keys of `[workspace.dependencies]`.
    pub(super) shared: Vec<String>,
    /// `[workspace.package] rust-version`, as major and minor.
    pub(super) msrv: (u64, u64),
    /// Every package of the lock file, by cargo's id.
    pub(super) packages: BTreeMap<String, Package>,
    /// Markdown and other text outside of Rust sources; paths from the root.
    pub(super) pages: Vec<Page>,
}

/// One crate of the workspace.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// Cargo's id of the package.
    pub(super) id: String,
    /// Folder from the root: the crate's name without `tidelock-`.
    pub(super) folder: String,
    /// Root files of its targets, from the workspace's root.
    pub(super) targets: Vec<PathBuf>,
    /// What its manifest asks for, of every kind.
    pub(super) dependencies: Vec<Dependency>,
    pub(super) sources: Vec<Source>,
}

/// One line of a manifest's dependencies.
#[derive(Debug, Default)]
pub(super) struct Dependency {
    /// The package's name.
    pub(super) package: String,
    /// Its key in the manifest: the package's name, unless it is renamed.
    pub(super) key: String,
    /// What sources call it: not every library is named like its package.
    pub(super) library: String,
}

/// A package somewhere in the dependency graph.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) rust_version: Option<(u64, u64)>,
    /// Ids of what a build of it links, on some platform and without our test schedulers.
    pub(super) links: Vec<String>,
}

/// A text file.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Workspace {
    /// Reads the workspace that this program is part of.
    pub(super) fn load() -> Result<Workspace> {
        let metadata =
            MetadataCommand::new().current_dir(root()).exec().context("cargo metadata does not answer")?;
        let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))?.parse()?;
        let shared = manifest["workspace"]["dependencies"].as_table().context("[workspace.dependencies]")?;
        let msrv = manifest["workspace"]["package"]["rust-version"].as_str().context("rust-version")?;
        Ok(Workspace {
            members: members(&metadata)?,
            shared: shared.keys().cloned().collect(),
            msrv: parse_version(msrv).context("rust-version is not MAJOR.MINOR")?,
            packages: packages(&metadata),
            pages: pages()?,
        })
    }

    /// The page at `path`, if there is one.
    pub(super) fn page(&self, path: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.path == Path::new(path))
    }

    /// Every Rust file with the crate it is in.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.members.iter().flat_map(|member| &member.sources)
    }

    /// Every Rust file but those of `tidy`, whose tests plant faults on purpose.
    pub(super) fn sources_but_tidy(&self) -> impl Iterator<Item = &Source> {
        self.sources().filter(|source| !source.path.starts_with("xtask/src/tidy"))
    }
}

fn members(metadata: &Metadata) -> Result<Vec<Member>> {
    let member = |package: &&cargo_metadata::Package| -> Result<Member> {
        let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
        let dependency = |dependency: &cargo_metadata::Dependency| {
            let renamed = dependency.rename.clone();
            let library = renamed.clone().unwrap_or_else(|| library(metadata, &dependency.name));
            Dependency {
                package: dependency.name.clone(),
                key: renamed.unwrap_or_else(|| dependency.name.clone()),
                library: library.replace('-', "_"),
            }
        };
        Ok(Member {
            id: package.id.repr.clone(),
            folder: folder.file_name().context("a crate's folder has a name")?.to_owned(),
            targets: package.targets.iter().map(|target| relative(target.src_path.as_std_path())).collect(),
            dependencies: package.dependencies.iter().map(dependency).collect(),
            sources: sources(folder.as_std_path())?,
        })
    };
    metadata.workspace_packages().iter().map(member).collect()
}

/// The name of a package's library target.
fn library(metadata: &Metadata, package: &str) -> String {
    let mut found = metadata.packages.iter().filter(|candidate| candidate.name.as_str() == package);
    let target = found
        .find_map(|package| package.targets.iter().find(|target| target.is_lib() || target.is_proc_macro()));
    target.map_or_else(|| package.to_owned(), |target| target.name.clone())
}

fn packages(metadata: &Metadata) -> BTreeMap<String, Package> {
    let mut packages: BTreeMap<String, Package> = metadata
        .packages
        .iter()
        .map(|package| {
            let rust_version = package.rust_version.as_ref().map(|version| (version.major, version.minor));
            let (name, version) = (package.name.to_string(), package.version.to_string());
            (package.id.repr.clone(), Package { name, version, rust_version, links: Vec::new() })
        })
        .collect();
    for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
        let links = node.deps.iter().filter(|dependency| dependency.dep_kinds.iter().any(is_linked));
        if let Some(package) = packages.get_mut(&node.id.repr) {
            package.links = links.map(|dependency| dependency.pkg.repr.clone()).collect();
        }
    }
    packages
}

/// A normal dependency that users get: not one of the test schedulers behind their cfg.
fn is_linked(kind: &cargo_metadata::DepKindInfo) -> bool {
    let behind_cfg = |target: &String| target.contains("tidelock_") && !target.contains("not(");
    kind.kind == DependencyKind::Normal
        && !kind.target.as_ref().map(ToString::to_string).is_some_and(|target| behind_cfg(&target))
}

fn pages() -> Result<Vec<Page>> {
    let is_page = |path: &Path| {
        path.extension()
            .is_some_and(|extension| ["md", "toml", "yml"].iter().any(|known| extension == *known))
    };
    let mut pages = Vec::new();
    for entry in
        WalkDir::new(root()).sort_by_file_name().into_iter().filter_entry(|entry| !is_built(entry.path()))
    {
        let entry = entry?;
        if entry.file_type().is_file() && is_page(entry.path()) {
            let text = fs::read_to_string(entry.path())?;
            pages.push(Page { path: relative(entry.path()), text });
        }
    }
    Ok(pages)
}

/// Folders that hold no work of ours.
pub(super) fn is_built(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    path.is_dir()
        && path != root()
        && (name == "target" || name == ".git" || path.join("CACHEDIR.TAG").exists())
}

/// A path from the workspace's root.
pub(super) fn relative(path: &Path) -> PathBuf {
    path.strip_prefix(root()).unwrap_or(path).to_owned()
}

fn parse_version(text: &str) -> Option<(u64, u64)> {
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
