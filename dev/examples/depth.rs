//! How much of a device's speed is left after it went through this crate? Random reads at a fixed depth, beside fio with
//! the same file, depth, block size and engine, in turns, so that whatever else the machine does meets both alike.
//!
//! ```text
//! cargo run --release -p tidelock-dev --example depth -- <file or device> [seconds] [rounds] [threads]
//! ```
//! The file must have its bytes written (a hole reads faster than any medium). Without fio only our own figures are
//! printed; with the word `threads` at the end ours go through the threads backend.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tidelock_dev::{
    AlignedBuffer, Backend, BlockDevice, Buffer, Completer, Completion, Direct, OpenOptions, Operation,
    Request,
};
use tidelock_format::DeviceRange;

const BLOCKS: [u64; 2] = [4 << 10, 64 << 10];
const DEPTHS: [u32; 3] = [1, 32, 128];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rest @ ..] = &arguments[..] else {
        return Err("usage: depth <file or device> [seconds] [rounds] [threads]".into());
    };
    let path = Path::new(path);
    let time = Duration::from_secs_f64(rest.first().map_or(Ok(2.0), |text| text.parse())?);
    let rounds: usize = rest.get(1).map_or(Ok(3), |text| text.parse())?;
    let backend = if rest.get(2).is_some() { Backend::Threads } else { Backend::Uring };
    println!("block depth   ours IOPS (p50 us)    fio IOPS (p50 us)   ratio of medians, of each round");
    for block in BLOCKS {
        for depth in DEPTHS {
            let mut pairs = Vec::new();
            for _ in 0..rounds {
                pairs.push((ours(path, backend, block, depth, time)?, fio(path, block, depth, time)));
            }
            report(block, depth, pairs);
        }
    }
    Ok(())
}

/// One run's result.
#[derive(Clone, Copy)]
struct Figures {
    iops: f64,
    median_us: f64,
}

fn report(block: u64, depth: u32, pairs: Vec<(Figures, Option<Figures>)>) {
    let ours = median(pairs.iter().map(|pair| pair.0).collect());
    print!("{:>4}K {depth:>5} {:>11.0} ({:>7.1})", block >> 10, ours.iops, ours.median_us);
    let fios: Vec<Figures> = pairs.iter().filter_map(|pair| pair.1).collect();
    if fios.is_empty() {
        return println!("   fio is not installed");
    }
    let fio = median(fios);
    print!(" {:>11.0} ({:>7.1})      {:.3} ", fio.iops, fio.median_us, ours.iops / fio.iops);
    for (ours, fio) in &pairs {
        fio.iter().for_each(|fio| print!(" {:.3}", ours.iops / fio.iops));
    }
    println!();
}

fn median(mut figures: Vec<Figures>) -> Figures {
    let middle = figures.len() / 2;
    figures.sort_by(|a, b| a.iops.total_cmp(&b.iops));
    let iops = figures[middle].iops;
    figures.sort_by(|a, b| a.median_us.total_cmp(&b.median_us));
    Figures { iops, median_us: figures[middle].median_us }
}

/// Where completed reads come back to.
#[derive(Default)]
struct Returned(Mutex<Vec<(u64, AlignedBuffer)>>);

impl Completer for Returned {
    fn complete(&self, completion: Completion) {
        completion.result.expect("the device can be read");
        if let Some(Buffer::Owned(buffer)) = completion.buffer {
            self.0.lock().expect("nobody panics with it in hand").push((completion.tag, buffer));
        }
    }
}

fn ours(
    path: &Path,
    backend: Backend,
    block: u64,
    depth: u32,
    time: Duration,
) -> Result<Figures, Box<dyn Error>> {
    let options = OpenOptions::new().backend(backend).direct(Direct::Required).read_only(true);
    let device = options.queue_depth(depth).open(path)?.device;
    let mut run = Run {
        blocks: device.size() / block,
        block,
        random: 0x9e37_79b9_7f4a_7c15,
        started: vec![Instant::now(); depth as usize],
        latencies: Histogram::new(3)?,
        returned: Arc::default(),
    };
    let mut batch: Vec<Request> =
        (0..u64::from(depth)).map(|tag| run.read(tag, AlignedBuffer::zeroed(block as usize, 4096))).collect();
    let start = Instant::now();
    while start.elapsed() < time {
        run.turn(&*device, &mut batch);
    }
    let elapsed = start.elapsed().as_secs_f64();
    Ok(Figures {
        iops: run.latencies.len() as f64 / elapsed,
        median_us: run.latencies.value_at_quantile(0.5) as f64 / 1000.0,
    })
}

struct Run {
    blocks: u64,
    block: u64,
    random: u64,
    started: Vec<Instant>,
    latencies: Histogram<u64>,
    returned: Arc<Returned>,
}

impl Run {
    /// Submits the batch, waits for a completion, and makes the next batch of all that came.
    fn turn(&mut self, device: &dyn BlockDevice, batch: &mut Vec<Request>) {
        let returned = self.returned.clone();
        let has_some = || !returned.0.lock().expect("nobody panics with it in hand").is_empty();
        device.submit_and_drive(batch, &has_some, None);
        let came = std::mem::take(&mut *returned.0.lock().expect("nobody panics with it in hand"));
        let now = Instant::now();
        for (tag, buffer) in came {
            self.latencies += (now - self.started[tag as usize]).as_nanos() as u64;
            batch.push(self.read(tag, buffer));
        }
    }

    fn read(&mut self, tag: u64, buffer: AlignedBuffer) -> Request {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.started[tag as usize] = Instant::now();
        Request {
            operation: Operation::Read,
            range: DeviceRange::new(self.random % self.blocks * self.block, self.block)
                .expect("inside the device"),
            buffer: Some(Buffer::Owned(buffer)),
            tag,
            completer: self.returned.clone(),
        }
    }
}

/// The same by fio, if it is installed.
fn fio(path: &Path, block: u64, depth: u32, time: Duration) -> Option<Figures> {
    let output = Command::new("fio")
        .args(["--name=depth", "--rw=randread", "--ioengine=io_uring", "--direct=1", "--readonly"])
        .args([
            "--registerfiles=1",
            "--norandommap",
            "--time_based",
            "--lat_percentiles=1",
            "--percentile_list=50",
        ])
        .args(["--output-format=json", "--allow_file_create=0"])
        .arg(format!("--filename={}", path.display()))
        .args([format!("--bs={block}"), format!("--iodepth={depth}")])
        .arg(format!("--runtime={}ms", time.as_millis()))
        .output()
        .ok()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let read = &report["jobs"][0]["read"];
    let median_us = read["lat_ns"]["percentile"]["50.000000"].as_f64()? / 1000.0;
    Some(Figures { iops: read["iops"].as_f64()?, median_us })
}
