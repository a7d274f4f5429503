// SPDX-License-Identifier: GPL-2.0

//! Mapping.
//!
//! A batch of runs is mapped table by table. For each table there is one walk from the root, one
//! update of the count of its entries before the first of them is written, and one after the last.
//! Where tables are missing, [`grow`](super::grow) creates them, and the walk starts again.

use super::{
    error::Error,
    format::{attributes, Format},
    gather::Gather,
    grow::Stop,
    memory::TableMemory,
    page_table::{last_of, PageTable},
    permissions::Permissions,
    place::Place,
    run::{MemoryKind, PhysRun},
    tree::{Refused, Table},
};

/// The position in a batch of runs.
struct Cursor<'a> {
    iova: u64,
    runs: &'a [PhysRun],
    /// The bytes of the first of `runs` that are mapped already.
    offset: u64,
    /// The bytes that are still to be mapped.
    left: u64,
    /// The attributes of [`MemoryKind::Normal`] and of [`MemoryKind::Mmio`].
    attributes: [Option<u64>; 2],
}

impl<'a> Cursor<'a> {
    /// Returns the next physical address, the bytes up to the end of its run, and the attributes.
    #[inline(always)]
    fn front(&self) -> Option<(u64, u64, u64)> {
        let run = self.runs.first()?;
        let [normal, mmio] = self.attributes;
        let attributes = match run.kind {
            MemoryKind::Normal => normal?,
            MemoryKind::Mmio => mmio?,
        };

        Some((
            run.phys + self.offset,
            run.length as u64 - self.offset,
            attributes,
        ))
    }

    /// Moves past `bytes` of the first run, which has at least as many left.
    #[inline(always)]
    fn advance(&mut self, bytes: u64) {
        self.iova += bytes;
        self.left -= bytes;
        self.offset += bytes;
        if let [run, rest @ ..] = self.runs {
            if self.offset == run.length as u64 {
                self.runs = rest;
                self.offset = 0;
            }
        }
    }
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Maps `runs` to adjacent IOVAs from `iova` on, in the largest pages that the addresses allow.
    ///
    /// Each run consists of whole pages of the smallest size, and no page reaches from one run into
    /// the next. `flags` say how tables may be allocated.
    ///
    /// If `gather` is not empty afterwards, it must be flushed before the device uses the range.
    /// The device may have cached that there was another table here, which was removed by an
    /// `unmap` that has not been flushed yet. `gather` also takes tables that this call has created
    /// and not used.
    ///
    /// # Errors
    ///
    /// None of `runs` is mapped then. What this call had mapped is removed again and is in
    /// `gather`, because the device may have seen it.
    ///
    /// - [`Error::Alignment`], [`Error::Range`] for an address or a length.
    /// - [`Error::Unsupported`] if the format cannot express `permissions` or a kind of memory.
    /// - [`Error::Exists`] if a page of the range is mapped.
    /// - [`Error::NoMemory`] if a table could not be allocated.
    pub fn map(
        &self,
        iova: u64,
        runs: &[PhysRun],
        permissions: Permissions,
        flags: M::Flags,
        gather: &mut Gather<M>,
    ) -> Result<(), Error> {
        if let [run] = runs {
            if let Some(attributes) = self.single_page(iova, run, permissions) {
                let result = self.map_page(iova, run.phys, attributes, flags, gather);

                self.memory().publish();
                self.gather_old_tables(iova, iova | ((1 << F::GRANULE_BITS) - 1), gather);
                return result;
            }
        }
        let attributes = [MemoryKind::Normal, MemoryKind::Mmio]
            .map(|kind| attributes::<F>(self.options, permissions, kind));
        let mut cursor = Cursor {
            iova,
            runs,
            offset: 0,
            left: self.check_runs(runs, attributes)?,
            attributes,
        };

        Self::last(iova, cursor.left)?;
        let result = self.map_all(&mut cursor, flags, gather);
        self.memory().publish();
        if result.is_err() {
            self.undo_map(iova, cursor.iova, gather);
        } else if cursor.iova != iova {
            self.gather_old_tables(iova, cursor.iova - 1, gather);
        }
        result
    }

    /// Adds the range from `first` to `last`, which was mapped, to `gather` if the device may have
    /// cached a table that was removed.
    ///
    /// It does not matter which CPU has removed a table or put another in its place: all of them
    /// invalidate the range before the device uses it.
    #[inline(always)]
    fn gather_old_tables(&self, first: u64, last: u64, gather: &mut Gather<M>) {
        if self.tree.has_unflushed() {
            gather.add_tables(first, last);
        }
    }

    /// Returns the attributes of a page if `run` is one page of the smallest size that can be
    /// mapped.
    #[inline(always)]
    fn single_page(&self, iova: u64, run: &PhysRun, permissions: Permissions) -> Option<u64> {
        let granule = 1u64 << F::GRANULE_BITS;

        if run.length as u64 != granule
            || (iova | run.phys) & (granule - 1) != 0
            || run.phys > self.last_output
            || iova > last_of(F::INPUT_BITS)
        {
            return None;
        }
        attributes::<F>(self.options, permissions, run.kind)
    }

