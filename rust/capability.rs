// SPDX-License-Identifier: GPL-2.0

//! What the calling task may do beyond the ordinary.
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

/// Whether the calling task has a capability in the initial user namespace. If it has, it is marked as
/// having used it.
pub fn capable(capability: Capability) -> bool {
    // SAFETY: This only looks at the calling task.
    unsafe { bindings::capable(capability as c_int) }
}
