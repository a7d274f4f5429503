// SPDX-License-Identifier: GPL-2.0

//! What other modules call: the functions of `include/linux/iommufd.h`.
//!
//! Each is made in the same way. A safe trait ([`KernelApi`], [`AccessObject`], [`VfioCompat`])
//! says what it does; a generic function, in [`entry`], [`access`] or [`compat`], turns C's
//! pointers into references and back and calls the trait; and `export_kernel_api!` gives that
//! function its C name.

pub(super) mod access;
pub(super) mod compat;

use super::{
    head::{head_of, GroupHead},
    AccessObject, Context, ContextDevice, Iommufd, Object, ObjectId, ObjectType, OwnerRef,
    VfioCompat,
};
use crate::{
    bindings,
    iommu::{DmaOwner, Group, Requester},
    shim::error_ptr,
};
use core::{
    mem::{offset_of, ManuallyDrop},
    ptr::NonNull,
};
use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// What an [`Iommufd`] does for drivers such as `vfio.ko`.
pub trait KernelApi: Iommufd + VfioCompat {
    /// A device that a driver has bound (`struct iommufd_device`). Begins with a [`DeviceHead`];
    /// one that does not is not given to C.
    type Device: ObjectType<Family = Self> + AsRef<DeviceHead<Self>>;

    /// What a driver reaches memory through without DMA (`struct iommufd_access`).
    type Access: AccessObject<Family = Self>;

    /// Takes over the DMA of a device and so of its group. It is blocked until the device is
    /// attached.
    fn bind(context: &Context<Self>, dev: &Device<Bound>) -> Result<OwnerRef<Self::Device>>;

    /// Prepares the end of a device, which is destroyed after this: detaches it and its PASIDs, if
    /// they are attached.
    fn unbind(device: &OwnerRef<Self::Device>);

    /// Lets the requests `who` of the device translate through the page table or IO address space
    /// `pt`. Returns the page table that they have got.
    fn attach(device: &OwnerRef<Self::Device>, who: Requester, pt: ObjectId) -> Result<ObjectId>;

    /// As [`attach`](Self::attach), for requests that are attached. On failure they stay so.
    fn replace(device: &OwnerRef<Self::Device>, who: Requester, pt: ObjectId) -> Result<ObjectId>;

    /// Undoes [`attach`](Self::attach): the requests are blocked again. Has no effect on requests
    /// that are not attached.
    fn detach(device: &OwnerRef<Self::Device>, who: Requester);

    /// Whether a device of `group` is bound to the context.
    fn has_group(context: &Context<Self>, group: &Group) -> bool;
}

/// The start of a bound device, as C reads it (`iommufd_vdevice_to_device()`), and the claim on the
/// DMA of the device.
#[repr(C)]
pub struct DeviceHead<I: Iommufd> {
    _context: ARef<Context<I>>,
    /// The address of `group`.
    _igroup: usize,
    _group_item: [usize; 2],
    dev: ARef<Device>,
    /// From here on Rust only.
    _group: Arc<GroupHead>,
    owner: Arc<DmaOwner>,
}

/// The same, for comparing layouts without choosing an `I`.
#[repr(C)]
struct DeviceHeadLayout {
    header: bindings::iommufd_object,
    context: *const (),
    igroup: usize,
    _group_item: [usize; 2],
    dev: ARef<Device>,
}

const _: () = {
    assert!(
        offset_of!(DeviceHeadLayout, context) == offset_of!(bindings::iommufd_device_layout, ictx)
    );
    assert!(
        offset_of!(DeviceHeadLayout, igroup) == offset_of!(bindings::iommufd_device_layout, igroup)
    );
    assert!(offset_of!(DeviceHeadLayout, dev) == offset_of!(bindings::iommufd_device_layout, dev));
    assert!(size_of::<ARef<Device>>() == size_of::<*const ()>());
    assert!(
        !cfg!(CONFIG_IRQ_MSI_IOMMU),
        "a group that is attached must get the MSI pages that its devices use"
    );
};

impl<I: Iommufd> DeviceHead<I> {
    /// Creates the head of the device of `owner`, one of `group`, which is being bound to
    /// `context`. Keeps all of them.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(context: &Context<I>, group: Arc<GroupHead>, owner: DmaOwner) -> Result<Self> {
        Ok(Self {
            _context: context.to_aref(),
            _igroup: group.address(),
            _group_item: [0; 2],
            dev: owner.device().into(),
            _group: group,
            owner: Arc::new(owner, GFP_KERNEL_ACCOUNT)?,
        })
    }

    /// Returns the claim on the DMA of the device.
    pub fn owner(&self) -> &Arc<DmaOwner> {
        &self.owner
    }
}

