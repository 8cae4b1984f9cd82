//! Numbers are small, distinct among the living, and used again.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::thread_index;

#[test]
fn living_threads_have_distinct_numbers_and_the_dead_give_theirs_back() {
    let round = || {
        let all_here = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let all_here = all_here.clone();
                thread::spawn(move || {
                    let mine = thread_index();
                    all_here.wait();
                    assert_eq!(mine, thread_index(), "a thread keeps its number");
                    mine
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<BTreeSet<_>>()
    };
    let greatest = (0..20).map(|_| round()).inspect(|numbers| assert_eq!(numbers.len(), 8)).flatten().max();
    // Other tests run beside this one; 160 threads lived here, and far fewer numbers were needed.
    assert!(greatest.unwrap() < 100, "numbers are not given back: {greatest:?}");
}
