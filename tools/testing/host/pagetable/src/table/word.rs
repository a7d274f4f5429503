// SPDX-License-Identifier: GPL-2.0

//! A word of memory that CPUs and a device share. The kernel has `rust/iommu/word.rs` in its place.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// An atomic of the standard library, or of the model checker.
pub struct Word(AtomicU64);

impl Word {
    /// Creates a word.
    pub fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    #[inline(always)]
    pub fn load(&self) -> u64 {
        // The kernel's memory model orders accesses after an address dependency; that of Rust does
        // not.
        self.0.load(Ordering::Acquire)
    }

    #[inline(always)]
    pub fn store(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    pub fn compare_exchange(&self, old: u64, new: u64) -> Result<(), u64> {
        self.0
            .compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst)
            .map(|_| ())
    }
}
