// SPDX-License-Identifier: GPL-2.0

//! A driver as the kernel's `struct iommu_ops`.

use super::{
    domain::DomainRef,
    instances::{Exclusive, Shared},
    registration::Instance,
    registry::Entry,
    Change, DefaultDomain, Driver, Grouping, Target,
};
use crate::{
    bindings,
    iommu::{
        capability::Capability,
        features::{DomainFeatures, UserData},
        requester::Requester,
    },
    shim::error_ptr,
};
use core::{
    cell::UnsafeCell,
    ptr::{self, NonNull},
};
use kernel::{
    alloc::KVec,
    device::Device,
    error::from_result,
    prelude::*,
    types::{ForeignOwnable, Opaque},
};

/// The operations of a driver.
///
/// Implemented by [`iommu_driver_operations!`](crate::iommu_driver_operations).
///
/// # Safety
///
/// [`operations`](Self::operations) always returns the same `static`, which [`Operations::new`] was
/// called for.
pub unsafe trait DriverOperations: Sized {
    /// The operations.
    fn operations() -> &'static Operations<Self>
    where
        Self: Driver;
}

/// Declares the operations of a driver: a `static`, for a [`Driver`] in the module of this type.
///
/// ```ignore
/// iommu_driver_operations! { static OPERATIONS: Unit, Module }
/// ```
#[macro_export]
macro_rules! iommu_driver_operations {
    (static $operations:ident: $driver:ty, $module:ty) => {
        static $operations: $crate::iommu::driver::Operations<$driver> = {
            let module = $crate::kernel::module::this_module::<$module>();

            // SAFETY: The result is the static that it refers to.
            unsafe { $crate::iommu::driver::Operations::new(&$operations, module) }
        };

        // SAFETY: It is one static, made for itself.
        unsafe impl $crate::iommu::driver::DriverOperations for $driver {
            fn operations() -> &'static $crate::iommu::driver::Operations<Self> {
                &$operations
            }
        }
    };
}

/// What the kernel calls of driver `T`, and the IOMMUs of that driver.
///
/// # Invariants
///
/// The functions are those of `T`. `instances` is read with the lock of `instances.rs` held, and
/// written with it held for writing.
pub struct Operations<T: Driver> {
    raw: bindings::iommu_ops,
    /// The domain that a device is attached to when it is attached to nothing.
    blocked: Opaque<bindings::iommu_domain>,
    entry: Entry,
    instances: UnsafeCell<*const Instance<T>>,
}

// SAFETY: The functions do not change, the entry and the list are protected by locks of theirs, and
// the blocking domain by locks of the core.
unsafe impl<T: Driver> Sync for Operations<T> {}

impl<T: Driver> Operations<T> {
    /// The operations of a driver in `module`.
    ///
    /// # Safety
    ///
    /// `this` is the `static` that the result is for.
    #[doc(hidden)]
    pub const unsafe fn new(this: &'static Self, module: &ThisModule) -> Self {
        let blocked: *mut bindings::iommu_domain = (&raw const this.blocked).cast_mut().cast();
        let mut raw: bindings::iommu_ops = pin_init::zeroed();

        raw.capable = Some(capable::<T>);
        raw.hw_info = Some(hw_info::<T>);
        raw.domain_alloc_paging_flags = Some(domain_alloc_paging_flags::<T>);
        raw.probe_device = Some(probe_device::<T>);
        raw.release_device = Some(release_device::<T>);
        raw.device_group = Some(device_group::<T>);
        raw.owner = module.as_ptr();
        raw.blocked_domain = blocked;
        // A device that goes is attached to it while the domain that it leaves is still there.
        raw.release_domain = blocked;
        if matches!(T::DEFAULT_DOMAIN, DefaultDomain::Blocked) {
            raw.default_domain = blocked;
        }
        // INVARIANT: These are the functions of `T`; there are no IOMMUs yet.
        Self {
            raw,
            blocked: Opaque::new(bindings::iommu_domain {
                type_: bindings::IOMMU_DOMAIN_BLOCKED,
                ops: &const { Self::BLOCKED },
                ..pin_init::zeroed()
            }),
            // SAFETY: What has these operations as its owner is a domain of `T`.
            entry: unsafe { Entry::new(DomainRef::<T>::page_table) },
            instances: UnsafeCell::new(ptr::null()),
        }
    }

