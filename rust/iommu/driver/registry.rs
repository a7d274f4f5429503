// SPDX-License-Identifier: GPL-2.0

//! Which drivers are written in Rust: how a user of a C `iommu_domain` finds the [`DomainTable`] in
//! it.
//!
//! The kernel knows a domain's driver by the address of its `iommu_ops`. The drivers of this crate
//! note here which addresses are theirs.

use crate::{bindings, iommu::domain_table::DomainTable};
use core::{
    cell::UnsafeCell,
    ptr::{self, NonNull},
};

/// How to find the page table in a domain. Given only domains of the driver that it belongs to.
pub(super) type AsPageTable =
    unsafe fn(NonNull<bindings::iommu_domain>) -> NonNull<dyn DomainTable>;

/// A driver that may be noted here: part of the `static` that it has.
///
/// # Invariants
///
/// What is in the cell is accessed with the [`Lock`] held.
pub(super) struct Entry {
    as_page_table: AsPageTable,
    links: UnsafeCell<Links>,
}

struct Links {
    /// How many IOMMUs of this driver there are; while it is not 0, the entry is on the list.
    users: usize,
    ops: *const bindings::iommu_ops,
    next: *const Entry,
}

// SAFETY: By the type invariant the cell is protected by the lock.
unsafe impl Sync for Entry {}

/// The first entry of the list. It is accessed with the [`Lock`] held.
struct First(UnsafeCell<*const Entry>);

// SAFETY: The cell is protected by the lock.
unsafe impl Sync for First {}

static FIRST: First = First(UnsafeCell::new(ptr::null()));

/// The lock of the list. May sleep. No driver is called while it is held.
struct Lock(());

impl Lock {
    fn take() -> Self {
        // SAFETY: The mutex is static and initialised. The function has no other requirement than
        // that it may sleep.
        unsafe { bindings::kernel_ext_iommu_registry_lock() };
        Self(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: This value exists, so this thread holds the lock, which `take` has taken.
        unsafe { bindings::kernel_ext_iommu_registry_unlock() };
    }
}

impl Entry {
    /// An entry that is not on the list.
    ///
    /// # Safety
    ///
    /// `as_page_table` can be called for each domain whose `owner` is the table of functions that
    /// the entry is added with.
    pub(super) const unsafe fn new(as_page_table: AsPageTable) -> Self {
        Self {
            as_page_table,
            links: UnsafeCell::new(Links {
                users: 0,
                ops: ptr::null(),
                next: ptr::null(),
            }),
        }
    }

    /// One more IOMMU of the driver with these functions.
    pub(super) fn add(&'static self, ops: *const bindings::iommu_ops) {
        let _lock = Lock::take();
        // SAFETY: By the type invariant the cell is accessed with the lock held, as it is here, and
        // no other reference to its contents exists.
        let links = unsafe { &mut *self.links.get() };

        links.users += 1;
        if links.users == 1 {
            links.ops = ops;
            // SAFETY: The lock, which protects the head of the list, is held.
            links.next = unsafe { FIRST.0.get().replace(self) };
        }
    }

    /// One IOMMU less.
    pub(super) fn remove(&'static self) {
        let _lock = Lock::take();
        // SAFETY: By the type invariant the cell is accessed with the lock held, as it is here, and
        // no other reference to its contents exists.
        let links = unsafe { &mut *self.links.get() };

        links.users -= 1;
        if links.users == 0 {
            let next = links.next;
            let mut at = FIRST.0.get();

            loop {
                // SAFETY: The lock is held, and `at` is the head or a link of an entry on the list.
                let entry = unsafe { *at };

                if ptr::eq(entry, self) {
                    break;
                }
                // SAFETY: What is on the list is valid, because entries are static and leave the
                // list before their module is unloaded. This is not the null at its end, because
                // `self` is on the list and is yet to come.
                let entry = unsafe { &*entry };
                // SAFETY: The projection stays within the entry.
                at = unsafe { &raw mut (*entry.links.get()).next };
            }
            // SAFETY: The lock is held, and `at` is the head or a link of an entry on the list.
            unsafe { *at = next };
        }
    }
}

/// Returns the page table in a domain, if its driver is written in Rust.
///
/// # Safety
///
/// The domain is valid, and stays so while the result is used.
pub(in crate::iommu) unsafe fn find(
    domain: NonNull<bindings::iommu_domain>,
) -> Option<NonNull<dyn DomainTable>> {
    // SAFETY: The caller promises that the domain is valid; its owner does not change.
    let owner = unsafe { (*domain.as_ptr()).owner };
    let _lock = Lock::take();
    // SAFETY: The lock, which protects the head of the list, is held.
    let mut next = unsafe { *FIRST.0.get() };

    // SAFETY: The lock is held, and entries leave the list before their module is unloaded.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: By the type invariant the links are accessed with the lock held, as it is here.
        let links = unsafe { &*entry.links.get() };

        if ptr::eq(links.ops, owner) {
            // SAFETY: The owner is the table of functions that the entry was added with, for which
            // `Entry::new` was promised that `as_page_table` can be called.
            return Some(unsafe { (entry.as_page_table)(domain) });
        }
        next = links.next;
    }
    None
}
