// SPDX-License-Identifier: GPL-2.0

//! How objects go: each is taken out of the table, then waits for the calls that use it.
//!
//! Every way follows two rules. An object leaves the table with the table's lock held, and in the
//! same step in which it is settled that the caller and no other destroys it. A function that has
//! given up its own user touches the object no more, unless it holds the lock and has found the
//! object in the table under it, or has taken the last user.

use super::{
    super::object::{Header, ObjectFamily, ObjectId},
    Context, Iommufd,
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{prelude::*, types::Opaque};

/// How long destruction waits for calls that use the object. They are short: if one takes longer,
/// something hangs, and leaking the object is better than hanging too.
const DESTROY_TIMEOUT_MS: u32 = 60_000;

fn destroy_wait(shared: &Opaque<bindings::iommufd_ctx_layout>) -> *mut bindings::wait_queue_head {
    // SAFETY: The projection stays within the structure.
    unsafe { &raw mut (*shared.get()).destroy_wait }
}

impl<I: Iommufd> Context<I> {
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
        // SAFETY: It was taken out just now, with its last user.
        unsafe { self.wait_and_drop(header) };
        Ok(())
    }

    /// Gives a user up, and destroys the object if only the table has one left. An object that is
    /// not in the table stays.
    ///
    /// # Safety
    ///
    /// The object is one of this context, and the caller has a user of it, which it gives up.
    pub(crate) unsafe fn put_and_try_destroy(&self, header: NonNull<Header>) {
        {
            let table = self.lock();
            // SAFETY: The caller has a user until that is given up. From then on the lock keeps the
            // object if it is in the table, and otherwise it is not touched.
            let object = unsafe { header.as_ref() };
            let id = object.id();
            let is_published = table.load(id) == Some(header);

            object.users().dec();
            if !is_published || !object.take_last_user() {
                return;
            }
            table.erase(id);
        }
        // SAFETY: It was taken out just now, with its last user.
        unsafe { self.wait_and_drop(header) };
    }

    /// Destroys an object on behalf of its owner, and first waits for calls that use it. User space
    /// cannot hinder this: it finds the object no more.
    ///
    /// # Safety
    ///
    /// The object is in the table of this context. The caller has the user of its owner, which it
    /// gives up.
    pub(crate) unsafe fn destroy_owned(&self, header: NonNull<Header>) {
        // SAFETY: The caller has a user until that is given up below, and then this function takes
        // the last.
        let object = unsafe { header.as_ref() };

        // No other caller can have taken it out: with the owner's user, it never is the last.
        self.lock().erase(object.id());
        if kernel::warn_on!(!self.wait_unused(object)) {
            return;
        }
        // This one does not let others free the object: it is in no table, and has no owner.
        object.users().dec();
        if kernel::warn_on!(!object.take_last_user()) {
            pr_crit!(
                "object {} is referred to after its driver has gone\n",
                object.id().0
            );
            return;
        }
        // SAFETY: It is in no table, no call uses it, and the last user is taken.
        unsafe { self.drop_object(header) };
    }

    /// # Safety
    ///
    /// The object was taken out of the table with its last user.
    unsafe fn wait_and_drop(&self, header: NonNull<Header>) {
        // SAFETY: The caller promises that the last user was taken, so no other code frees the
        // object.
        let object = unsafe { header.as_ref() };

        if kernel::warn_on!(!self.wait_unused(object)) {
            return;
        }
        // SAFETY: It is in no table, no call uses it, and the last user is taken.
        unsafe { self.drop_object(header) };
    }

    /// Gives up the table's share of `wait_cnt` of an object that is no longer in the table, and
    /// waits until calls that use it are done. False if they take too long: then the object must be
    /// leaked.
    fn wait_unused(&self, object: &Header) -> bool {
        if object.wait_count().dec_and_test() {
            return true;
        }
        // SAFETY: The wait queue and the counter live as long as context and object.
        let unused = unsafe {
            bindings::iommufd_core_wait_unused(
                destroy_wait(&self.shared),
                object.wait_count_raw(),
                DESTROY_TIMEOUT_MS,
            )
        };

        if !unused {
            pr_crit!("object {} is still in use, leaking it\n", object.id().0);
        }
        unused
    }

    pub(crate) fn wake_destroyers(&self) {
        // SAFETY: The wait queue is initialised.
        unsafe { bindings::iommufd_core_wake_up_all(destroy_wait(&self.shared)) };
    }

    /// # Safety
    ///
    /// The object is in no table, and no reference to it is left.
    unsafe fn drop_object(&self, header: NonNull<Header>) {
        // SAFETY: The object is still there.
        let kind = unsafe { header.as_ref() }.kind();

        match <I as ObjectFamily>::OBJECTS.get(kind) {
            // SAFETY: These are the operations for the kind of the object, and so for its type. The
            // caller promises that no reference to it is left.
            Some(ops) => unsafe { ops.drop(header) },
            None => {
                kernel::warn_on!(true);
            }
        }
    }

    /// Destroys all objects, those that others use after those that use them. Called when the file
    /// is closed; short uses through weak references may still begin and end.
    pub(super) fn destroy_all(&self) {
        loop {
            let mut next = 0;
            let mut destroyed = false;

            while let Some((header, id)) = self.take_unused(next) {
                // SAFETY: It was taken out just now, with its last user.
                unsafe { self.wait_and_drop(header) };
                next = id.0 + 1;
                destroyed = true;
            }
            if !destroyed {
                break;
            }
        }
        // What is left has users that outlive the file. It is leaked, unless one of them is its
        // owner.
        kernel::warn_on!(self.lock().published(0).next().is_some());
    }

    /// Takes the first object with an ID of at least `next` out of the table that no other uses.
    fn take_unused(&self, next: u32) -> Option<(NonNull<Header>, ObjectId)> {
        let table = self.lock();

        for header in table.published(next) {
            // SAFETY: While the lock is held, what the table holds is not freed.
            let object = unsafe { header.as_ref() };

            if object.take_last_user() {
                let id = object.id();

                table.erase(id);
                return Some((header, id));
            }
        }
        None
    }
}
