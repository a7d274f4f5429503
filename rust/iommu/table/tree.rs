// SPDX-License-Identifier: GPL-2.0

//! A radix tree of tables that a device walks while CPUs change it.
//!
//! This module owns the tables and the entries that point from one to another, the *links*. The
//! meaning of all other entries, the *leaves*, is up to the caller. No lock is held: links change
//! by compare-and-exchange.
//!
//! # Which table may go
//!
//! A link counts, in bits that the walker ignores, the entries of the table that it points to and
//! the writes to it that are about to happen. A caller adds to that count before it writes into the
//! table. The caller that takes the count to zero removes the link in the same step, and the table
//! is retired. Therefore:
//!
//! - a table that is not empty, or that is about to be written to, has a link, and so have all
//!   tables above it;
//! - a table without a link holds only zeroes, and no caller writes to it again;
//! - a caller that read a link just before it was removed finds that the count cannot be raised.
//!
//! The memory stays valid as long as a reader may access it (see [`TableMemory`]), whatever the
//! counts say: callers that write where others do get wrong translations, not wild pointers.
//!
//! # What the device may have cached
//!
//! Until its caches are invalidated, the device may have cached the path to a table that was
//! removed, and find the table empty. A caller that writes an entry in the place of such a table,
//! or below a table that another caller has put there, must have that path invalidated, too.
//! Therefore a tree counts the callers that have removed tables for which the caches are not yet
//! invalidated. A caller is counted before it removes its first table. A caller that has written an
//! entry [asks](Tree::has_unflushed) for the count afterwards.
//!
//! Pure: this file is also compiled for the host, with the page tables.

use super::{
    layout::{Checked, TableLayout, TableShape},
    memory::TableMemory,
    word::Word,
};
use core::{marker::PhantomData, ptr, ptr::NonNull};

/// A radix tree of tables.
///
/// # Invariants
///
/// `root` is a table of level `LEVELS - 1` that this value owns. A link in a table of level `n` of
/// the tree holds the address of a table of level `n - 1`, to which no other link points.
pub(super) struct Tree<L: TableLayout, M: TableMemory> {
    root: NonNull<Word>,
    /// The number of [`Retired`] that may hold tables for which the device's caches are not yet
    /// invalidated.
    unflushed: Word,
    memory: M,
    _layout: PhantomData<fn() -> L>,
}

// SAFETY: The tables belong to the tree, and `M` may be used on any thread.
unsafe impl<L: TableLayout, M: TableMemory> Send for Tree<L, M> {}
// SAFETY: Tables are words that are accessed atomically.
unsafe impl<L: TableLayout, M: TableMemory> Sync for Tree<L, M> {}

impl<L: TableLayout, M: TableMemory> Tree<L, M> {
    /// Creates a tree with an empty root. Returns `None` if there is no memory for it.
    pub(super) fn new(memory: M, flags: M::Flags) -> Option<Self> {
        const { Checked::<L>::LAYOUT };
        let root = memory.allocate(Self::words(L::LEVELS - 1), flags)?;

        // INVARIANT: The root is new; it has no links.
        Some(Self {
            root,
            unflushed: Word::new(0),
            memory,
            _layout: PhantomData,
        })
    }

    /// Returns the address of the root for the device.
    pub(super) fn root_phys(&self) -> u64 {
        self.memory.phys(self.root)
    }

    /// Returns the memory that the tables are allocated from.
    #[inline(always)]
    pub(super) fn memory(&self) -> &M {
        &self.memory
    }

