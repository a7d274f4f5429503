// SPDX-License-Identifier: GPL-2.0

//! Cutting a page in use into smaller ones, so that a part of it can be unmapped.
//!
//! The device may use the page at any time: the table that replaces it has the same translations
//! and takes its place in one step. Formats whose hardware does not allow this (Arm's
//! break-before-make) refuse.

use super::{
    error::Error,
    format::Format,
    gather::Gather,
    memory::TableMemory,
    page_table::{last_of, PageTable},
    place::Place,
    tree::{Frame, Slot, Table},
};

/// The reason why an IOVA is not a boundary between pages.
enum Obstacle {
    /// It is a boundary.
    None,
    /// It is within a group of pages, which can be cached as one page.
    Group,
    /// It is within a page of this level.
    Page(u32),
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Makes `iova` a boundary between pages.
    ///
    /// All translations remain valid. The range of the page that was cut is added to `gather`,
    /// because the device may have cached it in its old size.
    ///
    /// After both ends of a range have been cut, [`unmap`](Self::unmap) allocates no memory for it.
    ///
    /// # Errors
    ///
    /// - [`Error::Alignment`] if `iova` is not a multiple of the smallest page.
    /// - [`Error::Indivisible`] if `iova` is within a page that the format cannot cut.
    /// - [`Error::NoMemory`] if a table could not be allocated.
    ///
    /// # Examples
    ///
    /// ```
    /// # use iommu_pagetable::{memory::HostMemory, vtd::SecondStage, Access, Limits, MemoryKind};
    /// # use iommu_pagetable::PhysRun;
    /// use iommu_pagetable::{Error, Gather, PageTable};
    ///
    /// # let memory = <HostMemory>::default();
    /// # let limits = Limits::default();
    /// # let table = PageTable::<SecondStage<4>, _>::new(memory, Default::default(), limits, ())?;
    /// # let run = PhysRun { phys: 0x20_0000, length: 0x20_0000, kind: MemoryKind::Normal };
    /// # let access = Access { read: true, write: true };
    /// # let mut gather = Gather::new();
    /// # table.map(0x20_0000, &[run], access.into(), (), &mut gather)?;
    /// # gather.flush(&table, |_| ());
    /// // One page of 2 MiB is mapped at IOVA 0x20_0000.
    /// assert_eq!(table.lookup(0x20_0000).map(|page| page.size), Some(0x20_0000));
    /// let mut gather = Gather::new();
    /// table.cut(0x20_1000, (), &mut gather)?;
    /// gather.flush(&table, |gather| {
    ///     // Invalidate the IOTLB for gather.range(), which is the whole page.
    ///     assert_eq!(gather.range(), 0x20_0000..=0x3f_ffff);
    /// });
    /// assert_eq!(table.lookup(0x20_0000).map(|page| page.size), Some(0x1000));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cut(&self, iova: u64, flags: M::Flags, gather: &mut Gather<M>) -> Result<(), Error> {
        let mut spare = None;

        if iova & ((1 << F::GRANULE_BITS) - 1) != 0 {
            return Err(Error::Alignment);
        }
        // No page crosses an address at which the largest page could begin.
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

    /// Returns what prevents `iova` from being a boundary.
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

    /// Returns whether a page of the group around `iova` is marked.
    ///
    /// The device may use one marked page for the whole group. Another CPU may be removing the
    /// marks in [`ungroup`](Self::ungroup) at the same time.
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

    /// Removes the marks from the pages of a group, one by one.
    fn ungroup(&self, iova: u64, gather: &mut Gather<M>) {
        let reader = self.tree.read();
        let table = Place::seek(&reader, iova, 0).table;
        let level = table.level();
        let span = F::span_bits(level);
        let count = 1usize << F::group_bits(level);
        let size = (count as u64) << span;
        let begin = iova & !(size - 1);

        for slot in table.slots_from(begin).take(count) {
            // The device may set a flag in the entry at the same time.
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

    /// Replaces the page of `level` at `iova` by `frame`, which is returned if the page has
    /// changed.
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
