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
    sync::{
        aref::ARef,
        atomic::{ordering::Relaxed, Atomic},
        Arc,
    },
    task::Task,
};

/// The limit that a charge counts against, in addition to `VmPin`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChargeMode {
    /// No limit: the process has `CAP_IPC_LOCK`.
    Unlimited,
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

/// The limit that was last reported in the kernel log as exceeded.
///
/// Accounts that share one of these print one message for each user or process whose limit they
/// exceed, not one for each failed charge. Some programs map until an error, unmap, and continue.
pub struct LimitReports {
    /// The address of the user or task that has the limit. It is only compared.
    last: Atomic<usize>,
}

impl LimitReports {
    /// Creates the state in which no limit has been reported.
    pub const fn new() -> Self {
        Self {
            last: Atomic::new(0),
        }
    }

    /// Returns whether the limit of this user or task must be reported, because it is not the last
    /// one that was. The next call for the same one returns false.
    fn is_new<T>(&self, limited: *const T) -> bool {
        self.last.xchg(limited.addr(), Relaxed) != limited.addr()
    }
}

impl Default for LimitReports {
    fn default() -> Self {
        Self::new()
    }
}

/// A process whose limit applies.
#[derive(Clone)]
struct Limited {
    /// The leader of the thread group, whose limit is that of the process.
    task: ARef<Task>,
    reports: Arc<LimitReports>,
}

/// The limit to charge against, and the objects that are needed to do so.
#[derive(Clone)]
enum Limit {
    Unlimited,
    User(Limited, User),
    Process(Limited),
}

impl Limit {
    /// Returns the limit of the calling process.
    #[inline(never)]
    fn current(mode: ChargeMode, reports: &Arc<LimitReports>) -> Result<Self> {
        let limited = Limited {
            task: kernel::current!().group_leader().into(),
            reports: reports.clone(),
        };

        Ok(match mode {
            ChargeMode::Unlimited => Self::Unlimited,
            ChargeMode::User => Self::User(limited, User::current().ok_or(EFAULT)?),
            ChargeMode::Process => Self::Process(limited),
        })
    }
}

/// A process that pinned pages are charged to, and the limit that applies.
///
/// # Examples
///
/// ```ignore
/// let account = Account::current(|| ChargeMode::User, &reports)?;
/// let file = SharedPages::pinned(Memory::File(file), account.clone())?;
///
/// // A charge moves only if it is counted elsewhere.
/// if !charge.account().is_same_as(&account) {
///     charge.move_to(&mut prepaid);
/// }
/// ```
#[derive(Clone)]
pub struct Account {
    limit: Limit,
    mm: ARef<Mm>,
}

impl Account {
    /// Returns the calling process, which is charged in the mode that `limited` returns unless it
    /// has `CAP_IPC_LOCK`. Charges that exceed the limit are reported as `reports` says.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the caller has no address space (a kernel thread).
    #[inline(always)]
    pub fn current(
        limited: impl FnOnce() -> ChargeMode,
        reports: &Arc<LimitReports>,
    ) -> Result<Self> {
        // SAFETY: This reads the credentials of the current task and may set its `PF_SUPERPRIV`,
        // both of which are always allowed.
        let unlimited = unsafe { bindings::capable(bindings::CAP_IPC_LOCK as c_int) };

        let mode = if unlimited {
            ChargeMode::Unlimited
        } else {
            limited()
        };

        Self::current_in_mode(mode, reports)
    }

    /// Returns the calling process, charged in `mode`.
    ///
    /// # Errors
    ///
    /// As for [`current`](Self::current).
    #[inline]
    pub fn current_in_mode(mode: ChargeMode, reports: &Arc<LimitReports>) -> Result<Self> {
        Ok(Self {
            limit: match mode {
                ChargeMode::Unlimited => Limit::Unlimited,
                limited => Limit::current(limited, reports)?,
            },
            mm: ARef::from(&**kernel::current!().mm().ok_or(EFAULT)?),
        })
    }

    /// Returns the mode in which the process is charged.
    pub fn mode(&self) -> ChargeMode {
        match &self.limit {
            Limit::Unlimited => ChargeMode::Unlimited,
            Limit::User(..) => ChargeMode::User,
            Limit::Process(_) => ChargeMode::Process,
        }
    }

    /// Returns whether a charge to `self` changes the same counters as one to `other`, so that no
    /// charge has to be moved when one replaces the other.
    ///
    /// The address space matters in [`ChargeMode::Unlimited`] too: its `VmPin` counts these pages.
    pub fn is_same_as(&self, other: &Account) -> bool {
        let same_limit = match (&self.limit, &other.limit) {
            (Limit::User(_, user), Limit::User(_, other)) => user.0 == other.0,
            _ => self.mode() == other.mode(),
        };

        self.mm.as_raw() == other.mm.as_raw() && same_limit
    }

    #[inline(always)]
    fn charge(&self, npages: usize) -> Result {
        if !matches!(self.limit, Limit::Unlimited) {
            self.charge_limit(npages)?;
        }
        // SAFETY: `self.mm` holds a reference to the `mm_struct`, so it is valid. The helper
        // changes an atomic counter of it.
        unsafe { bindings::kernel_ext_mm_add_pinned(self.mm.as_raw(), npages as c_long) };
        Ok(())
    }

