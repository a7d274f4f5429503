// SPDX-License-Identifier: GPL-2.0

//! The way from the root to an entry.

use super::{
    format::Format,
    gather::Gather,
    memory::TableMemory,
    tree::{Entry, Reader, Slot, Table},
};

/// A table on the way to an IOVA, and where it is linked.
pub(super) struct Place<'r, F: Format, M: TableMemory> {
    /// The table.
    pub(super) table: Table<'r, F, M>,
    /// The link to it; nothing for the root.
    pub(super) parent: Option<Slot<'r, F, M>>,
}

impl<'r, F: Format, M: TableMemory> Place<'r, F, M> {
    /// The lowest table that there is for `iova`, not below `level`.
    #[inline(always)]
    pub(super) fn seek(reader: &'r Reader<'_, F, M>, iova: u64, level: u32) -> Self {
        Self::walk(reader, iova, level, Slot::load)
    }

    /// As [`seek`](Self::seek), for those who map: the walker can go the same way by now.
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

    /// Takes `count` entries from what the table counts. A table with nothing left goes, and then
    /// the table above has an entry less.
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

    /// The table of `level` for `iova` has an entry less. It still counts that entry, so it is
    /// where it was, and so are those above it.
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
