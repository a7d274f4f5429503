// SPDX-License-Identifier: GPL-2.0

//! Charging pinned pages.
//!
//! Every pinned page is counted in the `VmPin` of a process. It is also charged against
//! `RLIMIT_MEMLOCK`, either of the whole user (as io_uring does) or of one process (as VFIO's type
//! 1 driver does, shown in `VmLck`), unless the process has `CAP_IPC_LOCK`.

use crate::{bindings, fault::should_fail};
use core::ptr::NonNull;
use kernel::{
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::aref::ARef,
    task::Task,
};

/// The limit that a charge counts against, in addition to `VmPin`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChargeMode {
    /// No limit: the process has `CAP_IPC_LOCK`.
    Nobody,
    /// `RLIMIT_MEMLOCK` of the process, against the sum over all processes of its user.
    User,
    /// `RLIMIT_MEMLOCK` of the process, against what it has locked itself.
    Process,
}

/// A reference to the `struct user_struct` of a user.
///
/// # Invariants
///
/// `0` is valid and this value owns one reference to it.
struct User(NonNull<bindings::user_struct>);

// SAFETY: References to a `user_struct` are counted atomically and may be dropped by any task.
unsafe impl Send for User {}
// SAFETY: A `&User` gives access to `locked_vm` and the reference count, both of which are atomic.
unsafe impl Sync for User {}

impl User {
    fn current() -> Option<Self> {
        // INVARIANT: The helper returns a new reference.
        // SAFETY: This reads the credentials of the current task, which always have a user.
        NonNull::new(unsafe { bindings::kernel_ext_get_current_user() }).map(Self)
    }

    fn as_ptr(&self) -> *mut bindings::user_struct {
        self.0.as_ptr()
    }
}

impl Clone for User {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant `self` owns a reference, so the count is not zero.
        unsafe { bindings::kernel_ext_get_user(self.as_ptr()) };
        // INVARIANT: The new value owns the reference that was taken just now.
        Self(self.0)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns a reference, which is not used after this.
        unsafe { bindings::free_uid(self.as_ptr()) };
    }
}

/// The limit to charge against, and the objects that are needed to do so.
#[derive(Clone)]
enum Limit {
    Nobody,
    /// The task is the leader of a thread group, whose limit applies.
    User(ARef<Task>, User),
    Process(ARef<Task>),
}

impl Limit {
    /// Returns the limit of the calling process.
    #[inline(never)]
    fn current(mode: ChargeMode) -> Result<Self> {
        let leader = kernel::current!().group_leader().into();

        Ok(match mode {
            ChargeMode::Nobody => Self::Nobody,
            ChargeMode::User => Self::User(leader, User::current().ok_or(EFAULT)?),
            ChargeMode::Process => Self::Process(leader),
        })
    }
}

/// A process that pinned pages are charged to, and the limit that applies.
///
/// # Examples
///
/// ```ignore
/// let payer = Payer::current(ChargeMode::User)?;
/// let file = SharedPages::pinned(Memory::File(file), payer.clone())?;
///
/// // A charge moves only if it is counted elsewhere.
/// if !charge.payer().pays_like(&payer) {
///     charge.move_to(&mut prepaid);
/// }
/// ```
#[derive(Clone)]
pub struct Payer {
    limit: Limit,
    mm: ARef<Mm>,
}

impl Payer {
    /// Returns the calling process, charged in mode `limited` unless it has `CAP_IPC_LOCK`.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the caller has no address space (a kernel thread).
    #[inline]
    pub fn current(limited: ChargeMode) -> Result<Self> {
        // SAFETY: This reads the credentials of the current task and may set its `PF_SUPERPRIV`,
        // both of which are always allowed.
        let unlimited = unsafe { bindings::capable(bindings::CAP_IPC_LOCK as c_int) };

        Self::current_in_mode(if unlimited {
            ChargeMode::Nobody
        } else {
            limited
        })
    }