    /// Uncharges pages. Returns false, without any effect, if they stay charged.
    #[inline(always)]
    fn uncharge(&self, npages: usize) -> bool {
        if !matches!(self.limit, Limit::Unlimited) && !self.uncharge_limit(npages) {
            return false;
        }
        // SAFETY: `self.mm` holds a reference to the `mm_struct`, so it is valid. The helper
        // changes an atomic counter of it.
        unsafe { bindings::kernel_ext_mm_add_pinned(self.mm.as_raw(), -(npages as c_long)) };
        true
    }

    #[inline(never)]
    fn charge_limit(&self, npages: usize) -> Result {
        match &self.limit {
            Limit::Unlimited => Ok(()),
            Limit::User(limited, user) => charge_user(limited, user, npages),
            Limit::Process(limited) => self.charge_process(limited, npages),
        }
    }

    #[inline(never)]
    fn uncharge_limit(&self, npages: usize) -> bool {
        match &self.limit {
            Limit::Unlimited => {}
            // SAFETY: By the invariant of `User` the pointer is valid. `Charge` uncharges at most
            // as many pages as it has charged to this user.
            Limit::User(_, user) => unsafe {
                bindings::kernel_ext_user_uncharge(user.as_ptr(), npages)
            },
            Limit::Process(limited) => return self.uncharge_process(&limited.task, npages),
        }
        true
    }

    /// Charges the process, also if it has exited: pages of its files may still be pinned, and its
    /// limit still applies.
    fn charge_process(&self, limited: &Limited, npages: usize) -> Result {
        let task = &*limited.task;

        if account_locked(&self.mm, task, npages, true) == 0 {
            return Ok(());
        }
        if limited.reports.is_new(task.as_ptr()) {
            // SAFETY: `self.mm` is a reference to an `mm_struct`, so it is valid.
            let used = unsafe { bindings::kernel_ext_mm_locked(self.mm.as_raw()) };
            let (task, limit) = (task.as_ptr(), limit_of(task));
            // SAFETY: `task` comes from a reference that `limited` holds, so it is valid.
            unsafe { bindings::kernel_ext_report_mm_limit(task, npages, used, limit) };
        }
        Err(ENOMEM)
    }

    /// Uncharges pages. Returns false if the process has exited, whose count of locked pages is not
    /// changed any more.
    fn uncharge_process(&self, task: &Task, npages: usize) -> bool {
        let Some(mm) = self.address_space() else {
            return false;
        };

        account_locked(&mm, task, npages, false);
        true
    }

    /// Returns the address space, or `None` if the process has exited.
    fn address_space(&self) -> Option<ARef<MmWithUser>> {
        self.mm.mmget_not_zero()
    }
}

fn charge_user(limited: &Limited, user: &User, npages: usize) -> Result {
    let limit = limit_of(&limited.task);

    // SAFETY: By the invariant of `User` the pointer is valid.
    if unsafe { bindings::kernel_ext_user_charge(user.as_ptr(), npages, limit) } {
        return Ok(());
    }
    if limited.reports.is_new(user.as_ptr()) {
        // SAFETY: By the invariant of `User` the pointer is valid.
        let used = unsafe { bindings::kernel_ext_user_locked(user.as_ptr()) };
        let (task, user) = (limited.task.as_ptr(), user.as_ptr());
        // SAFETY: Both pointers come from references that the caller holds, so they are valid.
        unsafe { bindings::kernel_ext_report_user_limit(task, user, npages, used, limit) };
    }
    Err(ENOMEM)
}

/// Charges or uncharges the limit of a process. Returns 0 or a negative error number; uncharging
/// always returns 0.
fn account_locked(mm: &Mm, task: &Task, npages: usize, charge: bool) -> c_int {
    // SAFETY: `mm` and `task` are references, so both are valid. The lock and the counter of an
    // `mm_struct` exist as long as the structure, also after the process has exited.
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
/// let mut charge = Charge::new(Account::current(|| ChargeMode::User, &reports)?);
///
/// charge.add(npages)?;
/// if let Err(error) = pin(npages) {
///     charge.sub(npages);
///     return Err(error);
/// }
/// // The pages stay charged until `charge` is dropped.
/// ```
pub struct Charge {
    account: Account,
    npages: usize,
    /// Number of pages that are still counted in addition, because they were uncharged after the
    /// process had exited. The next charges use them up first.
    kept: usize,
}

impl Charge {
    /// Creates a charge of no pages to `account`.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            npages: 0,
            kept: 0,
        }
    }

    /// Charges `npages` more pages.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if that exceeds the limit. A rate-limited kernel message names the limit, if it is
    /// new to the [`LimitReports`] of the account. No page is charged then.
    #[inline(always)]
    pub fn add(&mut self, npages: usize) -> Result {
        if npages != 0 {
            if should_fail() {
                return Err(ENOMEM);
            }
            let kept = npages.min(self.kept);

            if kept != npages {
                self.account.charge(npages - kept)?;
            }
            self.kept -= kept;
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
            if !self.account.uncharge(npages) {
                self.kept += npages;
            }
        }
    }

    /// Returns the number of charged pages.
    pub fn npages(&self) -> usize {
        self.npages
    }

    /// Returns the process that the pages are charged to.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Moves the charge to the account of `prepaid`, by taking over as many pages that are charged
    /// in `prepaid` already. Therefore it cannot fail.
    ///
    /// The old account is uncharged. The caller must have charged enough pages to `prepaid`; if
    /// not, the charge becomes smaller.
    pub fn move_to(&mut self, prepaid: &mut Charge) {
        let npages = self.npages;
        let moved = npages.min(prepaid.npages);

        debug_assert!(moved == npages);
        self.sub(npages);
        prepaid.npages -= moved;
        self.npages = moved;
        self.kept = 0;
        self.account = prepaid.account.clone();
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