    /// Begins to read the tree. The caller does not sleep while the result exists.
    #[inline(always)]
    pub(super) fn read(&self) -> Reader<'_, L, M> {
        Reader {
            tree: self,
            _reading: self.memory.read(),
        }
    }

    /// Allocates a table of zeroes for a level below the root, without a link. Returns `None` if
    /// there is no memory, or none whose address fits into a link.
    pub(super) fn allocate(&self, level: u32, flags: M::Flags) -> Option<Frame<'_, L, M>> {
        let words = self.memory.allocate(Self::words(level), flags)?;
        // INVARIANT: New, and of `level`; what does not fit is freed.
        let frame = Frame {
            tree: self,
            words,
            level,
        };

        (frame.phys() & !L::LINK_ADDRESS == 0).then_some(frame)
    }

    /// Returns whether the device may have cached the path to a table that has been removed.
    /// Meaningful to a caller that has just reserved an entry, or filled an empty one, by a
    /// compare-and-exchange.
    #[inline(always)]
    pub(super) fn has_unflushed(&self) -> bool {
        self.unflushed.load() != 0
    }

    /// Frees tables once no reader uses them. The caches of the device have been invalidated.
    #[inline(always)]
    pub(super) fn reclaim(&self, retired: Retired<M>) {
        // A value that is not counted holds no table.
        if retired.counted {
            self.reclaim_tables(retired.tables);
        }
    }

    #[cold]
    fn reclaim_tables(&self, tables: M::Retired) {
        self.memory.reclaim(tables);
        self.count_unflushed(|count| count.saturating_sub(1));
    }

    #[cold]
    fn count_unflushed(&self, change: impl Fn(u64) -> u64) {
        let mut count = self.unflushed.load();

        while let Err(now) = self.unflushed.compare_exchange(count, change(count)) {
            count = now;
        }
    }

    #[inline(always)]
    fn words(level: u32) -> usize {
        1 << L::entries_bits(level)
    }

    /// Returns the table that a link in a table of level `level + 1` points to.
    ///
    /// # Safety
    ///
    /// `link` was loaded from such a table of this tree by a caller that is still reading.
    #[inline(always)]
    unsafe fn target(&self, link: u64) -> NonNull<Word> {
        // SAFETY: By the type invariant this is the address of a table of the tree. It is valid,
        // because it is reclaimed only after it was unlinked and all readers that began before that
        // are done.
        unsafe { self.memory.virt(link & L::LINK_ADDRESS) }
    }

    /// Frees a table and all below it.
    ///
    /// # Safety
    ///
    /// `table` is a table of `level` of this tree. No other reference to it exists, and no reader
    /// looks at it.
    unsafe fn free_subtree(&self, table: NonNull<Word>, level: u32) {
        if level > 0 {
            // SAFETY: The table is valid and has this many words.
            let words = unsafe { core::slice::from_raw_parts(table.as_ptr(), Self::words(level)) };

            for entry in words
                .iter()
                .map(Word::load)
                .filter(|&e| L::is_link(level, e))
            {
                // SAFETY: The entry is one of this tree, of which no other reference or reader
                // exists, so no table of it is reclaimed meanwhile.
                let below = unsafe { self.target(entry) };

                // SAFETY: No other link points there, and this table is not read again.
                unsafe { self.free_subtree(below, level - 1) };
            }
        }
        // SAFETY: The table was allocated for `level`. The caller promises that no other reference
        // to it and no reader exists.
        unsafe { self.memory.free(table, Self::words(level)) };
    }
}

impl<L: TableLayout, M: TableMemory> Drop for Tree<L, M> {
    fn drop(&mut self) {
        // SAFETY: The tree owns its root. Readers borrow the tree, so there are none. The owner of
        // the tree ensures that the device has stopped using it before dropping it.
        unsafe { self.free_subtree(self.root, L::LEVELS - 1) };
    }
}

/// Tables that were removed from a tree, and that the device may still have cached.
pub(super) struct Retired<M: TableMemory> {
    tables: M::Retired,
    /// Whether this value is counted in [`Tree::unflushed`].
    counted: bool,
}

impl<M: TableMemory> Default for Retired<M> {
    fn default() -> Self {
        Self {
            tables: M::Retired::default(),
            counted: false,
        }
    }
}

/// A reader of a tree. The tables that it has found stay valid while it exists.
pub(super) struct Reader<'t, L: TableLayout, M: TableMemory> {
    tree: &'t Tree<L, M>,
    _reading: M::Reading<'t>,
}

