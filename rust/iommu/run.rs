// SPDX-License-Identifier: GPL-2.0

//! The types that describe memory to be mapped for a device.
//!
//! Pure: this file is also compiled for the host, with the page tables.

/// The kind of the memory of a run, which determines the attributes of its mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryKind {
    /// System memory, which is mapped cache-coherent.
    Normal,
    /// Registers or memory of a device, which are mapped as MMIO.
    Mmio,
}

/// A range of contiguous physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhysRun {
    /// Physical address of the first byte.
    pub phys: u64,
    /// Length in bytes; not zero.
    pub length: usize,
    /// The kind of memory.
    pub kind: MemoryKind,
}

/// Removes `before` bytes from the start of the first run and `behind` bytes from the end of the
/// last. The runs have that many bytes.
pub fn trim(runs: &mut [PhysRun], before: usize, behind: usize) {
    if let Some(first) = runs.first_mut() {
        first.phys += before as u64;
        first.length -= before;
    }
    if let Some(last) = runs.last_mut() {
        last.length -= behind;
    }
}

/// The accesses that a device is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// The device may read memory.
    pub read: bool,
    /// The device may write memory.
    pub write: bool,
}
