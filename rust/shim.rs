// SPDX-License-Identifier: GPL-2.0

//! The places where this crate depends on details of the Rust API of one kernel release.
//!
//! Written for Linux 7.3. A port to another release starts with this file.

use crate::bindings;
use core::ffi::c_void;
use kernel::{device::Device, prelude::*};

/// Returns the C structure of a device. `Device::as_raw()` is private to the `kernel` crate.
pub fn device_ptr(dev: &Device) -> *mut bindings::device {
    // `Device` is a transparent wrapper of `struct device`.
    (&raw const *dev).cast_mut().cast()
}

/// Returns an error as a pointer that C recognises with `IS_ERR()`, as `Error::to_ptr()` does.
pub fn error_ptr(error: Error) -> *mut c_void {
    core::ptr::without_provenance_mut(error.to_errno() as isize as usize)
}
