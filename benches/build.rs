//! Notes the compiler that built this crate, so that a table of figures can name it.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").expect("cargo sets RUSTC for build scripts");
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs: it builds this crate");
    let version = String::from_utf8_lossy(&output.stdout);
    println!("cargo::rustc-env=TIDELOCK_RUSTC={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
