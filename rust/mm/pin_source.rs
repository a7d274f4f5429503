// SPDX-License-Identifier: GPL-2.0

//! Pages of a process, looked up and pinned through its page tables.
//!
//! Huge pages of hugetlbfs are looked up by one of their small pages, and pinned as many times as
//! they have small pages that are wanted.

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
    /// Its address space, if it is not the caller's.
    remote: Option<ARef<MmWithUser>>,
    flags: u32,
    pub(super) map: PageMap,
}

impl Source {
    /// # Errors
    ///
    /// `EFAULT` if the process has exited.
    #[inline]
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

    /// Pins up to `npages` pages at `address` and writes pointers to them; returns how many.
    ///
    /// # Safety
    ///
    /// `pages` has room for `npages` pointers.
    #[inline]
    pub(super) unsafe fn pin(
        &self,
        address: usize,
        npages: usize,
        pages: *mut Page,
    ) -> Result<usize> {
        if let Some(mm) = &self.remote {
            // SAFETY: The caller vouches for `pages`.
            return unsafe { pin_remote(mm, address, npages, self.flags, pages) };
        }
        let npages = c_int::try_from(npages).unwrap_or(c_int::MAX);
        // SAFETY: The caller vouches for `pages`.
        let result = unsafe { bindings::pin_user_pages_fast(address, npages, self.flags, pages) };

        counted(result as c_long)
    }

    /// Pins the page at `address`, and if it is one of hugetlbfs, as many of those behind it in the
    /// same huge page as are wanted; says how many in all.
    pub(super) fn pin_one(&self, address: usize, wanted: usize) -> Result<(FoundPage, usize)> {
        let mut page = core::ptr::null_mut();

        // SAFETY: There is room for one pointer.
        unsafe { self.pin(address, 1, &mut page) }?;
        // SAFETY: The page was pinned just now.
        let pinned = unsafe { FoundPage::new(page, address) };
        let Some(huge) = pinned.huge else {
            return Ok((pinned, 1));
        };
        let count = (huge.npages - huge.index).min(wanted);

        // SAFETY: As above.
        if let Err(error) = unsafe { add_pins(huge.folio, count) } {
            // SAFETY: This pin is ours.
            unsafe { bindings::unpin_user_page(page) };
            return Err(error);
        }
        Ok((pinned, count))
    }

    /// Pins the huge page of `size` small ones at `address` and the next one as far as it is wanted,
    /// which is more than the first. `None`, and nothing is pinned, if that is not what is there.
    ///
    /// To look for two pages costs little more than to look for one, as long as they are neighbours:
    /// the last of one huge page and the first of the next.
    pub(super) fn pin_pair(
        &self,
        address: usize,
        size: usize,
        wanted: usize,
    ) -> Option<[PfnRun; 2]> {
        let border = address + size * PAGE_SIZE;
        let mut pages = [core::ptr::null_mut(); 2];

        // SAFETY: There is room for two pointers.
        let found = unsafe { self.pin(border - PAGE_SIZE, 2, pages.as_mut_ptr()) }.ok()?;
        let runs = (found == 2)
            // SAFETY: The pages were pinned just now.
            .then(|| unsafe { whole_pair(self.map, pages, border, size, wanted - size) })
            .flatten();

        if runs.is_none() {
            // SAFETY: These pins are ours.
            unsafe { bindings::unpin_user_pages(pages.as_mut_ptr(), found) };
        }
        runs
    }
}

/// As [`Source::pin`], in the memory of a process that is not the caller.
///
/// # Safety
///
/// `pages` has room for `npages` pointers.
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
    // SAFETY: The caller vouches for `pages`; the mmap lock is held, and `locked` says so.
    let result = unsafe {
        bindings::pin_user_pages_remote(mm.as_raw(), address, npages, flags, pages, &mut locked)
    };
    if locked == 0 {
        // The lock was dropped on the way.
        core::mem::forget(guard);
    }
    counted(result)
}

/// A page that has a pin.
pub(super) struct FoundPage {
    pub(super) page: Page,
    /// If it belongs to hugetlbfs: its huge page.
    pub(super) huge: Option<HugePage>,
}

/// A huge page of hugetlbfs, seen from one of its small pages.
#[derive(Clone, Copy)]
pub(super) struct HugePage {
    folio: *mut bindings::folio,
    /// How many small pages there are.
    pub(super) npages: usize,
    /// Which of them it is.
    index: usize,
}

impl FoundPage {
    /// # Safety
    ///
    /// `page` was found at `address`, and is pinned.
    unsafe fn new(page: Page, address: usize) -> Self {
        let (mut npages, mut index) = (0, 0);
        // SAFETY: The caller vouches for the page.
        let folio = unsafe { bindings::kernel_ext_hugetlb_folio(page, &mut npages, &mut index) };
        // A driver that maps small pieces of a huge page itself will not do so where the whole page
        // would be.
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

    /// It and the pages behind it, `count` in all.
    #[inline]
    pub(super) fn run(&self, map: PageMap, count: usize) -> PfnRun {
        // SAFETY: The page is pinned.
        let pfn = unsafe { map.pfn(self.page as u64) };

        PfnRun { pfn, count }
    }
}

/// Pins all of a huge page whose last small page is `pages[0]`, and `wanted` pages at most of the
/// next one, whose first is `pages[1]`; both have so many small pages as `size` says. `None`, and no
/// more is pinned, if that is not so.
///
/// # Safety
///
/// The pages are pinned, and were found on both sides of `border`.
unsafe fn whole_pair(
    map: PageMap,
    pages: [Page; 2],
    border: usize,
    size: usize,
    wanted: usize,
) -> Option<[PfnRun; 2]> {
    let [last, first] = pages;
    // SAFETY: The caller vouches for the pages.
    let last = unsafe { FoundPage::new(last, border - PAGE_SIZE) };
    // SAFETY: As above.
    let first = unsafe { FoundPage::new(first, border) };
    let (one, other) = (last.huge?, first.huge?);
    let count = size.min(wanted);

    if (one.npages, one.index) != (size, size - 1) || (other.npages, other.index) != (size, 0) {
        return None;
    }
    // SAFETY: As above.
    unsafe { add_pins(one.folio, size) }.ok()?;
    // SAFETY: As above.
    if unsafe { add_pins(other.folio, count) }.is_err() {
        // SAFETY: These were added just now.
        unsafe { bindings::unpin_user_folio(one.folio, (size - 1) as c_ulong) };
        return None;
    }
    let mut run = last.run(map, size);

    run.pfn -= size - 1;
    Some([run, first.run(map, count)])
}

/// How many pages the kernel says it has pinned.
pub(super) fn counted(result: c_long) -> Result<usize> {
    match usize::try_from(result) {
        Ok(0) => Err(EFAULT),
        Ok(count) => Ok(count),
        Err(_) => Err(Error::from_errno(result as c_int)),
    }
}

/// Adds pins to a folio that has one for the first of `count` pages.
///
/// # Safety
///
/// It is a folio with at least one pin.
pub(super) unsafe fn add_pins(folio: *mut bindings::folio, count: usize) -> Result {
    if count > 1 {
        // SAFETY: The caller vouches for it. No folio has so many pages.
        kernel::error::to_result(unsafe {
            bindings::folio_add_pins(folio, (count - 1) as c_uint)
        })?;
    }
    Ok(())
}
