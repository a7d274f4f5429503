// SPDX-License-Identifier: GPL-2.0

//! Dirty tracking: which memory devices have written to, as bits in the memory of a process.
//!
//! The caller creates a [`DirtyRecorder`] for the whole range and passes it to
//! [`DomainTable::read_dirty`](super::DomainTable::read_dirty) for one part of the range after the
//! other. Before each part, it has the recorder pin the memory that the bits of this part are in,
//! so that page tables are read and locks are held without waiting for user memory.
//!
//! A page of a page table may be larger than what a bit stands for, and reach beyond the part or
//! beyond the range. It is recorded as a whole, as far as the range goes, so that no bit is missing
//! once the page is marked as clean. One that reaches beyond the range is not marked as clean: only
//! a part of it was recorded.

use super::{
    dirty_bits::{set_bits, Bitmap, Pages},
    table::{DirtyPage, Word},
    PAGE_SIZE,
};
use crate::{array_vec::ArrayVec, bindings};
use core::ptr::NonNull;
use kernel::{prelude::*, uaccess::UserPtr};

/// The most pages of a bitmap that are pinned at a time. With bits for 4 KiB, they describe 4 GiB.
const MOST_PAGES: usize = 32;

/// Records which memory devices have written to.
///
/// # Examples
///
/// ```ignore
/// let mut to = DirtyRecorder::to_user(bitmap, true);
/// let last = to.pin(iova)?;
///
/// // SAFETY: The range is mapped, and no other code unmaps it during the call.
/// unsafe { table.read_dirty(iova..=last, &mut to, gather.as_mut()) }?;
/// if let Some(page) = to.take_waiting() {
///     // The walk has stopped at this page. Set its bits, and go on with it.
///     to.record_waiting(page)?;
/// }
/// ```
pub struct DirtyRecorder {
    clear: bool,
    /// `None` if nothing is recorded.
    to: Option<UserBitmap>,
}

/// A bitmap in the memory of a process, of which a part is pinned.
///
/// # Invariants
///
/// `run` is a range of bits that `pinned` has. `for_c` is `None`, or the only reference to a bitmap
/// that `iova_bitmap_alloc()` has returned.
struct UserBitmap {
    bitmap: Bitmap,
    pinned: Option<PinnedPages>,
    /// The first and the last bit of a range of bits that are yet to be set.
    run: Option<(u64, u64)>,
    /// The part of the range of a page that could not be recorded.
    waiting: Option<(u64, u64)>,
    /// A part of the range whose bits are set.
    recorded: Option<(u64, u64)>,
    for_c: Option<NonNull<bindings::iova_bitmap>>,
}

impl DirtyRecorder {
    /// Creates a recorder for a bitmap of the calling process. `clear` says whether pages are
    /// marked as clean once they are recorded.
    pub fn to_user(bitmap: Bitmap, clear: bool) -> Self {
        Self {
            clear,
            to: Some(UserBitmap {
                bitmap,
                pinned: None,
                run: None,
                waiting: None,
                recorded: None,
                for_c: None,
            }),
        }
    }

    /// Creates a recorder that marks all pages as clean, and records nothing.
    pub fn discard() -> Self {
        Self {
            clear: true,
            to: None,
        }
    }

    /// Returns whether pages are marked as clean.
    pub(super) fn clears(&self) -> bool {
        self.clear
    }

    /// Pins the memory that has the bit for `iova`, and some behind it, and unpins all other
    /// memory. Returns the last IOVA whose bit is pinned.
    ///
    /// # Errors
    ///
    /// `EFAULT` if the process cannot write to the memory; else the error of pinning.
    pub fn pin(&mut self, iova: u64) -> Result<u64> {
        self.to.as_mut().map_or(Ok(u64::MAX), |to| to.pin(iova))
    }

    /// Returns the last IOVA whose bit is in the same page of memory as that for `iova`, or behind
    /// the address space.
    pub fn same_page(&self, iova: u64) -> u64 {
        self.to.as_ref().map_or(u64::MAX, |to| {
            let page = to.bitmap.pages_from(iova, 1);

            page.map_or(to.bitmap.last(), |page| page.last_iova(&to.bitmap))
        })
    }

