// SPDX-License-Identifier: GPL-2.0

//! A page table of any format behind a trait object, so that the model is compiled once.
//!
//! This file calls the library; the other files predict its results.

use iommu_pagetable::{
    memory::HostMemory, Error, Format, Gather, Leaf, Limits, PageTable, Permissions, PhysRun,
};
use std::ops::ControlFlow;

/// An invalidation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Forgotten {
    /// The first and the last IOVA, if the range is not empty.
    pub range: Option<(u64, u64)>,
    /// Whether the caches of tables are included.
    pub tables: bool,
}

/// The meaning of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    Empty,
    Leaf {
        phys: u64,
        grouped: bool,
        dirty: bool,
    },
    Link {
        table: u64,
        count: u64,
        visible: bool,
        /// All other bits are correct for a link.
        proper: bool,
    },
}

/// The words of a table: their number, and the index and value of those that are not zero.
pub type Words = (usize, Vec<(usize, u64, u64)>);

/// The properties of a format that the model needs.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub levels: u32,
    pub granule_bits: u32,
    pub index_bits: u32,
    pub root_bits: u32,
    pub input_bits: u32,
    /// The last physical address that can be mapped, inclusive.
    pub last_output: u64,
    /// The page sizes that may be used, without those of groups.
    pub page_sizes: u64,
    /// The sizes of pages and groups that may be used.
    pub group_sizes: u64,
    pub leaf_levels: u32,
    /// Log2 of the entries of a group, by level.
    pub group_bits: [u32; 2],
    pub can_cut: bool,
    pub coherent: bool,
}

impl Shape {
    /// Returns the index of the entry of a table for `iova`.
    pub fn index(&self, level: u32, iova: u64) -> u64 {
        (iova >> self.span_bits(level)) & ((1 << self.entries_bits(level)) - 1)
    }

    /// Log2 of the entries of a table.
    pub fn entries_bits(&self, level: u32) -> u32 {
        if level == self.levels - 1 {
            self.root_bits
        } else {
            self.index_bits
        }
    }

    /// Log2 of the bytes that an entry covers.
    pub fn span_bits(&self, level: u32) -> u32 {
        self.granule_bits + level * self.index_bits
    }

    pub fn granule(&self) -> u64 {
        1 << self.granule_bits
    }

    /// The last IOVA, inclusive.
    pub fn last_input(&self) -> u64 {
        (1 << self.input_bits) - 1
    }

    /// Returns the size of a group at this level, or of a page if there are no groups.
    pub fn group_size(&self, level: u32) -> u64 {
        let bits = self.group_bits.get(level as usize).copied().unwrap_or(0);

        1 << (self.span_bits(level) + bits)
    }
}

/// A page table of any format.
pub trait Subject {
    fn map(
        &self,
        iova: u64,
        runs: &[PhysRun],
        permissions: Permissions,
    ) -> (Result<(), Error>, Forgotten);
    fn unmap(&self, iova: u64, length: u64) -> (Result<u64, Error>, Vec<PhysRun>, Forgotten);
    fn cut(&self, iova: u64) -> (Result<(), Error>, Forgotten);
    fn lookup(&self, iova: u64) -> Option<Leaf>;
    fn translate(&self, iova: u64) -> Option<u64>;
    /// Returns the pages that `for_each` finds, up to a number of them.
    fn leaves(&self, first: u64, last: u64, limit: usize) -> Vec<Leaf>;
    fn read_runs(&self, iova: u64, length: u64, runs: &mut [PhysRun]) -> usize;
    fn mark_dirty(&self, iova: u64) -> bool;
    fn dirty(
        &self,
        iova: u64,
        length: u64,
        clear: bool,
    ) -> (Result<(), Error>, Vec<(u64, u64)>, Forgotten);

    fn set_budget(&self, tables: isize);
    fn live(&self) -> usize;
    fn retired(&self) -> usize;
    fn root(&self) -> u64;
    /// Returns the number of entries of the table at this address, and of those that are not empty
    /// the index and the values that the CPU and the hardware see.
    fn table(&self, table: u64) -> Option<Words>;
    /// Returns an entry as the CPU sees it.
    fn raw(&self, address: u64) -> Option<u64>;
    /// Returns an entry as the hardware sees it.
    fn seen(&self, address: u64) -> Option<u64>;
    /// Makes the changes that the test has made as the device visible to the device.
    fn wrote(&self, address: u64);
    fn entry(&self, level: u32, raw: u64) -> Entry;
}

/// A page table of the format `F`.
pub struct Real<F: Format, const COHERENT: bool>(PageTable<F, HostMemory<COHERENT>>);

