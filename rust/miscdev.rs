// SPDX-License-Identifier: GPL-2.0

//! Character devices of the misc class.
//!
//! Differs from `kernel::miscdevice` in four points: a device has a node name, a mode and maybe a minor
//! number of its own; several devices may share their operations, and a file knows on which of them
//! it was opened; the data of an open file can be found again from the `struct file` alone (by its
//! `file_operations`); and programs of the other word size reach the same `ioctl`.
//!
//! C header: `include/linux/miscdevice.h`.

use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    device::Device,
    error::to_result,
    fs::File,
    mm::virt::VmaNew,
    prelude::*,
    types::{ForeignOwnable, Opaque},
};

/// What a device does for the files opened on it.
pub trait MiscDevice: Sized + 'static {
    /// What an open file owns.
    type Data: ForeignOwnable + Send + Sync;

    /// The `file_operations` of this device: a `static` of the implementor.
    fn operations() -> &'static FileOperations<Self>;

    /// Makes the data of a file that is opened on `device`, which has this minor number.
    fn open(file: &File, device: &Device, minor: u32) -> Result<Self::Data>;

    /// Carries out one ioctl.
    fn ioctl(
        data: <Self::Data as ForeignOwnable>::Borrowed<'_>,
        cmd: u32,
        arg: usize,
    ) -> Result<isize>;

    /// Sets up a range of memory in which a process maps a file.
    ///
    /// # Errors
    ///
    /// `ENODEV` unless the device has something to be mapped.
    fn mmap(_data: <Self::Data as ForeignOwnable>::Borrowed<'_>, _vma: &VmaNew) -> Result {
        Err(ENODEV)
    }
}

/// A `struct file_operations` for the device `T`.
///
/// # Invariants
///
/// The operations are those of `T` below, so a file that has this very table has a `T::Data` as its
/// private data.
#[repr(transparent)]
pub struct FileOperations<T: MiscDevice>(bindings::file_operations, PhantomData<fn() -> T>);

// SAFETY: The table is never changed.
unsafe impl<T: MiscDevice> Sync for FileOperations<T> {}

impl<T: MiscDevice> FileOperations<T> {
    /// The table for a device of `module`, which stays loaded while a file is open.
    pub const fn new(module: &ThisModule) -> Self {
        let mut raw: bindings::file_operations = pin_init::zeroed();

        raw.owner = module.as_ptr();
        raw.open = Some(Self::open);
        raw.release = Some(Self::release);
        raw.unlocked_ioctl = Some(Self::ioctl);
        raw.mmap = Some(Self::mmap);
        #[cfg(CONFIG_COMPAT)]
        {
            raw.compat_ioctl = bindings::compat_ptr_ioctl;
        }
        // INVARIANT: The operations are those of `T`.
        Self(raw, PhantomData)
    }

    /// # Safety
    ///
    /// Called by the VFS for a file that is being opened on a device with this table.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The file is valid for the whole call.
        let misc: *mut bindings::miscdevice = unsafe { (*file).private_data }.cast();
        // SAFETY: `misc_open()` has put its device there, which stays registered meanwhile.
        let minor = unsafe { (*misc).minor };
        // SAFETY: The file is valid for the whole call, and no `fdget_pos` is going on.
        let opened = unsafe { File::from_raw_file(file) };
        // SAFETY: The device is registered at least until the file is open.
        let device = unsafe { Device::from_raw((*misc).this_device) };

        match T::open(opened, device, minor.unsigned_abs()) {
            Ok(data) => {
                // SAFETY: The private data belong to `open` until it returns.
                unsafe { (*file).private_data = data.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Called by the VFS, once, for a file that [`Self::open`] opened.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open` stored the data.
        let data = unsafe { (*file).private_data };
        // SAFETY: They came from `into_foreign`, and nothing borrows them any more.
        drop(unsafe { T::Data::from_foreign(data) });
        0
    }

    /// # Safety
    ///
    /// Called by the VFS for a file that [`Self::open`] opened and that is not yet released.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: `open` stored the data.
        let data = unsafe { (*file).private_data };
        // SAFETY: They came from `into_foreign` and live until `release`.
        match T::ioctl(unsafe { T::Data::borrow(data) }, cmd, arg) {
            Ok(value) => value as c_long,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// Called by the VFS for a file that [`Self::open`] opened and that is not yet released, and for a
    /// `vma` that is being set up.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: `open` stored the data.
        let data = unsafe { (*file).private_data };
        // SAFETY: They came from `into_foreign` and live until `release`.
        let data = unsafe { T::Data::borrow(data) };
        // SAFETY: The caller sets the VMA up until this function returns.
        let vma = unsafe { VmaNew::from_raw(vma.cast()) };

        match T::mmap(data, vma) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }
}

/// The private data of `file`, if it was opened on device `T`.
///
/// # Safety
///
/// `file` is an open file to which the caller has a reference.
pub unsafe fn private_data<T: MiscDevice>(file: *mut bindings::file) -> Option<*mut c_void> {
    // SAFETY: The file is open; its operations and private data do not change any more.
    let (operations, data) = unsafe { ((*file).f_op, (*file).private_data) };

    core::ptr::eq(operations, &T::operations().0).then_some(data)
}

/// The minor number that the kernel sets aside for VFIO containers.
pub const VFIO_MINOR: u32 = bindings::VFIO_MINOR;

/// How a device appears under `/dev`.
#[derive(Clone, Copy)]
pub struct Options {
    /// Its minor number; `None` for whichever is free.
    pub minor: Option<u32>,
    /// Its name under `/sys/class/misc`.
    pub name: &'static CStr,
    /// Its node, below `/dev`.
    pub node: &'static CStr,
    /// The permission bits of the node.
    pub mode: u16,
}

/// A registered device; dropping it takes it away.
///
/// # Invariants
///
/// `raw` is registered with `misc_register()`.
#[pin_data(PinnedDrop)]
pub struct Registration<T: MiscDevice> {
    #[pin]
    raw: Opaque<bindings::miscdevice>,
    _device: PhantomData<fn() -> T>,
}

// SAFETY: A device may be registered and taken away on different threads.
unsafe impl<T: MiscDevice> Send for Registration<T> {}
// SAFETY: There is nothing to do with a `&Registration`.
unsafe impl<T: MiscDevice> Sync for Registration<T> {}

impl<T: MiscDevice> Registration<T> {
    /// Registers a device.
    ///
    /// # Errors
    ///
    /// `EBUSY` if its minor number is taken.
    pub fn new(options: Options) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            raw <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let mut raw: bindings::miscdevice = pin_init::zeroed();

                raw.minor = options.minor.unwrap_or(bindings::MISC_DYNAMIC_MINOR) as c_int;
                raw.name = options.name.as_char_ptr();
                raw.nodename = options.node.as_char_ptr();
                raw.mode = options.mode;
                raw.fops = &T::operations().0;
                // SAFETY: `slot` is valid for writing.
                unsafe { slot.write(raw) };
                // INVARIANT: On success the device is registered.
                // SAFETY: `slot` is pinned and is taken out of the list before it is freed.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
            _device: PhantomData,
        })
    }
}

#[pinned_drop]
impl<T: MiscDevice> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered.
        unsafe { bindings::misc_deregister(self.raw.get()) };
    }
}
