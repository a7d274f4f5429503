// SPDX-License-Identifier: GPL-2.0

//! The module's parameters, which may change while it runs.

use crate::bindings;

/// Whether devices may be bound that could raise interrupts of other devices.
pub fn allow_unsafe_interrupts() -> bool {
    // SAFETY: The function has no precondition: it takes no arguments and reads one variable.
    unsafe { bindings::iommufd_core_allow_unsafe_interrupts() }
}