    /// Returns the calling process, charged in `mode`.
    ///
    /// # Errors
    ///
    /// As for [`current`](Self::current).
    #[inline]
    pub fn current_in_mode(mode: ChargeMode) -> Result<Self> {
        Ok(Self {
            limit: match mode {
                ChargeMode::Nobody => Limit::Nobody,
                limited => Limit::current(limited)?,
            },
            mm: ARef::from(&**kernel::current!().mm().ok_or(EFAULT)?),
        })
    }

    /// Returns the mode in which the process is charged.
    pub fn mode(&self) -> ChargeMode {
        match &self.limit {
            Limit::Nobody => ChargeMode::Nobody,
            Limit::User(..) => ChargeMode::User,
            Limit::Process(_) => ChargeMode::Process,
        }
    }

    /// Returns whether a charge to `self` changes the same counters as one to `other`, so that no
    /// charge has to be moved when one replaces the other.
    ///
    /// The address space matters in [`ChargeMode::Nobody`] too: its `VmPin` counts these pages.
    pub fn pays_like(&self, other: &Payer) -> bool {
        let same_limit = match (&self.limit, &other.limit) {
            (Limit::User(_, user), Limit::User(_, other)) => user.0 == other.0,
            _ => self.mode() == other.mode(),
        };

        self.mm.as_raw() == other.mm.as_raw() && same_limit
    }

    #[inline]
    fn charge(&self, npages: usize) -> Result {
        if !matches!(self.limit, Limit::Nobody) {
            self.charge_limit(npages)?;
        }
        // SAFETY: `self.mm` holds a reference to the `mm_struct`, so it is valid. The helper
        // changes an atomic counter of it.
        unsafe { bindings::kernel_ext_mm_add_pinned(self.mm.as_raw(), npages as c_long) };
        Ok(())
    }

    #[inline]
    fn uncharge(&self, npages: usize) {
        if !matches!(self.limit, Limit::Nobody) {
            self.uncharge_limit(npages);
        }
        // SAFETY: `self.mm` holds a reference to the `mm_struct`, so it is valid. The helper
        // changes an atomic counter of it.
        unsafe { bindings::kernel_ext_mm_add_pinned(self.mm.as_raw(), -(npages as c_long)) };
    }

    #[inline(never)]
    fn charge_limit(&self, npages: usize) -> Result {
        match &self.limit {
            Limit::Nobody => Ok(()),
            Limit::User(task, user) => charge_user(task, user, npages),
            Limit::Process(task) => self.charge_process(task, npages),
        }
    }

    #[inline(never)]
    fn uncharge_limit(&self, npages: usize) {
        match &self.limit {
            Limit::Nobody => {}
            // SAFETY: By the invariant of `User` the pointer is valid. `Charge` uncharges at most
            // as many pages as it has charged to this user.
            Limit::User(_, user) => unsafe {
                bindings::kernel_ext_user_uncharge(user.as_ptr(), npages)
            },
            Limit::Process(task) => self.uncharge_process(task, npages),
        }
    }

    fn charge_process(&self, task: &Task, npages: usize) -> Result {
        let mm = self.address_space().ok_or(EINVAL)?;

        if account(&mm, task, npages, true) == 0 {
            return Ok(());
        }
        // SAFETY: `mm` is a reference to an `mm_struct`, so it is valid.
        let used = unsafe { bindings::kernel_ext_mm_locked(mm.as_raw()) };
        let (task, limit) = (task.as_ptr(), limit_of(task));
        // SAFETY: `task` comes from a reference that `self.limit` holds, so it is valid.
        unsafe { bindings::kernel_ext_report_mm_limit(task, npages, used, limit) };
        Err(ENOMEM)
    }

    fn uncharge_process(&self, task: &Task, npages: usize) {
        // The count of locked pages disappears with the address space when the process exits.
        if let Some(mm) = self.address_space() {
            account(&mm, task, npages, false);
        }
    }

    /// Returns the address space, or `None` if the process has exited.
    fn address_space(&self) -> Option<ARef<MmWithUser>> {
        self.mm.mmget_not_zero()
    }
}

