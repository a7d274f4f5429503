// SPDX-License-Identifier: GPL-2.0

//! Memory for tables on the host, for benchmarks: as cheap as it can be for one thread, so that
//! what is measured is the page table.
//!
//! Not part of the kernel crate: `tools/testing/host` includes it. Tests use `host_memory.rs`,
//! which looks closely at what is done to it; this does not.

use crate::table::{TableMemory, Word};
use std::{
    alloc::{alloc_zeroed, dealloc, handle_alloc_error, Layout},
    ptr::NonNull,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex, PoisonError,
    },
};

thread_local! {
    /// Its address tells threads apart.
    static HERE: u8 = const { 0 };
}

fn here() -> usize {
    HERE.with(|here| core::ptr::from_ref(here).addr())
}

/// Memory of the host's allocator for page tables that one thread uses. The device's address of a
/// table is the CPU's. `COHERENT` as in [`TableMemory`]; to flush is free here.
///
/// # Invariants
///
/// `readers` is how many guards of [`read`](TableMemory::read) there are. The thread `owner` alone
/// makes and drops them.
pub struct BenchMemory<const COHERENT: bool = true> {
    owner: usize,
    readers: AtomicUsize,
    /// Reclaimed while somebody was reading.
    limbo: Mutex<Vec<Retired>>,
}

/// A table on its way back to the allocator.
pub struct Retired {
    table: NonNull<Word>,
    words: usize,
}

// SAFETY: It is an address and nothing else.
unsafe impl Send for Retired {}

impl<const COHERENT: bool> Default for BenchMemory<COHERENT> {
    fn default() -> Self {
        // INVARIANT: There are no guards yet.
        Self {
            owner: here(),
            readers: AtomicUsize::new(0),
            limbo: Mutex::default(),
        }
    }
}

fn layout(words: usize) -> Layout {
    let size = words * size_of::<Word>();

    Layout::from_size_align(size, size.next_power_of_two().max(64)).expect("table size")
}

/// Gives a table back to the allocator.
///
/// # Safety
///
/// It came from [`BenchMemory::allocate`](TableMemory::allocate) with as many words, and nobody
/// uses it any more.
unsafe fn release(Retired { table, words }: Retired) {
    // SAFETY: It was allocated with this layout. Words have nothing to drop.
    unsafe { dealloc(table.as_ptr().cast(), layout(words)) };
}

impl<const COHERENT: bool> BenchMemory<COHERENT> {
    fn limbo(&self) -> std::sync::MutexGuard<'_, Vec<Retired>> {
        self.limbo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const COHERENT: bool> Drop for BenchMemory<COHERENT> {
    fn drop(&mut self) {
        for retired in self.limbo().drain(..) {
            // SAFETY: It was retired, so nobody can find it, and guards borrow this memory.
            unsafe { release(retired) };
        }
    }
}

/// Counts one reader, as long as it exists. It stays on its thread.
pub struct Reading<'a> {
    readers: &'a AtomicUsize,
    _here: core::marker::PhantomData<*const ()>,
}

impl Drop for Reading<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // INVARIANT: One guard less. Only this thread counts, so nothing comes between.
        let readers = self.readers.load(Ordering::Relaxed);
        self.readers.store(readers - 1, Ordering::Relaxed);
    }
}

// SAFETY: Tables come zeroed from the allocator with the right alignment. They go back to it when
// they are freed, when nobody was reading as they were reclaimed, or with this memory.
unsafe impl<const COHERENT: bool> TableMemory for BenchMemory<COHERENT> {
    const COHERENT: bool = COHERENT;
    type Reading<'a> = Reading<'a>;
    type Flags = ();
    type Retired = Vec<Retired>;

    #[inline(always)]
    fn read(&self) -> Reading<'_> {
        assert_eq!(here(), self.owner, "one thread only");
        // INVARIANT: One guard more, made by the owner.
        let readers = self.readers.load(Ordering::Relaxed);
        self.readers.store(readers + 1, Ordering::Relaxed);
        Reading {
            readers: &self.readers,
            _here: core::marker::PhantomData,
        }
    }

    fn allocate(&self, words: usize, (): ()) -> Option<NonNull<Word>> {
        let layout = layout(words);
        // SAFETY: The size is not zero.
        let raw = unsafe { alloc_zeroed(layout) };

        Some(NonNull::new(raw.cast::<Word>()).unwrap_or_else(|| handle_alloc_error(layout)))
    }

    #[inline(always)]
    fn phys(&self, table: NonNull<Word>) -> u64 {
        table.as_ptr().expose_provenance() as u64
    }

    #[inline(always)]
    unsafe fn virt(&self, phys: u64) -> NonNull<Word> {
        // SAFETY: It is the address of a table.
        unsafe { NonNull::new_unchecked(core::ptr::with_exposed_provenance_mut(phys as usize)) }
    }

    #[inline(always)]
    fn flush(&self, _words: &[Word]) {}

    #[inline(always)]
    fn publish(&self) {}

    unsafe fn free(&self, table: NonNull<Word>, words: usize) {
        // SAFETY: The caller says so.
        unsafe { release(Retired { table, words }) };
    }

    unsafe fn retire(&self, table: NonNull<Word>, words: usize, list: &mut Self::Retired) {
        list.push(Retired { table, words });
    }

    #[inline(always)]
    fn reclaim(&self, list: Self::Retired) {
        if list.is_empty() {
            return;
        }
        if here() != self.owner || self.readers.load(Ordering::Relaxed) != 0 {
            self.limbo().extend(list);
            return;
        }
        for retired in list {
            // SAFETY: It was retired, so nobody can find it; by the invariant nobody is reading,
            // and this is the thread that would.
            unsafe { release(retired) };
        }
    }
}
