// SPDX-License-Identifier: GPL-2.0

//! Counters for measurements.

use core::ffi::c_long;

extern "C" {
    fn generic_pt_ticks() -> u64;
    fn generic_pt_spin(rounds: u64);
    fn generic_pt_table_pages() -> c_long;
}

/// Returns the time-stamp counter. Under QEMU with `-icount shift=0` it counts the instructions of
/// the guest.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: The function has no preconditions: it reads a register.
    unsafe { generic_pt_ticks() }
}

/// Number of instructions in each round of [`spin`].
pub const SPIN_INSTRUCTIONS: u64 = 2;

/// Executes a loop of `rounds` rounds, which is not zero.
#[inline(always)]
pub fn spin(rounds: u64) {
    // SAFETY: The function changes registers only. With zero rounds it would take long, but access
    // no memory.
    unsafe { generic_pt_spin(rounds) }
}

/// Returns the number of pages that the kernel counts as IO page tables, of all IOMMUs.
pub fn table_pages() -> i64 {
    // SAFETY: The function has no preconditions: it reads counters that exist as long as the kernel
    // runs.
    unsafe { generic_pt_table_pages() }
}
