// SPDX-License-Identifier: GPL-2.0

//! A radix tree of tables that a device walks while CPUs change it.
//!
//! This owns the tables and the entries between them, the *links*, and leaves to the caller what
//! the other entries, the *leaves*, mean. No lock is held: links change by compare-and-exchange.
//!
//! # Which table may go
//!
//! A link counts, in bits that the walker ignores, the entries of the table that it points to and
//! the writes to it that are about to happen. A caller adds to that count before it writes into the
//! table; the one that takes the count to zero removes the link in the same step, and the table is
//! retired. So:
//!
//! - a table that holds something, or is about to, has a link, and so have all tables above it;
//! - a table without a link holds only zeroes, and no caller writes to it again;
//! - a caller that read a link just before it was removed finds that the count cannot be raised.
//!
//! The memory stays valid as long as a reader may look into it (see [`TableMemory`]), whatever the
//! counts say: callers that write where others do get wrong translations, not wild pointers.
//!
//! # What the device may have cached
//!
//! Until it has been told to forget it, the device may know the way to a table that was removed,
//! and find it empty. A caller that puts an entry in the place of such a table, or below one that
//! another caller has put there, must have the device forget that way, too. So a tree counts the
//! callers that have removed tables that the device was not yet told of, from before the first one
//! goes; a caller that has written an entry [asks](Tree::has_unflushed) after that.
//!
//! Pure: this file is also compiled for the host, with the page tables.

use super::{
    layout::{Checked, TableLayout, TableShape},
    memory::TableMemory,
    word::Word,
};
use core::{marker::PhantomData, ptr, ptr::NonNull};

/// The tree.
///
/// # Invariants
///
/// `root` is a table of level `LEVELS - 1` that this value owns. A link in a table of level `n` of
/// the tree holds the address of a table of level `n - 1`, to which no other link points.
pub(super) struct Tree<L: TableLayout, M: TableMemory> {
    root: NonNull<Word>,
    /// How many [`Retired`] may hold tables that the device was not told of.
    unflushed: Word,
    memory: M,
    _layout: PhantomData<fn() -> L>,
}

// SAFETY: The tables belong to the tree, and `M` may be used on any thread.
unsafe impl<L: TableLayout, M: TableMemory> Send for Tree<L, M> {}
// SAFETY: Tables are words that are accessed atomically.
unsafe impl<L: TableLayout, M: TableMemory> Sync for Tree<L, M> {}

impl<L: TableLayout, M: TableMemory> Tree<L, M> {
    /// A tree with an empty root; nothing if there is no memory for it.
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

    /// The address of the root for the device.
    pub(super) fn root_phys(&self) -> u64 {
        self.memory.phys(self.root)
    }

    /// Where the tables live.
    #[inline(always)]
    pub(super) fn memory(&self) -> &M {
        &self.memory
    }

    /// Begins to look into the tree. The caller does not sleep while the result exists.
    #[inline(always)]
    pub(super) fn read(&self) -> Reader<'_, L, M> {
        Reader {
            tree: self,
            _reading: self.memory.read(),
        }
    }

    /// A table of zeroes for below the root, not linked yet; nothing if there is no memory, or none
    /// whose address fits into a link.
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

    /// May the device know the way to a table that is gone? Meaningful to who has just reserved an
    /// entry, or filled an empty place, by a compare-and-exchange.
    #[inline(always)]
    pub(super) fn has_unflushed(&self) -> bool {
        self.unflushed.load() != 0
    }

    /// Gives tables back to where they came from. The device has forgotten them.
    #[inline(always)]
    pub(super) fn reclaim(&self, retired: Retired<M>) {
        // Every holder of a table is counted.
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

    /// The table that a link in a table of level `level + 1` points to.
    ///
    /// # Safety
    ///
    /// `link` was loaded from such a table of this tree by somebody who is still reading.
    #[inline(always)]
    unsafe fn target(&self, link: u64) -> NonNull<Word> {
        // SAFETY: By the type invariant this is the address of a table of the tree. It is valid:
        // it is reclaimed only after it was unlinked and all who read before that are done.
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
                // SAFETY: The entry is of this tree; nothing is unlinked meanwhile.
                let below = unsafe { self.target(entry) };

                // SAFETY: No other link points there, and this table is not read again.
                unsafe { self.free_subtree(below, level - 1) };
            }
        }
        // SAFETY: It was allocated for `level`; nobody can reach it.
        unsafe { self.memory.free(table, Self::words(level)) };
    }
}

impl<L: TableLayout, M: TableMemory> Drop for Tree<L, M> {
    fn drop(&mut self) {
        // SAFETY: The tree owns its root; readers borrow the tree, so there are none. That the
        // device has forgotten the tree is what its owner sees to before dropping it.
        unsafe { self.free_subtree(self.root, L::LEVELS - 1) };
    }
}

