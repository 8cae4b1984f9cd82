//! `tidelock bench cache` from the outside: what it prints, and that it leaves nothing behind.

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{bench, expect_code, is_empty, stdout, tidelock};
use serde_json::Value;

const QUICK: &str = "--seconds 0.1 --blocks 2048 --block-size 4K --threads 2 --depth 1,4";

/// The fields that every line has, whatever the workload.
const FIELDS: [&str; 17] = [
    "workload",
    "threads",
    "ops",
    "seconds",
    "ns_per_op",
    "p50_ns",
    "p99_ns",
    "p999_ns",
    "hit_ratio",
    "device_reads",
    "shrink_visited",
    "shrink_freed",
    "stale",
    "errors",
    "block_size",
    "cpu_ns_per_op",
    "bytes",
];

fn lines(args: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), args);
    expect_code(&output, 0);
    assert!(is_empty(folder.path()), "something was left behind");
    stdout(&output).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn every_workload_runs_and_its_line_has_every_field() {
    let lines = lines(&format!("{QUICK} --json"));
    let workloads: Vec<_> = lines.iter().map(|line| line["workload"].as_str().unwrap()).collect();
    let expected =
        ["uniform", "zipf", "hot", "scan", "pressure", "growth", "cold-read", "cold-read", "commit"];
    assert_eq!(workloads, expected);
    for line in &lines {
        for field in FIELDS {
            assert!(!line[field].is_null(), "no {field} in {line}");
        }
        assert!(line["ops"].as_u64().unwrap() > 0 && line["seconds"].as_f64().unwrap() > 0.0, "{line}");
        assert!(line["p50_ns"].as_u64() <= line["p99_ns"].as_u64(), "{line}");
        assert!(line["p99_ns"].as_u64() <= line["p999_ns"].as_u64(), "{line}");
        assert_eq!(line["errors"], 0, "{line}");
    }
    let depths: Vec<_> = lines.iter().filter_map(|line| line["depth"].as_u64()).collect();
    assert_eq!(depths, [1, 4]);
}

#[test]
fn the_figures_are_those_of_the_workload() {
    let of = |workload: &str, more: &str| {
        lines(&format!("{QUICK} --json --workload {workload} {more}")).swap_remove(0)
    };
    let hot = of("hot", "");
    assert!(hot["hit_ratio"].as_f64().unwrap() > 0.999 && hot["device_reads"] == 0, "{hot}");
    let cold = of("cold-read", "");
    let reads = cold["device_reads"].as_u64().unwrap();
    assert_eq!(cold["bytes"].as_u64(), Some(reads * 4096), "{cold}");
    assert!(cold["hit_ratio"].as_f64().unwrap() < 0.2, "{cold}");
    let uniform = of("uniform", "--capacity 50%");
    assert!((0.3..0.7).contains(&uniform["hit_ratio"].as_f64().unwrap()), "{uniform}");
    let commit = of("commit", "--backend mem");
    // Of 2048 blocks one in sixteen is free for new images.
    assert_eq!(commit["bytes"].as_u64(), Some(commit["ops"].as_u64().unwrap() * 128 * 4096), "{commit}");
}

#[test]
fn every_backend_runs() {
    for backend in ["auto", "threads", "mem"] {
        lines(&format!("{QUICK} --json --workload zipf,cold-read,commit --backend {backend}"));
    }
}

#[test]
fn without_json_it_ends_in_a_table_with_a_line_for_each_workload() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), &format!("{QUICK} --workload zipf,cold-read"));
    expect_code(&output, 0);
    let table = stdout(&output);
    for word in ["workload", "p99.9", " zipf ", " cold-read @1 ", " cold-read @4 ", "visited/freed"] {
        assert!(table.contains(word), "no \"{word}\" in {table}");
    }
    assert!(output.stderr.is_empty(), "progress is for terminals: {}", common::stderr(&output));
}

#[test]
fn a_trace_is_compared_with_the_optimum_and_others_at_three_capacities() {
    let folder = tempfile::tempdir().unwrap();
    let accesses: String = (0..20_000u64).map(|i| format!("{}\n", (i * i) % 4001)).collect();
    fs::write(folder.path().join("trace.txt"), accesses).unwrap();
    let output = bench(folder.path(), "--trace trace.txt --json");
    expect_code(&output, 0);
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    for line in &lines {
        let ratio = |name: &str| line[name].as_f64().unwrap();
        let best = ratio("belady_hit_ratio");
        for name in ["hit_ratio", "lru_hit_ratio", "s3fifo_hit_ratio"] {
            assert!((0.0..=best).contains(&ratio(name)), "{name} in {line}");
        }
        assert_eq!((line["trace"].as_str(), line["accesses"].as_u64()), (Some("trace.txt"), Some(20_000)));
        assert!(line["unique"].as_u64() > line["capacity_blocks"].as_u64(), "{line}");
    }
    let one = bench(folder.path(), "--trace trace.txt --capacity 50b");
    expect_code(&one, 0);
    assert!(stdout(&one).contains("optimum") && stdout(&one).contains(" 50 "), "{}", stdout(&one));
}

#[test]
fn the_page_stands_alone_and_has_every_chart() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), &format!("{QUICK} --workload scan --backend mem --html page.html"));
    expect_code(&output, 0);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    for title in ["Throughput", "Latency", "Hit ratio against capacity", "Reclaim work"] {
        assert!(page.contains(&format!("<h2>{title}</h2>")), "no chart {title}");
    }
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(page.ends_with("</html>\n"));
    for outside in ["http:", "https:", "<script", "<link", "url("] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing_behind() {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = tidelock(["bench", "cache", "--blocks", "4096", "--seconds", "60"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(300));
        let id = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "SIG{signal} did not end it");
            thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(130), "SIG{signal}");
        assert!(is_empty(folder.path()), "SIG{signal} left a file behind");
    }
}

#[test]
fn help_teaches_with_examples() {
    let help = |args: &[&str]| stdout(&tidelock(args.iter().copied()).output().unwrap());
    assert!(help(&["--help"]).contains("inspect"));
    let bench = help(&["bench", "cache", "--help"]);
    for word in ["Examples:", "--trace", "cold-read", "--yes", "25%", "[default:"] {
        assert!(bench.contains(word), "no {word} in the help");
    }
    assert!(help(&["inspect", "--help"]).contains("Exit code"));
}
