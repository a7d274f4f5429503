// SPDX-License-Identifier: GPL-2.0

//! Pinning memory for as long as a device may use it (`FOLL_LONGTERM`).
//!
//! Pages are pinned in batches and returned as runs of consecutive page frames. A huge page of
//! hugetlbfs is looked up once and pinned for all of its small pages, because it is mapped as a
//! whole or not at all. All other memory is looked up page by page, because each small page may be
//! mapped separately.
//!
//! C header: `include/linux/mm.h`; `Documentation/core-api/pin_user_pages.rst`.

use super::{
    memory::{FileMemory, Memory, UserMemory},
    page_map::PageMap,
    pfn_run::{PfnRun, RunWords},
    pin_source::{add_pins, counted, Source},
    slots::Slots,
    unpin::Unpinner,
};
use crate::{bindings, fault::should_fail};
use kernel::{
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
};

/// Number of pages from which on huge pages of hugetlbfs are looked for.
const HUGE_WORTHWHILE: usize = 64;

/// A batch of pinned pages. Pages that have not been taken are unpinned on drop.
///
/// One batch can be used for a whole range: [`pin`](Self::pin) refills it when it is empty.
///
/// # Invariants
///
/// Outside of `pin`, `slots` is a list of runs ([`PfnRun::to_word`]). The batch owns one pin of
/// each page of the runs from index `first` on.
pub struct PinnedBatch {
    slots: Slots,
    first: usize,
    /// Whether the pages are pinned for writing, and so are marked dirty when they are unpinned.
    writable: bool,
}

impl PinnedBatch {
    /// Creates an empty batch for pages of `memory`.
    #[inline]
    pub fn new(memory: &Memory) -> Self {
        Self {
            slots: Slots::new(),
            first: 0,
            writable: memory.writable(),
        }
    }

    /// Pins pages of `memory` from page `index` on: at least one, and at most `most`.
    ///
    /// Returns the number of pinned pages. Pages that have not been taken are unpinned before.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the first page is not there, may not be written although `memory` is writable,
    /// or the process has exited; `EINVAL` if the memory has no page `index`, the contents of the
    /// file are not memory, or the file is too short; else `ENOMEM`, `EINTR` or `EAGAIN` from the
    /// functions of the kernel. No page is pinned then.
    pub fn pin(&mut self, memory: &Memory, index: usize, most: usize) -> Result<usize> {
        let wanted = memory.npages().saturating_sub(index).min(most);

        if !self.is_empty() {
            self.unpin();
        }
        // INVARIANT: The list is empty.
        self.slots.truncate(0);
        self.first = 0;
        self.writable = memory.writable();
        if wanted == 0 {
            return Err(EINVAL);
        }
        if should_fail() {
            return Err(EFAULT);
        }
        self.slots.reserve(wanted)?;
        match memory {
            Memory::User(memory) => self.pin_user(memory, index, wanted),
            Memory::File(memory) => self.pin_file(memory, index, wanted),
        }
    }

    /// Returns whether all pages have been taken.
    pub fn is_empty(&self) -> bool {
        self.first >= self.slots.words().len()
    }

    /// Iterates over the remaining pages, as runs of consecutive page frames.
    pub fn runs(&self) -> impl Iterator<Item = PfnRun> + Clone + '_ {
        let left = self.slots.words().get(self.first..).unwrap_or(&[]);

