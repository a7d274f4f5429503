// SPDX-License-Identifier: GPL-2.0

//! The path from the root to an entry.

use super::{
    format::Format,
    gather::Gather,
    memory::TableMemory,
    tree::{Entry, Reader, Slot, Table},
};

/// A table on the path to an IOVA, and the link to it.
pub(super) struct Place<'r, F: Format, M: TableMemory> {
    /// The table.
    pub(super) table: Table<'r, F, M>,
    /// The link to it; `None` for the root.
    pub(super) parent: Option<Slot<'r, F, M>>,
}

impl<'r, F: Format, M: TableMemory> Place<'r, F, M> {
    /// Returns the lowest table that exists for `iova`, but none below `level`.
    #[inline(always)]
    pub(super) fn seek(reader: &'r Reader<'_, F, M>, iova: u64, level: u32) -> Self {
        Self::walk(reader, iova, level, Slot::load)
    }

    /// Does the same as [`seek`](Self::seek), and also ensures that the hardware sees every link on
    /// the path. A caller that maps pages needs this.
    #[inline(always)]
    pub(super) fn seek_visible(reader: &'r Reader<'_, F, M>, iova: u64, level: u32) -> Self {
        Self::walk(reader, iova, level, Slot::load_visible)
    }

    #[inline(always)]
    fn walk(
        reader: &'r Reader<'_, F, M>,
        iova: u64,
        level: u32,
        load: impl Fn(Slot<'r, F, M>) -> Entry<'r, F, M>,
    ) -> Self {
        let mut place = Self {
            table: reader.root(),
            parent: None,
        };

        for _ in level + 1..F::LEVELS {
            let slot = place.table.slot(iova);
            let Entry::Link(table) = load(slot) else {
                break;
            };

            place = Self {
                table,
                parent: Some(slot),
            };
        }
        place
    }

    /// Subtracts `count` entries from the count of the table.
    ///
    /// A table without entries is removed, which also removes an entry from the table above it.
    #[inline(always)]
    pub(super) fn give_back(
        &self,
        reader: &'r Reader<'_, F, M>,
        iova: u64,
        count: u64,
        gather: &mut Gather<M>,
    ) {
        if let Some(slot) = self.parent {
            if slot.give_back(count, &mut gather.retired) {
                Self::shrink(reader, iova, self.table.level() + 1, gather);
            }
        }
    }

    /// Subtracts an entry that was removed from the count of the table of `level` for `iova`.
    ///
    /// As long as the count includes that entry, the table stays in place, and so do those above
    /// it.
    #[cold]
    fn shrink(reader: &'r Reader<'_, F, M>, iova: u64, level: u32, gather: &mut Gather<M>) {
        let page = (1 << F::GRANULE_BITS) - 1;

        gather.add_tables(iova & !page, iova | page);
        for level in level..F::LEVELS {
            match Self::seek(reader, iova, level).parent {
                Some(slot) if slot.give_back(1, &mut gather.retired) => {}
                _ => return,
            }
        }
    }
}
