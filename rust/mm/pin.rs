// SPDX-License-Identifier: GPL-2.0

//! Pinning memory for as long as a device may use it (`FOLL_LONGTERM`).
//!
//! Pages come in batches, as runs that lie next to each other in physical memory. Huge pages of
//! hugetlbfs are pinned once and counted for all their small pages: such a page is mapped whole or
//! not at all. Of all other memory each small page is pinned by itself, as it may be mapped by
//! itself.
//!
//! C header: `include/linux/mm.h`; `Documentation/core-api/pin_user_pages.rst`.

use super::{
    memory::{FileMemory, Memory, UserMemory},
    page_map::{Page, PageMap},
    pfn_run::{PfnRun, RunWords},
    slots::Slots,
};
use crate::bindings;
use kernel::{
    mm::MmWithUser,
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
    sync::aref::ARef,
};

/// It is worth a look whether a page is huge where so many pages are wanted.
const HUGE_WORTHWHILE: usize = 64;

/// Pages that are pinned and have not been handed on.
///
/// One batch serves a whole range: [`pin`](Self::pin) refills it once it is empty.
///
/// # Invariants
///
/// Outside of `pin`, `slots` is a list of runs ([`PfnRun::to_word`]). Each page of those from
/// `first` on is pinned once, and nobody else gives that pin back.
pub(crate) struct PinnedBatch {
    slots: Slots,
    first: usize,
    writable: bool,
}

