// SPDX-License-Identifier: GPL-2.0

//! An IOMMU on a bus of its own, with devices that exist in memory only (test builds only).
//!
//! The kernel has a bus, and a way to add devices to it that are translated by an IOMMU of this bus
//! and of no other, for the tests of iommufd (`drivers/iommu/iommu-priv.h`).

use super::driver::{unlist, Driver, Listed, Named};
use crate::{bindings, shim::device_ptr};
use core::{cell::UnsafeCell, mem::ManuallyDrop, ptr, ptr::NonNull};
use kernel::{
    device::{Bound, Device},
    error::to_result,
    fmt,
    prelude::*,
    str::CString,
    types::Opaque,
};

/// A bus that is not there until a [`Registration`] is made for it: a `static`.
///
/// # Invariants
///
/// `iommu` is null or the registered IOMMU of the bus; it is accessed with the [`Lock`] held.
pub struct Bus {
    raw: Opaque<bindings::bus_type>,
    iommu: UnsafeCell<*mut bindings::iommu_device>,
}

// SAFETY: The bus is protected by locks of the driver core, and `iommu` by the lock.
unsafe impl Sync for Bus {}

/// Holds the lock under which devices and IOMMUs come and IOMMUs go.
struct Lock(());

impl Lock {
    fn take() -> Self {
        // SAFETY: The mutex is static and initialised. The function has no other requirement than
        // that it may sleep.
        unsafe { bindings::kernel_ext_mock_lock() };
        Self(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::kernel_ext_mock_unlock() };
    }
}

impl Bus {
    /// A bus with a name.
    pub const fn new(name: &'static CStr) -> Self {
        let mut raw: bindings::bus_type = pin_init::zeroed();

        raw.name = name.to_bytes_with_nul().as_ptr();
        // INVARIANT: There is no IOMMU.
        Self {
            raw: Opaque::new(raw),
            iommu: UnsafeCell::new(ptr::null_mut()),
        }
    }

    fn set_iommu(&self, _lock: &Lock, iommu: *mut bindings::iommu_device) {
        // SAFETY: By the type invariant the cell is accessed with the lock held, as `_lock` shows.
        unsafe { *self.iommu.get() = iommu };
    }
}

/// A registered bus.
///
/// # Invariants
///
/// `bus_register()` succeeded for it.
struct RegisteredBus(&'static Bus);

impl RegisteredBus {
    fn new(bus: &'static Bus) -> Result<Self> {
        // SAFETY: The bus is static; the driver core refuses a name that it has already.
        to_result(unsafe { bindings::bus_register(bus.raw.get()) })?;
        // INVARIANT: It succeeded.
        Ok(Self(bus))
    }
}

impl Drop for RegisteredBus {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is registered.
        unsafe { bindings::bus_unregister(self.0.raw.get()) };
    }
}

/// A bus with its IOMMU. Dropping it takes both away, unless a [`MockDevice`] is left on the bus:
/// then it is leaked, with a warning. The data of the module keep it, as that of an
/// [`iommu::driver::Registration`](super::driver::Registration).
///
/// # Invariants
///
/// The IOMMU is on the list of the operations of `T`, and `iommu_device_register_bus()` succeeded
/// for all of it.
pub struct Registration<T: Driver>(ManuallyDrop<Registered<T>>);

struct Registered<T: Driver> {
    iommu: Named<T>,
    notifier: Pin<KBox<Opaque<bindings::notifier_block>>>,
    bus: RegisteredBus,
}

// SAFETY: The notifier is touched by the driver core only, under its locks.
unsafe impl<T: Driver> Send for Registration<T> {}
// SAFETY: No method takes a `&Registration`, so a shared reference gives access to no field.
unsafe impl<T: Driver> Sync for Registration<T> {}

