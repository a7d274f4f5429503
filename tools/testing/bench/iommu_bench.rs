// SPDX-License-Identifier: GPL-2.0

//! The costs of IO page tables: ours and those of the kernel's generic_pt.
//!
//! The module measures when it is loaded, and writes a line for each figure to the kernel log.
//! Loading fails if an operation could not be measured. `tools/testing/vm/bench.sh` loads it in a
//! VM that counts instructions, and `report.py` makes a table of the lines:
//!
//! ```text
//! iommu_bench: cost FORMAT WALKER OPERATION SIDE TICKS NANOSECONDS
//! iommu_bench: pages FORMAT WALKER MOMENT SIDE PAGES
//! iommu_bench: ticks-per-1000-instructions TICKS
//! ```
//!
//! No IOMMU walks the tables, and the physical addresses are not those of allocated memory.

#![forbid(unsafe_code)]

mod measure;
mod operations;
mod subject;
mod tables;

use generic_pt::Format as Generic;
use iommu_pagetable::{
    vmsa::{Granule4K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Mock,
};
use kernel::{
    device::{Bound, Device},
    faux,
    prelude::*,
};
use kernel_ext::iommu::table::Format;
use measure::Meter;
use subject::{Geometry, Ours, Subject, Theirs};

module! {
    type: Bench,
    name: "iommu_bench",
    authors: ["The iommufd in Rust authors"],
    description: "What IO page tables cost",
    license: "GPL",
}

/// The loaded module, which measures in its init function.
struct Bench;

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let registration = faux::Registration::new(c"iommu-bench", None)?;
        let iommu: &faux::Device<Bound> = registration.as_ref();

        measure_all(iommu.as_ref())?;
        Ok(Self)
    }
}

fn measure_all(iommu: &Device) -> Result {
    let meter = Meter::new()?;

    pair::<SecondStage<4>>(&meter, iommu, Generic::VtdSecondStage)?;
    pair::<FirstStage<4>>(&meter, iommu, Generic::X86_64)?;
    theirs::<Mock>(&meter, iommu, Generic::AmdV1, true)?;
    alone::<Mock>(&meter, iommu)?;
    alone::<Stage1<Granule4K, 48>>(&meter, iommu)?;
    alone::<Stage2<Granule4K, 48>>(&meter, iommu)
}

/// Measures both implementations of a format.
fn pair<F: Format<Options: Default>>(meter: &Meter, iommu: &Device, generic: Generic) -> Result {
    theirs::<F>(meter, iommu, generic, true)?;
    theirs::<F>(meter, iommu, generic, false)?;
    alone::<F>(meter, iommu)
}

/// Measures our implementation, coherent and not.
fn alone<F: Format<Options: Default>>(meter: &Meter, iommu: &Device) -> Result {
    let geometry = Geometry::of::<F>();

    subject(meter, F::NAME, true, &geometry, || {
        Ours::<F, true>::new(iommu)
    })?;
    subject(meter, F::NAME, false, &geometry, || {
        Ours::<F, false>::new(iommu)
    })
}

/// Measures the generic_pt format that is compared with our `F`.
fn theirs<F: Format>(meter: &Meter, iommu: &Device, format: Generic, coherent: bool) -> Result {
    subject(meter, F::NAME, coherent, &Geometry::GENERIC, || {
        Theirs::new(format, iommu, coherent)
    })
}

fn subject<S: Subject>(
    meter: &Meter,
    format: &str,
    coherent: bool,
    geometry: &Geometry,
    new: impl Fn() -> Result<S>,
) -> Result {
    let report = Report {
        format,
        walker: if coherent { "coherent" } else { "incoherent" },
        side: S::SIDE,
    };

    operations::measure(meter, &report, geometry, &mut new()?)?;
    operations::measure_churn(meter, &report, geometry, &mut new()?)?;
    tables::count(&report, geometry, new)
}

/// Writes the lines about one page table.
struct Report<'a> {
    format: &'a str,
    walker: &'a str,
    side: &'a str,
}

impl Report<'_> {
    fn cost(&self, operation: &str, cost: measure::Cost) {
        let Self {
            format,
            walker,
            side,
        } = self;
        let measure::Cost { ticks, ns } = cost;

        pr_info!("cost {format} {walker} {operation} {side} {ticks} {ns}\n");
    }

    fn pages(&self, moment: &str, pages: i64) {
        let Self {
            format,
            walker,
            side,
        } = self;

        pr_info!("pages {format} {walker} {moment} {side} {pages}\n");
    }
}