    const BLOCKED: bindings::iommu_domain_ops = bindings::iommu_domain_ops {
        attach_dev: Some(attach::<T>),
        set_dev_pasid: set_dev_pasid::<T>(),
        ..pin_init::zeroed()
    };

    pub(in crate::iommu) fn as_raw(&self) -> *const bindings::iommu_ops {
        &raw const self.raw
    }

    /// Whether this is the blocking domain.
    fn is_blocked(&self, domain: *const bindings::iommu_domain) -> bool {
        ptr::eq(self.blocked.get(), domain)
    }

    /// Adds an IOMMU to those that devices are offered to.
    ///
    /// # Safety
    ///
    /// It is [removed](Self::remove) before it goes.
    pub(super) unsafe fn add(&'static self, instance: &Instance<T>) {
        let list = Exclusive::lock();
        let first = self.instances.get();

        self.entry.add(self.as_raw());
        // SAFETY: By the type invariant the lock is the permission to write the list.
        instance.set_next(&list, unsafe { first.replace(instance) });
    }

    /// Undoes [`add`](Self::add). No device is offered to the IOMMU when this returns.
    pub(super) fn remove(&'static self, instance: &Instance<T>) {
        let list = Exclusive::lock();
        let mut at = self.instances.get();

        self.entry.remove();
        loop {
            // SAFETY: By the type invariant the lock is the permission to read the list, and `at`
            // is its head or the link of an IOMMU on it.
            let next = unsafe { *at };

            if ptr::eq(next, instance) {
                break;
            }
            // SAFETY: `next` is on the list, so it is valid, because `add` was promised that it is
            // removed before it goes. It is not the null at the end, because `instance` is on the
            // list and is yet to come.
            at = unsafe { &*next }.next(&list);
        }
        // SAFETY: By the type invariant the lock is the permission to read the link.
        let next = unsafe { *instance.next(&list) };
        // SAFETY: The lock is held for writing, and `at` is the head of the list or the link of an
        // IOMMU on it.
        unsafe { *at = next };
    }

    /// Offers a device to the IOMMUs of the driver, until one takes it.
    ///
    /// The IOMMU counts the device, and so stays until [`Instance::release`] is called for it.
    fn probe(&self, dev: &Device) -> Result<(&Instance<T>, T::Device)> {
        // Those that look up page tables, and other drivers that probe, are not held up.
        let list = Shared::lock();
        // SAFETY: By the type invariant the lock is the permission to read the list.
        let mut next = unsafe { *self.instances.get() };

        // SAFETY: By the type invariant the lock is the permission to read the list. What is on it
        // is valid, because `add` was promised that it is removed before it goes.
        while let Some(instance) = unsafe { next.as_ref() } {
            match instance.driver().probe(dev) {
                Err(error) if error == ENODEV => {}
                Err(error) => return Err(error),
                Ok(device) => {
                    instance.serve(&list);
                    return Ok((instance, device));
                }
            }
            next = instance.read_next(&list);
        }
        Err(ENODEV)
    }

    /// What the kernel means by a domain, if it is one of this driver or its blocking one.
    ///
    /// # Safety
    ///
    /// `raw` is null, or a domain that is valid as long as the result is used.
    unsafe fn target<'a>(&self, raw: *mut bindings::iommu_domain) -> Option<Target<'a, T>> {
        if self.is_blocked(raw) {
            return Some(Target::Blocked);
        }
        // SAFETY: The caller keeps the domain valid.
        unsafe { DomainRef::from_raw(NonNull::new(raw)?) }.map(Target::Domain)
    }
}

/// Returns the field for drivers in the core's part of a device.
///
/// # Safety
///
/// `dev` is a device that is being probed or that [`probe_device`] has taken on, and that is not
/// yet released.
unsafe fn driver_data(dev: *mut bindings::device) -> *mut *mut c_void {
    // SAFETY: The caller promises that the device is valid.
    let iommu = unsafe { (*dev).iommu };
    // SAFETY: The core allocates its part before it probes a device, and frees it after the
    // release.
    unsafe { &raw mut (*iommu).priv_ }
}

