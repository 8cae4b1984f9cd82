//! Asking the processor to fetch a cache line before it is needed.

/// Fetches the line of `value` for reading. Only a hint; does nothing where the processor has none, and under a model.
#[inline(always)]
pub(crate) fn read<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle))))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: prefetching has no precondition; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle)))))]
    let _ = value;
}

/// The same for writing: no other processor has the line then.
#[inline(always)]
pub(crate) fn write<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri))))]
    // SAFETY: prefetching has no precondition; processors that do not know this one take it for a `nop`.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) std::ptr::from_ref(value), options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(tidelock_loom, tidelock_shuttle, miri)))))]
    let _ = value;
}
