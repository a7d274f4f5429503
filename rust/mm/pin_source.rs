// SPDX-License-Identifier: GPL-2.0

//! Looks up and pins pages of a process through its page tables.
//!
//! A huge page of hugetlbfs is looked up by one of its small pages, and gets one pin for each small
//! page that is wanted.

use super::{
    memory::UserMemory,
    page_map::{Page, PageMap},
    pfn_run::PfnRun,
};
use crate::bindings;
use kernel::{
    mm::MmWithUser,
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
    sync::aref::ARef,
};

/// A process whose memory is being pinned.
pub(super) struct Source {
    /// The address space, unless it is that of the caller.
    remote: Option<ARef<MmWithUser>>,
    flags: u32,
    pub(super) map: PageMap,
}

impl Source {
    /// Prepares to pin pages of `memory`.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the process has exited.
    #[inline(always)]
    pub(super) fn new(memory: &UserMemory) -> Result<Self> {
        let mut flags = bindings::FOLL_LONGTERM;

        if memory.writable() {
            flags |= bindings::FOLL_WRITE;
        }
        let remote = match memory.is_current() {
            true => None,
            false => Some(memory.address_space().ok_or(EFAULT)?),
        };
        Ok(Self {
            remote,
            flags,
            map: PageMap::new(),
        })
    }

    /// Pins up to `npages` pages from `address` on, and writes pointers to them to `pages`. Returns
    /// the number of pinned pages, which is not zero.
    ///
    /// # Safety
    ///
    /// `pages` is valid for writing `npages` pointers.
    #[inline(always)]
    pub(super) unsafe fn pin(
        &self,
        address: usize,
        npages: usize,
        pages: *mut Page,
    ) -> Result<usize> {
        if let Some(mm) = &self.remote {
            // SAFETY: The caller promises that `pages` has room for `npages` pointers.
            return unsafe { pin_remote(mm, address, npages, self.flags, pages) };
        }
        let npages = c_int::try_from(npages).unwrap_or(c_int::MAX);
        // SAFETY: The caller promises that `pages` has room for `npages` pointers, and the number
        // is only made smaller here.
        let result = unsafe { bindings::pin_user_pages_fast(address, npages, self.flags, pages) };

        counted(result as c_long)
    }

    /// Pins the page at `address`. If it belongs to hugetlbfs, also pins the pages after it in the
    /// same huge page, up to `wanted` pages in all. Returns the page and the number of pinned
    /// pages.
    pub(super) fn pin_one(&self, address: usize, wanted: usize) -> Result<(FoundPage, usize)> {
        let mut page = core::ptr::null_mut();

        // SAFETY: `page` has room for the one pointer that is asked for.
        unsafe { self.pin(address, 1, &mut page) }?;
        // SAFETY: `pin` has found the page at `address` and pinned it.
        let pinned = unsafe { FoundPage::new(page, address) };
        let Some(huge) = pinned.huge else {
            return Ok((pinned, 1));
        };
        let count = (huge.npages - huge.index).min(wanted);

        // SAFETY: The folio has the pin that `pin` has taken.
        if let Err(error) = unsafe { add_pins(huge.folio, count) } {
            // SAFETY: `pin` has taken this pin, and `pinned` is not used after this.
            unsafe { bindings::unpin_user_page(page) };
            return Err(error);
        }
        Ok((pinned, count))
    }

    /// Pins the huge page of `size` small pages at `address`, and as much of the huge page after it
    /// as is wanted; `wanted` is more than `size`. Returns `None`, without pinning pages, unless
    /// two huge pages of that size are there.
    ///
    /// Looking up two pages takes little more time than one, if they are adjacent: the last page of
    /// one huge page and the first page of the next.
    pub(super) fn pin_pair(
        &self,
        address: usize,
        size: usize,
        wanted: usize,
    ) -> Option<[PfnRun; 2]> {
        let border = address + size * PAGE_SIZE;
        let mut pages = [core::ptr::null_mut(); 2];

        // SAFETY: `pages` has room for the two pointers that are asked for.
        let found = unsafe { self.pin(border - PAGE_SIZE, 2, pages.as_mut_ptr()) }.ok()?;
        let runs = (found == 2)
            // SAFETY: `pin` has pinned both pages just now, which are in front of `border` and at
            // it.
            .then(|| unsafe { whole_pair(self.map, pages, border, size, wanted - size) })
            .flatten();

        if runs.is_none() {
            // SAFETY: `pin` has taken these `found` pins, and the pages are not used after this.
            unsafe { bindings::unpin_user_pages(pages.as_mut_ptr(), found) };
        }
        runs
    }
}