/// Returns the IOMMU of a device.
///
/// # Safety
///
/// `dev` is a device that [`probe_device`] has taken on for `T`, and that is not yet released. The
/// result is not used after the release.
unsafe fn instance<'a, T: Driver>(dev: *mut bindings::device) -> &'a Instance<T> {
    // SAFETY: The caller promises that the device is valid.
    let iommu = unsafe { (*dev).iommu };
    // SAFETY: The core allocates its part before it probes a device, and frees it after the
    // release.
    let iommu = unsafe { (*iommu).iommu_dev };
    // SAFETY: The core has set the field to what `probe_device` returned, an IOMMU of `T`, and
    // clears it after the release. The IOMMU stays while it counts the device.
    unsafe { Instance::<T>::from_raw(iommu) }
}

/// Returns what the driver keeps for a device that it has taken on.
///
/// # Safety
///
/// Called by the core for a device that [`probe_device`] has taken on and that is not yet released.
unsafe fn device<'a, T: Driver>(dev: *mut bindings::device) -> &'a T::Device {
    // SAFETY: The caller promises that the device was taken on and not yet released.
    let data = unsafe { driver_data(dev) };
    // SAFETY: The field is valid as long as the device is not released.
    let data = unsafe { *data };
    // SAFETY: `probe_device` has set the field to a boxed `T::Device`. Only `release_device` takes
    // it back, which the core calls after all other functions for the device.
    unsafe { KBox::<T::Device>::borrow(data) }
}

/// # Safety
///
/// Called by the core with its lock for probing held.
unsafe extern "C" fn probe_device<T: Driver>(
    dev: *mut bindings::device,
) -> *mut bindings::iommu_device {
    // SAFETY: The device is valid for the whole call.
    let device = unsafe { Device::from_raw(dev) };
    let (iommu, device) = match T::operations().probe(device) {
        Ok(probed) => probed,
        Err(error) => return error_ptr(error).cast(),
    };

    match KBox::new(device, GFP_KERNEL) {
        Ok(device) => {
            // SAFETY: The device is being probed.
            let data = unsafe { driver_data(dev) };
            // SAFETY: The core leaves this field to the driver that probes the device.
            unsafe { *data = device.into_foreign() };
            iommu.as_raw()
        }
        Err(error) => {
            iommu.release();
            error_ptr(error.into()).cast()
        }
    }
}

/// # Safety
///
/// Called by the core, once, for a device that [`probe_device`] has taken on.
unsafe extern "C" fn release_device<T: Driver>(dev: *mut bindings::device) {
    // SAFETY: The caller promises that the device was taken on and not yet released.
    let data = unsafe { driver_data(dev) };
    // SAFETY: The field is valid until this returns, and no other function for the device runs.
    let data = unsafe { data.replace(ptr::null_mut()) };
    // SAFETY: `probe_device` has set the field to a boxed `T::Device`. The core calls no other
    // function for the device any more, so it is not borrowed.
    drop(unsafe { KBox::<T::Device>::from_foreign(data) });
    // SAFETY: The core treats the device as taken on until this returns.
    unsafe { instance::<T>(dev) }.release();
}

/// # Safety
///
/// Called by the core for a device that is being probed.
unsafe extern "C" fn device_group<T: Driver>(
    dev: *mut bindings::device,
) -> *mut bindings::iommu_group {
    // SAFETY: The device is valid for the whole call.
    match T::grouping(unsafe { Device::from_raw(dev) }) {
        // SAFETY: The device is being probed.
        Grouping::Single => unsafe { bindings::generic_device_group(dev) },
        // SAFETY: As above; other devices than PCI's get a group of their own.
        Grouping::Pci => unsafe { bindings::kernel_ext_pci_device_group(dev) },
    }
}

/// # Safety
///
/// Called by the core for a device of `T`.
unsafe extern "C" fn capable<T: Driver>(
    dev: *mut bindings::device,
    capability: bindings::iommu_cap,
) -> bool {
    // SAFETY: The device is one of `T`.
    Capability::from_raw(capability)
        .is_some_and(|capability| T::capable(unsafe { device::<T>(dev) }, capability))
}

/// # Safety
///
/// Called by iommufd for a device of `T`. `length` and `kind` are valid for reading and writing.
unsafe extern "C" fn hw_info<T: Driver>(
    dev: *mut bindings::device,
    length: *mut u32,
    kind: *mut bindings::iommu_hw_info_type,
) -> *mut c_void {
    // SAFETY: The caller promises that `kind` is valid for reading.
    let wanted = unsafe { *kind };

    // SAFETY: The device is one of `T`.
    match T::hw_info(unsafe { device::<T>(dev) }, wanted) {
        Ok(info) => {
            let (data, bytes, _) = KVec::into_raw_parts(info.data);

            // SAFETY: The caller promises that `kind` is valid for writing.
            unsafe { *kind = info.kind };
            // SAFETY: The caller promises that `length` is valid for writing. If the number did not
            // fit, the caller would read fewer bytes than there are.
            unsafe { *length = bytes as u32 };
            // The caller frees it with `kfree`.
            data.cast()
        }
        Err(error) => error_ptr(error),
    }
}