impl<L: TableLayout, M: TableMemory> Reader<'_, L, M> {
    /// Returns the topmost table.
    #[inline(always)]
    pub(super) fn root(&self) -> Table<'_, L, M> {
        // INVARIANT: By the invariant of `Tree`, and the tree outlives the reader.
        Table {
            tree: self.tree,
            words: self.tree.root,
            level: L::LEVELS - 1,
        }
    }
}

/// A table that stays valid because the tree is being read.
///
/// # Invariants
///
/// `words` is a table of `level` of `tree`, valid for `'r`.
pub(super) struct Table<'r, L: TableLayout, M: TableMemory> {
    tree: &'r Tree<L, M>,
    words: NonNull<Word>,
    level: u32,
}

impl<L: TableLayout, M: TableMemory> Clone for Table<'_, L, M> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: TableLayout, M: TableMemory> Copy for Table<'_, L, M> {}

impl<'r, L: TableLayout, M: TableMemory> Table<'r, L, M> {
    /// Returns the number of levels below the table.
    #[inline(always)]
    pub(super) fn level(self) -> u32 {
        self.level
    }

    /// Returns the entry for `iova`.
    #[inline(always)]
    pub(super) fn slot(self, iova: u64) -> Slot<'r, L, M> {
        // SAFETY: `index` is below the number of words of a table of this level.
        let word = unsafe { self.words.add(L::index(self.level, iova)) };

        // INVARIANT: The word belongs to the table, which is valid for `'r`.
        Slot {
            tree: self.tree,
            // SAFETY: See above.
            word: unsafe { word.as_ref() },
            level: self.level,
        }
    }

    /// Returns the entries from that of `iova` on. Those of level 0 may be written as the caller
    /// likes. In tables above, they may be read, and leaves written with [`Slot::set_leaf`].
    #[inline(always)]
    pub(super) fn slots_from(
        self,
        iova: u64,
    ) -> impl ExactSizeIterator<Item = Slot<'r, L, M>> + Clone {
        let first = L::index(self.level, iova);
        let count = Tree::<L, M>::words(self.level) - first;
        // SAFETY: `index` is below the number of words of a table of this level.
        let words = unsafe { self.words.add(first) };
        // SAFETY: By the type invariant the table is valid for `'r`, and has so many words from
        // there.
        let words = unsafe { core::slice::from_raw_parts(words.as_ptr(), count) };

        // INVARIANT: The words belong to the table.
        words.iter().map(move |word| Slot {
            tree: self.tree,
            word,
            level: self.level,
        })
    }

    /// Makes `count` entries from that of `iova` on visible to a walker that is not coherent.
    #[inline(always)]
    pub(super) fn flush(self, iova: u64, count: usize) {
        if M::COHERENT {
            return;
        }
        let all = Tree::<L, M>::words(self.level);
        let first = L::index(self.level, iova);
        // SAFETY: By the type invariant the table is valid, and has this many words.
        let words = unsafe { core::slice::from_raw_parts(self.words.as_ptr(), all) };

        if let Some(words) = words.get(first..all.min(first + count)) {
            self.tree.memory.flush(words);
        }
    }
}

/// The content of an entry.
pub(super) enum Entry<'r, L: TableLayout, M: TableMemory> {
    /// Zero.
    Empty,
    /// A value that is neither zero nor a link.
    Leaf(u64),
    /// A link to this table.
    Link(Table<'r, L, M>),
}

/// The reason why a table cannot be written to.
pub(super) enum Refused {
    /// The table is no longer part of the tree.
    Gone,
    /// The count of its entries and writers cannot be raised any more.
    Full,
}

/// An entry of a table.
///
/// # Invariants
///
/// `word` belongs to a table of `level` of `tree`.
pub(super) struct Slot<'r, L: TableLayout, M: TableMemory> {
    tree: &'r Tree<L, M>,
    word: &'r Word,
    level: u32,
}

impl<L: TableLayout, M: TableMemory> Clone for Slot<'_, L, M> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: TableLayout, M: TableMemory> Copy for Slot<'_, L, M> {}