    /// Maps one page of the smallest size, as the DMA API does most of the time.
    #[inline(always)]
    fn map_page(
        &self,
        iova: u64,
        phys: u64,
        attributes: u64,
        flags: M::Flags,
        gather: &mut Gather<M>,
    ) -> Result<(), Error> {
        self.write_page(iova, phys, attributes, false, gather)
            .or_else(|stop| self.map_page_after(stop, iova, phys, attributes, flags, gather))
    }

    /// Continues [`map_page`](Self::map_page) after its first attempt has stopped.
    #[cold]
    fn map_page_after(
        &self,
        mut stop: Stop,
        iova: u64,
        phys: u64,
        attributes: u64,
        flags: M::Flags,
        gather: &mut Gather<M>,
    ) -> Result<(), Error> {
        loop {
            let reserved = match stop {
                Stop::Again => false,
                Stop::Exists => return Err(Error::Exists),
                Stop::Missing(missing) => {
                    self.build(iova, 0, missing, flags, gather)?;
                    true
                }
            };

            match self.write_page(iova, phys, attributes, reserved, gather) {
                Ok(()) => return Ok(()),
                Err(now) => stop = now,
            }
        }
    }

    /// Writes one entry. For `reserved`, see [`map_table`](Self::map_table).
    #[inline(always)]
    fn write_page(
        &self,
        iova: u64,
        phys: u64,
        attributes: u64,
        reserved: bool,
        gather: &mut Gather<M>,
    ) -> Result<(), Stop> {
        let reader = self.tree.read();
        let place = Place::seek_visible(&reader, iova, 0);
        let slot = place.table.slot(iova);

        if place.table.level() != 0 {
            return Err(Stop::Missing(place.table.level()));
        }
        if let (Some(parent), false) = (place.parent, reserved) {
            parent.reserve(place.table, 1)?;
        }
        if slot.raw() != 0 {
            place.give_back(&reader, iova, 1, gather);
            return Err(Stop::Exists);
        }
        slot.set_leaf(F::leaf(0, phys, attributes));
        slot.flush();
        Ok(())
    }

    /// Returns the number of bytes in `runs` if they can be mapped.
    #[inline(always)]
    fn check_runs(&self, runs: &[PhysRun], attributes: [Option<u64>; 2]) -> Result<u64, Error> {
        let mut total: u64 = 0;
        let mut bits = 0;
        let [normal, mmio] = attributes.map(|attributes| attributes.is_some());

        for run in runs {
            let length = run.length as u64;
            let last = run.phys.checked_add(length.wrapping_sub(1));
            let known = match run.kind {
                MemoryKind::Normal => normal,
                MemoryKind::Mmio => mmio,
            };

            if length == 0 || !known {
                return Err(if known {
                    Error::Alignment
                } else {
                    Error::Unsupported
                });
            }
            if last.is_none_or(|last| last > self.last_output) {
                return Err(Error::Range);
            }
            bits |= run.phys | length;
            total = total.checked_add(length).ok_or(Error::Range)?;
        }
        if bits & ((1 << F::GRANULE_BITS) - 1) != 0 {
            return Err(Error::Alignment);
        }
        Ok(total)
    }

    #[inline(always)]
    fn map_all(
        &self,
        cursor: &mut Cursor<'_>,
        flags: M::Flags,
        gather: &mut Gather<M>,
    ) -> Result<(), Error> {
        let mut reserved = false;

        while let Some((phys, length, _)) = cursor.front() {
            let level = self.leaf_level(cursor.iova, phys, length);
            // The compiler makes a copy of the code for the lowest tables, which most pages are in.
            let result = match level {
                0 => self.map_table(cursor, 0, reserved, gather),
                level => self.map_table(cursor, level, reserved, gather),
            };

            reserved = false;
            match result {
                Ok(()) | Err(Stop::Again) => {}
                Err(Stop::Exists) => return Err(Error::Exists),
                Err(Stop::Missing(missing)) => {
                    self.build(cursor.iova, level, missing, flags, gather)?;
                    reserved = true;
                }
            }
        }
        Ok(())
    }

    /// Returns the level of the largest page, or of the pages of the largest group, that can begin
    /// here.
    #[inline(always)]
    fn leaf_level(&self, iova: u64, phys: u64, length: u64) -> u32 {
        let granule = 1 << F::GRANULE_BITS;

        if length == granule {
            return 0;
        }
        // The length is not below the granule; or-ing it in spares `ilog2` the case of zero.
        let aligned = (iova | phys)
            .trailing_zeros()
            .min((length | granule).ilog2());
        let sizes = self.page_sizes & (u64::MAX >> (63 - aligned.min(63)));

        (sizes | granule).ilog2().saturating_sub(F::GRANULE_BITS) / F::INDEX_BITS
    }

