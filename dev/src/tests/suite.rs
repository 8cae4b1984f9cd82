//! The contract of `BlockDevice`, as tests that every device passes.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::collector::{Collector, bytes, fault, range};
use super::subjects::{self, Shape, Subject};
use crate::{AlignedBuffer, Fault, Operation, blocking, io};

const SHAPE: Shape = Shape { size: 4 << 20, depth: 8 };

/// Runs each test of the suite against one subject.
macro_rules! suite {
    ($($(#[$attribute:meta])* $subject:ident),* $(,)?) => {
        $( $(#[$attribute])* mod $subject { suite!(@tests $subject:
            what_was_written_is_read_back,
            what_was_never_written_is_zero,
            a_batch_larger_than_the_queue_completes,
            each_request_completes_once_even_beside_refused_ones,
            a_range_outside_the_device_is_refused,
            a_range_off_the_unit_is_refused,
            a_buffer_that_does_not_fit_is_refused,
            many_reads_at_once_each_bring_their_own_bytes,
            a_device_cut_off_while_open_reports_how_much_it_moved,
            small_reads_side_by_side_of_what_was_cut_off_end_short,
            a_flush_completes_after_writes,
            flushes_side_by_side_all_complete,
            eight_threads_drive_at_once,
            a_thread_waits_for_what_another_submits,
            a_thread_is_woken_by_the_refusal_of_anothers_request,
            a_deadline_ends_the_drive,
            who_has_no_time_to_wait_sees_what_has_completed,
            a_future_completes_though_no_thread_drives,
            a_future_completes_beside_driving_threads,
            what_a_dropped_future_started_still_completes,
            dropping_the_device_delivers_what_is_in_flight,
            a_thread_may_end_right_after_it_submitted,
            submit_and_drive_does_both,
            a_lone_read_is_told_to_all_who_wait_for_it,
            what_is_queued_starts_when_anybody_waits,
            what_is_queued_starts_for_who_waits_already,
        ); } )*
    };
    (@tests $subject:ident: $($test:ident),* $(,)?) => {
        $( #[test] fn $test() { super::$test(super::subjects::$subject); } )*
    };
}

suite! {
    mem,
    threads_direct,
    threads_cached,
    #[cfg(target_os = "linux")]
    uring_direct,
    #[cfg(target_os = "linux")]
    uring_cached,
    counted,
    torn,
    faulty_without_rules,
    #[cfg(target_os = "linux")]
    everything_over_uring,
}

type Make = fn(Shape) -> Subject;

fn what_was_written_is_read_back(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let unit = device.align() as u64;
    let lengths = [unit, 2 * unit, 3 * unit, 4096.max(unit), 65536, 65536 + unit];
    for (index, len) in lengths.into_iter().enumerate() {
        for offset in [0, unit, 7 * unit, 65536 - unit, SHAPE.size - len] {
            let mut buffer = AlignedBuffer::zeroed(len as usize, device.align());
            let first = (index as u64 * 31 + offset / unit) as u8;
            buffer.iter_mut().enumerate().for_each(|(at, byte)| *byte = first.wrapping_add((at / 7) as u8));
            let written = blocking::write(device, range(offset, len), buffer).unwrap();
            let read = blocking::read(device, range(offset, len)).unwrap();
            assert!(read[..] == written[..], "{len} bytes at {offset}");
        }
    }
}

fn what_was_never_written_is_zero(make: Make) {
    let subject = make(SHAPE);
    let read = blocking::read(&*subject.device, range(65536, 131072)).unwrap();
    assert!(read.iter().all(|byte| *byte == 0));
}

fn a_batch_larger_than_the_queue_completes(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    let place = |index: u64| range(index * 4096, 4096);
    let writes = (0..500).map(|tag| collector.write(device, tag, place(tag), tag as u8)).collect();
    for completion in collector.run(device, writes) {
        completion.result.unwrap();
    }
    let reads = (0..500).map(|tag| collector.read(device, tag, place(tag))).collect();
    let completions = collector.run(device, reads);
    assert_eq!(completions.len(), 500);
    for (tag, completion) in completions.iter().enumerate() {
        assert_eq!((completion.tag, completion.result), (tag as u64, Ok(())));
        assert!(bytes(completion).iter().all(|byte| *byte == tag as u8), "block {tag}");
    }
}

fn each_request_completes_once_even_beside_refused_ones(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    let offset = |tag: u64| if tag.is_multiple_of(3) { SHAPE.size } else { tag * 4096 };
    let batch = (0..100).map(|tag| collector.read(device, tag, range(offset(tag), 4096))).collect();
    let completions = collector.run(device, batch);
    let tags: Vec<u64> = completions.iter().map(|completion| completion.tag).collect();
    assert_eq!(tags, (0..100).collect::<Vec<u64>>());
    for completion in &completions {
        assert_eq!(completion.result.is_err(), completion.tag % 3 == 0, "request {}", completion.tag);
        assert_eq!(bytes(completion).len(), 4096, "a refused request gives its buffer back too");
    }
    // Nothing comes late.
    drop(subject);
    assert_eq!(collector.count(), 100);
}

/// S-41: both ends of the range are checked, against this device.
fn a_range_outside_the_device_is_refused(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let unit = device.align() as u64;
    for (offset, len) in [(SHAPE.size, unit), (SHAPE.size - unit, 2 * unit), (1 << 60, unit)] {
        let error = blocking::read(device, range(offset, len)).unwrap_err();
        assert!(matches!(error.fault, Fault::Range(_)), "{error}");
        let buffer = AlignedBuffer::zeroed(len as usize, device.align());
        let error = blocking::write(device, range(offset, len), buffer).unwrap_err();
        assert_eq!((error.operation, error.range), (Operation::Write, range(offset, len)));
    }
}

fn a_range_off_the_unit_is_refused(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let unit = device.align() as u64;
    for (offset, len) in [(1, unit), (unit / 2, unit), (0, unit / 2), (0, unit + 1)] {
        let error = blocking::read(device, range(offset, len)).unwrap_err();
        assert!(matches!(error.fault, Fault::Range(_)), "{error}");
    }
}

fn a_buffer_that_does_not_fit_is_refused(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    let unit = device.align();
    let short = AlignedBuffer::zeroed(unit, unit);
    let missing = collector.request(Operation::Read, range(0, unit as u64), None, 1);
    let needless =
        collector.request(Operation::Flush, range(0, 0), Some(AlignedBuffer::zeroed(unit, unit)), 2);
    let batch = vec![
        collector.request(Operation::Read, range(0, 2 * unit as u64), Some(short), 0),
        missing,
        needless,
        lent_off_the_unit(&collector, unit, 3),
    ];
    for completion in collector.run(device, batch) {
        assert!(matches!(fault(&completion.result), Some(Fault::Buffer(_))), "{completion:?}");
    }
}

/// A read into memory at an odd address.
fn lent_off_the_unit(collector: &Arc<Collector>, unit: usize, tag: u64) -> crate::Request {
    let memory = Box::leak(vec![0_u8; 2 * unit].into_boxed_slice());
    let odd = memory.as_ptr().addr() % 2;
    let address = std::ptr::NonNull::from(&mut memory[1 - odd]);
    // SAFETY: leaked, so allocated for ever, and nobody else has it.
    let buffer = unsafe { crate::RawBuffer::new(address, unit) };
    crate::Request {
        operation: Operation::Read,
        range: range(0, unit as u64),
        buffer: Some(crate::Buffer::Lent(buffer)),
        tag,
        completer: collector.clone(),
    }
}

/// More than any device keeps places for, small and large, and in the second round into places that were used before.
fn many_reads_at_once_each_bring_their_own_bytes(make: Make) {
    let subject = make(Shape { depth: 256, ..SHAPE });
    let device = &*subject.device;
    let unit = device.align() as u64;
    let collector = Collector::new();
    let writes =
        (0..SHAPE.size / unit).map(|at| collector.write(device, at, range(at * unit, unit), own(at)));
    assert!(collector.run(device, writes.collect()).iter().all(|completion| completion.result.is_ok()));
    for round in 0..2 {
        let place = |tag: u64| {
            let len = [unit, 4096.max(unit), 8192.max(unit)][(tag + round) as usize % 3];
            range((tag * 5 + round) * 2048 / unit * unit, len)
        };
        let reads = (0..200).map(|tag| collector.read(device, tag, place(tag))).collect();
        for (tag, completion) in collector.run(device, reads).iter().enumerate() {
            let first = place(tag as u64).offset() / unit;
            let units = bytes(completion).chunks(unit as usize).zip(first..);
            assert_eq!((completion.tag, completion.result), (tag as u64, Ok(())));
            units.for_each(|(bytes, at)| assert!(bytes.iter().all(|byte| *byte == own(at)), "read {tag}"));
        }
    }
}

/// A byte for each place on a device.
fn own(at: u64) -> u8 {
    (at % 251) as u8
}

fn small_reads_side_by_side_of_what_was_cut_off_end_short(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let unit = device.align() as u64;
    (subject.truncate)((1 << 20) + unit);
    let collector = Collector::new();
    let reads = [-4i64, -1, 0, 1, 4].iter().zip(0..).map(|(blocks, tag)| {
        let offset = (1i64 << 20) + blocks * 4096;
        collector.read(device, tag, range(offset as u64, 4096))
    });
    let completions = collector.run(device, reads.collect());
    let faults: Vec<Option<Fault>> = completions.iter().map(|completion| fault(&completion.result)).collect();
    let cut = (unit < 4096).then_some(Fault::Short { got: unit });
    let beyond = Some(Fault::Short { got: 0 });
    assert_eq!(faults, [None, None, cut, beyond, beyond]);
}

fn a_device_cut_off_while_open_reports_how_much_it_moved(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    (subject.truncate)(1 << 20);
    let error = blocking::read(device, range((1 << 20) - 4096, 8192)).unwrap_err();
    assert_eq!(error.fault, Fault::Short { got: 4096 });
    let error = blocking::read(device, range(2 << 20, 4096)).unwrap_err();
    assert_eq!(error.fault, Fault::Short { got: 0 });
    blocking::read(device, range(0, 4096)).unwrap();
}

fn a_flush_completes_after_writes(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    for round in 0..4 {
        let buffer = AlignedBuffer::zeroed(65536, device.align());
        blocking::write(device, range(round * 65536, 65536), buffer).unwrap();
        blocking::flush(device).unwrap();
    }
}

fn flushes_side_by_side_all_complete(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    let batch = (0..64).map(|tag| match tag % 4 {
        0 => collector.write(device, tag, range(tag * 4096, 4096), 1),
        _ => collector.flush(tag),
    });
    let completions = collector.run(device, batch.collect());
    assert_eq!(completions.len(), 64);
    completions.iter().for_each(|completion| assert_eq!(completion.result, Ok(())));
}

fn eight_threads_drive_at_once(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || mix(device, number));
        }
    });
}