/// Returns whether an object is laid out as C reads a bound device: its value begins with a
/// [`DeviceHead`].
pub(super) fn begins_with_head<T: ObjectType + AsRef<DeviceHead<T::Family>>>(
    device: &OwnerRef<T>,
) -> bool {
    head_of::<T, DeviceHead<T::Family>>(device).is_some()
}

/// The context behind C's pointer.
///
/// # Safety
///
/// `ctx` is a context of an `I`, to which the caller has a reference as long as it uses the result.
pub(super) unsafe fn context<'a, I: Iommufd>(ctx: *mut c_void) -> &'a Context<I> {
    // SAFETY: The caller has a reference.
    unsafe { &*ctx.cast() }
}

/// Gives C a new object, and its ID. [`borrow`] finds it again.
///
/// # Safety
///
/// `id` is valid for writing.
pub(super) unsafe fn give<T: ObjectType>(object: OwnerRef<T>, id: *mut u32) -> *mut c_void {
    // SAFETY: The caller promises that `id` is valid for writing.
    unsafe { *id = object.id().0 };
    object.into_raw().as_ptr().cast()
}

/// An `OwnerRef` that stays with C.
///
/// # Safety
///
/// `object` came from [`give`] for a `T`, and C has not given it back.
pub(super) unsafe fn borrow<T: ObjectType>(object: *mut c_void) -> ManuallyDrop<OwnerRef<T>> {
    // SAFETY: `object` came from `give`, which never returns null.
    let object = unsafe { NonNull::new_unchecked(object.cast::<Object<T>>()) };
    // SAFETY: `give` gave the reference out, and C has not given it back. `ManuallyDrop` leaves it
    // with C.
    ManuallyDrop::new(unsafe { OwnerRef::from_raw(object) })
}

/// What C returns.
pub(super) fn errno(result: Result) -> c_int {
    kernel::error::from_result(|| result.map(|()| 0))
}

/// Bodies of the C functions. `export_kernel_api!` gives them names.
#[doc(hidden)]
pub(super) mod entry {
    use super::*;
    use crate::miscdev::private_data;

    /// # Safety
    ///
    /// `ctx` is a context to which the caller has a reference.
    pub unsafe fn ctx_get<I: Iommufd>(ctx: *mut c_void) {
        // SAFETY: The caller has a reference.
        let ctx = unsafe { context::<I>(ctx) };
        // SAFETY: C's references are references to the file.
        unsafe { ctx.get_file() };
    }

    /// # Safety
    ///
    /// `ctx` is a context, and the caller gives a reference to it up.
    pub unsafe fn ctx_put<I: Iommufd>(ctx: *mut c_void) {
        if ctx.is_null() {
            return;
        }
        // SAFETY: The caller has a reference until that is given up here.
        let ctx = unsafe { context::<I>(ctx) };
        // SAFETY: C's references are references to the file.
        unsafe { ctx.put_file() };
    }

    /// # Safety
    ///
    /// `file` is an open file to which the caller has a reference.
    pub unsafe fn ctx_from_file<I: Iommufd>(file: *mut c_void) -> *mut c_void {
        // SAFETY: The caller has a reference.
        match unsafe { private_data::<ContextDevice<I>>(file.cast()) } {
            Some(ctx) => {
                // SAFETY: The private data of such a file are its context.
                unsafe { ctx_get::<I>(ctx) };
                ctx
            }
            None => error_ptr(EBADFD),
        }
    }

    /// # Safety
    ///
    /// None: `fd` is only looked up.
    pub unsafe fn ctx_from_fd<I: Iommufd>(fd: c_int) -> *mut c_void {
        // SAFETY: Any number may be looked up.
        let file = unsafe { bindings::fget(fd as c_uint) };
        if file.is_null() {
            return error_ptr(EBADF);
        }
        // SAFETY: `fget` took a reference.
        let ctx = unsafe { ctx_from_file::<I>(file.cast()) };
        // SAFETY: `fget` has taken this reference, which is not used after this. `ctx_from_file`
        // has taken one of its own.
        unsafe { bindings::fput(file) };
        ctx
    }

