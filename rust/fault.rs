// SPDX-License-Identifier: GPL-2.0

//! Fault injection for tests.
//!
//! In test builds, `/sys/kernel/debug/fail_iommufd` and `/proc/self/fail-nth` select the calls that
//! fail; see `Documentation/fault-injection/fault-injection.rst` of the kernel. In other builds
//! [`should_fail`] is a constant, and no code is generated.

/// Returns whether the caller must fail here, with an error that can occur there.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn should_fail() -> bool {
    // SAFETY: The function has no preconditions: it accesses only static fault attributes and the
    // current task.
    unsafe { crate::bindings::kernel_ext_should_fail() }
}

/// Returns whether the caller must fail here: never in builds without tests.
#[cfg(not(CONFIG_IOMMUFD_RUST_TEST))]
#[inline(always)]
pub const fn should_fail() -> bool {
    false
}