/// One thread's share: lone reads and writes, batches, flushes, and deadlines that are too short, on its own part of the
/// device.
fn mix(device: &dyn crate::BlockDevice, number: u64) {
    let collector = Collector::new();
    let place = |index: u64| range(number * 65536 + index % 16 * 4096, 4096);
    for round in 0..40 {
        let byte = (number * 40 + round) as u8;
        let batch = (0..16).map(|index| collector.write(device, index, place(index), byte)).collect();
        collector.run(device, batch).iter().for_each(|completion| assert_eq!(completion.result, Ok(())));
        if round % 8 == number {
            blocking::flush(device).unwrap();
        }
        let read = blocking::read(device, place(round)).unwrap();
        assert!(read.iter().all(|found| *found == byte), "thread {number}, round {round}");
        let target = collector.count() + 1;
        device.submit(&mut vec![collector.read(device, 0, place(round))]);
        device.drive(&|| collector.count() >= target, Some(Instant::now() + Duration::from_micros(round)));
        assert!(device.drive(&|| collector.count() >= target, None));
        collector.take();
    }
}

fn a_thread_waits_for_what_another_submits(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    for _ in 0..20 {
        let collector = Collector::new();
        thread::scope(|scope| {
            scope.spawn(|| assert!(device.drive(&|| collector.count() == 1, None)));
            thread::sleep(Duration::from_millis(1));
            device.submit(&mut vec![collector.read(device, 0, range(0, 4096))]);
        });
    }
}