/// # Safety
///
/// Called by the core or iommufd for a device of `T`; `data` is null or valid.
unsafe extern "C" fn domain_alloc_paging_flags<T: Driver>(
    dev: *mut bindings::device,
    flags: u32,
    data: *const bindings::iommu_user_data,
) -> *mut bindings::iommu_domain {
    // SAFETY: The device is one of `T`.
    let driver = unsafe { instance::<T>(dev) }.driver();
    // SAFETY: The caller promises that `data` is null or valid during the call.
    let data = unsafe { data.as_ref() }.map(UserData::from_raw);
    // SAFETY: The device is one of `T`.
    let device = unsafe { device::<T>(dev) };

    let domain = DomainFeatures::from_bits(flags)
        .ok_or(EOPNOTSUPP)
        .and_then(|features| {
            if features.dirty_tracking && !T::capable(device, Capability::DirtyTracking) {
                return Err(EOPNOTSUPP);
            }
            let domain = driver.new_domain(device, features, data)?;

            if features.dirty_tracking {
                domain.with_dirty_tracking()
            } else {
                Ok(domain)
            }
        });

    match domain {
        Ok(domain) => domain.into_raw(),
        Err(error) => error_ptr(error).cast(),
    }
}

/// # Safety
///
/// Called by the core for a device of `T` and a domain of it or its blocking one; `old` is null or
/// valid.
pub(super) unsafe extern "C" fn attach<T: Driver>(
    domain: *mut bindings::iommu_domain,
    dev: *mut bindings::device,
    old: *mut bindings::iommu_domain,
) -> c_int {
    // SAFETY: The caller upholds the contract of this function, which is that of `change`.
    unsafe { change::<T>(Requester::Rid, domain, dev, old) }
}

/// A function with which the core attaches a device for a PASID.
type SetDevPasid = unsafe extern "C" fn(
    *mut bindings::iommu_domain,
    *mut bindings::device,
    bindings::ioasid_t,
    *mut bindings::iommu_domain,
) -> c_int;

/// Returns the function with which the core attaches devices of `T` for a PASID, or `None` if the
/// driver has no PASIDs.
pub(super) const fn set_dev_pasid<T: Driver>() -> Option<SetDevPasid> {
    if T::MAX_PASIDS == 0 {
        None
    } else {
        Some(attach_pasid::<T>)
    }
}

/// # Safety
///
/// As for [`attach`].
unsafe extern "C" fn attach_pasid<T: Driver>(
    domain: *mut bindings::iommu_domain,
    dev: *mut bindings::device,
    pasid: bindings::ioasid_t,
    old: *mut bindings::iommu_domain,
) -> c_int {
    // SAFETY: The caller upholds the contract of this function, which is that of `change`.
    unsafe { change::<T>(Requester::from_raw(pasid), domain, dev, old) }
}

/// # Safety
///
/// As for [`attach`].
unsafe fn change<T: Driver>(
    who: Requester,
    domain: *mut bindings::iommu_domain,
    dev: *mut bindings::device,
    old: *mut bindings::iommu_domain,
) -> c_int {
    let operations = T::operations();
    // SAFETY: The domain is valid during the call.
    let to = unsafe { operations.target(domain) };
    // SAFETY: As above, or null.
    let from = unsafe { operations.target(old) };
    // SAFETY: The device is one of `T`.
    let device = unsafe { device::<T>(dev) };

    from_result(|| {
        let to = to.ok_or(EINVAL)?;

        if let Target::Domain(domain) = &to {
            // What the device writes would be missing in the record of the domain.
            if domain.can_track_dirty() && !T::capable(device, Capability::DirtyTracking) {
                return Err(EINVAL);
            }
        }
        let blocks = matches!(to, Target::Blocked);
        let result = T::attach(device, who, Change { to, from });

        kernel::warn_on!(blocks && result.is_err());
        result.map(|()| 0)
    })
}
