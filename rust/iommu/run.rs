// SPDX-License-Identifier: GPL-2.0

//! Words that everybody who maps memory for a device uses.
//!
//! Pure: this file is also compiled for the host, with the page tables.

/// How the CPU sees the memory behind a run, which decides how it must be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryKind {
    /// System memory: mapped cache-coherent.
    Normal,
    /// Registers or memory of a device: mapped as MMIO.
    Mmio,
}

/// Bytes that lie next to each other in physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhysRun {
    /// Physical address of the first byte.
    pub phys: u64,
    /// Length in bytes; not zero.
    pub length: usize,
    /// What is there.
    pub kind: MemoryKind,
}

/// Leaves bytes out of runs, of which there are as many: `before` of the first run and `behind` of the
/// last.
pub fn trim(runs: &mut [PhysRun], before: usize, behind: usize) {
    if let Some(first) = runs.first_mut() {
        first.phys += before as u64;
        first.length -= before;
    }
    if let Some(last) = runs.last_mut() {
        last.length -= behind;
    }
}

/// What the device may do, seen from the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// It may read memory.
    pub read: bool,
    /// It may write memory.
    pub write: bool,
}