fn a_thread_is_woken_by_the_refusal_of_anothers_request(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    for round in 0..40 {
        let collector = Collector::new();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert!(device.drive(&|| collector.count() == 2, None)));
            }
            thread::sleep(Duration::from_micros(50 * round));
            device.submit(&mut vec![collector.read(device, 0, range(SHAPE.size, 4096))]);
            device.submit(&mut vec![collector.read(device, 1, range(SHAPE.size, 4096))]);
        });
    }
}

fn a_deadline_ends_the_drive(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let limit = Duration::from_millis(20);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let start = Instant::now();
                assert!(!device.drive(&|| false, Some(start + limit)));
                assert!(start.elapsed() >= limit);
                assert!(device.drive(&|| true, Some(start)), "a wait that is over beats its deadline");
            });
        }
    });
    blocking::read(device, range(0, 4096)).unwrap();
}

/// It asks again and again, and nobody else drives.
fn who_has_no_time_to_wait_sees_what_has_completed(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    device.queue(&mut vec![collector.read(device, 0, range(0, 4096))]);
    let give_up = Instant::now() + Duration::from_secs(30);
    while !device.drive(&|| collector.count() == 1, Some(Instant::now())) {
        assert!(Instant::now() < give_up, "it has completed long since");
    }
}

/// Wakes a thread, for a future polled by hand.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future to its end on this thread, without ever driving a device.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn a_future_completes_though_no_thread_drives(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    for round in 0..50 {
        let mut buffer = AlignedBuffer::zeroed(4096, device.align());
        buffer.fill(round);
        block_on(async {
            io::write(device, range(0, 4096), buffer).await.unwrap();
            io::flush(device).await.unwrap();
            let read = io::read(device, range(0, 4096)).await.unwrap();
            assert!(read.iter().all(|byte| *byte == round));
        });
    }
}

