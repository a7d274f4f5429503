// SPDX-License-Identifier: GPL-2.0

//! Objects that are being made: they have an ID, and cannot be looked up.

use super::{
    super::object::{Object, ObjectId, ObjectType, OwnerRef, UserRef},
    table, Context, Iommufd,
};
use core::{ffi::c_void, mem::ManuallyDrop, ops::Deref, ptr::NonNull};
use kernel::prelude::*;

impl<I: Iommufd> Context<I> {
    /// Makes an object that has an ID and that cannot be looked up yet.
    ///
    /// # Errors
    ///
    /// `ENODEV` once the file is closed, `ENOMEM`, or what `init` reports; then there is no object
    /// and the ID is free again.
    pub fn reserve<T, Init>(&self, init: impl FnOnce(ObjectId) -> Init) -> Result<Reserved<'_, T>>
    where
        T: ObjectType<Family = I>,
        Init: PinInit<T, Error>,
    {
        if self.is_closed() {
            return Err(ENODEV);
        }
        let id = table::alloc_id(&self.shared)?;

        match KBox::try_pin_init(Object::new(self, id, init(id)), GFP_KERNEL_ACCOUNT) {
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
}

/// An object that has an ID and that cannot be looked up. Dropping it undoes that.
pub struct Reserved<'a, T: ObjectType> {
    context: &'a Context<T::Family>,
    /// Taken by `store` or `drop`, with which the value ends.
    object: ManuallyDrop<Pin<KBox<Object<T>>>>,
}

impl<'a, T: ObjectType> Reserved<'a, T> {
    /// The ID that the object will have.
    pub fn id(&self) -> ObjectId {
        self.object.header.id()
    }

    /// Lets others find the object; cannot fail. They may destroy it at once.
    ///
    /// If the file is closed, this destroys it: a caller that does not know that the file is open
    /// holds no lock that dropping an object takes.
    pub fn publish(self) -> ObjectId {
        let id = self.id();
        let context = self.context;

        self.store();
        if context.is_closed() {
            // Whether closing has seen the object is not known.
            context.destroy_all();
        }
        id
    }

    /// As [`publish`](Self::publish), for an object that belongs to an in-kernel driver: only
    /// dropping the reference destroys it.
    pub fn publish_owned(self) -> OwnerRef<T> {
        self.object.header.users().inc();
        let object = self.store();

        // SAFETY: The object is published, with a user that is given up here. There is no other
        // `OwnerRef`, since publishing ends the `Reserved`.
        unsafe { OwnerRef::from_raw(object) }
    }

    fn store(self) -> NonNull<Object<T>> {
        let mut this = ManuallyDrop::new(self);
        let id = this.id();
        // SAFETY: `this` is not used again.
        let object = unsafe { ManuallyDrop::take(&mut this.object) };
        // SAFETY: The object stays where it is until it is dropped.
        let object = NonNull::from(KBox::leak(unsafe { Pin::into_inner_unchecked(object) }));

        // SAFETY: The ID was allocated for this object, whose first user is the table's.
        unsafe { table::store(&this.context.shared, id, object) };
        object
    }

    /// The object as C knows it, for structures that C reads.
    pub(crate) fn as_c_ptr(&self) -> *mut c_void {
        (&raw const **self.object).cast_mut().cast()
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
            // A reference to it is left: leaking it is all that is safe.
            return;
        }
        // SAFETY: `self` is not used again.
        unsafe { ManuallyDrop::drop(&mut self.object) };
        self.context.lock().erase(id);
    }
}
