// SPDX-License-Identifier: GPL-2.0

//! The parameters of the module, which may change at run time.

use crate::bindings;

/// Returns whether devices may be bound that can raise interrupts of other devices.
pub fn allow_unsafe_interrupts() -> bool {
    // SAFETY: The function has no precondition: it takes no arguments and reads one variable.
    unsafe { bindings::iommufd_core_allow_unsafe_interrupts() }
}
