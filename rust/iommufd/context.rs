// SPDX-License-Identifier: GPL-2.0

//! The context of an open `/dev/iommu`, and the table of its objects.

mod destroy;
mod open;
mod reserved;
mod table;

pub use open::{OpenContext, OpenRef};
pub use reserved::Reserved;

use super::object::{
    AnyGuard, Header, Object, ObjectFamily, ObjectGuard, ObjectId, ObjectType, UserRef,
};
use crate::{
    bindings,
    fault::should_fail,
    miscdev::{FileOperations, MiscDevice, Opening},
};
use core::{marker::PhantomData, ops::Deref, ptr::NonNull};
use kernel::{
    device::Device,
    mm::virt::VmaNew,
    prelude::*,
    sync::{aref::ARef, Refcount, SpinLock},
    types::Opaque,
};
use table::TableLock;

/// A character device whose files are contexts with objects.
pub trait Iommufd: ObjectFamily + Sized + 'static {
    /// What an open file has beside its objects.
    type State: Send + Sync;

    /// The `file_operations` of this device: a `static` of the implementor.
    fn operations() -> &'static FileOperations<ContextDevice<Self>>;

    /// The state of a file that is opened on the device with this minor number.
    fn state(minor: u32) -> impl PinInit<Self::State, Error>;

    /// Carries out one ioctl.
    fn ioctl(context: &Context<Self>, cmd: u32, arg: usize) -> Result<isize>;

    /// Sets up a range of memory in which a process maps the file.
    fn mmap(context: &Context<Self>, vma: &VmaNew) -> Result;
}

/// The character device of an [`Iommufd`]: each file that is opened on it is a context.
pub struct ContextDevice<I: Iommufd>(PhantomData<fn() -> I>);

impl<I: Iommufd> MiscDevice for ContextDevice<I> {
    type Data = OpenContext<I>;

    fn operations() -> &'static FileOperations<Self> {
        <I as Iommufd>::operations()
    }

    fn open(opening: Opening<'_, Self>) -> Result<OpenContext<I>> {
        OpenContext::new(opening)
    }

    fn ioctl(context: &Context<I>, cmd: u32, arg: usize) -> Result<isize> {
        <I as Iommufd>::ioctl(context, cmd, arg)
    }

    fn mmap(context: &Context<I>, vma: &VmaNew) -> Result {
        <I as Iommufd>::mmap(context, vma)
    }
}

/// An open `/dev/iommu`.
///
/// `struct iommufd_ctx *` in C. Its objects are destroyed when the file is closed. An [`ARef`]
/// keeps no more than the memory: objects have one, and they cannot keep the file open that owns
/// them. Code outside of the context keeps it open with an [`OpenRef`].
///
/// # Invariants
///
/// `memory` counts references. `file` is the file until it is closed.
#[repr(C)]
#[pin_data]
pub struct Context<I: Iommufd> {
    #[pin]
    shared: Opaque<bindings::iommufd_ctx_layout>,
    device: ARef<Device>,
    memory: Refcount,
    #[pin]
    file: SpinLock<Option<open::FilePtr>>,
    #[pin]
    state: I::State,
}

// SAFETY: The shared part is locks, atomics and structures with locks of their own.
unsafe impl<I: Iommufd> Send for Context<I> {}
// SAFETY: As above; `State` is `Sync`.
unsafe impl<I: Iommufd> Sync for Context<I> {}

impl<I: Iommufd> Deref for Context<I> {
    type Target = I::State;

    fn deref(&self) -> &I::State {
        &self.state
    }
}

impl<I: Iommufd> Context<I> {
    /// The character device that it was opened on: a device for those who must name one.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn lock(&self) -> TableLock<'_> {
        TableLock::new(&self.shared)
    }

    /// Looks an object up by ID and type.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none, or one of another type, or one that is being destroyed.
    pub fn get<T: ObjectType<Family = I>>(&self, id: ObjectId) -> Result<ObjectGuard<'_, T>> {
        self.look_up(id, |header| header.kind() == T::KIND as u32)?
            .downcast()
            .map_err(|_| ENOENT)
    }

    /// Looks up one particular object, which may be gone; then its ID may be another's.
    pub(crate) fn get_same<T: ObjectType<Family = I>>(
        &self,
        id: ObjectId,
        object: NonNull<Object<T>>,
    ) -> Option<ObjectGuard<'_, T>> {
        self.get_if(id, |header| NonNull::from(header) == object.cast())
            .ok()?
            .downcast()
            .ok()
    }

    /// As [`get`](Self::get), for any type.
    pub fn get_any(&self, id: ObjectId) -> Result<AnyGuard<'_, I>> {
        self.look_up(id, |_| true)
    }

    /// What user space asks for.
    fn look_up(
        &self,
        id: ObjectId,
        matches: impl FnOnce(&Header) -> bool,
    ) -> Result<AnyGuard<'_, I>> {
        if should_fail() {
            return Err(ENOENT);
        }
        self.get_if(id, matches)
    }

    fn get_if(
        &self,
        id: ObjectId,
        matches: impl FnOnce(&Header) -> bool,
    ) -> Result<AnyGuard<'_, I>> {
        let table = self.lock();
        let header = table.load(id).ok_or(ENOENT)?;
        // SAFETY: While the lock is held, what the table holds is not freed.
        let object = unsafe { header.as_ref() };

        if !matches(object) || !object.try_lock() {
            return Err(ENOENT);
        }
        // SAFETY: Just locked.
        Ok(unsafe { AnyGuard::new(self, header) })
    }

    /// A reference to the published object of type `T` with the lowest ID from `next` on, and the
    /// ID to go on with.
    pub fn next_user<T: ObjectType<Family = I>>(&self, next: u32) -> Option<(UserRef<T>, u32)> {
        let table = self.lock();

        for header in table.published(next) {
            // SAFETY: While the lock is held, what the table holds is not freed.
            let object = unsafe { header.as_ref() };

            if object.kind() == T::KIND as u32 && object.try_use() {
                // SAFETY: By its kind this is an `Object<T>`, and the user was taken just now.
                let user = unsafe { UserRef::from_raw(header.cast()) };
                // IDs have 31 bits.
                return Some((user, object.id().0 + 1));
            }
        }
        None
    }

    /// Whether a published object satisfies `f`, which must neither sleep nor use the table.
    pub fn any<T: ObjectType<Family = I>>(&self, mut f: impl FnMut(&T) -> bool) -> bool {
        let table = self.lock();

        table.published(0).any(|header| {
            // SAFETY: While the lock is held, what the table holds is not freed.
            if unsafe { header.as_ref() }.kind() != T::KIND as u32 {
                return false;
            }
            // SAFETY: As above, and by its kind this is an `Object<T>`.
            f(unsafe { header.cast::<Object<T>>().as_ref() }.value())
        })
    }

    /// Runs `f`, which must neither sleep nor use the table, while there is no object, neither one
    /// that is published nor one that is only reserved.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is one, else those of `f`.
    pub fn while_empty(&self, f: impl FnOnce() -> Result) -> Result {
        let table = self.lock();

        if !table.is_empty() {
            return Err(EBUSY);
        }
        f()
    }

    /// Whether the file is closed, or about to be. No object is reserved from then on.
    fn is_closed(&self) -> bool {
        self.file.lock().is_none()
    }

    /// A reference that keeps the memory of this context, and not its file.
    pub fn to_aref(&self) -> ARef<Self> {
        self.into()
    }
}
