// SPDX-License-Identifier: GPL-2.0

//! A domain of a Rust driver as the kernel's `struct iommu_domain`: a page table and, beside it,
//! what the driver keeps for it.
//!
//! The page table is not the driver's. A driver names the format, and flushes; which memory the
//! table holds is decided and read back here, by the code of [`table`].

use super::{Driver, PagingDomain};
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
use crate::iommu::c_table::CTable;
use crate::{
    bindings,
    iommu::{
        dirty::DirtyRecorder,
        domain_table::{DomainTable, IotlbGather, MapError, RunsRead},
        run::{Access, PhysRun},
        table::{self, DirtyPage, Format, IommuPages, TableAllocation},
    },
};
use core::{
    ops::{Deref, RangeInclusive},
    ptr::NonNull,
};
use kernel::{prelude::*, types::Opaque};

/// The part of a domain of `T` that does not depend on the format of its page table.
///
/// # Invariants
///
/// Every `struct iommu_domain` whose owner is the table of functions of `T` is the start of one of
/// these, which is the start of a [`DomainBox`] in a `KBox`. `page_table` is that box, and
/// `raw.ops` are the [operations](super::domain_ops::operations) for it.
#[repr(C)]
#[pin_data]
struct Head<T: Driver> {
    raw: Opaque<bindings::iommu_domain>,
    page_table: NonNull<dyn DomainTable>,
    /// The physical address of the topmost table.
    root: u64,
    #[pin]
    value: T::Domain,
}

/// A domain in memory, with a page table in the format `F`. `COHERENT`: the IOMMU snoops the CPUs'
/// caches when it walks.
#[repr(C)]
#[pin_data]
pub(super) struct DomainBox<T: Driver, F: Format, const COHERENT: bool> {
    #[pin]
    head: Head<T>,
    table: table::PageTable<F, IommuPages<COHERENT>>,
}

// SAFETY: `raw` is written by the core under its locks; `page_table` refers to the box itself, and
// the driver's value and the table are `Send`.
unsafe impl<T: Driver, F: Format, const COHERENT: bool> Send for DomainBox<T, F, COHERENT> {}
// SAFETY: As above, and both are `Sync`.
unsafe impl<T: Driver, F: Format, const COHERENT: bool> Sync for DomainBox<T, F, COHERENT> {}

impl<T: Driver> Head<T> {
    fn new(
        raw: bindings::iommu_domain,
        page_table: NonNull<dyn DomainTable>,
        root: u64,
        data: impl PinInit<T::Domain, Error>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            raw: Opaque::new(raw),
            page_table,
            root,
            value <- data,
        }? Error)
    }
}

impl<T: Driver, F: Format, const COHERENT: bool> DomainBox<T, F, COHERENT> {
    /// Creates a domain out of the structure of the core, a page table, and what the driver keeps.
    ///
    /// # Safety
    ///
    /// The owner in `raw` is the table of functions of `T`, and its operations are
    /// [those](super::domain_ops::operations) for `T`, `F` and `COHERENT`. The domain is created in
    /// a `KBox`.
    pub(super) unsafe fn new(
        raw: bindings::iommu_domain,
        table: table::PageTable<F, IommuPages<COHERENT>>,
        data: impl PinInit<T::Domain, Error>,
    ) -> impl PinInit<Self, Error> {
        let root = table.root();

        // INVARIANT: The caller promises what owner and operations `raw` has, and that this is in a
        // `KBox`. `page_table` is this value.
        try_pin_init!(&this in Self {
            head <- Head::new(raw, this, root, data),
            table,
        }? Error)
    }

