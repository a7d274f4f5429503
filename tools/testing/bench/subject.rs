// SPDX-License-Identifier: GPL-2.0

//! The page tables that are measured, ours and those of the kernel, with the same operations.
//!
//! On either side, a measured operation is one function call whose arguments are not known to the
//! compiler. It includes what a driver has to do around the page table, except the commands to an
//! IOMMU.

use generic_pt::{Format as Generic, Run, Table};
use kernel::{device::Device, prelude::*};
use kernel_ext::iommu::{
    table::{Error as TableError, Format, Gather, Limits, PageTable, Permissions, View},
    IommuPages, MemoryKind, PhysRun, TableAllocation,
};

/// The number of pages in a batch.
pub(crate) const BATCH: usize = 256;

/// The sizes of the pages of a format, in bytes.
pub(crate) struct Geometry {
    /// The smallest page, which a lowest table holds.
    pub(crate) small: u64,
    /// A page one level up, which is as large as what a lowest table covers.
    pub(crate) middle: u64,
    /// A page two levels up.
    pub(crate) large: u64,
}

impl Geometry {
    /// The sizes of all formats of generic_pt.
    pub(crate) const GENERIC: Self = Self {
        small: 1 << 12,
        middle: 1 << 21,
        large: 1 << 30,
    };

    /// Returns the sizes of one of our formats.
    pub(crate) fn of<F: Format>() -> Self {
        Self {
            small: 1 << F::span_bits(0),
            middle: 1 << F::span_bits(1),
            large: 1 << F::span_bits(2),
        }
    }
}

/// A page table that is measured.
pub(crate) trait Subject {
    /// The side in the report.
    const SIDE: &'static str;
    /// Runs, as [`map`](Self::map) takes them.
    type Batch;

    /// Returns runs of `length` bytes at these addresses.
    fn batch(addresses: impl Iterator<Item = u64>, length: u64) -> Result<Self::Batch>;
    /// Maps runs to adjacent IOVAs.
    fn map(&mut self, iova: u64, batch: &Self::Batch) -> Result;
    /// Maps one run.
    fn map_one(&mut self, iova: u64, phys: u64, length: u64) -> Result;
    /// Unmaps a range. Returns how many bytes were mapped.
    fn unmap(&mut self, iova: u64, length: u64) -> u64;
    /// Unmaps [`BATCH`] pages, and returns their memory, which a caller that has pinned it needs.
    fn unmap_reading(&mut self, iova: u64, small: u64, found: &mut [u64; BATCH]) -> u64;
    /// Returns the physical address to which `iova` is translated, or 0.
    fn translate(&self, iova: u64) -> u64;
    /// The state for several lookups.
    type View<'a>
    where
        Self: 'a;
    /// Begins several lookups.
    fn view(&self) -> Self::View<'_>;
    /// Does the same as [`translate`](Self::translate) in a view.
    fn translate_in(view: &Self::View<'_>, iova: u64) -> u64;
}

/// A page table of generic_pt.
pub(crate) struct Theirs(Table);

impl Theirs {
    pub(crate) fn new(format: Generic, iommu: &Device, coherent: bool) -> Result<Self> {
        Ok(Self(Table::new(format, iommu, coherent)?))
    }
}

impl Subject for Theirs {
    const SIDE: &'static str = "C";
    type Batch = KVec<Run>;

    fn batch(addresses: impl Iterator<Item = u64>, length: u64) -> Result<KVec<Run>> {
        let mut runs = KVec::new();

        for phys in addresses {
            runs.push(Run { phys, length }, GFP_KERNEL)?;
        }
        Ok(runs)
    }

    #[inline(always)]
    fn map(&mut self, iova: u64, batch: &KVec<Run>) -> Result {
        self.0.map_runs(iova, batch)
    }

    #[inline(always)]
    fn map_one(&mut self, iova: u64, phys: u64, length: u64) -> Result {
        self.0.map(iova, phys, length)
    }

    #[inline(always)]
    fn unmap(&mut self, iova: u64, length: u64) -> u64 {
        self.0.unmap(iova, length)
    }

    #[inline(always)]
    fn unmap_reading(&mut self, iova: u64, small: u64, found: &mut [u64; BATCH]) -> u64 {
        self.0.read(iova, small, found);
        self.0.unmap(iova, small * BATCH as u64)
    }

