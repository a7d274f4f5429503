// SPDX-License-Identifier: GPL-2.0

//! The self-test of the page tables: every format on the kernel's memory, coherent and not.
//!
//! It runs when the module is loaded and writes KTAP to the kernel log. The module stays loaded
//! whatever was found: its last workers may still be on their way out.

#![forbid(unsafe_code)]

mod exercise;
mod race;

use exercise::{exercise, Failure, WINDOW};
use iommu_pagetable::{
    vmsa::{Granule16K, Granule4K, Granule64K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Mock,
};
use kernel::{device::Device, faux, fmt, prelude::*};
use kernel_ext::iommu::{table::Format, IommuPages, TableAllocation};
use race::race;

module! {
    type: Selftest,
    name: "iommu_pagetable_test",
    authors: ["The iommufd in Rust authors"],
    description: "Self-test of the IO page tables",
    license: "GPL",
}

/// The tests, one after the other.
struct Runner<'a> {
    device: &'a Device,
    pages: KVVec<u64>,
    number: u32,
}

impl Runner<'_> {
    fn report(&mut self, what: fmt::Arguments<'_>, result: Result<(), Failure>) {
        self.number += 1;
        match result {
            Ok(()) => pr_info!("ok {} {what}\n", self.number),
            Err(Failure { what, iova, detail }) => {
                pr_info!("# not so: {what} (iova {iova:#x}, {detail:#x})\n");
                pr_info!("not ok {} {what}\n", self.number);
            }
        }
    }

    /// One format, with coherent memory and without, alone and with others.
    fn format<F: Format>(&mut self, options: F::Options) {
        let how = TableAllocation::Sleep;
        let name = F::NAME;
        let bits = F::INPUT_BITS;
        let coherent = IommuPages::<true>::new(self.device);
        let other = IommuPages::<false>::new(self.device);
        let result = exercise::<F, _>(coherent, options, how, &mut self.pages);

        self.report(fmt!("{name}, {bits} bits, coherent"), result);
        let result = exercise::<F, _>(other, options, how, &mut self.pages);
        self.report(fmt!("{name}, {bits} bits, not coherent"), result);
        let result = race::<F, _>(IommuPages::<true>::new(self.device), options, how);
        self.report(fmt!("{name}, {bits} bits, coherent, many CPUs"), result);
        let result = race::<F, _>(IommuPages::<false>::new(self.device), options, how);
        self.report(fmt!("{name}, {bits} bits, not coherent, many CPUs"), result);
    }

    fn run(&mut self) {
        self.format::<SecondStage<3>>(Default::default());
        self.format::<SecondStage<4>>(Default::default());
        self.format::<SecondStage<5>>(Default::default());
        self.format::<FirstStage<4>>(Default::default());
        self.format::<FirstStage<5>>(Default::default());
        self.format::<Stage1<Granule4K, 48>>(Default::default());
        self.format::<Stage1<Granule16K, 48>>(Default::default());
        self.format::<Stage1<Granule64K, 48>>(Default::default());
        self.format::<Stage1<Granule64K, 52>>(Default::default());
        self.format::<Stage1<Granule4K, 39, true>>(Default::default());
        self.format::<Stage2<Granule4K, 40>>(Default::default());
        self.format::<Stage2<Granule16K, 40>>(Default::default());
        self.format::<Stage2<Granule64K, 42, true>>(Default::default());
        self.format::<Mock>(());
    }
}

/// The loaded module, which has nothing more to do.
struct Selftest;

impl kernel::Module for Selftest {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let device = faux::Registration::new(c"iommu_pagetable_test", None)?;
        let mut runner = Runner {
            device: device.as_ref().as_ref(),
            pages: KVVec::from_elem(0, WINDOW, GFP_KERNEL)?,
            number: 0,
        };

        runner.run();
        pr_info!("1..{}\n", runner.number);
        Ok(Self)
    }
}
