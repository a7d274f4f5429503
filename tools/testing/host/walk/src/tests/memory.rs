// SPDX-License-Identifier: GPL-2.0

//! Memory for tables, with bus errors where a test needs them.

use super::super::{BusError, WalkMemory};
use std::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// Memory that is zero except where it was written.
#[derive(Default)]
pub(super) struct Memory {
    words: BTreeMap<u64, u64>,
    /// The addresses that cannot be read or written.
    pub(super) broken: BTreeSet<u64>,
    /// The addresses that cannot be written.
    pub(super) read_only: BTreeSet<u64>,
    /// The words that another writer stores at an address, each just before a compare and exchange.
    pub(super) races: BTreeMap<u64, Vec<u64>>,
    /// An address at which another writer flips these bits before every compare and exchange.
    pub(super) restless: Option<(u64, u64)>,
    pub(super) reads: u32,
    tables: u64,
}

impl Memory {
    pub(super) fn get(&self, addr: u64) -> u64 {
        self.words.get(&addr).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, addr: u64, word: u64) {
        self.words.insert(addr, word);
    }
}

impl WalkMemory for Memory {
    fn read(&mut self, addr: u64) -> Result<u64, BusError> {
        assert_eq!(addr % 8, 0);
        self.reads += 1;
        if self.broken.contains(&addr) {
            return Err(BusError);
        }
        Ok(self.get(addr))
    }

    fn compare_exchange(
        &mut self,
        addr: u64,
        old: u64,
        new: u64,
    ) -> Result<Result<(), u64>, BusError> {
        if self.broken.contains(&addr) || self.read_only.contains(&addr) {
            return Err(BusError);
        }
        if let Some(word) = self.races.get_mut(&addr).and_then(Vec::pop) {
            self.set(addr, word);
        }
        if let Some((_, bits)) = self.restless.filter(|&(at, _)| at == addr) {
            self.set(addr, self.get(addr) ^ bits);
        }
        let now = self.get(addr);
        if now != old {
            return Ok(Err(now));
        }
        self.set(addr, new);
        Ok(Ok(()))
    }
}

/// The bits of an address that each level of a format uses, and the place of the tables of a test.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// The address of the first table in the stage.
    pub(super) root: u64,
    /// The lowest address bit and the number of bits that each level resolves, top first.
    pub(super) levels: &'static [(u32, u32)],
    /// The bits of an entry other than the address of the next table.
    pub(super) link: u64,
    /// The physical address of a table less its address in the stage.
    pub(super) offset: u64,
}

impl Shape {
    /// Writes the entries for `input` down to that of the given depth, which is `leaf`. Returns
    /// their physical addresses, top first. Tables below the first are at multiples of 1 GiB.
    pub(super) fn map(&self, memory: &mut Memory, input: u64, depth: usize, leaf: u64) -> Vec<u64> {
        let mut table = self.root;
        let mut path = Vec::new();

        for (at, &(shift, width)) in self.levels.iter().take(depth).enumerate() {
            let slot = table + 8 * ((input >> shift) % (1 << width)) + self.offset;
            path.push(slot);
            if at + 1 == depth {
                memory.set(slot, leaf);
            } else {
                if memory.get(slot) == 0 {
                    memory.tables += 1;
                    memory.set(slot, (memory.tables << 30) | self.link);
                }
                table = memory.get(slot) & 0x0000_ffff_ffff_f000;
            }
        }
        path
    }
}
