// SPDX-License-Identifier: GPL-2.0

//! One IOMMU, and how the system comes to know it.
//!
//! Each step owns the one before, so that dropping the last undoes all in reverse order.

use super::{
    instances::{Exclusive, Shared},
    Driver,
};
use crate::{bindings, shim::device_ptr};
use core::{cell::UnsafeCell, mem::ManuallyDrop, ptr};
use kernel::{
    device::{Bound, Device},
    error::to_result,
    prelude::*,
    sync::atomic::{
        ordering::{Acquire, Relaxed, Release},
        Atomic,
    },
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
    /// The number of devices that the IOMMU serves. Incremented with the lock of `instances.rs`
    /// held, so only while the IOMMU is on the list.
    served: Atomic<usize>,
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
        let instance = KBox::try_pin_init(
            try_pin_init!(Self {
                raw: Opaque::new(pin_init::zeroed()),
                next: UnsafeCell::new(ptr::null()),
                served: Atomic::new(0),
                driver <- driver,
            }? Error),
            GFP_KERNEL,
        )?;
        let pasids = instance.driver.max_pasids().min(T::MAX_PASIDS);

        // SAFETY: The structure is valid, and the core does not know it yet.
        unsafe { (*instance.raw.get()).max_pasids = pasids };
        Ok(instance)
    }

    /// The IOMMU behind C's pointer.
    ///
    /// # Safety
    ///
    /// `raw` is valid and has the functions of `T`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::iommu_device) -> &'a Self {
        // SAFETY: The caller promises that `raw` is valid and has the functions of `T`. By the type
        // invariant it is then the start of an `Instance<T>`.
        unsafe { &*raw.cast() }
    }

    pub(in crate::iommu) fn as_raw(&self) -> *mut bindings::iommu_device {
        self.raw.get()
    }

    pub(super) fn driver(&self) -> &T {
        &self.driver
    }

    /// Counts a device that the driver has taken on, until [`release`](Self::release).
    pub(super) fn serve(&self, _list: &Shared) {
        self.served.fetch_add(1, Relaxed);
    }

    /// Counts a device that the driver has released. Unless another reference keeps it, the IOMMU
    /// may be gone afterwards.
    pub(super) fn release(&self) {
        self.served.fetch_sub(1, Release);
    }

    /// Returns whether a device of the driver has the IOMMU. Once that is off the list, it gets no
    /// more of them.
    pub(in crate::iommu) fn is_serving(&self) -> bool {
        self.served.load(Acquire) != 0
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

        // SAFETY: `instance` and `parent` are references, so both are valid. The instance does not
        // move, because it is boxed. The format takes one string, which is copied.
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
        // SAFETY: By the type invariant it was added, and it is removed only here.
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
/// Devices that it serves keep the module loaded, so a registration in the data of the module is
/// dropped only when there are none. One that is dropped earlier is leaked, with a warning, because
/// users of these devices refer to the IOMMU: it serves them as before, and no others.
///
/// A registration that safe code leaks (`core::mem::forget()`) outlives the module, whose functions
/// C code then calls, as a leaked registration of the `kernel` crate does. Keep it in the data of
/// the module.
///
/// # Invariants
///
/// It is on the list of the operations of `T`, and `iommu_device_register()` succeeded for it.
pub struct Registration<T: Driver>(ManuallyDrop<Named<T>>);

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

        // SAFETY: The instance is boxed, and freed only after it has been unregistered. The
        // functions are static in the module of the driver, to which the core has a reference for
        // each device.
        to_result(unsafe {
            bindings::iommu_device_register(
                named.instance().as_raw(),
                T::operations().as_raw(),
                device_ptr(parent),
            )
        })?;
        listed.keep();
        // INVARIANT: It succeeded, and the IOMMU stays on the list.
        Ok(Self(ManuallyDrop::new(named)))
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        // From here on the driver takes no device on for this IOMMU.
        unlist(&self.0);
        if kernel::warn_on!(self.0.instance().is_serving()) {
            return;
        }
        // SAFETY: By the type invariant it is registered. No device has it, so none loses it.
        unsafe { bindings::iommu_device_unregister(self.0.instance().as_raw()) };
        // SAFETY: The value is not used after this.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}
