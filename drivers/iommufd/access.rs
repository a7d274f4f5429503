// SPDX-License-Identifier: GPL-2.0

//! Accesses: users of an address space in the kernel, which reach its memory without DMA.
//!
//! Only the driver that created an access destroys it: user space always gets `EBUSY`. An access
//! keeps its context, so the context's file stays open as long as it has one.
//!
//! Leaving an address space takes a while, because the driver first has to unpin what it has pinned
//! there, by calls that need the lock. Meanwhile the access is *leaving*: it pins no new pages, and
//! pages are unpinned in the address space in which they were pinned.
//!
//! Locks, in this order: `state`; those of the IOAS, which pinning holds for reading, so that
//! accesses do not wait for each other; that of the pages; `mmap_lock`. The `unmap` of the user is
//! called with none of them held.

use crate::{
    context::{Context, Iommufd},
    ioas::{Ioas, Member, Membership},
};
use iommufd_core::{
    AccessObject, AccessUser, CopyPath, KernelPins, ObjectId, OpenRef, OwnerRef, PinRequest,
    WeakRef,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        lock::{mutex::MutexBackend, Guard},
        Arc, Mutex,
    },
};
use kernel_ext::mm::{CopyBuffer, PAGE_SIZE};

/// An access of a driver in the kernel.
#[pin_data]
pub(crate) struct Access {
    context: OpenRef<Iommufd>,
    user: KBox<dyn AccessUser>,
    #[pin]
    pub(crate) state: Mutex<AccessState>,
}

/// The state of an access.
pub(crate) enum AccessState {
    /// It uses no address space.
    Detached,
    /// It uses this address space.
    Attached(Membership),
    /// It only unpins pages of this address space.
    Leaving(Membership),
}

impl AccessState {
    /// Returns the address space in which pages can be pinned.
    pub(crate) fn to_pin(&self) -> Option<&Ioas> {
        match self {
            Self::Attached(membership) => Some(membership.ioas()),
            Self::Detached | Self::Leaving(_) => None,
        }
    }

    /// Returns the address space in which pages have been pinned.
    fn to_unpin(&self) -> Option<&Ioas> {
        match self {
            Self::Attached(membership) | Self::Leaving(membership) => Some(membership.ioas()),
            Self::Detached => None,
        }
    }
}

impl Access {
    /// Returns the alignment of IOVAs and lengths that the driver needs, in bytes.
    fn alignment(&self) -> u64 {
        if self.user.needs_pages() {
            PAGE_SIZE as u64
        } else {
            1
        }
    }

    /// Attaches `access` to the address space `id`, instead of the one that it is attached to, if
    /// any. Does nothing if it is attached to `id`.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no such address space; `EBUSY` while the access is leaving one; else
    /// those of [`Membership::new`].
    fn change(
        access: &OwnerRef<Self>,
        state: Guard<'_, AccessState, MutexBackend>,
        id: ObjectId,
    ) -> Result {
        let ioas = access.context.get::<Ioas>(id)?;

        match &*state {
            AccessState::Leaving(_) => return Err(EBUSY),
            AccessState::Attached(membership) if ioas.is_same(membership.ioas()) => return Ok(()),
            AccessState::Attached(_) | AccessState::Detached => {}
        }
        let member = Arc::new(access.downgrade(), GFP_KERNEL_ACCOUNT)?;
        let membership = Membership::new(ioas.to_user(), member, access.alignment())?;

        access.settle(state, AccessState::Attached(membership));
        Ok(())
    }

    /// Leaves the address space that the access is attached to, if any, and then sets the state to
    /// `next`.
    fn settle<'a>(&'a self, mut state: Guard<'a, AccessState, MutexBackend>, next: AccessState) {
        match core::mem::replace(&mut *state, AccessState::Detached) {
            AccessState::Attached(left) => {
                *state = AccessState::Leaving(left);
                drop(state);
                self.user.unmap(0, u64::MAX);
                state = self.state.lock();
            }
            other => *state = other,
        }
        *state = next;
    }
}