    #[inline(always)]
    fn translate(&self, iova: u64) -> u64 {
        self.0.translate(iova)
    }

    type View<'a> = &'a Table;

    fn view(&self) -> &Table {
        &self.0
    }

    #[inline(always)]
    fn translate_in(view: &Self::View<'_>, iova: u64) -> u64 {
        view.translate(iova)
    }
}

/// A page table of ours.
pub(crate) struct Ours<F: Format, const COHERENT: bool> {
    table: PageTable<F, IommuPages<COHERENT>>,
    permissions: Permissions,
}

impl<F: Format<Options: Default>, const COHERENT: bool> Ours<F, COHERENT> {
    pub(crate) fn new(iommu: &Device) -> Result<Self> {
        let table = PageTable::new(
            IommuPages::new(iommu),
            F::Options::default(),
            Limits::default(),
            TableAllocation::Sleep,
        );

        Ok(Self {
            table: table.map_err(errno)?,
            // Read from memory for each map, as the argument of a caller would be.
            permissions: core::hint::black_box(Permissions {
                read: true,
                write: true,
                execute: true,
                privileged: false,
            }),
        })
    }

    #[inline(always)]
    fn map_runs(&mut self, iova: u64, runs: &[PhysRun]) -> Result {
        let mut gather = Gather::new();
        let result = self.table.map(
            iova,
            runs,
            self.permissions,
            TableAllocation::Sleep,
            &mut gather,
        );

        gather.flush(&self.table, |_| ());
        result.map_err(errno)
    }

    #[inline(always)]
    fn unmap_with(&mut self, iova: u64, length: u64, removed: impl FnMut(PhysRun)) -> u64 {
        let mut gather = Gather::new();
        let result = self
            .table
            .unmap(iova, length, TableAllocation::Sleep, &mut gather, removed);

        gather.flush(&self.table, |_| ());
        result.unwrap_or(0)
    }
}

impl<F: Format<Options: Default>, const COHERENT: bool> Subject for Ours<F, COHERENT> {
    const SIDE: &'static str = "Rust";
    type Batch = KVec<PhysRun>;

    fn batch(addresses: impl Iterator<Item = u64>, length: u64) -> Result<KVec<PhysRun>> {
        let mut runs = KVec::new();

        for phys in addresses {
            runs.push(normal(phys, length)?, GFP_KERNEL)?;
        }
        Ok(runs)
    }

    #[inline(never)]
    fn map(&mut self, iova: u64, batch: &KVec<PhysRun>) -> Result {
        self.map_runs(iova, batch)
    }

    #[inline(never)]
    fn map_one(&mut self, iova: u64, phys: u64, length: u64) -> Result {
        self.map_runs(iova, &[normal(phys, length)?])
    }

    #[inline(never)]
    fn unmap(&mut self, iova: u64, length: u64) -> u64 {
        self.unmap_with(iova, length, |_| ())
    }

    #[inline(never)]
    fn unmap_reading(&mut self, iova: u64, small: u64, found: &mut [u64; BATCH]) -> u64 {
        let mut room = found.iter_mut();

        self.unmap_with(iova, small * BATCH as u64, |run| {
            if let Some(phys) = room.next() {
                *phys = run.phys;
            }
        })
    }

    #[inline(never)]
    fn translate(&self, iova: u64) -> u64 {
        self.table.translate(iova).unwrap_or(0)
    }

    type View<'a>
        = View<'a, F, IommuPages<COHERENT>>
    where
        Self: 'a;

    fn view(&self) -> Self::View<'_> {
        self.table.view()
    }

    #[inline(never)]
    fn translate_in(view: &Self::View<'_>, iova: u64) -> u64 {
        view.translate(iova).unwrap_or(0)
    }
}

#[inline(always)]
fn normal(phys: u64, length: u64) -> Result<PhysRun> {
    Ok(PhysRun {
        phys,
        length: length.try_into()?,
        kind: MemoryKind::Normal,
    })
}

/// Returns the errno that a driver would return.
#[cold]
fn errno(error: TableError) -> Error {
    match error {
        TableError::NoMemory => ENOMEM,
        TableError::Exists => EEXIST,
        _ => EINVAL,
    }
}
