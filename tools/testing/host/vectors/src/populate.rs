// SPDX-License-Identifier: GPL-2.0

//! The pages that are mapped in every table, and the IOVAs of the questions.

use crate::image::Image;
use iommu_pagetable::{
    window::WindowMemory, Format, Gather, MemoryKind, PageTable, Permissions, PhysRun,
};
use std::collections::BTreeSet;

/// A table that is built in a window.
pub type Table<'w, F> = PageTable<F, &'w WindowMemory>;

/// The physical memory to which the pages are mapped.
pub struct Targets {
    /// The next free small page.
    pub next: u64,
    /// The memory for all pages of 2 MiB and more, which may share it, and its end, exclusive.
    pub large: (u64, u64),
}

impl Targets {
    /// Returns memory for a page of `size`.
    fn take(&mut self, size: u64) -> Option<u64> {
        if size < 1 << 21 {
            let phys = self.next.next_multiple_of(size);

            self.next = phys + size;
            return Some(phys);
        }
        let phys = self.large.0.next_multiple_of(size);

        (phys + size <= self.large.1).then_some(phys)
    }
}

const READ_WRITE: Permissions = Permissions {
    read: true,
    write: true,
    execute: true,
    privileged: false,
};

/// Maps pages of every size, a batch of scattered ones across a boundary of tables and a read-only
/// page, and unmaps some of them. Returns the IOVAs of the questions.
pub fn populate<F: Format>(table: &Table<'_, F>, targets: &mut Targets) -> Vec<u64> {
    let granule = 1u64 << F::GRANULE_BITS;
    let top = 1u64 << F::INPUT_BITS;
    let mut probes = BTreeSet::from([0, top - 4, top / 2 - 4]);

    for bits in (0..F::INPUT_BITS - 1).filter(|&bits| table.page_sizes() & (1 << bits) != 0) {
        let size = 1u64 << bits;

        for iova in [3 * size, top / 2 + size, top - size] {
            if let Some(phys) = targets.take(size) {
                map(table, iova, &[run(phys, size)], READ_WRITE);
            }
            probes.extend([iova, iova + size / 2, iova + size - 4, iova - 4]);
            if iova + size < top {
                probes.insert(iova + size);
            }
        }
    }
    scattered(table, targets, top / 4 - 3 * granule, &mut probes);
    if let Some(phys) = targets.take(granule) {
        let read_only = Permissions {
            write: false,
            ..READ_WRITE
        };

        map(table, top / 8, &[run(phys, granule)], read_only);
        probes.insert(top / 8);
    }
    probes
        .into_iter()
        .filter(|iova| !interrupts(*iova))
        .collect()
}

/// Returns whether VT-d takes writes to this IOVA for interrupts, whatever the tables say.
fn interrupts(iova: u64) -> bool {
    (0xfee0_0000..0xfef0_0000).contains(&iova)
}

/// Maps eight scattered pages, and unmaps two of them.
fn scattered<F: Format>(
    table: &Table<'_, F>,
    targets: &mut Targets,
    iova: u64,
    probes: &mut BTreeSet<u64>,
) {
    let granule = 1u64 << F::GRANULE_BITS;
    let mut gather = Gather::new();
    let runs: Vec<_> = (0..8)
        .filter_map(|_| {
            targets.next += granule;
            Some(run(targets.take(granule)?, granule))
        })
        .collect();

    map(table, iova, &runs, READ_WRITE);
    table
        .unmap(iova + 4 * granule, 2 * granule, (), &mut gather, |_| ())
        .expect("small pages are never cut");
    gather.flush(&table, |_| ());
    probes.extend((0..8).map(|page| iova + page * granule + 8));
}

/// Returns a run of `length` bytes from `phys` on.
pub fn run(phys: u64, length: u64) -> PhysRun {
    PhysRun {
        phys,
        length: length as usize,
        kind: MemoryKind::Normal,
    }
}

/// Maps `runs` unless a page is mapped there already.
pub fn map<F: Format>(table: &Table<'_, F>, iova: u64, runs: &[PhysRun], permissions: Permissions) {
    let mut gather = Gather::new();
    // Pages of different sizes may overlap; the first one remains.
    let _ = table.map(iova, runs, permissions, (), &mut gather);

    gather.flush(&table, |_| ());
}

/// Returns the address of the entry of `level` for `iova`, in tables at `root`.
pub fn entry_of<F: Format>(image: &Image, root: u64, iova: u64, level: u32) -> u64 {
    let mut table = root;
    let mut at = F::LEVELS - 1;

    loop {
        let entry = table + 8 * F::index(at, iova) as u64;

        if at == level {
            return entry;
        }
        assert!(
            F::is_link(at, image.word(entry)),
            "no table below {iova:#x}"
        );
        table = image.word(entry) & F::LINK_ADDRESS;
        at -= 1;
    }
}

/// A change that a guest may have made: a level, bits to set, bits to clear.
pub struct Poke {
    pub what: &'static str,
    pub level: u32,
    pub set: u64,
    pub clear: u64,
}

/// Returns `image` with these changes to the entries for `iova`.
pub fn poked<F: Format>(image: &Image, root: u64, iova: u64, poke: &Poke) -> Image {
    let mut changed = image.clone();
    let entry = entry_of::<F>(image, root, iova, poke.level);

    changed.set(entry, image.word(entry) & !poke.clear | poke.set);
    changed
}