    /// Maps what fits into one table of `level`.
    ///
    /// `reserved` says that the count of the table already includes one of the entries that this
    /// call is about to write.
    #[inline(always)]
    fn map_table(
        &self,
        cursor: &mut Cursor<'_>,
        level: u32,
        reserved: bool,
        gather: &mut Gather<M>,
    ) -> Result<(), Stop> {
        let iova = cursor.iova;
        let reader = self.tree.read();
        let place = Place::seek_visible(&reader, iova, level);

        if place.table.level() != level {
            return Err(Stop::Missing(place.table.level()));
        }
        let room = (1 << F::entries_bits(level)) - F::index(level, iova);
        let wanted =
            usize::try_from(cursor.left >> F::span_bits(level)).map_or(room, |n| n.min(room));
        let counted = Self::reserve(&place, reserved, wanted)?;
        let written = self.write_leaves(place.table, cursor, counted);

        place.table.flush(iova, written);
        if written < counted {
            place.give_back(&reader, iova, (counted - written) as u64, gather);
        }
        if written == 0 {
            return Err(Stop::Exists);
        }
        Ok(())
    }

    /// Adds the `wanted` entries that are about to be written to the count of the table, of which
    /// `one` may be included already. Returns how many entries are included now.
    ///
    /// If the count has no room for all of them, most of the entries exist, and only one is added.
    #[inline(always)]
    fn reserve(place: &Place<'_, F, M>, one: bool, wanted: usize) -> Result<usize, Stop> {
        let Some(slot) = place.parent else {
            return Ok(wanted);
        };
        let more = wanted as u64 - u64::from(one);

        if more == 0 {
            return Ok(wanted);
        }
        match slot.reserve(place.table, more) {
            Ok(()) => Ok(wanted),
            Err(Refused::Full) if one => Ok(1),
            Err(Refused::Full) => Ok(slot.reserve(place.table, 1).map(|()| 1)?),
            Err(Refused::Gone) => Err(Stop::Again),
        }
    }

    /// Writes up to `room` leaves into `table`, beginning at the cursor. Returns how many.
    ///
    /// Stops at an entry that is not empty, and where another level fits better.
    #[inline(always)]
    fn write_leaves(
        &self,
        table: Table<'_, F, M>,
        cursor: &mut Cursor<'_>,
        mut room: usize,
    ) -> usize {
        let level = table.level();
        let span = F::span_bits(level);
        let mut written = 0;

        while let Some((phys, length, attributes)) = cursor.front() {
            // Only the first entry of a table can begin a page of a higher level, and `leaf_level`
            // has considered it; a page of a lower level can follow at any time.
            if level > 0 && phys & ((1 << span) - 1) != 0 {
                break;
            }
            let wanted = usize::try_from(length >> span).map_or(room, |pages| pages.min(room));
            let done = self.write_run(table, cursor.iova, phys, wanted, attributes);

            cursor.advance((done as u64) << span);
            written += done;
            room -= done;
            if done < wanted || room == 0 || done == 0 {
                break;
            }
        }
        written
    }

    /// Writes up to `count` leaves for the memory at `phys`, and marks groups of them. Returns how
    /// many were written before an entry that is not empty.
    #[inline(always)]
    fn write_run(
        &self,
        table: Table<'_, F, M>,
        iova: u64,
        phys: u64,
        count: usize,
        attributes: u64,
    ) -> usize {
        let level = table.level();
        let span = F::span_bits(level);
        let bits = F::group_bits(level);

        if !self.has_groups(level) {
            return Self::write_part(table, iova, phys, count, attributes, |leaf| leaf);
        }
        let group = 1usize << bits;
        let into = (iova >> span) as usize & (group - 1);
        let head = count.min((group - into) & (group - 1));
        let in_phase = (iova ^ phys) & ((1 << (span + bits)) - 1) == 0;
        let whole = (count - head) & !(group - 1);
        // If a group contained a page of another mapping, the device might use that page for the
        // whole group.
        let mut places = table.slots_from(iova + ((head as u64) << span)).take(whole);
        let middle = if in_phase && places.all(|slot| slot.raw() == 0) {
            whole
        } else {
            0
        };
        let mut done = 0;

        for (length, grouped) in [
            (head, false),
            (middle, true),
            (count - head - middle, false),
        ] {
            let offset = (done as u64) << span;
            let part = Self::write_part(
                table,
                iova + offset,
                phys + offset,
                length,
                attributes,
                |leaf| if grouped { F::grouped(leaf) } else { leaf },
            );

            done += part;
            if part < length {
                break;
            }
        }
        done
    }

    /// Writes up to `count` leaves, each changed by `mark`. Returns how many.
    #[inline(always)]
    fn write_part(
        table: Table<'_, F, M>,
        iova: u64,
        mut phys: u64,
        count: usize,
        attributes: u64,
        mark: impl Fn(u64) -> u64,
    ) -> usize {
        let level = table.level();
        let mut written = 0;

        for slot in table.slots_from(iova).take(count) {
            let leaf = mark(F::leaf(level, phys, attributes));
            // Above level 0, a table may have been removed here; `gather_old_tables` deals with it.
            let done = if level == 0 {
                slot.raw() == 0 && slot.set_leaf(leaf)
            } else {
                slot.replace_leaf(0, leaf)
            };

            if !done {
                break;
            }
            phys += 1 << F::span_bits(level);
            written += 1;
        }
        written
    }
}