impl<F: Format, const COHERENT: bool> Real<F, COHERENT> {
    /// Creates an empty page table and returns its shape, with groups or without.
    pub fn new(options: F::Options, limits: Limits, groups: bool) -> Result<(Self, Shape), Error> {
        let table = PageTable::new(HostMemory::default(), options, limits, ())?;
        let output_bits = limits.output_bits.min(F::OUTPUT_BITS);
        let leaf_levels = F::LEAF_LEVELS.min(F::LEVELS);
        let shape = Shape {
            levels: F::LEVELS,
            granule_bits: F::GRANULE_BITS,
            index_bits: F::INDEX_BITS,
            root_bits: F::ROOT_BITS,
            input_bits: F::INPUT_BITS,
            last_output: (1 << output_bits) - 1,
            page_sizes: (0..leaf_levels)
                .map(|level| 1 << F::span_bits(level))
                .take_while(|size| limits.page_sizes & size != 0)
                .sum(),
            group_sizes: if groups { limits.page_sizes } else { 0 },
            leaf_levels,
            group_bits: [F::group_bits(0), F::group_bits(1)],
            can_cut: F::CAN_CUT,
            coherent: COHERENT,
        };

        Ok((Self(table), shape))
    }

    fn forget(&self, gather: Gather<HostMemory<COHERENT>>) -> Forgotten {
        let mut forgotten = Forgotten {
            range: None,
            tables: gather.has_tables(),
        };

        gather.flush(&self.0, |gather| {
            forgotten.range = Some((*gather.range().start(), *gather.range().end()));
        });
        forgotten
    }
}

impl<F: Format, const COHERENT: bool> Subject for Real<F, COHERENT> {
    fn map(
        &self,
        iova: u64,
        runs: &[PhysRun],
        permissions: Permissions,
    ) -> (Result<(), Error>, Forgotten) {
        let mut gather = Gather::new();
        let result = self.0.map(iova, runs, permissions, (), &mut gather);

        (result, self.forget(gather))
    }

    fn unmap(&self, iova: u64, length: u64) -> (Result<u64, Error>, Vec<PhysRun>, Forgotten) {
        let mut gather = Gather::new();
        let mut removed = Vec::new();
        let result = self
            .0
            .unmap(iova, length, (), &mut gather, |run| removed.push(run));

        (result, removed, self.forget(gather))
    }

    fn cut(&self, iova: u64) -> (Result<(), Error>, Forgotten) {
        let mut gather = Gather::new();
        let result = self.0.cut(iova, (), &mut gather);

        (result, self.forget(gather))
    }

    fn lookup(&self, iova: u64) -> Option<Leaf> {
        self.0.lookup(iova)
    }

    fn translate(&self, iova: u64) -> Option<u64> {
        self.0.translate(iova)
    }

    fn leaves(&self, first: u64, last: u64, limit: usize) -> Vec<Leaf> {
        let mut leaves = Vec::new();

        self.0.for_each(first, last, |leaf| {
            leaves.push(leaf);
            if leaves.len() == limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        leaves
    }

    fn read_runs(&self, iova: u64, length: u64, runs: &mut [PhysRun]) -> usize {
        self.0.read_runs(iova, length, runs)
    }

    fn mark_dirty(&self, iova: u64) -> bool {
        self.0.mark_dirty(iova)
    }

    fn dirty(
        &self,
        iova: u64,
        length: u64,
        clear: bool,
    ) -> (Result<(), Error>, Vec<(u64, u64)>, Forgotten) {
        let mut gather = Gather::new();
        let mut dirty = Vec::new();
        let note = |at, size| dirty.push((at, size));
        let result = if clear {
            self.0.read_and_clear_dirty(iova, length, &mut gather, note)
        } else {
            self.0.read_dirty(iova, length, note)
        };

        (result, dirty, self.forget(gather))
    }

    fn set_budget(&self, tables: isize) {
        self.0.memory().set_budget(tables);
    }

    fn live(&self) -> usize {
        self.0.memory().live()
    }

    fn retired(&self) -> usize {
        self.0.memory().retired()
    }

    fn root(&self) -> u64 {
        self.0.root()
    }

    fn table(&self, table: u64) -> Option<Words> {
        self.0.memory().table(table)
    }

    fn raw(&self, address: u64) -> Option<u64> {
        self.0.memory().raw(address)
    }

    fn seen(&self, address: u64) -> Option<u64> {
        self.0.memory().seen(address)
    }

    fn wrote(&self, address: u64) {
        self.0.memory().sync(address);
    }

    fn entry(&self, level: u32, raw: u64) -> Entry {
        if raw == 0 {
            return Entry::Empty;
        }
        if !F::is_link(level, raw) {
            return Entry::Leaf {
                phys: F::phys(raw),
                grouped: F::is_grouped(raw),
                dirty: F::is_dirty(raw),
            };
        }
        let varying = F::LINK_ADDRESS | F::COUNT.mask() | F::VISIBLE;

        Entry::Link {
            table: raw & F::LINK_ADDRESS,
            count: F::COUNT.get(raw),
            visible: raw & F::VISIBLE != 0,
            proper: raw & !varying == F::LINK_TAG | F::LINK_FLAGS,
        }
    }
}