/// Pins pages as [`Source::pin`] does, in the memory of a process that is not the caller.
///
/// # Safety
///
/// `pages` is valid for writing `npages` pointers.
#[inline(never)]
unsafe fn pin_remote(
    mm: &MmWithUser,
    address: usize,
    npages: usize,
    flags: u32,
    pages: *mut Page,
) -> Result<usize> {
    let mut locked: c_int = 1;
    let guard = mm.mmap_read_lock();
    // SAFETY: The caller promises that `pages` has room for `npages` pointers. `guard` holds the
    // mmap lock, as `locked` says.
    let result = unsafe {
        bindings::pin_user_pages_remote(mm.as_raw(), address, npages, flags, pages, &mut locked)
    };
    if locked == 0 {
        // The function has released the mmap lock, so `guard` must not release it again.
        core::mem::forget(guard);
    }
    counted(result)
}

/// A pinned page that was found at an address.
pub(super) struct FoundPage {
    pub(super) page: Page,
    /// Its huge page, if it belongs to hugetlbfs.
    pub(super) huge: Option<HugePage>,
}

/// The huge page of hugetlbfs that a small page belongs to.
#[derive(Clone, Copy)]
pub(super) struct HugePage {
    folio: *mut bindings::folio,
    /// Number of small pages.
    pub(super) npages: usize,
    /// Index of the small page in the huge page.
    index: usize,
}

impl FoundPage {
    /// Looks up whether the page belongs to a huge page.
    ///
    /// # Safety
    ///
    /// `page` is pinned and was found at `address`.
    unsafe fn new(page: Page, address: usize) -> Self {
        let (mut npages, mut index) = (0, 0);
        // SAFETY: The caller promises that the page is pinned, so that it stays part of its folio.
        let folio = unsafe { bindings::kernel_ext_hugetlb_folio(page, &mut npages, &mut index) };
        // A driver may map single pages of a huge page, at an address of its own. The page counts
        // as huge only if the address is where the whole huge page would have it.
        let in_place = !folio.is_null()
            && (address >> PAGE_SHIFT).wrapping_sub(index) & (npages.wrapping_sub(1)) == 0;

        Self {
            page,
            huge: in_place.then_some(HugePage {
                folio,
                npages,
                index,
            }),
        }
    }

    /// Returns the page and those after it as a run, `count` pages in all.
    #[inline]
    pub(super) fn run(&self, map: PageMap, count: usize) -> PfnRun {
        // SAFETY: The page is pinned, so it has a page structure, to which `self.page` points.
        let pfn = unsafe { map.pfn(self.page as u64) };

        PfnRun { pfn, count }
    }
}

/// Pins all of the huge page whose last small page is `pages[0]`, and up to `wanted` pages of the
/// huge page whose first small page is `pages[1]`. Returns `None`, without adding pins, unless both
/// are huge pages of `size` small pages.
///
/// # Safety
///
/// The pages are pinned, and were found in front of `border` and at `border`.
unsafe fn whole_pair(
    map: PageMap,
    pages: [Page; 2],
    border: usize,
    size: usize,
    wanted: usize,
) -> Option<[PfnRun; 2]> {
    let [last, first] = pages;
    // SAFETY: The caller promises that `last` is pinned and was found in front of `border`.
    let last = unsafe { FoundPage::new(last, border - PAGE_SIZE) };
    // SAFETY: The caller promises that `first` is pinned and was found at `border`.
    let first = unsafe { FoundPage::new(first, border) };
    let (one, other) = (last.huge?, first.huge?);
    let count = size.min(wanted);

    if (one.npages, one.index) != (size, size - 1) || (other.npages, other.index) != (size, 0) {
        return None;
    }
    // SAFETY: The folio of `last` has the pin that the caller promises.
    unsafe { add_pins(one.folio, size) }.ok()?;
    // SAFETY: The folio of `first` has the pin that the caller promises.
    if unsafe { add_pins(other.folio, count) }.is_err() {
        // SAFETY: `add_pins` has added these pins just now, in addition to the one of the caller.
        unsafe { bindings::unpin_user_folio(one.folio, (size - 1) as c_ulong) };
        return None;
    }
    let mut run = last.run(map, size);

    run.pfn -= size - 1;
    Some([run, first.run(map, count)])
}

/// Converts the result of a function of the kernel that pins pages: the number of pages, `EFAULT`
/// for none, or its error.
#[inline]
pub(super) fn counted(result: c_long) -> Result<usize> {
    match usize::try_from(result) {
        Ok(0) => Err(EFAULT),
        Ok(count) => Ok(count),
        Err(_) => Err(Error::from_errno(result as c_int)),
    }
}

/// Adds pins to a folio that has one, so that it has one for each of `count` pages.
///
/// # Safety
///
/// `folio` is a folio with at least one pin, which is not released during the call.
pub(super) unsafe fn add_pins(folio: *mut bindings::folio, count: usize) -> Result {
    if count > 1 {
        // SAFETY: The caller promises that the folio is pinned.
        // CAST: No folio has more than 2^32 pages.
        kernel::error::to_result(unsafe {
            bindings::folio_add_pins(folio, (count - 1) as c_uint)
        })?;
    }
    Ok(())
}
