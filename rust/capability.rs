// SPDX-License-Identifier: GPL-2.0

//! Capabilities of the calling task.
//!
//! C header: `include/linux/capability.h`.

use crate::bindings;
use kernel::prelude::*;

/// A capability.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Capability {
    /// Raw access to hardware.
    SysRawio = bindings::CAP_SYS_RAWIO,
    /// Overriding limits on resources.
    SysResource = bindings::CAP_SYS_RESOURCE,
}

/// Returns whether the calling task has a capability in the initial user namespace. If so, marks
/// the task as having used privileges (`PF_SUPERPRIV`).
pub fn capable(capability: Capability) -> bool {
    // SAFETY: `capable()` accepts any valid capability, and accesses only the current task.
    unsafe { bindings::capable(capability as c_int) }
}
