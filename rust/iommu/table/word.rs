// SPDX-License-Identifier: GPL-2.0

//! A word of memory that CPUs and a device share.

use kernel::sync::atomic::{ordering, Atomic};

/// An aligned 64-bit word that other CPUs and a device may read and write at any time.
///
/// The host's tests have another file of this name, over the atomics of `core` or of a model
/// checker.
#[repr(transparent)]
pub struct Word(Atomic<u64>);

impl Word {
    /// A word of its own.
    pub const fn new(value: u64) -> Self {
        Self(Atomic::new(value))
    }

    /// Reads the word. What is reached through the value is seen as it was when the value was
    /// stored: the LKMM orders accesses behind an address that they depend on.
    #[inline(always)]
    pub fn load(&self) -> u64 {
        // SAFETY: `self` is a valid, aligned word. A volatile access of a machine word is the
        // kernel's READ_ONCE(), which the LKMM allows beside any other marked access.
        unsafe { self.0.as_ptr().read_volatile() }
    }

    /// Writes the word, in no order with anything else.
    #[inline(always)]
    pub fn store(&self, value: u64) {
        // SAFETY: As for `load`, and this is WRITE_ONCE().
        unsafe { self.0.as_ptr().write_volatile(value) }
    }

    /// Writes `new` if the word is `old`, fully ordered if so.
    ///
    /// # Errors
    ///
    /// What the word is instead.
    #[inline(always)]
    pub fn compare_exchange(&self, old: u64, new: u64) -> Result<(), u64> {
        self.0.cmpxchg(old, new, ordering::Full).map(|_| ())
    }
}
