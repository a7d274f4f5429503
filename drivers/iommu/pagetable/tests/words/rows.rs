// SPDX-License-Identifier: GPL-2.0

//! Rows of pages and the words expected for them, and the search for those words.

use iommu_pagetable::{
    memory::HostMemory, Format, Gather, Limits, MemoryKind, PageTable, Permissions, PhysRun,
};

pub const GIB: usize = 1 << 30;
pub const MIB: usize = 1 << 20;
pub const KIB: usize = 1 << 10;

/// Read, write, execute.
pub const RWX: Permissions = allow(true, true, true);
pub const RX: Permissions = allow(true, false, true);
pub const RW: Permissions = allow(true, true, false);
pub const WX: Permissions = allow(false, true, true);
pub const PRIVILEGED: Permissions = Permissions {
    privileged: true,
    ..RWX
};

pub const fn allow(read: bool, write: bool, execute: bool) -> Permissions {
    Permissions {
        read,
        write,
        execute,
        privileged: false,
    }
}

/// A page, and the words expected for it.
pub struct Row<'r> {
    what: &'r str,
    permissions: Permissions,
    kind: MemoryKind,
    phys: u64,
    length: usize,
    /// The link to the table without the address; ignored if there are no links.
    link: u64,
    leaf: u64,
}

/// A page table that has been filled, and the path to its words.
pub struct Filled<'r, F: Format, const COHERENT: bool> {
    pub table: PageTable<F, HostMemory<COHERENT>>,
    /// The entries on the path, from the root on.
    path: &'r [usize],
    /// The address bits of a link.
    address: u64,
}

impl<'r, F: Format, const COHERENT: bool> Filled<'r, F, COHERENT> {
    pub fn new(
        options: F::Options,
        iova: u64,
        address: u64,
        path: &'r [usize],
        row: &Row<'_>,
    ) -> Self {
        let memory = HostMemory::default();
        let table = PageTable::new(memory, options, Limits::default(), ()).expect("new");
        let run = PhysRun {
            phys: row.phys,
            length: row.length,
            kind: row.kind,
        };
        let mut gather = Gather::new();

        table
            .map(iova, &[run], row.permissions, (), &mut gather)
            .expect(row.what);
        gather.flush(&table, |_| {});
        Self {
            table,
            path,
            address,
        }
    }

    /// Returns the last link on the path without its address, and the entry at the end.
    pub fn words(&self) -> (u64, u64) {
        let memory = self.table.memory();
        let mut table = self.table.root();
        let mut link = 0;

        for (level, index) in self.path.iter().enumerate() {
            let word = memory.raw(table + 8 * *index as u64).expect("a table");

            if level + 1 == self.path.len() {
                return (link, word);
            }
            link = word & !self.address;
            table = word & self.address;
        }
        unreachable!("an empty path")
    }
}

/// Maps each row at `iova` in a new table of format `F`, and compares.
pub fn compare<F: Format>(
    options: F::Options,
    iova: u64,
    address: u64,
    path: &[usize],
    rows: &[Row<'_>],
) {
    for row in rows {
        let found = Filled::<F, true>::new(options, iova, address, path, row).words();

        assert_eq!(
            (found.0, found.1),
            (row.link, row.leaf),
            "{}, {}: {:#018x} {:#018x}",
            F::NAME,
            row.what,
            found.0,
            found.1
        );
    }
}

pub const fn row(
    what: &str,
    length: usize,
    permissions: Permissions,
    link: u64,
    leaf: u64,
) -> Row<'_> {
    Row {
        what,
        permissions,
        kind: MemoryKind::Normal,
        phys: 0x1_4000_0000,
        length,
        link,
        leaf,
    }
}

pub const fn mmio(row: Row<'_>) -> Row<'_> {
    Row {
        kind: MemoryKind::Mmio,
        ..row
    }
}

pub const fn at(phys: u64, row: Row<'_>) -> Row<'_> {
    Row { phys, ..row }
}

/// Bits 51:12 of entries of VT-d (9.7, 9.8), and bits 47:n of table descriptors (D8.3.1).
pub const ADDRESS_VTD: u64 = 0x000f_ffff_ffff_f000;
pub const ADDRESS_4K: u64 = 0x0000_ffff_ffff_f000;
pub const ADDRESS_16K: u64 = 0x0000_ffff_ffff_c000;
pub const ADDRESS_64K: u64 = 0x0000_ffff_ffff_0000;
