// SPDX-License-Identifier: GPL-2.0

//! References that do not keep an object.

use super::{
    context::Context,
    object::{Object, ObjectGuard, ObjectId, ObjectType},
};
use core::ptr::NonNull;
use kernel::sync::aref::ARef;

/// A reference to an object that may be destroyed meanwhile, for those who tell it something as
/// long as it exists. Keeps the context.
pub struct WeakRef<T: ObjectType> {
    context: ARef<Context<T::Family>>,
    id: ObjectId,
    /// Only compared: an ID has a new owner once the object is gone.
    object: NonNull<Object<T>>,
}

// SAFETY: The context may be sent and shared, and the object is not reached through the pointer.
unsafe impl<T: ObjectType> Send for WeakRef<T> {}
// SAFETY: As above.
unsafe impl<T: ObjectType> Sync for WeakRef<T> {}

impl<T: ObjectType> WeakRef<T> {
    /// A reference to `object`; see [`OwnerRef::downgrade`](super::OwnerRef::downgrade).
    pub(super) fn new(object: &Object<T>) -> Self {
        Self {
            context: object.context().clone(),
            id: object.header.id(),
            object: object.into(),
        }
    }

    /// The ID of the object, as long as that exists.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// The object, for a short use that its destruction waits for; `None` if that has begun.
    pub fn upgrade(&self) -> Option<ObjectGuard<'_, T>> {
        self.context.get_same(self.id, self.object)
    }
}

impl<T: ObjectType> Clone for WeakRef<T> {
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            id: self.id,
            object: self.object,
        }
    }
}