    /// The domain behind C's pointer.
    ///
    /// # Safety
    ///
    /// `raw` is a valid domain with the [operations](super::domain_ops::operations) for `T`, `F`
    /// and `COHERENT`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::iommu_domain) -> &'a Self {
        // SAFETY: By the invariant of `Head` such a domain is the start of a box of this type, and
        // the caller keeps it valid.
        unsafe { &*raw.cast() }
    }

    /// Frees a domain.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw), and the domain is not used any more.
    pub(super) unsafe fn free(raw: *mut bindings::iommu_domain) {
        // SAFETY: By the invariant of `Head` the domain came out of a `KBox` of this type, whose
        // ownership the caller passes.
        drop(unsafe { KBox::from_raw(raw.cast::<Self>()) });
    }

    /// Maps `runs` one behind the other from `iova` on.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `ERANGE`, `EINVAL` for what is not aligned, `EOPNOTSUPP` for an access that
    /// the format cannot grant, `ENOMEM`. None of `runs` is mapped then.
    pub(super) fn map(
        &self,
        iova: u64,
        runs: &[PhysRun],
        access: Access,
        how: TableAllocation,
    ) -> Result {
        let mut gather = table::Gather::new();
        let mapped = self.table.map(iova, runs, access.into(), how, &mut gather);

        gather.flush(&self.table, |gather| {
            self.head.value.flush(gather.range(), gather.has_tables());
        });
        Ok(mapped?)
    }

    /// Removes what is mapped in `length` bytes from `iova` on, and returns how many bytes that
    /// was.
    ///
    /// Where tables were removed, the hardware forgets the way to them before this returns; pages
    /// alone wait in `pending`, so that one flush serves many calls.
    pub(super) fn unmap(&self, iova: u64, length: usize, pending: Pin<&mut IotlbGather>) -> usize {
        let mut gather = table::Gather::new();
        // Memory is needed only where a page reaches out of the range, which no caller asks for.
        let removed = self.table.unmap(
            iova,
            length as u64,
            TableAllocation::Atomic,
            &mut gather,
            |_| {},
        );

        if gather.has_tables() {
            gather.flush(&self.table, |gather| {
                self.head.value.flush(gather.range(), true);
            });
        } else {
            self.defer(gather, pending);
        }
        removed.map_or(0, |bytes| bytes as usize)
    }

    /// Leaves the flush of pages to the holder of `pending`.
    fn defer(&self, gather: table::Gather<IommuPages<COHERENT>>, pending: Pin<&mut IotlbGather>) {
        if !gather.is_empty() {
            let range = gather.range();

            pending.add(*range.start(), *range.end());
        }
        gather.flush(&self.table, |_| {});
    }

    /// Calls `dirty` for each page that overlaps the range from `first` to `last` and that devices
    /// have written to, as [`PageTable::for_each_dirty`](table::PageTable::for_each_dirty) does.
    /// Those that are marked as clean wait in `pending`.
    pub(super) fn for_each_dirty(
        &self,
        first: u64,
        last: u64,
        pending: Pin<&mut IotlbGather>,
        dirty: impl FnMut(u64, u64) -> DirtyPage,
    ) {
        let mut gather = table::Gather::new();

        self.table.for_each_dirty(first, last, &mut gather, dirty);
        self.defer(gather, pending);
    }

    /// The physical address behind `iova`.
    pub(super) fn translate(&self, iova: u64) -> Option<u64> {
        self.table.translate(iova)
    }

    /// What the driver keeps for the domain.
    pub(super) fn value(&self) -> &T::Domain {
        &self.head.value
    }
}

// SAFETY: The page table holds what it was mapped with and nothing else: it puts the addresses into
// its entries and reads them back itself, whatever `F` and the driver do. Runs are not joined, so
// that pages, and groups of them, end where runs do. What `unmap` has removed, `sync` or `flush` of
// the driver flush, which is what a driver of an IOMMU is trusted with in any language.
unsafe impl<T: Driver, F: Format, const COHERENT: bool> DomainTable for DomainBox<T, F, COHERENT> {
    unsafe fn map(&self, iova: u64, runs: &[PhysRun], access: Access) -> Result<(), MapError> {
        // An error leaves none of the runs mapped.
        Ok(self.map(iova, runs, access, TableAllocation::SleepAndAccount)?)
    }

    unsafe fn unmap(&self, iova: u64, length: usize, gather: Pin<&mut IotlbGather>) -> bool {
        !kernel::warn_on!(self.unmap(iova, length, gather) != length)
    }

    fn sync(&self, mut gather: Pin<&mut IotlbGather>) {
        self.head.value.sync(gather.as_mut());
        gather.clear();
    }

    unsafe fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> RunsRead {
        let count = self.table.read_runs(iova, length as u64, runs);

        RunsRead {
            runs: count,
            bytes: runs.iter().take(count).map(|run| run.length).sum(),
        }
    }

