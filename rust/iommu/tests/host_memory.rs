// SPDX-License-Identifier: GPL-2.0

//! Memory for tables on the host, for tests: it knows every table that exists, can run out, and
//! keeps for walkers that are not coherent what they would see.
//!
//! Not part of the kernel crate: `tools/testing/host` includes it.

use crate::table::{TableMemory, Word};
use std::{
    alloc::{alloc, dealloc, handle_alloc_error, Layout},
    collections::BTreeMap,
    ptr::NonNull,
    sync::{
        atomic::{AtomicIsize, AtomicUsize, Ordering},
        Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
    },
};

/// Memory of the host's allocator. The device's address of a table is the CPU's.
///
/// `COHERENT` as in [`TableMemory`]. For those that are not, [`seen`](Self::seen) gives what the
/// walker sees.
pub struct HostMemory<const COHERENT: bool = true> {
    readers: RwLock<()>,
    /// Reclaimed, and waiting for the readers to be done.
    limbo: Mutex<Vec<Retired>>,
    /// All tables that exist, by their address.
    tables: Mutex<BTreeMap<usize, Known>>,
    retired: AtomicUsize,
    /// So many allocations succeed, then none.
    budget: AtomicIsize,
}

/// What is known of a table that exists.
struct Known {
    words: usize,
    retired: bool,
    /// What a walker that is not coherent sees; empty for the others.
    seen: Vec<u64>,
}

/// A table on its way back to the allocator.
pub struct Retired {
    table: NonNull<Word>,
    words: usize,
}

// SAFETY: It is an address and nothing else.
unsafe impl Send for Retired {}

impl Retired {
    /// # Safety
    ///
    /// The table is valid.
    unsafe fn check(&self) {
        // SAFETY: By the caller, and it has this many words.
        let words = unsafe { core::slice::from_raw_parts(self.table.as_ptr(), self.words) };

        assert!(
            words.iter().all(|word| word.load() == 0),
            "retired while in use"
        );
    }
}