impl PinnedBatch {
    /// An empty batch for `npages` pages of `memory`; it may hold fewer at a time.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(memory: &Memory, npages: usize) -> Result<Self> {
        Ok(Self {
            slots: Slots::new(npages.min(memory.npages()))?,
            first: 0,
            writable: memory.writable(),
        })
    }

    /// Pins pages of `memory` from page `index` on: some, but not more than `most` nor than there
    /// are.
    ///
    /// Returns how many. The batch must be empty.
    ///
    /// # Errors
    ///
    /// `EFAULT` where there is no memory, or none that may be written and it is to be, or no
    /// process any more; `EINVAL` where a file is no memory or not so long; `ENOMEM`, `EINTR` or
    /// `EAGAIN` as the kernel's functions give them. Nothing is pinned then.
    pub(crate) fn pin(&mut self, memory: &Memory, index: usize, most: usize) -> Result<usize> {
        let wanted = memory.npages().saturating_sub(index).min(most);

        debug_assert!(self.is_empty() && self.writable == memory.writable());
        self.slots.truncate(0);
        self.first = 0;
        if wanted == 0 {
            return Err(EINVAL);
        }
        match memory {
            Memory::User(memory) => self.pin_user(memory, index, wanted),
            Memory::File(memory) => self.pin_file(memory, index, wanted),
        }
    }

    /// Whether every page has been handed on.
    pub(crate) fn is_empty(&self) -> bool {
        self.first >= self.slots.words().len()
    }

    /// The pages that are left, as runs that lie next to each other in physical memory.
    pub(crate) fn runs(&self) -> impl Iterator<Item = PfnRun> + Clone + '_ {
        let left = self.slots.words().get(self.first..).unwrap_or(&[]);

        left.iter().map(|&word| PfnRun::from_word(word))
    }

    /// How many pages have not been handed on.
    pub(crate) fn remaining(&self) -> usize {
        self.runs().map(|run| run.count).sum()
    }

    /// Hands the pins of the first `count` pages over to the caller.
    pub(crate) fn take(&mut self, mut count: usize) {
        while let Some(word) = self.slots.words_mut().get_mut(self.first) {
            let run = PfnRun::from_word(*word);

            if count < run.count {
                let left = PfnRun {
                    pfn: run.pfn + count,
                    count: run.count - count,
                };
                *word = left.to_word();
                return;
            }
            count -= run.count;
            self.first += 1;
        }
    }

    fn pin_user(&mut self, memory: &UserMemory, index: usize, wanted: usize) -> Result<usize> {
        let source = Source::new(memory)?;
        let start = memory.base() + index * PAGE_SIZE;

        if wanted >= HUGE_WORTHWHILE {
            let done = self.pin_huge(&source, start, wanted)?;
            if done != 0 {
                return Ok(done);
            }
        }
        self.pin_small(&source, start, wanted)
    }

    /// Pins huge pages of hugetlbfs, up to the first page that is none, and counts their small
    /// pages. If there are none, the first page that is wanted is pinned and in the slots.
    fn pin_huge(&mut self, source: &Source, start: usize, wanted: usize) -> Result<usize> {
        let map = PageMap::new();
        let mut done = 0;

        // Each turn fills one slot at most.
        for _ in 0..self.slots.capacity() {
            let pinned = match source.pin_one(start + done * PAGE_SIZE, wanted - done) {
                Ok(pinned) => pinned,
                Err(error) if done == 0 => return Err(error),
                // The next batch begins here, and meets the error again.
                Err(_) => break,
            };
            if done == 0 && !pinned.huge {
                self.slots.push(pinned.page as u64);
                return Ok(0);
            }
            // SAFETY: The page was pinned just now.
            let pfn = unsafe { map.pfn(pinned.page as u64) };
            self.append(PfnRun {
                pfn,
                count: pinned.count,
            });
            done += pinned.count;
            if !pinned.huge || done == wanted {
                break;
            }
        }
        Ok(done)
    }

    /// Adds a run that is pinned to those in the slots, where there is room.
    fn append(&mut self, run: PfnRun) {
        // INVARIANT: What is added is pinned, and goes to the end.
        if let Some(last) = self.slots.words_mut().last_mut() {
            if let Some(joined) = PfnRun::from_word(*last).joined(run) {
                *last = joined.to_word();
                return;
            }
        }
        self.slots.push(run.to_word());
    }

    /// Pins as many pages as there are slots; the first of them may be there already.
    fn pin_small(&mut self, source: &Source, start: usize, wanted: usize) -> Result<usize> {
        let have = self.slots.words().len();
        let room = self.slots.capacity().min(wanted).saturating_sub(have);

        if room != 0 {
            let address = start + have * PAGE_SIZE;
            // SAFETY: There is room for so many pointers.
            match unsafe { source.pin(address, room, self.slots.spare().cast()) } {
                // SAFETY: So many were written.
                Ok(count) => unsafe { self.slots.grow(count) },
                Err(error) if have == 0 => return Err(error),
                // The next batch begins here, and meets the error again.
                Err(_) => {}
            }
        }
        let npages = self.slots.words().len();
        // INVARIANT: Each page of these runs was pinned just now.
        // SAFETY: The slots hold nothing but pages.
        let runs = unsafe { PageMap::new().runs_of_pages(self.slots.words_mut()) };

        self.slots.truncate(runs);
        Ok(npages)
    }

    fn pin_file(&mut self, memory: &FileMemory, index: usize, wanted: usize) -> Result<usize> {
        let room = self.slots.capacity().min(wanted);
        let start = memory.base() + (index * PAGE_SIZE) as u64;
        let last = start + (wanted * PAGE_SIZE - 1) as u64;
        let mut offset = 0;

        // SAFETY: There is room for so many pointers, and the file is open. An offset that the
        // type of C does not have becomes a negative one, which is refused.
        let result = unsafe {
            bindings::memfd_pin_folios(
                memory.file(),
                start as bindings::loff_t,
                last as bindings::loff_t,
                self.slots.spare().cast(),
                c_uint::try_from(room).unwrap_or(c_uint::MAX),
                &mut offset,
            )
        };
        let count = counted(result)?;
        // SAFETY: So many were written.
        unsafe { self.slots.grow(count) };
        // SAFETY: The slots hold nothing but folios that were pinned once just now.
        unsafe { self.count_folios(offset >> PAGE_SHIFT, wanted) }
    }

    /// Makes runs of the folios in the slots, from page `offset` of the first one on and `wanted`
    /// pages at most, and pins all the pages. Returns how many.
    ///
    /// # Safety
    ///
    /// Each slot points to a folio that was pinned once.
    unsafe fn count_folios(&mut self, mut offset: usize, wanted: usize) -> Result<usize> {
        let map = PageMap::new();
        let total = self.slots.words().len();
        let mut list = RunWords::new(self.slots.words_mut());
        let mut result = Ok(0);
        let mut done = 0;
        let mut at = 0;

        while let Some(folio) = list.word(at) {
            // SAFETY: The caller vouches for the folio.
            let npages = unsafe { bindings::kernel_ext_folio_nr_pages(folio as *mut _) };
            let count = npages.saturating_sub(offset).min(wanted - done);

            // SAFETY: As above.
            if let Err(error) = unsafe { add_pins(folio as *mut _, count) } {
                result = Err(error);
                break;
            }
            // SAFETY: A folio begins with its first page.
            let pfn = unsafe { map.pfn(folio) } + offset;
            list.append(PfnRun { pfn, count });
            done += count;
            offset = 0;
            at += 1;
        }
        let runs = list.len();
        if let Some(rest) = self.slots.words_mut().get_mut(at..) {
            let (first, left) = (rest.as_mut_ptr().cast(), total - at);
            // SAFETY: These have one pin each, which nobody has taken over.
            unsafe { bindings::unpin_folios(first, left as c_ulong) };
        }
        // INVARIANT: What is left are runs of pages that are pinned.
        self.slots.truncate(runs);
        if done == 0 {
            return result;
        }
        Ok(done)
    }
}

