// SPDX-License-Identifier: GPL-2.0

//! Creation of the tables that a map finds missing.
//!
//! They are allocated outside the RCU read-side critical section and linked from the top down. If
//! another CPU links a table first, the walk starts again from the root, with the unused tables.

use super::{
    error::Error,
    format::Format,
    gather::Gather,
    layout::MAX_LEVELS,
    memory::TableMemory,
    page_table::PageTable,
    place::Place,
    tree::{Entry, Frame, Refused, Tree},
};

/// Tables that are about to be linked, by level.
struct Spares<'t, F: Format, M: TableMemory>([Option<Frame<'t, F, M>>; MAX_LEVELS as usize]);

impl<'t, F: Format, M: TableMemory> Spares<'t, F, M> {
    /// Allocates the tables for the levels from `lowest` to the one below `missing`.
    fn fill(
        &mut self,
        tree: &'t Tree<F, M>,
        lowest: u32,
        missing: u32,
        flags: M::Flags,
    ) -> Result<(), Error> {
        for (level, spare) in (0..missing).zip(&mut self.0).skip(lowest as usize) {
            if spare.is_none() {
                *spare = Some(tree.allocate(level, flags).ok_or(Error::NoMemory)?);
            }
        }
        Ok(())
    }

    fn slot(&mut self, level: u32) -> Option<&mut Option<Frame<'t, F, M>>> {
        self.0.get_mut(level as usize)
    }

    fn has(&self, lowest: u32, missing: u32) -> bool {
        (0..missing)
            .zip(&self.0)
            .skip(lowest as usize)
            .all(|(_, spare)| spare.is_some())
    }
}

/// The reason why a table could not be filled.
pub(super) enum Stop {
    /// All tables below this level are missing.
    Missing(u32),
    /// Another CPU has changed the path, or the count has no room: start again from the root.
    Again,
    /// A page is mapped there.
    Exists,
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        if let Refused::Full = refused {
            core::hint::spin_loop();
        }
        Self::Again
    }
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Ensures that a table of `level` exists for `iova`; all tables below `missing` were missing.
    ///
    /// The count of the table then includes one entry that the caller is about to write, so that
    /// the table stays in place.
    #[cold]
    pub(super) fn build(
        &self,
        iova: u64,
        level: u32,
        mut missing: u32,
        flags: M::Flags,
        gather: &mut Gather<M>,
    ) -> Result<(), Error> {
        let mut spares = Spares([const { None }; MAX_LEVELS as usize]);

        loop {
            spares.fill(&self.tree, level, missing, flags)?;
            match self.link_tables(iova, level, &mut spares, gather) {
                Ok(()) => return Ok(()),
                // The next attempt finds out which tables are missing now.
                Err(Stop::Again) => missing = level,
                Err(Stop::Exists) => return Err(Error::Exists),
                Err(Stop::Missing(now)) => missing = now,
            }
        }
    }

    /// Links tables down to `level` if `spares` has all that are missing.
    fn link_tables<'t>(
        &'t self,
        iova: u64,
        level: u32,
        spares: &mut Spares<'t, F, M>,
        gather: &mut Gather<M>,
    ) -> Result<(), Stop> {
        let reader = self.tree.read();
        let mut place = Place::seek_visible(&reader, iova, level);
        let missing = place.table.level();

        if missing > level {
            match place.table.slot(iova).load() {
                Entry::Leaf(_) => return Err(Stop::Exists),
                Entry::Link(_) => return Err(Stop::Again),
                Entry::Empty if !spares.has(level, missing) => return Err(Stop::Missing(missing)),
                Entry::Empty => {}
            }
        }
        if let Some(slot) = place.parent {
            slot.reserve(place.table, 1)?;
        }
        for below in (level..missing).rev() {
            let Some(spare) = spares.slot(below) else {
                return Err(Stop::Again);
            };
            let Some(frame) = spare.take() else {
                return Err(Stop::Again);
            };
            let slot = place.table.slot(iova);

            match slot.link(0, frame, 1) {
                Ok(table) => {
                    place = Place {
                        table,
                        parent: Some(slot),
                    }
                }
                Err(frame) => {
                    *spare = Some(frame);
                    place.give_back(&reader, iova, 1, gather);
                    return Err(Stop::Again);
                }
            }
        }
        Ok(())
    }
}
