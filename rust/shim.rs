// SPDX-License-Identifier: GPL-2.0

//! Where this crate depends on what the kernel's Rust API happens to look like in one release.
//!
//! Linux 7.3. A port to the next release begins here.

use crate::bindings;
use core::ffi::c_void;
use kernel::{device::Device, prelude::*};

/// The C structure of a device: `Device::as_raw()` is private to the `kernel` crate.
pub fn device_ptr(dev: &Device) -> *mut bindings::device {
    // `Device` is a transparent wrapper of `struct device`.
    (&raw const *dev).cast_mut().cast()
}

/// The errno as a pointer that C recognises with `IS_ERR()`: `Error::to_ptr()` likewise.
pub fn error_ptr(error: Error) -> *mut c_void {
    core::ptr::without_provenance_mut(error.to_errno() as isize as usize)
}
