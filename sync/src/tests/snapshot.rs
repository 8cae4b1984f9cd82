//! Both snapshots: a reader keeps what it loaded, and sees what was stored before it looked.

use crate::{ColdSnapshot, Snapshot};

#[test]
fn a_reader_keeps_what_it_loaded_while_another_value_is_stored() {
    let hot = Snapshot::new(1);
    let cold = ColdSnapshot::new(1);
    let (kept_hot, kept_cold) = (hot.load(), cold.load());
    hot.store(2);
    cold.store(2);
    assert_eq!((*kept_hot, *hot.load()), (1, 2));
    assert_eq!((*kept_cold, *cold.load()), (1, 2));
}

#[test]
fn readers_never_see_time_run_backwards() {
    let cell = std::sync::Arc::new(Snapshot::new(0u64));
    let writer = {
        let cell = cell.clone();
        std::thread::spawn(move || (1..=10_000).for_each(|value| cell.store(value)))
    };
    let mut last = 0;
    while last < 10_000 {
        let now = *cell.load();
        assert!(now >= last);
        last = now;
    }
    writer.join().unwrap();
}