    /// # Safety
    ///
    /// `ctx` is null or a context, `group` is null or a group; the caller has references.
    pub unsafe fn ctx_has_group<I: KernelApi>(ctx: *mut c_void, group: *mut c_void) -> bool {
        if ctx.is_null() {
            return false;
        }
        // SAFETY: The caller keeps the group while it is borrowed.
        let Some(group) = (unsafe { Group::borrow_raw(group.cast()) }) else {
            return false;
        };
        // SAFETY: The caller has a reference.
        I::has_group(unsafe { context(ctx) }, &group)
    }

    /// # Safety
    ///
    /// `ctx` is a context and `dev` a device; the caller has references. `id` is valid for writing.
    pub unsafe fn bind<I: KernelApi>(
        ctx: *mut c_void,
        dev: *mut c_void,
        id: *mut u32,
    ) -> *mut c_void {
        // SAFETY: The caller has a reference.
        let ctx = unsafe { context(ctx) };
        // SAFETY: The caller has a reference, and is the driver bound to the device.
        let dev = unsafe { Device::<Bound>::from_raw(dev.cast()) };

        match I::bind(ctx, dev) {
            // C reads the head, and `unbind` gives the file of the device's context back.
            Ok(device) if !begins_with_head(&device) || !core::ptr::eq(device.context(), ctx) => {
                kernel::warn_on!(true);
                I::unbind(&device);
                error_ptr(EINVAL)
            }
            Ok(device) => {
                // As long as the driver has its device, the file stays open.
                // SAFETY: The caller has a reference to the context, which is one to its file.
                unsafe { ctx.get_file() };
                // SAFETY: The caller promises that `id` is valid for writing.
                unsafe { give(device, id) }
            }
            Err(error) => error_ptr(error),
        }
    }

    /// # Safety
    ///
    /// `device` came from [`bind`] and is not used again.
    pub unsafe fn unbind<I: KernelApi>(device: *mut c_void) {
        // SAFETY: The caller gives the device back.
        let device = ManuallyDrop::into_inner(unsafe { borrow::<I::Device>(device) });
        let context = device.context().to_aref();

        I::unbind(&device);
        drop(device);
        // SAFETY: `bind` took this reference, for the context that it has found in the device.
        unsafe { context.put_file() };
    }

    /// # Safety
    ///
    /// `device` came from [`bind`]; `pt_id` is valid for reading and writing.
    unsafe fn change<I: KernelApi>(
        device: *mut c_void,
        pt_id: *mut u32,
        f: impl FnOnce(&OwnerRef<I::Device>, ObjectId) -> Result<ObjectId>,
    ) -> c_int {
        // SAFETY: The caller promises that `device` came from `bind` and stays with C.
        let device = unsafe { borrow::<I::Device>(device) };
        // SAFETY: The caller promises that `pt_id` is valid for reading.
        let wanted = ObjectId(unsafe { *pt_id });

        errno(f(&device, wanted).map(|got| {
            // SAFETY: The caller promises that `pt_id` is valid for writing.
            unsafe { *pt_id = got.0 };
        }))
    }

    /// # Safety
    ///
    /// `device` came from [`bind`]; `pt_id` is valid for reading and writing.
    pub unsafe fn attach<I: KernelApi>(device: *mut c_void, pasid: u32, pt_id: *mut u32) -> c_int {
        // SAFETY: The caller upholds the contract of this function, which is that of `change`.
        unsafe {
            change::<I>(device, pt_id, |device, pt| {
                I::attach(device, Requester::from_raw(pasid), pt)
            })
        }
    }

    /// # Safety
    ///
    /// `device` came from [`bind`]; `pt_id` is valid for reading and writing.
    pub unsafe fn replace<I: KernelApi>(device: *mut c_void, pasid: u32, pt_id: *mut u32) -> c_int {
        // SAFETY: The caller upholds the contract of this function, which is that of `change`.
        unsafe {
            change::<I>(device, pt_id, |device, pt| {
                I::replace(device, Requester::from_raw(pasid), pt)
            })
        }
    }

    /// # Safety
    ///
    /// `device` came from [`bind`].
    pub unsafe fn detach<I: KernelApi>(device: *mut c_void, pasid: u32) {
        // SAFETY: The caller promises that `device` came from `bind` and stays with C.
        let device = unsafe { borrow::<I::Device>(device) };

        I::detach(&device, Requester::from_raw(pasid));
    }

