// SPDX-License-Identifier: GPL-2.0

//! The context of an open `/dev/iommu`, and the table of its objects.

mod open;

pub use open::{OpenContext, OpenRef};

use super::object::{
    AnyGuard, Header, Object, ObjectFamily, ObjectGuard, ObjectId, ObjectType, UserRef,
};
use crate::{
    bindings,
    fault::should_fail,
    miscdev::{FileOperations, MiscDevice},
};
use core::{mem::ManuallyDrop, ops::Deref, ptr::NonNull};
use kernel::{
    device::Device,
    error::to_result,
    fs::File,
    mm::virt::VmaNew,
    prelude::*,
    sync::{aref::ARef, Refcount, SpinLock},
    types::Opaque,
};

/// How long destruction waits for calls that use the object. They are short: if one takes longer,
/// something hangs, and leaking the object is better than hanging too.
const DESTROY_TIMEOUT_MS: u32 = 60_000;

/// A character device whose files are contexts with objects.
pub trait Iommufd: ObjectFamily + Sized + 'static {
    /// What an open file has beside its objects.
    type State: Send + Sync;

    /// The `file_operations` of this device: a `static` of the implementor.
    fn operations() -> &'static FileOperations<Self>;

    /// The state of a file that is opened on the device with this minor number.
    fn state(minor: u32) -> impl PinInit<Self::State, Error>;

    /// Carries out one ioctl.
    fn ioctl(context: &Context<Self>, cmd: u32, arg: usize) -> Result<isize>;

    /// Sets up a range of memory in which a process maps the file.
    fn mmap(context: &Context<Self>, vma: &VmaNew) -> Result;
}

impl<I: Iommufd> MiscDevice for I {
    type Data = OpenContext<I>;

    fn operations() -> &'static FileOperations<I> {
        <I as Iommufd>::operations()
    }

    fn open(file: &File, device: &Device, minor: u32) -> Result<OpenContext<I>> {
        OpenContext::new(file, device, minor)
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
/// `struct iommufd_ctx *` in C. Its objects are destroyed when the file is closed. An [`ARef`] keeps no
/// more than the memory: objects have one, and they cannot keep the file open that owns them. Who uses
/// the context from outside keeps it open with an [`OpenRef`].
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

/// Holds the lock of the object table.
struct TableLock<'a>(&'a Opaque<bindings::iommufd_ctx_layout>);

impl TableLock<'_> {
    /// The published object with this ID.
    fn load(&self, id: ObjectId) -> Option<NonNull<Header>> {
        // SAFETY: The table is initialised, and its lock is held.
        let entry = unsafe { bindings::xa_load(objects(self.0), id.0 as usize) };

        NonNull::new(entry.cast())
    }

    /// Whether there is no object, published or reserved.
    fn is_empty(&self) -> bool {
        // SAFETY: The table is initialised, and its lock is held.
        unsafe { (*objects(self.0)).xa_head.is_null() }
    }

    fn erase(&self, id: ObjectId) {
        // SAFETY: The table is initialised, and its lock is held.
        unsafe { bindings::__xa_erase(objects(self.0), id.0 as usize) };
    }
}

impl Drop for TableLock<'_> {
    fn drop(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::xa_unlock(objects(self.0)) };
    }
}

fn objects(shared: &Opaque<bindings::iommufd_ctx_layout>) -> *mut bindings::xarray {
    // SAFETY: The projection stays within the structure.
    unsafe { &raw mut (*shared.get()).objects }
}

fn destroy_wait(shared: &Opaque<bindings::iommufd_ctx_layout>) -> *mut bindings::wait_queue_head {
    // SAFETY: The projection stays within the structure.
    unsafe { &raw mut (*shared.get()).destroy_wait }
}

