// SPDX-License-Identifier: GPL-2.0

//! One IOMMU, and how the system comes to know it.
//!
//! Each step owns the one before, so that dropping the last undoes all in reverse order.

use super::{
    instances::{Exclusive, Shared},
    Driver,
};
use crate::{bindings, shim::device_ptr};
use core::{cell::UnsafeCell, ptr};
use kernel::{
    device::{Bound, Device},
    error::to_result,
    prelude::*,
    types::Opaque,
};

/// An IOMMU in memory: what C knows of it, then what the driver does.
///
/// # Invariants
///
/// Every `struct iommu_device` that has the functions of `T` is the start of one of these. `next`
/// is read with the lock of `instances.rs` held, and written with it held for writing.
#[repr(C)]
#[pin_data]
pub(in crate::iommu) struct Instance<T: Driver> {
    #[pin]
    raw: Opaque<bindings::iommu_device>,
    next: UnsafeCell<*const Self>,
    #[pin]
    driver: T,
}

// SAFETY: `raw` is protected by locks of the core, `next` by the lock, and drivers are `Send`.
unsafe impl<T: Driver> Send for Instance<T> {}
// SAFETY: As above, and drivers are `Sync`.
unsafe impl<T: Driver> Sync for Instance<T> {}

impl<T: Driver> Instance<T> {
    /// An IOMMU that nobody knows yet.
    fn new(driver: impl PinInit<T, Error>) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                raw: Opaque::new(bindings::iommu_device {
                    max_pasids: T::MAX_PASIDS,
                    ..pin_init::zeroed()
                }),
                next: UnsafeCell::new(ptr::null()),
                driver <- driver,
            }? Error),
            GFP_KERNEL,
        )
    }

    /// The IOMMU behind C's pointer.
    ///
    /// # Safety
    ///
    /// `raw` is valid and has the functions of `T`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::iommu_device) -> &'a Self {
        // SAFETY: By the type invariant; the caller vouches for the pointer.
        unsafe { &*raw.cast() }
    }

    pub(in crate::iommu) fn as_raw(&self) -> *mut bindings::iommu_device {
        self.raw.get()
    }

    pub(super) fn driver(&self) -> &T {
        &self.driver
    }

    /// The link to the next IOMMU of the driver, to be used while the lock is held.
    pub(super) fn next(&self, _list: &Exclusive) -> *mut *const Self {
        self.next.get()
    }

    pub(super) fn set_next(&self, _list: &Exclusive, next: *const Self) {
        // SAFETY: By the type invariant the lock is the permission to write the link.
        unsafe { *self.next.get() = next };
    }

    /// The next IOMMU of the driver, or null.
    pub(super) fn read_next(&self, _list: &Shared) -> *const Self {
        // SAFETY: By the type invariant the lock is the permission to read the link.
        unsafe { *self.next.get() }
    }
}

/// An IOMMU that sysfs shows, under `/sys/class/iommu`.
///
/// # Invariants
///
/// `iommu_device_sysfs_add()` succeeded for it.
pub(in crate::iommu) struct Named<T: Driver>(Pin<KBox<Instance<T>>>);

impl<T: Driver> Named<T> {
    pub(in crate::iommu) fn new(
        parent: &Device<Bound>,
        name: &CStr,
        driver: impl PinInit<T, Error>,
    ) -> Result<Self> {
        let instance = Instance::new(driver)?;

        // SAFETY: Instance and device are valid; the format takes one string, which is copied.
        to_result(unsafe {
            bindings::iommu_device_sysfs_add(
                instance.as_raw(),
                device_ptr(parent),
                ptr::null_mut(),
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        })?;
        // INVARIANT: It succeeded.
        Ok(Self(instance))
    }
}

impl<T: Driver> Drop for Named<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it was added.
        unsafe { bindings::iommu_device_sysfs_remove(self.0.as_raw()) };
    }
}

impl<T: Driver> Named<T> {
    pub(in crate::iommu) fn instance(&self) -> &Instance<T> {
        &self.0
    }
}

/// An IOMMU that devices are offered to when the core offers them to the driver.
///
/// It leaves the list when this is dropped, unless it was [kept](Self::keep) there.
///
/// # Invariants
///
/// `0` is on the list of the operations of `T`.
pub(in crate::iommu) struct Listed<'a, T: Driver>(&'a Named<T>);

impl<'a, T: Driver> Listed<'a, T> {
    pub(in crate::iommu) fn new(named: &'a Named<T>) -> Self {
        // INVARIANT: It is on the list now. SAFETY: It is removed when the result is dropped, or by
        // the caller of `keep`; the box does not move what is in it.
        unsafe { T::operations().add(named.instance()) };
        Self(named)
    }

    /// Leaves the IOMMU on the list. The caller [unlists](unlist) it before it drops `0`.
    pub(in crate::iommu) fn keep(self) {
        core::mem::forget(self);
    }
}

impl<T: Driver> Drop for Listed<'_, T> {
    fn drop(&mut self) {
        unlist(self.0);
    }
}

/// Takes an IOMMU that is listed off the list: no further device is offered to it.
pub(in crate::iommu) fn unlist<T: Driver>(named: &Named<T>) {
    T::operations().remove(named.instance());
}

/// An IOMMU that is part of the system; dropping it takes it away.
///
/// Devices that it serves keep the module loaded; one that a driver still uses must not lose its
/// IOMMU. So a registration belongs into the data of the module, or into those of a driver that is
/// not unbound from the device that is the IOMMU.
///
/// # Invariants
///
/// It is on the list of the operations of `T`, and `iommu_device_register()` succeeded for it.
pub struct Registration<T: Driver>(Named<T>);

impl<T: Driver> Registration<T> {
    /// Adds an IOMMU, which is the device `parent`, under a name in sysfs. The devices that are
    /// there are offered to it before this returns.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EEXIST` for a name that there is, or what probing a device has led to.
    pub fn new(
        parent: &Device<Bound>,
        name: &CStr,
        driver: impl PinInit<T, Error>,
    ) -> Result<Self> {
        let named = Named::new(parent, name, driver)?;
        let listed = Listed::new(&named);

        // SAFETY: The instance is valid until it is unregistered, the functions for ever.
        to_result(unsafe {
            bindings::iommu_device_register(
                named.instance().as_raw(),
                T::operations().as_raw(),
                device_ptr(parent),
            )
        })?;
        listed.keep();
        // INVARIANT: It succeeded, and the IOMMU stays on the list.
        Ok(Self(named))
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        // Before the core lets go of its devices, so that none of them comes back.
        unlist(&self.0);
        // SAFETY: By the type invariant it is registered.
        unsafe { bindings::iommu_device_unregister(self.0.instance().as_raw()) };
    }
}
