//! Counting says what happened.

use std::sync::Arc;
use std::time::Duration;

use super::collector::{Collector, range};
use crate::{BlockDevice, Counted, Effect, Faulty, MemDevice, Operation, Rule, blocking};

#[test]
fn requests_bytes_and_failures_are_counted_by_operation() {
    let faulty = Arc::new(Faulty::new(Arc::new(MemDevice::new(1 << 20)), 0));
    let device = Counted::new(faulty.clone());
    let collector = Collector::new();
    let mut batch: Vec<_> =
        (0..5).map(|tag| collector.write(&device, tag, range(tag * 4096, 4096), 1)).collect();
    batch.push(collector.flush(5));
    collector.run(&device, batch);
    faulty.add(Rule::new("bad sector", Effect::Error(5)).on(Operation::Read).times(1));
    blocking::read(&device, range(0, 512)).unwrap_err();
    blocking::read(&device, range(0, 512)).unwrap();
    let counts = device.counts();
    assert_eq!((counts.writes.requests, counts.writes.bytes, counts.writes.failed), (5, 20480, 0));
    assert_eq!((counts.reads.requests, counts.reads.bytes, counts.reads.failed), (2, 512, 1));
    assert_eq!((counts.flushes.requests, counts.in_flight_max), (1, 6));
    assert_eq!(counts.writes.latency.iter().sum::<u64>(), 5);
}

#[test]
fn a_quantile_is_exact_to_a_factor_of_two() {
    let mut tally = crate::Tally::default();
    assert_eq!(tally.latency_at(0.5), None);
    tally.requests = 100;
    tally.latency[10] = 90;
    tally.latency[20] = 10;
    assert_eq!(tally.latency_at(0.5), Some(Duration::from_nanos(1 << 11)));
    assert_eq!(tally.latency_at(0.99), Some(Duration::from_nanos(1 << 21)));
}

#[test]
fn the_most_in_flight_at_once_is_remembered() {
    let faulty = Arc::new(Faulty::new(Arc::new(MemDevice::new(1 << 20)), 0));
    faulty.add(Rule::new("slow", Effect::Hold));
    let device = Counted::new(faulty.clone());
    let collector = Collector::new();
    for tag in 0..7 {
        device.submit(&mut vec![collector.read(&device, tag, range(0, 512))]);
    }
    assert_eq!((faulty.held(), collector.count()), (7, 0));
    faulty.release();
    assert_eq!((device.counts().in_flight_max, collector.count()), (7, 7));
}