fn a_future_completes_beside_driving_threads(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    thread::scope(|scope| {
        for number in 0..3 {
            scope.spawn(move || mix(device, number));
        }
        for number in 3..6 {
            scope.spawn(move || {
                for round in 0..100 {
                    let place = range(number * 65536 + round % 16 * 4096, 4096);
                    block_on(io::read(device, place)).unwrap();
                }
            });
        }
    });
}

fn what_a_dropped_future_started_still_completes(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let mut buffer = AlignedBuffer::zeroed(65536, device.align());
    buffer.fill(7);
    drop(io::read(device, range(65536, 65536)));
    drop(io::write(device, range(0, 65536), buffer));
    // Nobody was told when the write ended, so only looking tells that it did.
    let is_there = || {
        let read = blocking::read(device, range(0, 65536)).unwrap();
        read.iter().all(|byte| *byte == 7)
    };
    let limit = Instant::now() + Duration::from_secs(20);
    while !is_there() {
        assert!(Instant::now() < limit, "the write was lost with its future");
    }
}

fn dropping_the_device_delivers_what_is_in_flight(make: Make) {
    for attended in [false, true] {
        let subject = make(SHAPE);
        let device = &*subject.device;
        if attended {
            device.attend();
        }
        let collector = Collector::new();
        let mut batch = (0..100).map(|tag| collector.read(device, tag, range(tag * 4096, 4096))).collect();
        device.submit(&mut batch);
        drop(subject);
        let completions = collector.take();
        assert_eq!(completions.len(), 100);
        completions.iter().for_each(|completion| assert_eq!(completion.result, Ok(())));
    }
}

/// io_uring cancels what a thread had submitted when it ends; nobody may notice.
fn a_thread_may_end_right_after_it_submitted(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    for round in 0..30 {
        let submitter = || {
            let mut batch = vec![collector.flush(0), collector.read(device, 1, range(0, 65536))];
            batch.push(collector.write(device, 2, range(65536, 4096), 1));
            device.submit(&mut batch);
        };
        thread::scope(|scope| {
            scope.spawn(submitter);
        });
        assert!(device.drive(&|| collector.count() == 3 * (round + 1), None));
        collector.take().iter().for_each(|completion| assert_eq!(completion.result, Ok(())));
    }
}

fn what_is_queued_starts_when_anybody_waits(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    let mut batch: Vec<_> = (0..5).map(|tag| collector.read(device, tag, range(tag * 4096, 4096))).collect();
    device.queue(&mut batch);
    assert!(batch.is_empty());
    // For another request than these.
    device.submit(&mut vec![collector.flush(5)]);
    assert!(device.drive(&|| collector.count() == 6, None));
    device.queue(&mut vec![collector.flush(6)]);
    device.attend();
    let deadline = Instant::now() + Duration::from_secs(30);
    while collector.count() < 7 {
        assert!(Instant::now() < deadline, "nobody has started the flush");
        thread::sleep(Duration::from_millis(1));
    }
}

fn what_is_queued_starts_for_who_waits_already(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    thread::scope(|scope| {
        scope.spawn(|| assert!(device.drive(&|| collector.count() == 1, None)));
        thread::sleep(Duration::from_millis(20));
        device.queue(&mut vec![collector.flush(0)]);
    });
}

fn submit_and_drive_does_both(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let collector = Collector::new();
    let mut batch: Vec<_> = (0..20).map(|tag| collector.read(device, tag, range(tag * 4096, 4096))).collect();
    assert!(device.submit_and_drive(&mut batch, &|| collector.count() == 20, None));
    // Started even when there is nothing to wait for.
    let seen = AtomicBool::new(false);
    let done = || {
        // Relaxed: one thread.
        seen.store(true, Ordering::Relaxed);
        true
    };
    assert!(device.submit_and_drive(&mut vec![collector.flush(20)], &done, None));
    // Relaxed: one thread.
    assert!(seen.load(Ordering::Relaxed));
    assert!(device.drive(&|| collector.count() == 21, None));
}

/// Whether they came before it was queued, while it runs, or after.
fn a_lone_read_is_told_to_all_who_wait_for_it(make: Make) {
    let subject = make(SHAPE);
    let device = &*subject.device;
    let (collector, start) = (Collector::new(), std::sync::Barrier::new(3));
    let rounds = 1..=200;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for round in rounds.clone() {
                    start.wait();
                    assert!(device.drive(&|| collector.count() >= round, None));
                }
            });
        }
        for round in rounds.clone() {
            start.wait();
            device.queue(&mut vec![collector.read(device, round as u64, range(4096, 4096))]);
            assert!(device.drive(&|| collector.count() >= round, None));
        }
    });
    assert!(collector.take().iter().all(|completion| completion.result.is_ok()));
}