impl<I: Iommufd> Context<I> {
    /// The character device that it was opened on: a device for those who must name one.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn lock(&self) -> TableLock<'_> {
        // SAFETY: The table is initialised.
        unsafe { bindings::xa_lock(objects(&self.shared)) };
        TableLock(&self.shared)
    }

    /// Makes an object that has an ID but that nobody can look up yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or what `init` reports; then there is no object and the ID is free again.
    pub fn reserve<T, Init>(&self, init: impl FnOnce(ObjectId) -> Init) -> Result<Reserved<'_, T>>
    where
        T: ObjectType<Family = I>,
        Init: PinInit<T, Error>,
    {
        let mut id = 0;
        // SAFETY: The table is initialised.
        to_result(unsafe { bindings::kernel_ext_xa_alloc_31b(objects(&self.shared), &mut id) })?;

        let id = ObjectId(id);
        match KBox::try_pin_init(Object::new(id, init(id)), GFP_KERNEL_ACCOUNT) {
            Ok(object) => Ok(Reserved {
                context: self,
                object: ManuallyDrop::new(object),
            }),
            Err(error) => {
                self.lock().erase(id);
                Err(error)
            }
        }
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

    /// A reference to the published object of type `T` with the lowest ID from `next` on, and the ID to
    /// go on with.
    pub fn next_user<T: ObjectType<Family = I>>(&self, next: u32) -> Option<(UserRef<T>, u32)> {
        let _table = self.lock();
        let mut index = next as c_ulong;

        loop {
            // SAFETY: The table is initialised; it may be searched with its lock held.
            let entry = unsafe {
                bindings::xa_find(
                    objects(&self.shared),
                    &mut index,
                    c_ulong::MAX,
                    bindings::XA_PRESENT,
                )
            };
            let header = NonNull::<Header>::new(entry.cast())?;
            // SAFETY: While the lock is held, what the table holds is not freed.
            let object = unsafe { header.as_ref() };

            index += 1;
            if object.kind() == T::KIND as u32 && object.try_use() {
                // SAFETY: By its kind this is an `Object<T>`, and the user was taken just now.
                let user = unsafe { UserRef::from_raw(header.cast()) };
                // IDs have 31 bits.
                return Some((user, index as u32));
            }
        }
    }

    /// Whether a published object satisfies `f`, which must neither sleep nor use the table.
    pub fn any<T: ObjectType<Family = I>>(&self, mut f: impl FnMut(&T) -> bool) -> bool {
        let _table = self.lock();
        let mut index = 0;

        loop {
            // SAFETY: The table is initialised; it may be searched with its lock held.
            let entry = unsafe {
                bindings::xa_find(
                    objects(&self.shared),
                    &mut index,
                    usize::MAX,
                    bindings::XA_PRESENT,
                )
            };
            let Some(header) = NonNull::<Header>::new(entry.cast()) else {
                return false;
            };
            // SAFETY: While the lock is held, what the table holds is not freed.
            if unsafe { header.as_ref() }.kind() == T::KIND as u32 {
                // SAFETY: By its kind this is an `Object<T>`.
                let object = unsafe { header.cast::<Object<T>>().as_ref() };
                if f(object.value()) {
                    return true;
                }
            }
            index += 1;
        }
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

    /// Destroys the object with this ID.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none; `EBUSY` while something uses it.
    pub fn destroy(&self, id: ObjectId) -> Result {
        let header = {
            let table = self.lock();
            let header = table.load(id).ok_or(ENOENT)?;
            // SAFETY: While the lock is held, what the table holds is not freed.
            if !unsafe { header.as_ref() }.take_last_user() {
                return Err(EBUSY);
            }
            table.erase(id);
            header
        };
        // SAFETY: The last user is taken, and nobody can find the object any more.
        unsafe { self.wait_and_drop(header) };
        Ok(())
    }

    /// Gives a reference up and destroys the object if nothing else uses it. One that is not yet
    /// published stays: that is up to whoever has reserved it.
    pub fn put_and_try_destroy<T: ObjectType<Family = I>>(&self, user: UserRef<T>) {
        let header: NonNull<Header> = user.into_raw().cast();
        {
            let table = self.lock();
            // SAFETY: The reference was good until here, and the table, or who has reserved the
            // object, has one more.
            let object = unsafe { header.as_ref() };

            object.users().dec();
            if table.load(object.id()) != Some(header) || !object.take_last_user() {
                return;
            }
            table.erase(object.id());
        }
        // SAFETY: The last user is taken, and nobody can find the object any more.
        unsafe { self.wait_and_drop(header) };
    }

    /// Destroys the object to which the caller, an in-kernel driver, has the only long-lived
    /// reference: first waits for calls that use it. User space cannot hinder this.
    pub fn destroy_user<T: ObjectType<Family = I>>(&self, user: UserRef<T>) {
        let header: NonNull<Header> = user.into_raw().cast();
        // SAFETY: The reference is good until it is given up below.
        let object = unsafe { header.as_ref() };

        if !self.wait_unused(object) {
            // Destroyed when the file is closed, if ever.
            object.users().dec();
            return;
        }
        let table = self.lock();
        object.users().dec();
        if table.load(object.id()) != Some(header) || !object.take_last_user() {
            object.wait_count().set(1);
            drop(table);
            kernel::warn_on!(true);
            return;
        }
        table.erase(object.id());
        drop(table);
        // SAFETY: Nobody uses the object, and nobody can find it any more.
        unsafe { self.drop_object(header) };
    }

    /// # Safety
    ///
    /// The object was taken out of the table with its last user.
    unsafe fn wait_and_drop(&self, header: NonNull<Header>) {
        // SAFETY: The object is ours.
        let object = unsafe { header.as_ref() };

        if kernel::warn_on!(!self.wait_unused(object)) {
            return;
        }
        // SAFETY: No call uses it any more.
        unsafe { self.drop_object(header) };
    }

    /// Gives up the table's share of `wait_cnt` and waits until calls that use the object are done.
    fn wait_unused(&self, object: &Header) -> bool {
        if object.wait_count().dec_and_test() {
            return true;
        }
        // SAFETY: The wait queue and the counter live as long as context and object.
        let unused = unsafe {
            bindings::kernel_ext_wait_unused(
                destroy_wait(&self.shared),
                object.wait_count_raw(),
                DESTROY_TIMEOUT_MS,
            )
        };

        if !unused {
            pr_crit!("object {} is still in use, leaking it\n", object.id().0);
            object.wait_count().inc();
        }
        unused
    }

    pub(crate) fn wake_destroyers(&self) {
        // SAFETY: The wait queue is initialised.
        unsafe { bindings::kernel_ext_wake_up_all(destroy_wait(&self.shared)) };
    }

    /// # Safety
    ///
    /// Nobody uses the object or can find it.
    unsafe fn drop_object(&self, header: NonNull<Header>) {
        // SAFETY: The object is still there.
        let kind = unsafe { header.as_ref() }.kind();

        match I::OBJECTS.get(kind) {
            // SAFETY: These are the operations for its kind, and the caller vouches for the rest.
            Some(ops) => unsafe { ops.drop(header) },
            None => {
                kernel::warn_on!(true);
            }
        }
    }

    /// Destroys all objects, those that others use after those that use them.
    fn destroy_all(&self) {
        loop {
            let mut destroyed = false;
            let mut index: c_ulong = 0;

            while let Some(header) = self.next_object(&mut index) {
                // SAFETY: The file is closed: only this function takes objects out.
                let object = unsafe { header.as_ref() };

                if object.take_last_user() {
                    self.lock().erase(object.id());
                    // SAFETY: It has no user, and with the file closed no call either.
                    unsafe { self.drop_object(header) };
                    destroyed = true;
                }
                index += 1;
            }
            if !destroyed {
                break;
            }
        }
        kernel::warn_on!(self.next_object(&mut 0).is_some());
    }

    /// The first published object with an ID of at least `index`, which becomes its ID.
    fn next_object(&self, index: &mut c_ulong) -> Option<NonNull<Header>> {
        // SAFETY: The table is initialised; the search takes what locks it needs.
        let entry = unsafe {
            bindings::xa_find(
                objects(&self.shared),
                index,
                c_ulong::MAX,
                bindings::XA_PRESENT,
            )
        };

        NonNull::new(entry.cast())
    }

    /// A reference that keeps the memory of this context, and not its file.
    pub fn to_aref(&self) -> ARef<Self> {
        self.into()
    }
}

/// An object that has an ID and that nobody can look up. Dropping it undoes that.
pub struct Reserved<'a, T: ObjectType> {
    context: &'a Context<T::Family>,
    /// Taken by `publish` or `drop`, with which the value ends.
    object: ManuallyDrop<Pin<KBox<Object<T>>>>,
}