impl Drop for PinnedBatch {
    fn drop(&mut self) {
        for run in self.runs() {
            // SAFETY: By the type invariant the pages are pinned, and the pins end with the batch.
            unsafe { unpin(run, self.writable) };
        }
    }
}

/// A process whose memory is being pinned.
struct Source {
    /// Its address space, if it is not the caller's.
    remote: Option<ARef<MmWithUser>>,
    flags: u32,
}

/// A page with its pin, and those behind it.
struct PinnedPage {
    page: Page,
    /// How many pages were pinned, the first among them.
    count: usize,
    /// Whether they are part of a huge page.
    huge: bool,
}

impl Source {
    /// # Errors
    ///
    /// `EFAULT` if the process has exited.
    fn new(memory: &UserMemory) -> Result<Self> {
        let mut flags = bindings::FOLL_LONGTERM;

        if memory.writable() {
            flags |= bindings::FOLL_WRITE;
        }
        let remote = match memory.is_current() {
            true => None,
            false => Some(memory.address_space().ok_or(EFAULT)?),
        };
        Ok(Self { remote, flags })
    }

    /// Pins up to `npages` pages at `address` and writes pointers to them; returns how many.
    ///
    /// # Safety
    ///
    /// `pages` has room for `npages` pointers.
    unsafe fn pin(&self, address: usize, npages: usize, pages: *mut Page) -> Result<usize> {
        let flags = self.flags;

        let Some(mm) = &self.remote else {
            let npages = c_int::try_from(npages).unwrap_or(c_int::MAX);
            // SAFETY: The caller vouches for `pages`.
            let result = unsafe { bindings::pin_user_pages_fast(address, npages, flags, pages) };
            return counted(result as c_long);
        };
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

    /// Pins the page at `address`, and if it is one of hugetlbfs, as many of those behind it in the
    /// same huge page as are wanted.
    fn pin_one(&self, address: usize, wanted: usize) -> Result<PinnedPage> {
        let mut page = core::ptr::null_mut();
        let mut index = 0;

        // SAFETY: There is room for one pointer.
        unsafe { self.pin(address, 1, &mut page) }?;
        // SAFETY: The page was pinned just now.
        let npages = unsafe { bindings::kernel_ext_hugetlb_pages(page, &mut index) };
        // A driver that maps small pieces of a huge page itself will not do so where the whole page
        // would be.
        let huge = npages != 0 && (address >> PAGE_SHIFT).wrapping_sub(index) % npages == 0;
        let count = match huge {
            true => (npages - index).min(wanted),
            false => 1,
        };

        // SAFETY: As above.
        if let Err(error) = unsafe { add_pins(bindings::kernel_ext_page_folio(page), count) } {
            // SAFETY: This pin is ours.
            unsafe { bindings::unpin_user_page(page) };
            return Err(error);
        }
        Ok(PinnedPage { page, count, huge })
    }
}

/// How many pages the kernel says it has pinned.
fn counted(result: c_long) -> Result<usize> {
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
unsafe fn add_pins(folio: *mut bindings::folio, count: usize) -> Result {
    if count > 1 {
        // SAFETY: The caller vouches for it. No folio has so many pages.
        kernel::error::to_result(unsafe {
            bindings::folio_add_pins(folio, (count - 1) as c_uint)
        })?;
    }
    Ok(())
}

/// Gives back one pin of each page of a run; `dirty` if a device may have written them.
///
/// # Safety
///
/// The caller owns those pins.
pub(crate) unsafe fn unpin(run: PfnRun, dirty: bool) {
    // SAFETY: Pinned memory has page structures.
    let first = unsafe { bindings::kernel_ext_pfn_to_page(run.pfn) };
    // SAFETY: The caller owns the pins.
    unsafe { bindings::unpin_user_page_range_dirty_lock(first, run.count, dirty) };
}