impl<const COHERENT: bool> Default for HostMemory<COHERENT> {
    fn default() -> Self {
        Self {
            readers: RwLock::new(()),
            limbo: Mutex::default(),
            tables: Mutex::default(),
            retired: AtomicUsize::new(0),
            budget: AtomicIsize::new(isize::MAX),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<const COHERENT: bool> HostMemory<COHERENT> {
    /// How many tables exist, retired ones among them until they are reclaimed.
    pub fn live(&self) -> usize {
        locked(&self.tables).len()
    }

    /// How many tables have been retired so far.
    pub fn retired(&self) -> usize {
        self.retired.load(Ordering::SeqCst)
    }

    /// Lets `count` more allocations succeed, and no more.
    pub fn set_budget(&self, count: isize) {
        self.budget.store(count, Ordering::SeqCst);
    }

    /// Tables that were retired and not reclaimed yet have not been written to since.
    ///
    /// # Panics
    ///
    /// If one has been.
    pub fn check_retired(&self) {
        for retired in locked(&self.limbo).iter() {
            // SAFETY: It is valid for as long as it is on the list, which is locked.
            unsafe { retired.check() };
        }
    }

    /// How many words the table at `phys` has, and those that are not zero: their index, and what
    /// the CPU and the walker see. Nothing if no table begins there.
    pub fn table(&self, phys: u64) -> Option<(usize, Vec<(usize, u64, u64)>)> {
        let base = usize::try_from(phys).ok()?;
        let tables = locked(&self.tables);
        let known = tables.get(&base)?;
        let first = NonNull::new(base as *mut Word)?;
        // SAFETY: The table exists and has this many words: before it is freed it is taken from the
        // list, which is locked.
        let words = unsafe { core::slice::from_raw_parts(first.as_ptr(), known.words) };
        let used = words
            .iter()
            .map(Word::load)
            .enumerate()
            .map(|(index, raw)| (index, raw, known.seen.get(index).copied().unwrap_or(raw)))
            .filter(|&(_, raw, seen)| raw | seen != 0)
            .collect();

        Some((known.words, used))
    }

    /// The word at the device's address `phys` as the CPU sees it; nothing if it is in no table.
    pub fn raw(&self, phys: u64) -> Option<u64> {
        self.with(phys, |word, _| word.load())
    }

    /// The same as the walker sees it: as it was when it was flushed last.
    pub fn seen(&self, phys: u64) -> Option<u64> {
        self.with(phys, |word, seen| {
            seen.map_or_else(|| word.load(), |seen| *seen)
        })
    }

    /// Lets the walker see the word at `phys` as it is: for one that was written in its name.
    pub fn sync(&self, phys: u64) {
        self.with(phys, |word, seen| {
            seen.into_iter().for_each(|seen| *seen = word.load());
        });
    }

    /// Writes a word as the device does, if it sees `old` there; else what it sees.
    pub fn device_writes(&self, phys: u64, old: u64, new: u64) -> Option<Result<(), u64>> {
        self.with(phys, |word, seen| match seen {
            Some(seen) if *seen != old => Err(*seen),
            seen => {
                word.compare_exchange(old, new)?;
                seen.into_iter().for_each(|seen| *seen = new);
                Ok(())
            }
        })
    }

    /// Calls `f` with the word at `phys`, and what the walker sees there if it is not coherent.
    fn with<T>(&self, phys: u64, f: impl FnOnce(&Word, Option<&mut u64>) -> T) -> Option<T> {
        let address = usize::try_from(phys).ok()?;
        let mut tables = locked(&self.tables);
        let (base, known) = tables.range_mut(..=address).next_back()?;
        let index = (address - base) / size_of::<Word>();

        if index >= known.words || address % size_of::<Word>() != 0 {
            return None;
        }
        let table = NonNull::new(*base as *mut Word)?;
        // SAFETY: The index is below the number of words of the table.
        let word = unsafe { table.add(index) };
        // SAFETY: The table exists: before it is freed it is taken from the list, which is locked.
        Some(f(unsafe { word.as_ref() }, known.seen.get_mut(index)))
    }

    fn layout(words: usize) -> Layout {
        let size = words * size_of::<Word>();

        Layout::from_size_align(size, size.next_power_of_two().max(64)).expect("table size")
    }

    fn release(&self, table: NonNull<Word>, words: usize) {
        let known = locked(&self.tables).remove(&(table.as_ptr() as usize));

        assert_eq!(known.map(|known| known.words), Some(words), "no such table");
        for word in 0..words {
            // SAFETY: The table has this many words.
            let word = unsafe { table.add(word) };
            // SAFETY: It is valid, and nobody uses it any more.
            unsafe { word.drop_in_place() };
        }
        // SAFETY: `allocate` has allocated it with this layout; nobody uses it any more.
        unsafe { dealloc(table.as_ptr().cast(), Self::layout(words)) };
    }

    fn release_all(&self) {
        let limbo = core::mem::take(&mut *locked(&self.limbo));

        for Retired { table, words } in limbo {
            self.release(table, words);
        }
    }
}

impl<const COHERENT: bool> Drop for HostMemory<COHERENT> {
    fn drop(&mut self) {
        self.release_all();
    }
}

// SAFETY: Tables come from the allocator with the right alignment. They go back to it when they are
// freed, or after they were reclaimed and a moment was seen at which nobody was reading.
unsafe impl<const COHERENT: bool> TableMemory for HostMemory<COHERENT> {
    const COHERENT: bool = COHERENT;
    type Reading<'a> = Option<RwLockReadGuard<'a, ()>>;
    type Flags = ();
    type Retired = Vec<Retired>;

    fn read(&self) -> Self::Reading<'_> {
        // The model checker has its own idea of threads; there, nothing is reused at all.
        (!cfg!(loom)).then(|| self.readers.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn allocate(&self, words: usize, (): ()) -> Option<NonNull<Word>> {
        if self.budget.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.budget.store(0, Ordering::SeqCst);
            return None;
        }
        let layout = Self::layout(words);
        // SAFETY: The size is not zero.
        let raw = unsafe { alloc(layout) };
        let table = NonNull::new(raw.cast::<Word>()).unwrap_or_else(|| handle_alloc_error(layout));

        for word in 0..words {
            // SAFETY: The allocation has room for this many words.
            let word = unsafe { table.add(word) };
            // SAFETY: The word is ours, and aligned.
            unsafe { word.write(Word::new(0)) };
        }
        let seen = vec![0; if COHERENT { 0 } else { words }];
        locked(&self.tables).insert(
            table.as_ptr() as usize,
            Known {
                words,
                retired: false,
                seen,
            },
        );
        Some(table)
    }

    #[inline(always)]
    fn phys(&self, table: NonNull<Word>) -> u64 {
        table.as_ptr() as u64
    }

    #[inline(always)]
    unsafe fn virt(&self, phys: u64) -> NonNull<Word> {
        NonNull::new(phys as *mut Word).expect("null")
    }

    fn flush(&self, words: &[Word]) {
        if COHERENT {
            return;
        }
        let first = words.as_ptr() as usize;
        let mut tables = locked(&self.tables);
        let (base, known) = tables
            .range_mut(..=first)
            .next_back()
            .expect("no such table");
        let index = (first - base) / size_of::<Word>();

        for (seen, word) in known.seen[index..index + words.len()].iter_mut().zip(words) {
            *seen = word.load();
        }
    }

    fn publish(&self) {}

    unsafe fn free(&self, table: NonNull<Word>, words: usize) {
        self.release(table, words);
    }

    unsafe fn retire(&self, table: NonNull<Word>, words: usize, list: &mut Self::Retired) {
        self.retired.fetch_add(1, Ordering::SeqCst);
        let retired = Retired { table, words };
        // SAFETY: The caller says that it is such a table.
        unsafe { retired.check() };
        let mut tables = locked(&self.tables);
        let known = tables
            .get_mut(&(table.as_ptr() as usize))
            .expect("no such table");

        assert!(
            !core::mem::replace(&mut known.retired, true),
            "retired twice"
        );
        assert!(
            known.seen.iter().all(|&seen| seen == 0),
            "retired before a flush"
        );
        list.push(retired);
    }

    fn reclaim(&self, list: Self::Retired) {
        if list.is_empty() {
            return;
        }
        locked(&self.limbo).extend(list);
        // The model checker's threads do not take the lock.
        if cfg!(loom) {
            return;
        }
        // If the lock is free, there is no reader now. No reader that comes later can find the
        // tables in limbo; tables that are put there later wait for the next such moment.
        if let Ok(_nobody_reads) = self.readers.try_write() {
            self.release_all();
        }
    }
}
