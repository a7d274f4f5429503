// SPDX-License-Identifier: GPL-2.0

//! The word that CPUs and a device share: see `rust/iommu/word.rs`, which stands here in the kernel.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// An atomic of the standard library, or of the model checker.
pub struct Word(AtomicU64);

impl Word {
    /// A word of its own.
    pub fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    #[inline(always)]
    pub fn load(&self) -> u64 {
        // The kernel's memory model orders accesses behind an address dependency; this one knows
        // no such thing.
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
