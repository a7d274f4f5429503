// SPDX-License-Identifier: GPL-2.0

//! Access to the entries of the tables of a stage, and the walk from one table to the next.
//!
//! The code of a stage uses the trait [`Tables`]. The caller decides whether the tables are in
//! physical memory ([`Direct`]), or whether their addresses are translated by a second stage
//! ([`Through`]).

use super::{Access, BusError, Request, Translation, WalkMemory};
use core::convert::Infallible;

/// The number of times that an update of an entry is tried while other writers keep changing it.
///
/// Hardware has no limit. A walk in software has one, so that it always ends.
const ATTEMPTS: u32 = 16;

/// The reason why an entry cannot be read or written.
pub(super) enum Unreachable<F> {
    /// There is no memory at this physical address, or it refuses the access.
    Bus(u64),
    /// The second stage refuses the access.
    Stage2(F),
}

/// The tables of a stage, by the addresses that they have in that stage.
pub(super) trait Tables {
    /// The fault of the second stage.
    type Fault;

    fn read(&mut self, addr: u64) -> Result<u64, Unreachable<Self::Fault>>;

    fn compare_exchange(
        &mut self,
        addr: u64,
        old: u64,
        new: u64,
    ) -> Result<Result<(), u64>, Unreachable<Self::Fault>>;
}

/// Tables in physical memory.
pub(super) struct Direct<'a, M>(pub(super) &'a mut M);

impl<M: WalkMemory> Tables for Direct<'_, M> {
    type Fault = Infallible;

    fn read(&mut self, addr: u64) -> Result<u64, Unreachable<Infallible>> {
        self.0.read(addr).map_err(|BusError| Unreachable::Bus(addr))
    }

    fn compare_exchange(
        &mut self,
        addr: u64,
        old: u64,
        new: u64,
    ) -> Result<Result<(), u64>, Unreachable<Infallible>> {
        self.0
            .compare_exchange(addr, old, new)
            .map_err(|BusError| Unreachable::Bus(addr))
    }
}

/// A stage that translates the addresses of the tables of another stage.
pub(super) trait SecondStage {
    /// The fault of the stage.
    type Fault;

    /// Translates the address of a table entry.
    fn walk<M: WalkMemory>(
        &self,
        memory: &mut M,
        addr: u64,
        access: Access,
    ) -> Result<Translation, Self::Fault>;

    /// Returns the physical address of a table entry, to read it and, if `update`, to set a flag in
    /// it atomically.
    fn reach<M: WalkMemory>(
        &self,
        memory: &mut M,
        addr: u64,
        update: bool,
    ) -> Result<u64, Self::Fault> {
        let access = Access {
            request: if update {
                Request::Atomic
            } else {
                Request::Read
            },
            privileged: true,
        };

        Ok(self.walk(memory, addr, access)?.output)
    }
}

/// Tables whose addresses are translated by a second stage, as those of a guest are.
pub(super) struct Through<'a, M, S> {
    pub(super) memory: &'a mut M,
    pub(super) stage: &'a S,
}

impl<M: WalkMemory, S: SecondStage> Through<'_, M, S> {
    fn reach(&mut self, addr: u64, update: bool) -> Result<u64, Unreachable<S::Fault>> {
        self.stage
            .reach(self.memory, addr, update)
            .map_err(Unreachable::Stage2)
    }
}

impl<M: WalkMemory, S: SecondStage> Tables for Through<'_, M, S> {
    type Fault = S::Fault;

    fn read(&mut self, addr: u64) -> Result<u64, Unreachable<S::Fault>> {
        let addr = self.reach(addr, false)?;
        self.memory
            .read(addr)
            .map_err(|BusError| Unreachable::Bus(addr))
    }

    fn compare_exchange(
        &mut self,
        addr: u64,
        old: u64,
        new: u64,
    ) -> Result<Result<(), u64>, Unreachable<S::Fault>> {
        let addr = self.reach(addr, true)?;
        self.memory
            .compare_exchange(addr, old, new)
            .map_err(|BusError| Unreachable::Bus(addr))
    }
}

/// A table on the way of a walk.
#[derive(Clone, Copy)]
pub(super) struct Place<P> {
    pub(super) table: u64,
    /// Its level, as the architecture counts.
    pub(super) level: u32,
    /// What the entries above it allow.
    pub(super) path: P,
}

/// The meaning of an entry.
pub(super) enum Step<P> {
    Table(Place<P>),
    Page(Translation),
}

/// Walks from table to table, beginning with `place`, down to a page.
///
/// `slot` returns the address of the entry to use in a table. `look` and `blocked` are those of
/// [`visit`], for an entry of a table. The walk ends because entries of the lowest level are never
/// tables.
pub(super) fn walk<T: Tables, P: Copy, E>(
    tables: &mut T,
    mut place: Place<P>,
    slot: impl Fn(&Place<P>) -> u64,
    look: impl Fn(&Place<P>, u64) -> Result<(Step<P>, u64), E>,
    blocked: impl Fn(&Place<P>, bool, Unreachable<T::Fault>) -> E,
) -> Result<Translation, E> {
    loop {
        let step = visit(
            tables,
            slot(&place),
            |entry| look(&place, entry),
            |update, why| blocked(&place, update, why),
        )?;

        match step {
            Step::Table(next) => place = next,
            Step::Page(translation) => return Ok(translation),
        }
    }
}

/// Reads an entry, and sets the flags that its use requires.
///
/// `look` returns the meaning of the entry and the value that it should have. If the entry has
/// changed before that value is written, `look` is called again with the new contents, so that a
/// flag is never set in an entry other than the one that was used. `blocked` returns the fault if
/// the entry cannot be read or, with `true`, cannot be written. It is also called with `true` if
/// the entry keeps changing.
fn visit<T: Tables, V, E>(
    tables: &mut T,
    addr: u64,
    look: impl Fn(u64) -> Result<(V, u64), E>,
    blocked: impl Fn(bool, Unreachable<T::Fault>) -> E,
) -> Result<V, E> {
    let mut entry = tables.read(addr).map_err(|why| blocked(false, why))?;

    for _ in 0..ATTEMPTS {
        let (meaning, wanted) = look(entry)?;

        if wanted == entry {
            return Ok(meaning);
        }
        match tables
            .compare_exchange(addr, entry, wanted)
            .map_err(|why| blocked(true, why))?
        {
            Ok(()) => return Ok(meaning),
            Err(now) => entry = now,
        }
    }
    Err(blocked(true, Unreachable::Bus(addr)))
}
