// SPDX-License-Identifier: GPL-2.0

//! Scheduling of long operations in the kernel.

use crate::bindings;

/// Lets other tasks run, if they wait for the CPU. Returns whether the current task was killed, so
/// that an operation that takes long is to end early. The caller may sleep.
pub fn yield_now() -> bool {
    // SAFETY: The function has no preconditions other than that the caller may sleep, which the
    // kernel checks in debug builds.
    unsafe { bindings::kernel_ext_yield() }
}
