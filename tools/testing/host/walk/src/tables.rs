// SPDX-License-Identifier: GPL-2.0

//! How a walker reaches the entries of its tables.
//!
//! A stage is written once, over [`Tables`]. Whether its tables lie in physical memory
//! ([`Direct`]) or are themselves seen through a second stage ([`Through`]) is settled by whoever
//! starts the walk.

use super::{BusError, WalkMemory};
use core::convert::Infallible;

/// How often an update is tried on an entry that somebody else keeps changing.
///
/// Hardware tries for ever. A guest must not be able to hold a host's CPU that long, and none that
/// means well changes one entry this often within one walk.
const ATTEMPTS: u32 = 16;

/// Why an entry cannot be read or written.
pub(super) enum Unreachable<F> {
    /// Memory does not answer at this physical address.
    Bus(u64),
    /// The second stage does not let the access through.
    Stage2(F),
}

/// The tables of a stage, by the addresses that they have in that stage.
pub(super) trait Tables {
    /// What the second stage answers when it refuses.
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

/// A stage that can stand between another stage and its tables.
pub(super) trait SecondStage {
    /// What it answers when it refuses.
    type Fault;

    /// The physical address of a table entry, to read it or, if `update`, to write it as well.
    fn reach<M: WalkMemory>(
        &self,
        memory: &mut M,
        addr: u64,
        update: bool,
    ) -> Result<u64, Self::Fault>;
}

/// Tables seen through a second stage, as those of a guest are.
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

/// Reads an entry, and sets in it what `look` wants set.
///
/// `look` says what the entry means and what it should become. If somebody changes the entry in
/// between, what `look` said is void and it looks again: flags are never set in an entry other than
/// the one that was used. `blocked` names the fault if the entry cannot be read or, with `true`,
/// written; the latter also if it cannot be written because it keeps changing.
pub(super) fn visit<T: Tables, V, E>(
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
