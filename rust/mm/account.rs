// SPDX-License-Identifier: GPL-2.0

//! Who pays for pinned pages.
//!
//! Every pinned page shows in the `VmPin` of the process whose memory it is. Beside that it counts
//! against `RLIMIT_MEMLOCK`, summed over all processes of the user, unless the process may lock as
//! much memory as it likes.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{mm::Mm, prelude::*, sync::aref::ARef, task::Task};

/// What a charge counts against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChargeMode {
    /// Nothing: the process has `CAP_IPC_LOCK`.
    Nobody,
    /// `RLIMIT_MEMLOCK` of the process, against the sum over its user.
    User,
}

/// A reference to the accounting of one user.
///
/// # Invariants
///
/// `0` is valid and this value owns one reference to it.
struct User(NonNull<bindings::user_struct>);

// SAFETY: A `user_struct` may be used from any thread.
unsafe impl Send for User {}
// SAFETY: Its counters are atomic.
unsafe impl Sync for User {}

impl User {
    fn current() -> Option<Self> {
        // INVARIANT: `get_uid()` took the reference.
        // SAFETY: A running task has a user.
        NonNull::new(unsafe { bindings::kernel_ext_get_current_user() }).map(Self)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the reference.
        unsafe { bindings::free_uid(self.0.as_ptr()) };
    }
}

/// A number of pinned pages that a user and a process are charged for.
///
/// Dropping it gives everything back, which cannot fail.
pub struct Charge {
    mode: ChargeMode,
    task: ARef<Task>,
    user: User,
    mm: ARef<Mm>,
    npages: usize,
}

impl Charge {
    /// An empty charge to the calling process for pinning pages of its memory.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the caller has no memory of its own (a kernel thread).
    pub fn current() -> Result<Self> {
        let current = kernel::current!();
        let mm = current.mm().ok_or(EFAULT)?;
        // SAFETY: This only reads the credentials of the calling task.
        let unlimited = unsafe { bindings::capable(bindings::CAP_IPC_LOCK as c_int) };

        Ok(Self {
            mode: if unlimited {
                ChargeMode::Nobody
            } else {
                ChargeMode::User
            },
            task: current.group_leader().into(),
            user: User::current().ok_or(EFAULT)?,
            mm: ARef::from(&**mm),
            npages: 0,
        })
    }

    /// Charges for `npages` more pages.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if that would pass the limit; nothing is charged then.
    pub fn add(&mut self, npages: usize) -> Result {
        if self.mode == ChargeMode::User {
            // SAFETY: `task` is a valid task.
            let limit = unsafe { bindings::kernel_ext_memlock_limit(self.task.as_ptr()) };
            // SAFETY: By the invariant of `User` the pointer is valid.
            if !unsafe { bindings::kernel_ext_user_charge(self.user.0.as_ptr(), npages, limit) } {
                return Err(ENOMEM);
            }
        }
        // SAFETY: `mm` is a valid mm; its counter is atomic.
        unsafe { bindings::kernel_ext_mm_add_pinned(self.mm.as_raw(), npages as c_long) };
        self.npages += npages;
        Ok(())
    }

    /// Gives the whole charge back.
    pub fn clear(&mut self) {
        let npages = core::mem::take(&mut self.npages);

        if npages == 0 {
            return;
        }
        if self.mode == ChargeMode::User {
            // SAFETY: By the invariant of `User` the pointer is valid; `npages` were charged.
            unsafe { bindings::kernel_ext_user_uncharge(self.user.0.as_ptr(), npages) };
        }
        // SAFETY: `mm` is a valid mm; its counter is atomic.
        unsafe { bindings::kernel_ext_mm_add_pinned(self.mm.as_raw(), -(npages as c_long)) };
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.clear();
    }
}