fn charge_user(task: &Task, user: &User, npages: usize) -> Result {
    let limit = limit_of(task);

    // SAFETY: By the invariant of `User` the pointer is valid.
    if unsafe { bindings::kernel_ext_user_charge(user.as_ptr(), npages, limit) } {
        return Ok(());
    }
    // SAFETY: By the invariant of `User` the pointer is valid.
    let used = unsafe { bindings::kernel_ext_user_locked(user.as_ptr()) };
    let (task, user) = (task.as_ptr(), user.as_ptr());
    // SAFETY: Both pointers come from references that the caller holds, so they are valid.
    unsafe { bindings::kernel_ext_report_user_limit(task, user, npages, used, limit) };
    Err(ENOMEM)
}

/// Charges or uncharges the limit of a process. Returns 0 or a negative error number; uncharging
/// always returns 0.
fn account(mm: &MmWithUser, task: &Task, npages: usize, charge: bool) -> c_int {
    // SAFETY: `mm` is a reference to an address space that is in use, so its mmap lock can be
    // taken. `task` is a reference, so it points to a valid task.
    unsafe { bindings::kernel_ext_mm_account(mm.as_raw(), task.as_ptr(), npages, charge) }
}

/// Returns `RLIMIT_MEMLOCK` of a task, in pages.
fn limit_of(task: &Task) -> usize {
    // SAFETY: `task` is a reference, so it points to a valid task.
    unsafe { bindings::kernel_ext_memlock_limit(task.as_ptr()) }
}

/// A number of pinned pages that are charged to a process.
///
/// Dropping a charge uncharges all of its pages, which cannot fail.
///
/// Charging in [`ChargeMode::Process`] takes the mmap lock of the process, so the caller must not
/// hold an mmap lock when it changes or drops a charge.
///
/// # Examples
///
/// ```ignore
/// let mut charge = Charge::new(Payer::current(ChargeMode::User)?);
///
/// charge.add(npages)?;
/// if let Err(error) = pin(npages) {
///     charge.sub(npages);
///     return Err(error);
/// }
/// // The pages stay charged until `charge` is dropped.
/// ```
pub struct Charge {
    payer: Payer,
    npages: usize,
}

impl Charge {
    /// Creates a charge of no pages to `payer`.
    pub fn new(payer: Payer) -> Self {
        Self { payer, npages: 0 }
    }

    /// Charges `npages` more pages.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if that exceeds the limit, which a rate-limited kernel message names; `EINVAL` if
    /// the limit is that of a process that has exited. No page is charged then.
    #[inline]
    pub fn add(&mut self, npages: usize) -> Result {
        if npages != 0 {
            if should_fail() {
                return Err(ENOMEM);
            }
            self.payer.charge(npages)?;
            self.npages += npages;
        }
        Ok(())
    }

    /// Uncharges `npages` pages, or all if there are fewer.
    #[inline]
    pub fn sub(&mut self, npages: usize) {
        let npages = npages.min(self.npages);

        if npages != 0 {
            self.npages -= npages;
            self.payer.uncharge(npages);
        }
    }

    /// Returns the number of charged pages.
    pub fn npages(&self) -> usize {
        self.npages
    }

    /// Returns the process that the pages are charged to.
    pub fn payer(&self) -> &Payer {
        &self.payer
    }

    /// Moves the charge to the payer of `prepaid`, by taking over as many pages that are charged in
    /// `prepaid` already. Therefore it cannot fail.
    ///
    /// The old payer is uncharged. The caller must have charged enough pages to `prepaid`; if not,
    /// the charge becomes smaller.
    pub fn move_to(&mut self, prepaid: &mut Charge) {
        let npages = self.npages;
        let moved = npages.min(prepaid.npages);

        debug_assert!(moved == npages);
        self.sub(npages);
        prepaid.npages -= moved;
        self.npages = moved;
        self.payer = prepaid.payer.clone();
    }
}

impl Drop for Charge {
    #[inline]
    fn drop(&mut self) {
        if self.npages != 0 {
            self.sub(self.npages);
        }
    }
}