    /// # Safety
    ///
    /// `device` came from [`bind`].
    pub unsafe fn device_to_ctx<I: KernelApi>(device: *mut c_void) -> *mut c_void {
        // SAFETY: The caller promises that `device` came from `bind` and stays with C.
        let device = unsafe { borrow::<I::Device>(device) };

        (&raw const *device.context()).cast_mut().cast()
    }

    /// # Safety
    ///
    /// `device` came from [`bind`].
    pub unsafe fn device_to_id<I: KernelApi>(device: *mut c_void) -> u32 {
        // SAFETY: The caller promises that `device` came from `bind` and stays with C.
        unsafe { borrow::<I::Device>(device) }.id().0
    }
}

/// Defines `export_kernel_api!`, so that the names of the C functions are given here and cannot be
/// given anywhere else. `$d` is a `$` of the macro that is defined.
macro_rules! define_export_kernel_api {
    ($d:tt $(
        $name:ident = $entry:ident($($arg:ident: $arg_type:ty),* $(,)?) $(-> $ret:ty)?;
    )*) => {
        /// Defines the functions of `include/linux/iommufd.h` for a [`KernelApi`], under their C
        /// names. A C file of the module exports them.
        ///
        /// All of them are for one type, because C passes a context or an object that one of them
        /// has returned to any other. A second use of the macro in a module does not link.
        #[macro_export]
        macro_rules! export_kernel_api {
            ($d type:ty) => {
                const _: () = {
                    use core::ffi::c_void;
                    $(
                        /// # Safety
                        ///
                        /// The prototype and its documentation are in `include/linux/iommufd.h`.
                        #[no_mangle]
                        unsafe extern "C" fn $name($($arg: $arg_type),*) $(-> $ret)? {
                            // SAFETY: The C function requires of its callers what this one does:
                            // all pointers to contexts and objects came from functions of this
                            // macro, which are all for the same type.
                            unsafe { $d crate::entry::$entry::<$d type>($($arg),*) }
                        }
                    )*
                };
            };
        }
    };
}

define_export_kernel_api! { $
    iommufd_ctx_get = ctx_get(ctx: *mut c_void);
    iommufd_ctx_put = ctx_put(ctx: *mut c_void);
    iommufd_ctx_from_file = ctx_from_file(file: *mut c_void) -> *mut c_void;
    iommufd_ctx_from_fd = ctx_from_fd(fd: i32) -> *mut c_void;
    iommufd_ctx_has_group = ctx_has_group(ctx: *mut c_void, group: *mut c_void) -> bool;
    iommufd_device_bind = bind(ctx: *mut c_void, dev: *mut c_void, id: *mut u32) -> *mut c_void;
    iommufd_device_unbind = unbind(device: *mut c_void);
    iommufd_device_attach = attach(device: *mut c_void, pasid: u32, pt: *mut u32) -> i32;
    iommufd_device_replace = replace(device: *mut c_void, pasid: u32, pt: *mut u32) -> i32;
    iommufd_device_detach = detach(device: *mut c_void, pasid: u32);
    iommufd_device_to_ictx = device_to_ctx(device: *mut c_void) -> *mut c_void;
    iommufd_device_to_id = device_to_id(device: *mut c_void) -> u32;
    iommufd_access_create = access_create(
        ctx: *mut c_void, ops: *const c_void, data: *mut c_void, id: *mut u32
    ) -> *mut c_void;
    iommufd_access_destroy = access_destroy(access: *mut c_void);
    iommufd_access_attach = access_attach(access: *mut c_void, ioas: u32) -> i32;
    iommufd_access_replace = access_replace(access: *mut c_void, ioas: u32) -> i32;
    iommufd_access_detach = access_detach(access: *mut c_void);
    iommufd_access_pin_pages = access_pin_pages(
        access: *mut c_void, iova: usize, length: usize, pages: *mut *mut c_void, flags: u32
    ) -> i32;
    iommufd_access_unpin_pages = access_unpin_pages(
        access: *mut c_void, iova: usize, length: usize
    );
    iommufd_access_rw = access_rw(
        access: *mut c_void, iova: usize, data: *mut c_void, length: usize, flags: u32
    ) -> i32;
    iommufd_vfio_compat_ioas_get_id = compat_ioas_get_id(ctx: *mut c_void, id: *mut u32) -> i32;
    iommufd_vfio_compat_ioas_create = compat_ioas_create(ctx: *mut c_void) -> i32;
    iommufd_vfio_compat_set_no_iommu = compat_set_no_iommu(ctx: *mut c_void) -> i32;
}