    unsafe fn read_dirty(
        &self,
        range: RangeInclusive<u64>,
        to: &mut DirtyRecorder,
        gather: Pin<&mut IotlbGather>,
    ) -> Result {
        #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
        if super::dirty_ops::is_read_by_c() {
            let raw = NonNull::from(&self.head.raw).cast();
            // SAFETY: The domain is `self`, which is borrowed. `read_dirty`, the only function that
            // is called, uses the functions for C, as for a C driver.
            let table = unsafe { CTable::of(raw) };
            // SAFETY: The result of `of` refers to the domain, which is borrowed.
            let table = unsafe { table.as_ref() };

            // SAFETY: The caller upholds the contract of `read_dirty`.
            return unsafe { table.read_dirty(range, to, gather) };
        }
        let (first, last) = range.into_inner();

        self.for_each_dirty(first, last, gather, |first, last| to.record(first, last));
        to.flush();
        Ok(())
    }

    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    fn mark_dirty(&self, iova: u64) -> bool {
        self.table.mark_dirty(iova)
    }
}

/// A domain of the driver `T`, as the target of an attachment.
pub struct DomainRef<'a, T: Driver>(&'a Head<T>);

impl<T: Driver> Clone for DomainRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Driver> Copy for DomainRef<'_, T> {}

impl<'a, T: Driver> DomainRef<'a, T> {
    /// The domain behind C's pointer, if it is one of `T`.
    ///
    /// # Safety
    ///
    /// `raw` is valid as long as the result is used.
    pub(in crate::iommu) unsafe fn from_raw(raw: NonNull<bindings::iommu_domain>) -> Option<Self> {
        // SAFETY: The caller keeps the domain valid; its owner is constant once it exists.
        let owner = unsafe { (*raw.as_ptr()).owner };

        if !core::ptr::eq(owner, T::operations().as_raw()) {
            return None;
        }
        // SAFETY: By the invariant of `Head` a domain with this owner is one of these.
        Some(Self(unsafe { raw.cast().as_ref() }))
    }

    /// The page table of the domain: what [`registry`](super::registry) gives to users.
    ///
    /// # Safety
    ///
    /// `raw` is a valid domain whose owner is the table of functions of `T`.
    pub(super) unsafe fn page_table(
        raw: NonNull<bindings::iommu_domain>,
    ) -> NonNull<dyn DomainTable> {
        // SAFETY: By the invariant of `Head` a domain with this owner is one of these.
        unsafe { raw.cast::<Head<T>>().as_ref() }.page_table
    }

    /// The physical address of the topmost table, for the hardware.
    pub fn root(&self) -> u64 {
        self.0.root
    }

    /// Whether both are the same domain.
    pub fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0)
    }

    /// Returns whether the domain was allocated to record which memory devices write to.
    pub(super) fn can_track_dirty(&self) -> bool {
        // SAFETY: The domain is valid; the field is constant once it exists.
        !unsafe { (*self.0.raw.get()).dirty_ops }.is_null()
    }

    /// Marks the page at `iova` as one that a device has written to, as hardware does. Returns
    /// whether a page is mapped there that devices may write to. For devices that exist in memory
    /// only.
    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    pub fn mark_dirty(&self, iova: u64) -> bool {
        // SAFETY: By the invariant of `Head` this is the domain itself, which is borrowed.
        unsafe { self.0.page_table.as_ref() }.mark_dirty(iova)
    }

    /// The physical address behind `iova`.
    pub fn iova_to_phys(&self, iova: u64) -> Option<u64> {
        // SAFETY: The domain is valid, and its operations are constant. `iova_to_phys` of the
        // operations for a domain of `T` may be called at any time.
        let phys = unsafe { bindings::iommu_iova_to_phys(self.0.raw.get(), iova) };

        (phys != 0).then_some(phys)
    }
}

impl<T: Driver> Deref for DomainRef<'_, T> {
    type Target = T::Domain;

    fn deref(&self) -> &T::Domain {
        &self.0.value
    }
}

impl From<table::Error> for Error {
    fn from(error: table::Error) -> Self {
        match error {
            table::Error::Alignment | table::Error::Indivisible => EINVAL,
            table::Error::Range => ERANGE,
            table::Error::Exists => EADDRINUSE,
            table::Error::Unsupported => EOPNOTSUPP,
            table::Error::NoMemory => ENOMEM,
        }
    }
}
