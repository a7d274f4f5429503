// SPDX-License-Identifier: GPL-2.0

//! Errors on purpose, where a test asks for them.
//!
//! In test builds, `/sys/kernel/debug/fail_iommufd` and `/proc/self/fail-nth` say when; see
//! `Documentation/fault-injection/fault-injection.rst` of the kernel. In others the answer is a constant, and
//! the question compiles to nothing.

/// Whether the caller is to fail here, with an error that it could have met.
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub fn should_fail() -> bool {
    // SAFETY: There is nothing to it.
    unsafe { crate::bindings::kernel_ext_should_fail() }
}

/// Whether the caller is to fail here: in builds without tests, never.
#[cfg(not(CONFIG_IOMMUFD_RUST_TEST))]
#[inline(always)]
pub const fn should_fail() -> bool {
    false
}
