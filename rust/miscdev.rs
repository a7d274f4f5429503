// SPDX-License-Identifier: GPL-2.0

//! Character devices of the misc class.
//!
//! This differs from `kernel::miscdevice` in four points:
//!
//! - A device has a node name, a mode, and optionally a fixed minor number.
//! - Several devices may share their operations; `open` is passed the device of the file, and the
//!   file itself, by an [`Opening`] that no other code can make.
//! - [`private_data`] recognises an open file by its `file_operations`, and returns its data.
//! - 32-bit programs on 64-bit kernels call the same `ioctl`.
//!
//! C header: `include/linux/miscdevice.h`.

use crate::bindings;
use core::{any::TypeId, marker::PhantomData};
use kernel::{
    device::Device,
    error::to_result,
    fs::File,
    mm::virt::VmaNew,
    prelude::*,
    types::{ForeignOwnable, Opaque},
};

/// The operations of a device on its open files.
///
/// # Examples
///
/// ```ignore
/// struct Null;
///
/// static OPERATIONS: FileOperations<Null> = FileOperations::new(&THIS_MODULE);
///
/// impl MiscDevice for Null {
///     type Data = KBox<State>;
///
///     fn operations() -> &'static FileOperations<Self> {
///         &OPERATIONS
///     }
///
///     fn open(_opening: Opening<'_, Self>) -> Result<KBox<State>> {
///         Ok(KBox::new(State::new(), GFP_KERNEL)?)
///     }
///
///     fn ioctl(state: &State, cmd: u32, arg: usize) -> Result<isize> {
///         state.execute(cmd, arg)
///     }
/// }
///
/// let device = KBox::pin_init(
///     Registration::<Null>::new(Options {
///         minor: None,
///         name: c"null2",
///         node: c"null2",
///         mode: 0o600,
///     }),
///     GFP_KERNEL,
/// )?;
/// ```
pub trait MiscDevice: Sized + 'static {
    /// The data of an open file.
    type Data: ForeignOwnable + Send + Sync;

    /// Returns the `file_operations` of this device: a `static` of the implementor.
    fn operations() -> &'static FileOperations<Self>;

    /// Creates the data of a file that is being opened.
    fn open(opening: Opening<'_, Self>) -> Result<Self::Data>;

    /// Executes an ioctl.
    fn ioctl(
        data: <Self::Data as ForeignOwnable>::Borrowed<'_>,
        cmd: u32,
        arg: usize,
    ) -> Result<isize>;

    /// Sets up a memory mapping of an open file.
    ///
    /// # Errors
    ///
    /// `ENODEV` by default, for a device that has no memory to be mapped.
    fn mmap(_data: <Self::Data as ForeignOwnable>::Borrowed<'_>, _vma: &VmaNew) -> Result {
        Err(ENODEV)
    }
}

/// A file that is being opened on a device of `T`.
///
/// Data of the file may refer to it as long as they exist: they are dropped when it is released.
///
/// # Invariants
///
/// `file` is being opened by `FileOperations::<T>::open`, and becomes a file of `T` with the data
/// that [`MiscDevice::open`] returns.
pub struct Opening<'a, T: MiscDevice> {
    file: &'a File,
    device: &'a Device,
    minor: u32,
    _type: PhantomData<fn() -> T>,
}

impl<'a, T: MiscDevice> Opening<'a, T> {
    /// Returns the file.
    pub fn file(&self) -> &'a File {
        self.file
    }

    /// Returns the device that the file is opened on.
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// Returns the minor number of the device.
    pub fn minor(&self) -> u32 {
        self.minor
    }
}

/// The `struct file_operations` of the device `T`.
///
/// # Invariants
///
/// The operations are the functions below, so that the private data of each open file with this
/// table came from `T::Data::into_foreign`. A table for another type is at another address.
#[repr(C)]
pub struct FileOperations<T: MiscDevice> {
    raw: bindings::file_operations,
    /// Tells this table from those of other types. Functions with the same code may be merged, and
    /// so may constants with the same value; but this function does not return the same for two
    /// types.
    _type_id: fn() -> TypeId,
    _type: PhantomData<fn() -> T>,
}

// SAFETY: The table is not changed after it has been created.
unsafe impl<T: MiscDevice> Sync for FileOperations<T> {}