impl<'r, L: TableLayout, M: TableMemory> Slot<'r, L, M> {
    /// Returns the entry as it is.
    #[inline(always)]
    pub(super) fn raw(self) -> u64 {
        self.word.load()
    }

    /// Loads the entry. If it is a link, the result has the table.
    #[inline(always)]
    pub(super) fn load(self) -> Entry<'r, L, M> {
        self.entry_of(self.word.load())
    }

    /// Loads the entry, as [`load`](Self::load) does. If it is a link, a walker that is not
    /// coherent sees it when this returns.
    #[inline(always)]
    pub(super) fn load_visible(self) -> Entry<'r, L, M> {
        let entry = self.word.load();

        if !M::COHERENT && L::is_link(self.level, entry) && entry & L::VISIBLE == 0 {
            self.flush();
        }
        self.entry_of(entry)
    }

    #[inline(always)]
    fn entry_of(self, entry: u64) -> Entry<'r, L, M> {
        if L::is_link(self.level, entry) {
            Entry::Link(self.table_of(entry))
        } else if entry == 0 {
            Entry::Empty
        } else {
            Entry::Leaf(entry)
        }
    }

    #[inline(always)]
    fn table_of(self, link: u64) -> Table<'r, L, M> {
        // INVARIANT: By the invariant of `Tree` the table has the level below this one's.
        Table {
            tree: self.tree,
            // SAFETY: The link was loaded from this slot, or put there, while reading.
            words: unsafe { self.tree.target(link) },
            level: self.level - 1,
        }
    }

    /// Writes a leaf, or zero. Returns false if `value` looks like a link, which is not written.
    ///
    /// The caller is the only one that writes to the entry, and the caller that wrote the last
    /// entry was counted.
    #[inline(always)]
    pub(super) fn set_leaf(self, value: u64) -> bool {
        // If a caller writes where others do, a link may be overwritten. Its table is lost then: it
        // is not freed before the tree. This is a leak, and keeps the invariants.
        let leaf = !L::is_link(self.level, value);

        if leaf {
            self.word.store(value);
        }
        leaf
    }

    /// Replaces the leaf `old` by another one. Returns false if the entry is no longer `old`.
    #[inline(always)]
    pub(super) fn replace_leaf(self, old: u64, new: u64) -> bool {
        !L::is_link(self.level, old)
            && !L::is_link(self.level, new)
            && self.word.compare_exchange(old, new).is_ok()
    }

    /// Adds `count` to the count of the table below.
    ///
    /// # Errors
    ///
    /// [`Refused::Gone`] if `table` is no longer below; [`Refused::Full`] if there is no room for
    /// the number.
    #[inline(always)]
    pub(super) fn reserve(self, table: Table<'r, L, M>, count: u64) -> Result<(), Refused> {
        let link = self.tree.memory.phys(table.words) | L::LINK_TAG;
        let mut entry = self.word.load();

        loop {
            let total = L::COUNT.get(entry) + count;

            if self.level == 0 || (entry ^ link) & (L::LINK_ADDRESS | L::LINK_MASK) != 0 {
                return Err(Refused::Gone);
            }
            if total > L::COUNT.max() {
                return Err(Refused::Full);
            }
            match self
                .word
                .compare_exchange(entry, L::COUNT.raised(entry, count))
            {
                Ok(()) => return Ok(()),
                Err(now) => entry = now,
            }
        }
    }

    /// Subtracts `count` from the count of the table below. If the result is zero, the link is
    /// removed, and the table goes to `retired`. Returns whether that happened: then the table of
    /// this slot has one entry less.
    #[inline(always)]
    pub(super) fn give_back(self, count: u64, retired: &mut Retired<M>) -> bool {
        let mut entry = self.word.load();

        loop {
            if !L::is_link(self.level, entry) {
                return false;
            }
            let left = L::COUNT.get(entry).saturating_sub(count);
            let new = if left == 0 {
                0
            } else {
                entry & !L::COUNT.mask() | L::COUNT.put(left)
            };

            // Before another caller can find the entry empty.
            if left == 0 && !retired.counted {
                retired.counted = true;
                self.tree.count_unflushed(|count| count + 1);
            }

            match self.word.compare_exchange(entry, new) {
                Ok(()) if left == 0 => break,
                Ok(()) => return false,
                Err(now) => entry = now,
            }
        }
        self.flush();
        let words = Tree::<L, M>::words(self.level - 1);
        let table = self.table_of(entry).words;
        // SAFETY: By the invariant of `Tree` the link was the only one, and it is gone, so no
        // reader that begins now can find the table. It was allocated for the level below.
        unsafe { self.tree.memory.retire(table, words, &mut retired.tables) };
        true
    }

    /// Replaces the entry `old`, which is empty or a leaf, by a link to a table with the count
    /// `count`.
    ///
    /// # Errors
    ///
    /// Returns the table if the entry is no longer `old`.
    pub(super) fn link<'t>(
        self,
        old: u64,
        frame: Frame<'t, L, M>,
        count: u64,
    ) -> Result<Table<'r, L, M>, Frame<'t, L, M>> {
        let fits = frame.level + 1 == self.level && ptr::eq(frame.tree, self.tree);
        let link = L::LINK_TAG | L::LINK_FLAGS | frame.phys() | L::COUNT.put(count);

        // The walker sees the entries of the table before it sees the link.
        self.tree.memory.publish();
        // INVARIANT: The frame is of the level below, of this tree, and has no link yet.
        if !fits || L::is_link(self.level, old) || self.word.compare_exchange(old, link).is_err() {
            return Err(frame);
        }
        core::mem::forget(frame);
        if !M::COHERENT {
            self.make_visible(link);
        }
        Ok(self.table_of(link))
    }

    /// Flushes a link that was just written here, and marks it as visible.
    fn make_visible(self, link: u64) {
        let mut entry = link;

        self.flush();
        // Other callers may change the count meanwhile, or may even have removed the table.
        while L::is_link(self.level, entry) && (entry ^ link) & L::LINK_ADDRESS == 0 {
            match self.word.compare_exchange(entry, entry | L::VISIBLE) {
                Ok(()) => break,
                Err(now) => entry = now,
            }
        }
    }

    /// Makes the entry visible to a walker that is not coherent.
    #[inline(always)]
    pub(super) fn flush(self) {
        if !M::COHERENT {
            self.tree.memory.flush(core::slice::from_ref(self.word));
        }
    }
}