    /// Records a page of a page table that devices have written to, and returns what becomes of it.
    #[inline(always)]
    pub(super) fn record(&mut self, first: u64, last: u64) -> DirtyPage {
        let done = if self.clear {
            DirtyPage::Clear
        } else {
            DirtyPage::Keep
        };

        match &mut self.to {
            Some(to) => to.record(first, last, done),
            None => done,
        }
    }

    /// Returns whether the last walk has stopped at a page whose bits are not pinned.
    pub fn is_waiting(&self) -> bool {
        self.to.as_ref().is_some_and(|to| to.waiting.is_some())
    }

    /// Returns the part of the range for the page at which the last walk has stopped, because its
    /// bits are not pinned; `None` if it has not stopped. Both ends are inclusive.
    pub fn take_waiting(&mut self) -> Option<(u64, u64)> {
        self.to.as_mut()?.waiting.take()
    }

    /// Sets the bits for a part of the range at which a walk has stopped. The page is dirty as
    /// before; a walk that begins with it does not stop there again.
    ///
    /// # Errors
    ///
    /// As for [`pin`](Self::pin).
    pub fn record_waiting(&mut self, part: (u64, u64)) -> Result {
        match &mut self.to {
            Some(to) => to.record_waiting(part),
            None => Ok(()),
        }
    }

    /// Sets the bits that are yet to be set. Called at the end of each walk.
    pub(super) fn flush(&mut self) {
        if let Some(to) = &mut self.to {
            to.flush();
        }
    }

    /// Returns the bitmap for C drivers, or null if nothing is recorded.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EOPNOTSUPP` if the kernel has no such bitmaps.
    pub(super) fn for_c(&mut self) -> Result<*mut bindings::iova_bitmap> {
        self.to
            .as_mut()
            .map_or(Ok(core::ptr::null_mut()), UserBitmap::for_c)
    }
}

impl UserBitmap {
    fn pin(&mut self, iova: u64) -> Result<u64> {
        let bit = self.bitmap.bit(iova);

        if let Some(pinned) = &self.pinned {
            if pinned.pages.have(bit, bit) {
                return Ok(pinned.pages.last_iova(&self.bitmap));
            }
        }
        self.flush();
        // Unpins what was pinned before.
        self.pinned = None;

        let pages = self.bitmap.pages_from(iova, MOST_PAGES).ok_or(EFAULT)?;
        let pinned = PinnedPages::new(pages)?;
        let last = pinned.pages.last_iova(&self.bitmap);

        self.pinned = Some(pinned);
        Ok(last)
    }

    #[inline(always)]
    fn record(&mut self, first: u64, last: u64, done: DirtyPage) -> DirtyPage {
        let Some((part_first, part_last)) = self.bitmap.clip(first, last) else {
            return DirtyPage::Keep;
        };
        let whole = (part_first, part_last) == (first, last);
        let done = if whole { done } else { DirtyPage::Keep };
        let (low, high) = (self.bitmap.bit(part_first), self.bitmap.bit(part_last));

        if let Some((run_low, run_high)) = &mut self.run {
            // Pages come in the order of their IOVAs, so most of them extend the run.
            let adjacent = low >= *run_low && low <= run_high.saturating_add(1);

            if adjacent
                && self
                    .pinned
                    .as_ref()
                    .is_some_and(|at| at.pages.have(low, high))
            {
                *run_high = high.max(*run_high);
                return done;
            }
        }
        self.record_apart((part_first, part_last), (low, high), done)
    }

    /// Records a page that does not extend the run.
    fn record_apart(&mut self, part: (u64, u64), bits: (u64, u64), done: DirtyPage) -> DirtyPage {
        let is_recorded = |(first, last)| first <= part.0 && part.1 <= last;

        self.flush();
        if self.recorded.is_some_and(is_recorded) {
            return done;
        }
        let pinned = self.pinned.as_ref();
        if pinned.is_some_and(|pinned| pinned.pages.have(bits.0, bits.1)) {
            // INVARIANT: `pinned` has these bits.
            self.run = Some(bits);
            return done;
        }
        self.waiting = Some(part);
        DirtyPage::Stop
    }

    /// Sets the bits for a part of the range, which are pinned one after the other.
    fn record_waiting(&mut self, (first, last): (u64, u64)) -> Result {
        let (first, last) = self.bitmap.clip(first, last).ok_or(EINVAL)?;
        let mut next = first;

        loop {
            let end = self.pin(next)?.min(last);

            // INVARIANT: `pin` has pinned these bits.
            self.run = Some((self.bitmap.bit(next), self.bitmap.bit(end)));
            self.flush();
            if end == last {
                self.recorded = Some((first, last));
                return Ok(());
            }
            next = end + 1;
        }
    }

