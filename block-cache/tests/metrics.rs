//! What a recorder gets to see.
#![cfg(all(feature = "metrics", not(any(tidelock_loom, tidelock_shuttle))))]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tidelock_block_cache::{BlockCache, describe_metrics};
use tidelock_dev::MemDevice;
use tidelock_format::{BlockNo, BlockRef, BlockSize, Magic, Seq};

/// Keeps everything it is told.
#[derive(Default)]
struct Keeper {
    described: Mutex<BTreeMap<String, String>>,
    values: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Keeper {
    fn describe(&self, key: KeyName, meaning: SharedString) {
        self.described.lock().unwrap().insert(key.as_str().into(), meaning.to_string());
    }

    fn value(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.values.lock().unwrap().entry(name).or_default().clone()
    }

    fn counter(&self, name: &str) -> u64 {
        let name = format!("tidelock_block_cache_{name}{{cache=trees}}");
        // Relaxed: the test's own numbers.
        self.values.lock().unwrap()[&name].load(Ordering::Relaxed)
    }

    /// The `metrics` facade keeps a gauge in the bits of an `f64`.
    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.counter(name))
    }
}

impl Recorder for Keeper {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, meaning: SharedString) {
        self.describe(key, meaning);
    }
    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, meaning: SharedString) {
        self.describe(key, meaning);
    }
    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, meaning: SharedString) {
        self.describe(key, meaning);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

const CAPACITY: u64 = 1 << 20;

fn cache() -> BlockCache {
    let device = Arc::new(MemDevice::new(1 << 20));
    let builder = BlockCache::builder(device).block_size(BlockSize::MIN).name("trees");
    builder.capacity(CAPACITY).capacity_max(CAPACITY).build().unwrap()
}

#[test]
fn counters_and_gauges_carry_the_name_of_their_cache() {
    let (keeper, cache) = (Keeper::default(), cache());
    let block = BlockRef::new(BlockNo(3), Seq(1));
    assert!(cache.get(block, Magic(1)).is_none());
    let held = cache.insert(block, Magic(1), |image| image.fill(0)).unwrap();
    assert!(cache.get(block, Magic(1)).is_some());
    metrics::with_local_recorder(&keeper, || cache.record_metrics());
    assert_eq!((keeper.counter("hits"), keeper.counter("misses")), (1, 1));
    assert_eq!(keeper.gauge("capacity_bytes"), CAPACITY as f64);
    assert!(keeper.gauge("used_bytes") >= held.len() as f64);

    cache.shrink(CAPACITY);
    metrics::with_local_recorder(&keeper, || cache.record_metrics());
    assert_eq!(keeper.counter("shrinks"), 1, "counters go on from where they were");
}

#[test]
fn whatever_is_recorded_was_described() {
    let (keeper, cache) = (Keeper::default(), cache());
    metrics::with_local_recorder(&keeper, || {
        describe_metrics();
        cache.record_metrics();
    });
    let described = keeper.described.lock().unwrap();
    let values = keeper.values.lock().unwrap();
    assert_eq!(values.len(), described.len());
    for (name, meaning) in described.iter() {
        assert!(values.contains_key(&format!("{name}{{cache=trees}}")), "{name} was never recorded");
        assert!(meaning.ends_with('.') && !meaning.starts_with(' '), "{name}: {meaning:?}");
    }
    assert!(values.len() > cache.stats().events.iter().count());
}
