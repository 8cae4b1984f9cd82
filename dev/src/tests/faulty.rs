//! Each fault does what it says, fires when it should, and is seen to have fired.

use std::sync::Arc;
use std::thread;

use super::collector::{Collector, range};
use crate::{AlignedBuffer, BlockDevice, Effect, Fault, Faulty, MemDevice, Operation, Rule, blocking};

fn device() -> Faulty {
    Faulty::new(Arc::new(MemDevice::new(1 << 20)), 42)
}

fn put(device: &dyn BlockDevice, offset: u64, byte: u8) -> Result<(), Fault> {
    let mut buffer = AlignedBuffer::zeroed(4096, 512);
    buffer.fill(byte);
    blocking::write(device, range(offset, 4096), buffer).map(|_| ()).map_err(|error| error.fault)
}

fn get(device: &dyn BlockDevice, offset: u64) -> Result<AlignedBuffer, Fault> {
    blocking::read(device, range(offset, 4096)).map_err(|error| error.fault)
}

#[test]
fn a_rule_fires_for_the_nth_request_that_matches() {
    let device = device();
    let rule = Rule::new("disk full", Effect::Error(28)).on(Operation::Write).within(range(0, 8192));
    device.add(rule.skip(1).times(2));
    let results = [0, 65536, 4096, 0, 0].map(|offset| put(&device, offset, 1));
    assert_eq!(results, [Ok(()), Ok(()), Err(Fault::Os(28)), Err(Fault::Os(28)), Ok(())]);
    get(&device, 0).unwrap();
    assert_eq!((device.fired("disk full"), device.fired("another")), (2, 0));
}

#[test]
fn chance_draws_from_the_seed() {
    let fates = |seed| {
        let device = Faulty::new(Arc::new(MemDevice::new(1 << 20)), seed);
        device.add(Rule::new("now and then", Effect::Refuse).chance(0.25));
        (0..400).map(|_| get(&device, 0).is_ok()).collect::<Vec<bool>>()
    };
    assert_eq!(fates(1), fates(1));
    assert_ne!(fates(1), fates(2));
    let failed = fates(1).iter().filter(|is_ok| !**is_ok).count();
    assert!((60..140).contains(&failed), "{failed} of 400 failed");
}

/// After a failed flush nobody knows what is on the medium: nothing may be built on it.
#[test]
fn a_failed_flush_is_remembered() {
    let device = device();
    device.add(Rule::new("cable", Effect::Error(5)).on(Operation::Flush).times(1));
    put(&device, 0, 1).unwrap();
    assert_eq!(blocking::flush(&device).unwrap_err().fault, Fault::Os(5));
    assert_eq!(blocking::flush(&device).unwrap_err().fault, Fault::FlushFailed);
    assert_eq!(put(&device, 0, 2), Err(Fault::FlushFailed));
    assert_eq!(get(&device, 0).unwrap()[0], 1);
}

#[test]
fn a_misdirected_write_lands_elsewhere_and_claims_success() {
    let device = device();
    device.add(Rule::new("astray", Effect::Misdirect(65536)).on(Operation::Write).times(1));
    put(&device, 0, 7).unwrap();
    assert_eq!((get(&device, 0).unwrap()[0], get(&device, 65536).unwrap()[0]), (0, 7));
    assert_eq!(device.fired("astray"), 1);
}

#[test]
fn a_lost_write_claims_success() {
    let device = device();
    put(&device, 0, 1).unwrap();
    device.add(Rule::new("lost", Effect::Lose).on(Operation::Write).times(1));
    put(&device, 0, 2).unwrap();
    assert_eq!((get(&device, 0).unwrap()[0], device.fired("lost")), (1, 1));
}

#[test]
fn a_flipped_bit_is_exactly_one() {
    let device = device();
    device.add(Rule::new("rot", Effect::FlipBit).on(Operation::Read));
    let ones: Vec<u32> =
        (0..8).map(|_| get(&device, 0).unwrap().iter().map(|byte| byte.count_ones()).sum()).collect();
    assert_eq!(ones, [1; 8]);
    device.clear();
    assert!(get(&device, 0).unwrap().iter().all(|byte| *byte == 0), "the medium is unharmed");
}

#[test]
fn a_short_transfer_says_how_much() {
    let device = device();
    device.add(Rule::new("short", Effect::Short).times(1));
    assert_eq!(get(&device, 0).unwrap_err(), Fault::Short { got: 2048 });
    get(&device, 0).unwrap();
}

#[test]
fn a_refusal_carries_the_rules_name() {
    let device = device();
    device.add(Rule::new("named point", Effect::Refuse));
    assert_eq!(put(&device, 0, 1), Err(Fault::Injected("named point")));
}

#[test]
fn a_held_completion_comes_when_released_and_wakes_who_waits() {
    let device = device();
    device.add(Rule::new("stuck", Effect::Hold).times(2));
    let collector = Collector::new();
    device.submit(&mut vec![
        collector.write(&device, 0, range(0, 512), 3),
        collector.flush(1),
        collector.read(&device, 2, range(4096, 512)),
    ]);
    assert_eq!((collector.count(), device.held()), (1, 2));
    thread::scope(|scope| {
        scope.spawn(|| assert!(device.drive(&|| collector.count() == 3, None)));
        while device.release() == 0 {}
    });
    assert_eq!(device.held(), 0);
}

#[test]
fn what_is_held_is_delivered_when_the_device_is_dropped() {
    let device = device();
    device.add(Rule::new("stuck", Effect::Hold));
    let collector = Collector::new();
    device.submit(&mut vec![collector.read(&device, 0, range(0, 512))]);
    assert_eq!(collector.count(), 0);
    drop(device);
    assert_eq!(collector.count(), 1);
}