    fn flush(&mut self) {
        if let (Some((first, last)), Some(pinned)) = (self.run.take(), &mut self.pinned) {
            pinned.set(first, last);
        }
    }

    fn for_c(&mut self) -> Result<*mut bindings::iova_bitmap> {
        if let Some(bitmap) = self.for_c {
            return Ok(bitmap.as_ptr());
        }
        let bitmap = &self.bitmap;
        let length = (bitmap.last() - bitmap.first()).wrapping_add(1);
        let data = UserPtr::from_addr(bitmap.address());
        // SAFETY: The function has no requirements. It returns a bitmap, an error, or null if the
        // kernel has no such bitmaps.
        let raw = unsafe {
            bindings::kernel_ext_iova_bitmap_alloc(
                bitmap.first() as c_ulong,
                length as usize,
                bitmap.page_size() as c_ulong,
                data.as_mut_ptr().cast(),
            )
        };
        let raw = NonNull::new(kernel::error::from_err_ptr(raw)?).ok_or(EOPNOTSUPP)?;

        // INVARIANT: It was allocated just now.
        self.for_c = Some(raw);
        Ok(raw.as_ptr())
    }
}

impl Drop for UserBitmap {
    fn drop(&mut self) {
        self.flush();
        if let Some(bitmap) = self.for_c.take() {
            // SAFETY: By the type invariant this is the only reference to the bitmap.
            unsafe { bindings::kernel_ext_iova_bitmap_free(bitmap.as_ptr()) };
        }
    }
}

/// Pages of the calling process that are pinned for writing.
///
/// # Invariants
///
/// This value owns a pin of each page in `pinned`, of which there are `pages.count`.
struct PinnedPages {
    pages: Pages,
    pinned: ArrayVec<*mut bindings::page, MOST_PAGES>,
    /// Whether the kernel has written to them.
    written: bool,
}

impl PinnedPages {
    /// Pins the first of `pages`, and those behind it up to the first one that cannot be pinned.
    fn new(pages: Pages) -> Result<Self> {
        let mut pinned = ArrayVec::new();
        // SAFETY: `spare` has room for `MOST_PAGES` pointers, which `count` does not exceed.
        let got = unsafe {
            bindings::pin_user_pages_fast(
                pages.address as c_ulong,
                pages.count.min(MOST_PAGES) as c_int,
                bindings::FOLL_WRITE,
                pinned.spare(),
            )
        };

        if got <= 0 {
            return Err(if got == 0 {
                EFAULT
            } else {
                Error::from_errno(got)
            });
        }
        // SAFETY: The function has written as many pointers as it says, no more than were asked
        // for.
        unsafe { pinned.grow(got as usize) };
        // INVARIANT: The function has pinned these pages, and the new value owns the pins.
        Ok(Self {
            pages: pages.shortened(got as usize),
            pinned,
            written: false,
        })
    }

    /// Sets the bits from `first` to `last`, both inclusive, which the pages have.
    fn set(&mut self, first: u64, last: u64) {
        self.written = true;
        for (page, bit, count) in self.pages.parts(first, last) {
            let Some(&page) = self.pinned.as_slice().get(page) else {
                return;
            };
            // SAFETY: By the type invariant the page is pinned, so it is valid.
            let words = unsafe { bindings::kernel_ext_page_address(page) };
            // SAFETY: The kernel maps the page at this address as long as it is pinned, and a page
            // consists of aligned words, of which any value is valid. Others access the words at
            // the same time, as `Word` allows.
            let words = unsafe {
                core::slice::from_raw_parts(words.cast::<Word>(), PAGE_SIZE / size_of::<Word>())
            };

            set_bits(words, bit, count);
        }
    }
}

impl Drop for PinnedPages {
    fn drop(&mut self) {
        let pages = self.pinned.as_mut_slice();

        // SAFETY: By the type invariant this value owns these pins, which are not used after this.
        unsafe {
            bindings::unpin_user_pages_dirty_lock(
                pages.as_mut_ptr(),
                pages.len() as c_ulong,
                self.written,
            )
        };
    }
}