impl<T: MiscDevice> FileOperations<T> {
    /// Creates the table for a device of `module`, which stays loaded while a file is open.
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
        // INVARIANT: The operations are the functions below. `open` stores the result of
        // `into_foreign` before the file is open. The value differs from that of a table for
        // another type in `_type_id`, so the compiler does not merge the two.
        Self {
            raw,
            _type_id: TypeId::of::<T>,
            _type: PhantomData,
        }
    }

    /// Returns whether this is the table of an open file.
    fn is_of(&self, file: *const bindings::file_operations) -> bool {
        core::ptr::eq(&self.raw, file)
    }

    /// # Safety
    ///
    /// The VFS calls this for a file that is being opened on a device with this table, with the
    /// device as the private data (`misc_open()`).
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The VFS passes a file that is valid for the duration of the call.
        let misc: *mut bindings::miscdevice = unsafe { (*file).private_data }.cast();
        // SAFETY: `misc_open()` has stored the device in the private data. It holds `misc_mtx`, so
        // the device stays registered during the call.
        let minor = unsafe { (*misc).minor };
        // SAFETY: The file is valid for the duration of the call. It has no file descriptor yet, so
        // no `fdget_pos()` call for it is in progress.
        let opened = unsafe { File::from_raw_file(file) };
        // SAFETY: As above, the device stays registered during the call.
        let device = unsafe { (*misc).this_device };
        // SAFETY: A registered device has a `struct device`, which is valid until it is
        // deregistered.
        let device = unsafe { Device::from_raw(device) };

        // INVARIANT: This is the file, and below it gets the data that `T::open` returns.
        let opening = Opening {
            file: opened,
            device,
            minor: minor.unsigned_abs(),
            _type: PhantomData,
        };

        match T::open(opening) {
            Ok(data) => {
                // SAFETY: The file is valid, and only `open` accesses its private data before it
                // returns.
                unsafe { (*file).private_data = data.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// The VFS calls this once for a file that [`Self::open`] has opened, after all other
    /// operations of the file.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The VFS passes a valid file, whose private data does not change once it is open.
        let data = unsafe { (*file).private_data };
        // SAFETY: `open` stored the result of `into_foreign`. This is the last operation on the
        // file, so the data is not borrowed and not used after this.
        drop(unsafe { T::Data::from_foreign(data) });
        0
    }

    /// # Safety
    ///
    /// The VFS calls this for a file that [`Self::open`] has opened and that is not yet released.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The VFS passes a valid file, whose private data does not change once it is open.
        let data = unsafe { (*file).private_data };
        // SAFETY: `open` stored the result of `into_foreign`, which only `release` takes back,
        // after this call.
        match T::ioctl(unsafe { T::Data::borrow(data) }, cmd, arg) {
            Ok(value) => value as c_long,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// The VFS calls this for a file that [`Self::open`] has opened and that is not yet released,
    /// and for a `vma` that is being set up.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The VFS passes a valid file, whose private data does not change once it is open.
        let data = unsafe { (*file).private_data };
        // SAFETY: `open` stored the result of `into_foreign`, which only `release` takes back,
        // after this call.
        let data = unsafe { T::Data::borrow(data) };
        // SAFETY: The VFS passes a VMA that is being set up, and does not use it during the call.
        let vma = unsafe { VmaNew::from_raw(vma.cast()) };

        match T::mmap(data, vma) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }
}

/// Returns the private data of `file` if it was opened on a device `T`.
///
/// # Safety
///
/// `file` is an open file, to which the caller has a reference.
pub unsafe fn private_data<T: MiscDevice>(file: *mut bindings::file) -> Option<*mut c_void> {
    // SAFETY: The caller has a reference to the file, so it is valid. It is open, so its operations
    // do not change.
    let operations = unsafe { (*file).f_op };
    // SAFETY: As above; the private data of an open file do not change either.
    let data = unsafe { (*file).private_data };

    T::operations().is_of(operations).then_some(data)
}

/// The minor number that the kernel reserves for VFIO containers.
pub const VFIO_MINOR: u32 = bindings::VFIO_MINOR;

/// The properties of a device and its node.
#[derive(Clone, Copy)]
pub struct Options {
    /// The minor number; `None` for a dynamic one.
    pub minor: Option<u32>,
    /// The name under `/sys/class/misc`.
    pub name: &'static CStr,
    /// The path of the node below `/dev`.
    pub node: &'static CStr,
    /// The permission bits of the node.
    pub mode: u16,
}

/// A registered device, which is deregistered on drop.
///
/// A registration that safe code leaks (`core::mem::forget()`) outlives the module, whose functions
/// C code then calls, as a leaked registration of the `kernel` crate does. Keep it in the data of
/// the module.
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

// SAFETY: A device may be deregistered on another thread than it was registered on.
unsafe impl<T: MiscDevice> Send for Registration<T> {}
// SAFETY: A `&Registration` has no methods and no public fields.
unsafe impl<T: MiscDevice> Sync for Registration<T> {}

impl<T: MiscDevice> Registration<T> {
    /// Returns an initialiser that registers a device.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the minor number is in use.
    pub fn new(options: Options) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            raw <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let mut raw: bindings::miscdevice = pin_init::zeroed();

                raw.minor = options.minor.unwrap_or(bindings::MISC_DYNAMIC_MINOR) as c_int;
                raw.name = options.name.as_char_ptr();
                raw.nodename = options.node.as_char_ptr();
                raw.mode = options.mode;
                raw.fops = &T::operations().raw;
                // SAFETY: The initialiser passes a `slot` that is valid for writing.
                unsafe { slot.write(raw) };
                // INVARIANT: The value exists only if this succeeds, and the device is registered
                // then.
                // SAFETY: `slot` was initialised just now. It is pinned, and deregistered on drop
                // before it is freed.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
            _device: PhantomData,
        })
    }
}

#[pinned_drop]
impl<T: MiscDevice> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the device is registered, and it is deregistered only here.
        unsafe { bindings::misc_deregister(self.raw.get()) };
    }
}