/// Returns the last address of a range.
///
/// # Errors
///
/// `EINVAL` if the range is empty, `EOVERFLOW` if it goes past the end of the address space.
fn last_of(iova: u64, length: u64) -> Result<u64> {
    let more = length.checked_sub(1).ok_or(EINVAL)?;

    iova.checked_add(more).ok_or(EOVERFLOW)
}

impl Member for WeakRef<Access> {
    fn id(&self) -> ObjectId {
        self.id()
    }

    fn unmap(&self, iova: u64, length: u64) {
        // An access that is being destroyed has unpinned all pages, or is about to.
        if let Some(access) = self.upgrade() {
            access.user.unmap(iova, length);
        }
    }
}

impl AccessObject for Access {
    /// # Errors
    ///
    /// `ENOMEM`.
    fn create(context: &Context, user: KBox<dyn AccessUser>) -> Result<OwnerRef<Self>> {
        let access = context.reserve(|_| {
            try_pin_init!(Self {
                context: context.keep_open().ok_or(EBADFD)?,
                user,
                state <- new_mutex!(AccessState::Detached, "Access::state"),
            })
        })?;

        Ok(access.publish_owned())
    }

    fn leave(access: &OwnerRef<Self>) {
        let state = access.state.lock();

        if state.to_pin().is_some() {
            access.settle(state, AccessState::Detached);
        }
    }

    /// # Errors
    ///
    /// `EINVAL` if it is attached, which is a mistake of its driver; else those of
    /// [`change`](Self::change).
    fn attach(access: &OwnerRef<Self>, ioas: ObjectId) -> Result {
        let state = access.state.lock();

        if kernel::warn_on!(state.to_pin().is_some()) {
            return Err(EINVAL);
        }
        Self::change(access, state, ioas)
    }

    /// # Errors
    ///
    /// `ENOENT` if it is not attached; else those of [`change`](Self::change).
    fn replace(access: &OwnerRef<Self>, ioas: ObjectId) -> Result {
        let state = access.state.lock();

        if state.to_pin().is_none() {
            return Err(ENOENT);
        }
        Self::change(access, state, ioas)
    }

    fn detach(access: &OwnerRef<Self>) {
        let state = access.state.lock();

        if !kernel::warn_on!(state.to_pin().is_none()) {
            access.settle(state, AccessState::Detached);
        }
    }

    /// # Errors
    ///
    /// `EINVAL` for an empty range, `EOVERFLOW` for one past the end of the address space; `ENOENT`
    /// if it is not attached; `EINVAL`, and a warning, if its driver has not said that it needs
    /// pages; else those of [`Ioas::pin_pages`].
    fn pin_pages(
        &self,
        iova: u64,
        length: u64,
        request: &mut PinRequest<'_>,
        write: bool,
    ) -> Result {
        if kernel::warn_on!(!self.user.needs_pages()) {
            return Err(EINVAL);
        }
        let last = last_of(iova, length)?;
        let state = self.state.lock();

        state
            .to_pin()
            .ok_or(ENOENT)?
            .pin_pages(iova, last, request, write)
    }

    fn unpin_pages(&self, iova: u64, length: u64, pins: KernelPins) {
        let range = last_of(iova, length);
        let state = self.state.lock();
        let unpinned = match (state.to_unpin(), range) {
            (Some(ioas), Ok(last)) => ioas.unpin_pages(iova, last, pins),
            _ => false,
        };

        kernel::warn_on!(!unpinned);
    }

    /// # Errors
    ///
    /// `EINVAL` for an empty range, `EOVERFLOW` for one past the end of the address space; `ENOENT`
    /// if it is not attached; else those of [`Ioas::copy_bytes`].
    fn rw(&self, iova: u64, data: CopyBuffer<'_>, path: CopyPath) -> Result {
        let last = last_of(iova, data.len() as u64)?;
        let state = self.state.lock();

        state
            .to_pin()
            .ok_or(ENOENT)?
            .copy_bytes(iova, last, data, path)
    }
}
