//! `client_ops` under libFuzzer; built as usual, it replays the inputs that it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tidelock_fuzz::client_ops(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    tidelock_fuzz::replay(tidelock_fuzz::client_ops)
}