/// A table without a link, which only its owner accesses.
///
/// # Invariants
///
/// `words` is memory for a table of `level` from the memory of `tree`, owned by this value.
pub(super) struct Frame<'t, L: TableLayout, M: TableMemory> {
    tree: &'t Tree<L, M>,
    words: NonNull<Word>,
    level: u32,
}

impl<L: TableLayout, M: TableMemory> Frame<'_, L, M> {
    /// Returns the level of the table.
    pub(super) fn level(&self) -> u32 {
        self.level
    }

    fn phys(&self) -> u64 {
        self.tree.memory.phys(self.words)
    }

    /// Fills the table with leaves, by their index. Returns false if one looks like a link.
    pub(super) fn fill(&mut self, mut leaf: impl FnMut(usize) -> u64) -> bool {
        let count = Tree::<L, M>::words(self.level);
        // SAFETY: By the type invariant the memory is valid, and has this many words.
        let words = unsafe { core::slice::from_raw_parts(self.words.as_ptr(), count) };

        for (index, word) in words.iter().enumerate() {
            let value = leaf(index);

            if L::is_link(self.level, value) {
                return false;
            }
            word.store(value);
        }
        if !M::COHERENT {
            self.tree.memory.flush(words);
        }
        true
    }
}

impl<L: TableLayout, M: TableMemory> Drop for Frame<'_, L, M> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the memory, which was allocated for a table
        // of this level. It was never linked, so neither a CPU nor the device can reach it.
        unsafe {
            self.tree
                .memory
                .free(self.words, Tree::<L, M>::words(self.level))
        };
    }
}