/// Tables that were removed from a tree, and that the device may still know.
pub(super) struct Retired<M: TableMemory> {
    tables: M::Retired,
    /// The tree counts it.
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

/// A reader of a tree: tables that it has found stay valid while it exists.
pub(super) struct Reader<'t, L: TableLayout, M: TableMemory> {
    tree: &'t Tree<L, M>,
    _reading: M::Reading<'t>,
}

impl<L: TableLayout, M: TableMemory> Reader<'_, L, M> {
    /// The topmost table.
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

/// A table, as long as somebody is reading.
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
    /// Levels below it.
    #[inline(always)]
    pub(super) fn level(self) -> u32 {
        self.level
    }

    /// The entry in which `iova` lies.
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

    /// The entries from that of `iova` on. Those of level 0 may be written as the caller likes; of
    /// a table above it they are for looking, and for writing leaves with [`Slot::set_leaf`].
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

    /// Makes a walker that is not coherent see `count` entries from that of `iova` on.
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

/// What an entry holds.
pub(super) enum Entry<'r, L: TableLayout, M: TableMemory> {
    /// Nothing.
    Empty,
    /// Something that is not a link: its value.
    Leaf(u64),
    /// A table.
    Link(Table<'r, L, M>),
}

/// Why a table cannot be written to now.
pub(super) enum Refused {
    /// It is no longer part of the tree.
    Gone,
    /// Too many are about to write to it.
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
    /// The entry as it stands there.
    #[inline(always)]
    pub(super) fn raw(self) -> u64 {
        self.word.load()
    }

    /// The entry, and the table that it points to.
    #[inline(always)]
    pub(super) fn load(self) -> Entry<'r, L, M> {
        self.entry_of(self.word.load())
    }

    /// As [`load`](Self::load). A walker that is not coherent sees a link by the time that this
    /// returns it.
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

    /// Writes a leaf, or zero. Whether it could: a value that looks like a link is not written.
    ///
    /// The caller is the only one who writes to the entry, and whoever wrote the last one counted.
    #[inline(always)]
    pub(super) fn set_leaf(self, value: u64) -> bool {
        // A link that is overwritten, by a caller that writes where others do, is lost with its
        // table, which nobody frees before the tree: a leak, and so within the invariants.
        let leaf = !L::is_link(self.level, value);

        if leaf {
            self.word.store(value);
        }
        leaf
    }

    /// Replaces a leaf by another one unless it is no longer `old`. Whether it was.
    #[inline(always)]
    pub(super) fn replace_leaf(self, old: u64, new: u64) -> bool {
        !L::is_link(self.level, old)
            && !L::is_link(self.level, new)
            && self.word.compare_exchange(old, new).is_ok()
    }

    /// Adds `count` to what the table below counts.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the table is no longer below, or there is no room for the number.
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

    /// Takes `count` from what the table below counts; if nothing is left, the table loses its
    /// link and goes to `retired`. Whether it did: then the table of this slot has an entry less.
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

            // Before anybody can find the place empty.
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
        // SAFETY: By the invariant of `Tree` the link was the only one, and it is gone: nobody can
        // find the table any more. It was allocated for the level below.
        unsafe { self.tree.memory.retire(table, words, &mut retired.tables) };
        true
    }

    /// Puts a table where the entry is `old`, empty or a leaf, with a count to begin with.
    ///
    /// # Errors
    ///
    /// The table back, if the entry is no longer `old`.
    pub(super) fn link<'t>(
        self,
        old: u64,
        frame: Frame<'t, L, M>,
        count: u64,
    ) -> Result<Table<'r, L, M>, Frame<'t, L, M>> {
        let fits = frame.level + 1 == self.level && ptr::eq(frame.tree, self.tree);
        let link = L::LINK_TAG | L::LINK_FLAGS | frame.phys() | L::COUNT.put(count);

        // The walker sees what is in the table before it sees the way there.
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

    /// Flushes a link that was just put here, and says so to those who find it.
    fn make_visible(self, link: u64) {
        let mut entry = link;

        self.flush();
        // Others may count meanwhile, or even have removed the table again.
        while L::is_link(self.level, entry) && (entry ^ link) & L::LINK_ADDRESS == 0 {
            match self.word.compare_exchange(entry, entry | L::VISIBLE) {
                Ok(()) => break,
                Err(now) => entry = now,
            }
        }
    }

    /// Makes a walker that is not coherent see the entry.
    #[inline(always)]
    pub(super) fn flush(self) {
        if !M::COHERENT {
            self.tree.memory.flush(core::slice::from_ref(self.word));
        }
    }
}

/// A table without a link, seen by its owner alone.
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
    /// The level of the table.
    pub(super) fn level(&self) -> u32 {
        self.level
    }

    fn phys(&self) -> u64 {
        self.tree.memory.phys(self.words)
    }

    /// Fills the table with leaves, by their index. Whether all were leaves.
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
