// SPDX-License-Identifier: GPL-2.0

//! Cutting a page in use into smaller ones, so that a part of it can go.
//!
//! The device may translate through the page all the time: what replaces it says the same, and takes
//! its place in one step. Formats whose hardware does not allow that (Arm's break-before-make) refuse.

use super::{
    error::Error,
    format::Format,
    gather::Gather,
    memory::TableMemory,
    page_table::{last_of, PageTable},
    place::Place,
    tree::{Frame, Slot, Table},
};

/// What stands between an IOVA and being a border.
enum Obstacle {
    /// Nothing.
    None,
    /// A group of pages that can be cached as one.
    Group,
    /// A page of this level.
    Page(u32),
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Makes `iova` a border between pages. Translations stay as they are; `gather` gets the range of
    /// the page that was cut, which may be cached in its old size.
    ///
    /// Who has cut first can unmap without memory.
    ///
    /// # Errors
    ///
    /// [`Error::Indivisible`] if there is no border and the format cannot make one;
    /// [`Error::Alignment`], [`Error::NoMemory`].
    pub fn cut(&self, iova: u64, flags: M::Flags, gather: &mut Gather<M>) -> Result<(), Error> {
        let mut spare = None;

        if iova & ((1 << F::GRANULE_BITS) - 1) != 0 {
            return Err(Error::Alignment);
        }
        // Nothing reaches across where the largest page could begin.
        if iova > last_of(F::INPUT_BITS) || iova & (self.largest_page() - 1) == 0 {
            return Ok(());
        }
        loop {
            match self.obstacle(iova) {
                Obstacle::None => return Ok(()),
                _ if !F::CAN_CUT => return Err(Error::Indivisible),
                Obstacle::Group => self.ungroup(iova, gather),
                Obstacle::Page(level) => {
                    let frame = match spare
                        .take()
                        .filter(|frame: &Frame<'_, F, M>| frame.level() + 1 == level)
                    {
                        Some(frame) => frame,
                        None => self
                            .tree
                            .allocate(level - 1, flags)
                            .ok_or(Error::NoMemory)?,
                    };

                    spare = self.cut_page(iova, level, frame, gather);
                }
            }
        }
    }

    fn obstacle(&self, iova: u64) -> Obstacle {
        let reader = self.tree.read();
        let place = Place::seek(&reader, iova, 0);
        let level = place.table.level();
        let entry = place.table.slot(iova).raw();
        let inside = |bits: u32| iova & ((1 << bits) - 1) != 0;

        if entry == 0 || F::is_link(level, entry) {
            Obstacle::None
        } else if inside(F::span_bits(level) + F::group_bits(level))
            && self.in_group(place.table, iova)
        {
            Obstacle::Group
        } else if inside(F::span_bits(level)) {
            Obstacle::Page(level)
        } else {
            Obstacle::None
        }
    }

    /// Is a page marked in the group around `iova`? As long as one is, the device may take the whole
    /// group from it: somebody else may be about to [`ungroup`](Self::ungroup) it.
    fn in_group(&self, table: Table<'_, F, M>, iova: u64) -> bool {
        let level = table.level();
        let bits = F::group_bits(level);
        let begin = iova & !((1 << (F::span_bits(level) + bits)) - 1);

        self.has_groups(level)
            && table
                .slots_from(begin)
                .take(1 << bits)
                .map(Slot::raw)
                .any(|entry| !F::is_link(level, entry) && F::is_grouped(entry))
    }

    /// Takes the mark from a group of pages, one by one.
    fn ungroup(&self, iova: u64, gather: &mut Gather<M>) {
        let reader = self.tree.read();
        let table = Place::seek(&reader, iova, 0).table;
        let level = table.level();
        let span = F::span_bits(level);
        let count = 1usize << F::group_bits(level);
        let size = (count as u64) << span;
        let begin = iova & !(size - 1);

        for slot in table.slots_from(begin).take(count) {
            // The device may note an access meanwhile.
            loop {
                let entry = slot.raw();

                if !F::is_grouped(entry)
                    || F::is_link(level, entry)
                    || slot.replace_leaf(entry, F::ungrouped(entry))
                {
                    break;
                }
            }
        }
        table.flush(begin, count);
        self.memory().publish();
        gather.add(begin, begin + (size - 1));
    }

    /// Replaces the page of `level` at `iova` by `frame`; gives that back if the page has changed.
    fn cut_page<'t>(
        &'t self,
        iova: u64,
        level: u32,
        mut frame: Frame<'t, F, M>,
        gather: &mut Gather<M>,
    ) -> Option<Frame<'t, F, M>> {
        let reader = self.tree.read();
        let table = Place::seek(&reader, iova, level).table;
        let slot = table.slot(iova);
        let entry = slot.raw();
        let size = 1u64 << F::span_bits(level);
        let begin = iova & !(size - 1);

        if table.level() != level || entry == 0 || F::is_link(level, entry) {
            return Some(frame);
        }
        let below = level - 1;
        let attributes = F::attributes_of(entry);
        let filled = frame.fill(|index| {
            let offset = (index as u64) << F::span_bits(below);

            F::leaf(below, F::phys(entry) + offset, attributes)
        });

        if !filled {
            return Some(frame);
        }
        match slot.link(entry, frame, 1 << F::entries_bits(below)) {
            Ok(_) => {
                gather.add(begin, begin + (size - 1));
                None
            }
            Err(frame) => Some(frame),
        }
    }
}
