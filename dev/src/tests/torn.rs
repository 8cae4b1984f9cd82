//! A power cut keeps what was flushed, and any part of the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::collector::range;
use crate::{AlignedBuffer, BlockDevice, Fault, MemDevice, Survivors, Torn, blocking};

const SIZE: u64 = 64 << 10;

fn device() -> Torn {
    Torn::new(Arc::new(MemDevice::new(SIZE)))
}

fn put(device: &dyn BlockDevice, sector: u64, sectors: u64, byte: u8) -> Result<(), Fault> {
    let mut buffer = AlignedBuffer::zeroed(sectors as usize * 512, 512);
    buffer.fill(byte);
    blocking::write(device, range(sector * 512, sectors * 512), buffer)
        .map(|_| ())
        .map_err(|error| error.fault)
}

/// The first byte of each of the first `sectors` sectors; all bytes of a sector are alike.
fn show(device: &dyn BlockDevice, sectors: u64) -> Vec<u8> {
    let bytes = blocking::read(device, range(0, sectors * 512)).unwrap();
    let shown: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
    assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "a sector is torn");
    shown
}

#[test]
fn a_write_is_seen_before_it_is_flushed() {
    let device = device();
    put(&device, 1, 4, 1).unwrap();
    put(&device, 2, 1, 2).unwrap();
    assert_eq!(show(&device, 6), [0, 1, 2, 1, 1, 0]);
    blocking::flush(&device).unwrap();
    put(&device, 4, 2, 3).unwrap();
    assert_eq!(show(&device, 6), [0, 1, 2, 1, 3, 3]);
}

#[test]
fn what_was_flushed_survives_every_cut() {
    for seed in 0..50 {
        let device = device();
        put(&device, 0, 8, 1).unwrap();
        blocking::flush(&device).unwrap();
        let survivors = device.power_cut(seed).unwrap();
        assert_eq!(survivors, Survivors::default());
        device.power_on();
        assert_eq!(show(&device, 8), [1; 8]);
    }
}

#[test]
fn unflushed_writes_are_kept_lost_and_torn_and_reordered() {
    let (mut kept, mut lost, mut torn, mut reordered) = (0, 0, 0, 0);
    for seed in 0..200 {
        let device = device();
        put(&device, 0, 4, 1).unwrap();
        put(&device, 4, 4, 2).unwrap();
        let survivors = device.power_cut(seed).unwrap();
        assert_eq!(survivors.whole + survivors.torn + survivors.lost, 2);
        device.power_on();
        let shown = show(&device, 8);
        kept += usize::from(shown == [1, 1, 1, 1, 2, 2, 2, 2]);
        lost += usize::from(shown == [0; 8]);
        torn += usize::from(survivors.torn > 0);
        reordered += usize::from(shown == [0, 0, 0, 0, 2, 2, 2, 2]);
    }
    assert!(kept > 0 && lost > 0 && torn > 0 && reordered > 0, "{kept} {lost} {torn} {reordered}");
}

#[test]
fn without_power_everything_is_refused() {
    let device = device();
    device.power_cut(0).unwrap();
    assert!(device.is_off());
    let off = Err(Fault::Refused("the power is off"));
    assert_eq!(put(&device, 0, 1, 1), off);
    assert_eq!(blocking::read(&device, range(0, 512)).map(|_| ()).map_err(|error| error.fault), off);
    assert_eq!(blocking::flush(&device).map_err(|error| error.fault), off);
    device.power_on();
    put(&device, 0, 1, 1).unwrap();
}

#[test]
fn a_countdown_cuts_after_the_nth_write_or_flush() {
    // The two writes and the flush of a run survive up to the cut, and nothing comes after it.
    for n in 0..=4 {
        let device = device();
        device.cut_after(n, 7).unwrap();
        let results =
            [put(&device, 0, 1, 1).is_ok(), blocking::flush(&device).is_ok(), put(&device, 1, 1, 2).is_ok()];
        assert_eq!(results.map(u64::from).iter().sum::<u64>(), n.min(3));
        assert_eq!(device.is_off(), n <= 3);
        device.power_on();
        assert!(n < 2 || show(&device, 1) == [1], "what was flushed before the cut is there");
    }
}

#[test]
fn every_outcome_of_a_small_cut_can_be_tried() {
    let device = device();
    put(&device, 0, 1, 9).unwrap();
    blocking::flush(&device).unwrap();
    put(&device, 0, 2, 1).unwrap();
    put(&device, 1, 1, 2).unwrap();
    let outcomes: BTreeSet<Vec<u8>> =
        device.cuts().map(|cut| show(&device.after(&cut).unwrap(), 2)).collect();
    // Sector 0: flushed 9 or 1. Sector 1: nothing, 1 or 2.
    let expected = [[1, 0], [1, 1], [1, 2], [9, 0], [9, 1], [9, 2]];
    assert_eq!(outcomes, expected.iter().map(|outcome| outcome.to_vec()).collect());
    assert_eq!(device.cuts().count(), 8);
    assert_eq!(show(&device, 2), [1, 2], "trying changes nothing");
}

#[derive(Clone, Debug)]
enum Step {
    Write { sector: u64, sectors: u64 },
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0_u64..12, 1_u64..5).prop_map(|(sector, sectors)| Step::Write { sector, sectors });
    proptest::collection::vec(prop_oneof![4 => write, 1 => Just(Step::Flush)], 1..20)
}

proptest! {
    /// Each sector shows the last flushed write to it, or one of those after.
    #[test]
    fn a_sector_never_goes_behind_what_was_flushed(steps in steps(), seed: u64) {
        let device = device();
        let mut allowed = vec![vec![0_u8]; 16];
        for (index, step) in steps.iter().enumerate() {
            let byte = index as u8 + 1;
            match *step {
                Step::Write { sector, sectors } => {
                    put(&device, sector, sectors, byte).unwrap();
                    (sector..sector + sectors).for_each(|sector| allowed[sector as usize].push(byte));
                }
                Step::Flush => {
                    blocking::flush(&device).unwrap();
                    allowed.iter_mut().for_each(|bytes| drop(bytes.drain(..bytes.len() - 1)));
                }
            }
            let newest: Vec<u8> = allowed.iter().map(|bytes| bytes[bytes.len() - 1]).collect();
            prop_assert_eq!(show(&device, 16), newest);
        }
        device.power_cut(seed).unwrap();
        device.power_on();
        for (sector, byte) in show(&device, 16).into_iter().enumerate() {
            prop_assert!(allowed[sector].contains(&byte), "sector {} shows {}", sector, byte);
        }
    }
}