impl<T: Driver> Registration<T> {
    /// Registers `bus` and an IOMMU for it, which sysfs shows as `name`, below `parent`.
    ///
    /// # Errors
    ///
    /// `EEXIST` if there is a bus or an IOMMU of that name; `ENOMEM`.
    pub fn new(
        bus: &'static Bus,
        parent: &Device<Bound>,
        name: &CStr,
        driver: impl PinInit<T, Error>,
    ) -> Result<Self> {
        let bus = RegisteredBus::new(bus)?;
        let iommu = Named::new(parent, name, driver)?;
        let listed = Listed::new(&iommu);
        let notifier = KBox::pin(Opaque::new(pin_init::zeroed()), GFP_KERNEL)?;
        let lock = Lock::take();

        // SAFETY: All of it is valid until it is unregistered, the functions for ever.
        to_result(unsafe {
            bindings::iommu_device_register_bus(
                iommu.instance().as_raw(),
                T::operations().as_raw(),
                bus.0.raw.get(),
                notifier.get(),
            )
        })?;
        bus.0.set_iommu(&lock, iommu.instance().as_raw());
        drop(lock);
        listed.keep();
        // INVARIANT: It succeeded, and the IOMMU stays on the list.
        Ok(Self(ManuallyDrop::new(Registered {
            iommu,
            notifier,
            bus,
        })))
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        let Registered {
            iommu,
            notifier,
            bus,
        } = &*self.0;
        let lock = Lock::take();

        bus.0.set_iommu(&lock, ptr::null_mut());
        // From here on the driver takes no device on for this IOMMU.
        unlist(iommu);
        drop(lock);
        if kernel::warn_on!(iommu.instance().is_serving()) {
            return;
        }
        // SAFETY: By the type invariant it is registered. No device has it, so none loses it.
        unsafe {
            bindings::iommu_device_unregister_bus(
                iommu.instance().as_raw(),
                bus.0.raw.get(),
                notifier.get(),
            )
        };
        // SAFETY: The value is not used after this.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

/// Something that drivers can read from a device by name.
pub enum Property {
    /// It is there.
    Flag(&'static CStr),
    /// It has a value.
    U32(&'static CStr, u32),
}

impl Property {
    fn to_raw(&self) -> bindings::property_entry {
        let mut raw: bindings::property_entry = pin_init::zeroed();

        raw.is_inline = true;
        match *self {
            Self::Flag(name) => raw.name = name.as_char_ptr(),
            Self::U32(name, value) => {
                raw.name = name.as_char_ptr();
                raw.length = size_of::<u32>();
                raw.type_ = bindings::dev_prop_type_DEV_PROP_U32;
                raw.__bindgen_anon_1.value.u32_data = [value, 0];
            }
        }
        raw
    }
}

/// A device in memory, which frees itself with its last reference.
///
/// # Invariants
///
/// `0` is initialised; this value owns the first reference to it.
struct NewDevice(NonNull<bindings::device>);

impl NewDevice {
    const RELEASE: unsafe extern "C" fn(*mut bindings::device) = Self::release;

    fn new(bus: &'static Bus, name: fmt::Arguments<'_>, properties: &[Property]) -> Result<Self> {
        let name = CString::try_from_fmt(name)?;
        let mut raw = KVec::with_capacity(properties.len() + 1, GFP_KERNEL)?;

        for property in properties {
            raw.push_within_capacity(property.to_raw())?;
        }
        // The end of the list.
        raw.push_within_capacity(pin_init::zeroed())?;

        let memory = KBox::new(
            Opaque::<bindings::device>::new(pin_init::zeroed()),
            GFP_KERNEL,
        )?;
        let dev = KBox::into_raw(memory).cast::<bindings::device>();

        // SAFETY: The memory is zeroed and stays until the release function is called.
        unsafe { bindings::device_initialize(dev) };
        // SAFETY: The device was created just now, and no other code has a pointer to it.
        unsafe { (*dev).release = Some(Self::RELEASE) };
        // SAFETY: As above.
        unsafe { (*dev).bus = bus.raw.get() };
        // INVARIANT: The device was initialised just now, and the value owns its first reference.
        // SAFETY: A box is not null.
        let this = Self(unsafe { NonNull::new_unchecked(dev) });

        // SAFETY: The device is initialised; the format takes one string, which is copied.
        to_result(unsafe { bindings::dev_set_name(dev, c"%s".as_char_ptr(), name.as_char_ptr()) })?;
        // SAFETY: The device is initialised; the list, which is copied, has an end.
        to_result(unsafe {
            bindings::device_create_managed_software_node(dev, raw.as_ptr(), ptr::null())
        })?;
        Ok(this)
    }

    /// Frees what the IOMMU core keeps for a device that could not be added: where it has had
    /// memory for the first part of it and none for the second, it forgets that.
    fn free_iommu_data(&self) {
        // SAFETY: By the type invariant the device is valid. It was not added, so no other code
        // uses it.
        let data = unsafe { &mut (*self.0.as_ptr()).iommu };

        // SAFETY: The core has allocated it, or it is null.
        unsafe { bindings::kfree((*data).cast()) };
        *data = ptr::null_mut();
    }

    /// # Safety
    ///
    /// Called by the driver core, once, with the last reference gone.
    unsafe extern "C" fn release(dev: *mut bindings::device) {
        // SAFETY: It came out of such a box.
        drop(unsafe { KBox::from_raw(dev.cast::<Opaque<bindings::device>>()) });
    }
}

impl Drop for NewDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is there; one that was added has no node any
        // more.
        unsafe { bindings::device_remove_software_node(self.0.as_ptr()) };
        // SAFETY: By the type invariant this value owns the reference, which is not used after
        // this.
        unsafe { bindings::put_device(self.0.as_ptr()) };
    }
}

/// A device on a [`Bus`]. It exists until this is dropped, and whoever has it drives it.
///
/// # Invariants
///
/// `iommu_mock_device_add()` succeeded for it.
pub struct MockDevice(NewDevice);

// SAFETY: Devices may be removed on any thread.
unsafe impl Send for MockDevice {}
// SAFETY: A `&Device` may be used on any thread.
unsafe impl Sync for MockDevice {}

impl MockDevice {
    /// Adds a device to `bus`.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the bus has no IOMMU; `EEXIST` if it has a device of that name; `ENOMEM`; or
    /// what probing it has led to.
    pub fn new(
        bus: &'static Bus,
        name: fmt::Arguments<'_>,
        properties: &[Property],
    ) -> Result<Self> {
        let dev = NewDevice::new(bus, name, properties)?;
        let _lock = Lock::take();
        // SAFETY: By the type invariant the cell is accessed with the lock held, as it is here.
        let iommu = unsafe { *bus.iommu.get() };

        if iommu.is_null() {
            return Err(ENODEV);
        }
        // SAFETY: The device is initialised; while the lock is held, the IOMMU stays.
        to_result(unsafe { bindings::iommu_mock_device_add(dev.0.as_ptr(), iommu) })
            .inspect_err(|_| dev.free_iommu_data())?;
        // INVARIANT: It succeeded.
        Ok(Self(dev))
    }

    /// The device. It is as good as bound to a driver: nobody but the owner of `self` can take it
    /// away, and no driver exists that it could be bound to.
    pub fn device(&self) -> &Device<Bound> {
        // SAFETY: By the type invariant the device is there, and stays while `self` is borrowed.
        unsafe { Device::from_raw(self.0 .0.as_ptr()) }
    }
}

/// Whether it is a device that exists in memory only.
pub fn is_mock(dev: &Device) -> bool {
    // SAFETY: The device is valid; the field is written once, before the device is shared.
    let release = unsafe { (*device_ptr(dev)).release };

    release.is_some_and(|release| ptr::fn_addr_eq(release, NewDevice::RELEASE))
}

impl Drop for MockDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it was added.
        unsafe { bindings::device_del(device_ptr(self.device())) };
    }
}
