// SPDX-License-Identifier: GPL-2.0

//! What is counted.

use core::ffi::c_long;

extern "C" {
    fn generic_pt_ticks() -> u64;
    fn generic_pt_spin(rounds: u64);
    fn generic_pt_table_pages() -> c_long;
}

/// The time-stamp counter. Under QEMU's `-icount shift=0` it counts the guest's instructions.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: There is nothing to it.
    unsafe { generic_pt_ticks() }
}

/// Instructions in a round of [`spin`].
pub const SPIN_INSTRUCTIONS: u64 = 2;

/// Goes in circles; `rounds` is not zero.
#[inline(always)]
pub fn spin(rounds: u64) {
    // SAFETY: It is a loop and nothing else.
    unsafe { generic_pt_spin(rounds) }
}

/// How many pages the kernel counts as IO page tables, of whatever IOMMU.
pub fn table_pages() -> i64 {
    // SAFETY: It reads counters.
    unsafe { generic_pt_table_pages() }
}
