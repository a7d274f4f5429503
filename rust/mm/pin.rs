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
pub struct PinnedBatch {
    slots: Slots,
    first: usize,
    writable: bool,
}

impl PinnedBatch {
    /// An empty batch for pages of `memory`.
    #[inline]
    pub fn new(memory: &Memory) -> Self {
        Self {
            slots: Slots::new(),
            first: 0,
            writable: memory.writable(),
        }
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
    pub fn pin(&mut self, memory: &Memory, index: usize, most: usize) -> Result<usize> {
        let wanted = memory.npages().saturating_sub(index).min(most);

        debug_assert!(self.is_empty() && self.writable == memory.writable());
        self.slots.truncate(0);
        self.first = 0;
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

    /// Whether every page has been handed on.
    pub fn is_empty(&self) -> bool {
        self.first >= self.slots.words().len()
    }

    /// The pages that are left, as runs that lie next to each other in physical memory.
    pub fn runs(&self) -> impl Iterator<Item = PfnRun> + Clone + '_ {
        let left = self.slots.words().get(self.first..).unwrap_or(&[]);

        left.iter().map(|&word| PfnRun::from_word(word))
    }

    /// How many pages have not been handed on.
    pub fn remaining(&self) -> usize {
        self.runs().map(|run| run.count).sum()
    }

    /// Hands the pins of the first `count` runs over to the caller.
    #[inline]
    pub fn take_runs(&mut self, count: usize) {
        self.first += count;
    }

    /// Hands the pins of the first `count` pages over to the caller.
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

    /// Gives back what is left.
    #[cold]
    fn unpin(&mut self) {
        let mut unpinner = Unpinner::new(self.writable);

        for run in self.runs() {
            // SAFETY: By the type invariant the pages are pinned, and nobody gives the pins back but
            // the batch, which ends with them.
            unsafe { unpinner.unpin(run) };
        }
        // INVARIANT: Nothing is left.
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

    /// Pins huge pages of hugetlbfs, up to the first page that is none, and counts their small
    /// pages. If there are none, the first page that is wanted is pinned and in the slots.
    fn pin_huge(&mut self, source: &Source, start: usize, wanted: usize) -> Result<usize> {
        let slots = self.slots.capacity();
        let mut turns = 0;
        let mut size = 0;
        let mut done = 0;

        // Each turn fills one slot at most, and a pair counts as two.
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
                // The next batch begins here, and meets the error again.
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
        let runs = unsafe { source.map.runs_of_pages(self.slots.words_mut()) };

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
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            self.unpin();
        }
    }
}