        left.iter().map(|&word| PfnRun::from_word(word))
    }

    /// Returns the number of remaining pages.
    pub fn remaining(&self) -> usize {
        self.runs().map(|run| run.count).sum()
    }

    /// Transfers the pins of the first `count` runs to the caller.
    #[inline]
    pub fn take_runs(&mut self, count: usize) {
        self.first += count;
    }

    /// Transfers the pins of the first `count` pages to the caller.
    pub fn take(&mut self, mut count: usize) {
        let words = self.slots.words_mut();
        let left = words.get_mut(self.first..).unwrap_or(&mut []);
        let mut taken = 0;

        for word in left {
            let run = PfnRun::from_word(*word);

            if count < run.count {
                let rest = PfnRun {
                    pfn: run.pfn + count,
                    count: run.count - count,
                };
                *word = rest.to_word();
                break;
            }
            count -= run.count;
            taken += 1;
        }
        self.first += taken;
    }

    /// Unpins the remaining pages.
    #[cold]
    fn unpin(&mut self) {
        let mut unpinner = Unpinner::new(self.writable);

        for run in self.runs() {
            // SAFETY: By the type invariant the batch owns a pin of each page. It gives them up
            // below, by setting `first` behind the last run.
            unsafe { unpinner.unpin(run) };
        }
        // INVARIANT: There are no runs from `first` on.
        self.first = self.slots.words().len();
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

    /// Pins huge pages of hugetlbfs, up to the first page of another kind, which is pinned as well.
    /// Returns the number of pinned small pages.
    ///
    /// Returns 0 if the first page is of another kind. A pointer to it is then in the slots, and it
    /// is pinned.
    fn pin_huge(&mut self, source: &Source, start: usize, wanted: usize) -> Result<usize> {
        let slots = self.slots.capacity();
        let mut turns = 0;
        let mut size = 0;
        let mut done = 0;

        // Each iteration fills at most one slot, or two for a pair.
        while turns < slots && done < wanted {
            let (address, left) = (start + done * PAGE_SIZE, wanted - done);
            let expects_pair = size != 0 && left > size && turns + 2 <= slots;

            if let Some(pair) = expects_pair
                .then(|| source.pin_pair(address, size, left))
                .flatten()
            {
                for run in pair {
                    done += run.count;
                    self.append(run);
                }
                turns += 2;
                continue;
            }
            let (pinned, count) = match source.pin_one(address, left) {
                Ok(pinned) => pinned,
                Err(error) if done == 0 => return Err(error),
                // The next batch begins with this page and reports the error.
                Err(_) => break,
            };
            size = pinned.huge.map_or(0, |huge| huge.npages);
            if done == 0 && size == 0 {
                self.slots.push(pinned.page as u64);
                return Ok(0);
            }
            self.append(pinned.run(source.map, count));
            done += count;
            turns += 1;
            if size == 0 {
                break;
            }
        }
        Ok(done)
    }

    /// Appends a run that is pinned to those in the slots. The caller has checked that there is a
    /// free slot.
    fn append(&mut self, run: PfnRun) {
        // INVARIANT: The caller passes its pins to the batch. The run is appended behind `first`.
        if let Some(last) = self.slots.words_mut().last_mut() {
            if let Some(joined) = PfnRun::from_word(*last).joined(run) {
                *last = joined.to_word();
                return;
            }
        }
        self.slots.push(run.to_word());
    }

    /// Pins as many pages as there are slots. The slots may have the first page already.
    fn pin_small(&mut self, source: &Source, start: usize, wanted: usize) -> Result<usize> {
        let have = self.slots.words().len();
        let room = self.slots.capacity().min(wanted).saturating_sub(have);

        if room != 0 {
            let address = start + have * PAGE_SIZE;
            // SAFETY: `spare` returns the unused slots, of which there are at least `room`.
            match unsafe { source.pin(address, room, self.slots.spare().cast()) } {
                // SAFETY: `pin` has written `count` pointers to the unused slots, at most `room`.
                Ok(count) => unsafe { self.slots.grow(count) },
                Err(error) if have == 0 => return Err(error),
                // The next batch begins with this page and reports the error.
                Err(_) => {}
            }
        }
        let npages = self.slots.words().len();
        // INVARIANT: Each page of these runs was pinned just now, for this batch.
        // SAFETY: Each slot has a pointer that the functions of the kernel wrote for a page that
        // they pinned.
        let runs = unsafe { source.map.runs_of_pages(self.slots.words_mut()) };

        self.slots.truncate(runs);
        Ok(npages)
    }

    fn pin_file(&mut self, memory: &FileMemory, index: usize, wanted: usize) -> Result<usize> {
        let room = self.slots.capacity().min(wanted);
        let start = memory.base() + (index * PAGE_SIZE) as u64;
        let last = start + (wanted * PAGE_SIZE - 1) as u64;
        let mut offset = 0;

        // SAFETY: `spare` returns the unused slots, of which there are at least `room`. `memory`
        // holds a reference to the file. An offset beyond `loff_t` becomes negative, which the
        // function refuses.
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
        // SAFETY: `memfd_pin_folios()` has written `count` pointers to the unused slots, at most
        // `room`.
        unsafe { self.slots.grow(count) };
        // SAFETY: `pin` has emptied the slots, so they have only the folios that were pinned once
        // just now.
        unsafe { self.count_folios(offset >> PAGE_SHIFT, wanted) }
    }

    /// Converts the folios in the slots to runs, from page `offset` of the first folio on and with
    /// `wanted` pages at most. Adds a pin for each page. Returns the number of pages.
    ///
    /// # Safety
    ///
    /// Each slot points to a folio of which the batch owns one pin.
    unsafe fn count_folios(&mut self, mut offset: usize, wanted: usize) -> Result<usize> {
        let map = PageMap::new();
        let total = self.slots.words().len();
        let mut list = RunWords::new(self.slots.words_mut());
        let mut result = Ok(0);
        let mut done = 0;
        let mut at = 0;

        while let Some(folio) = list.word(at) {
            // SAFETY: The caller promises that each slot points to a pinned folio. `word` returns a
            // slot that `append` has not overwritten: each folio gives at most one run.
            let npages = unsafe { bindings::kernel_ext_folio_nr_pages(folio as *mut _) };
            let count = npages.saturating_sub(offset).min(wanted - done);

            // SAFETY: As above, this is a folio with a pin.
            if let Err(error) = unsafe { add_pins(folio as *mut _, count) } {
                result = Err(error);
                break;
            }
            // SAFETY: A `struct folio` begins with its first `struct page`, so this is a pointer to
            // a page structure.
            let pfn = unsafe { map.pfn(folio) } + offset;
            list.append(PfnRun { pfn, count });
            done += count;
            offset = 0;
            at += 1;
        }
        let runs = list.len();
        if let Some(rest) = self.slots.words_mut().get_mut(at..) {
            let (first, left) = (rest.as_mut_ptr().cast(), total - at);
            // SAFETY: The folios from `at` on have the one pin that the caller promises. They are
            // in no run, so the pins are not used again.
            unsafe { bindings::unpin_folios(first, left as c_ulong) };
        }
        // INVARIANT: The slots are the runs of `list`, each page of which has the one pin of its
        // folio or one that `add_pins` has added.
        self.slots.truncate(runs);
        if done == 0 {
            return result;
        }
        Ok(done)
    }
}

impl Drop for PinnedBatch {
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            self.unpin();
        }
    }
}