impl<T: ObjectType> Reserved<'_, T> {
    /// The ID that the object will have.
    pub fn id(&self) -> ObjectId {
        self.object.header.id()
    }

    /// Lets others find the object; cannot fail. They may destroy it at once.
    pub fn publish(self) -> ObjectId {
        let mut this = ManuallyDrop::new(self);
        let id = this.id();
        // SAFETY: `this` is not used again.
        let object = unsafe { ManuallyDrop::take(&mut this.object) };
        // SAFETY: The object stays where it is until it is dropped.
        let raw = KBox::into_raw(unsafe { Pin::into_inner_unchecked(object) });

        // SAFETY: The ID is reserved for this object.
        unsafe {
            bindings::kernel_ext_xa_store_reserved(objects(&this.context.shared), id.0, raw.cast())
        };
        id
    }

    /// As [`publish`](Self::publish), and keeps a reference: it cannot be destroyed meanwhile.
    pub fn publish_and_use(self) -> UserRef<T> {
        let user = self.to_user();
        self.publish();
        user
    }

    /// A long-lived reference to the object. Must be gone again if the object is not published.
    pub fn to_user(&self) -> UserRef<T> {
        // SAFETY: `self` keeps the object.
        unsafe { UserRef::new(NonNull::from(&**self.object)) }
    }
}

impl<T: ObjectType> Deref for Reserved<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.object.value()
    }
}

impl<T: ObjectType> Drop for Reserved<'_, T> {
    fn drop(&mut self) {
        let id = self.id();

        if kernel::warn_on!(!self.object.header.take_last_user()) {
            // Somebody still refers to it: leaking it is all that is safe.
            return;
        }
        // SAFETY: `self` is not used again.
        unsafe { ManuallyDrop::drop(&mut self.object) };
        self.context.lock().erase(id);
    }
}
