// SPDX-License-Identifier: GPL-2.0

//! The KUnit tests of the page tables: every format on the kernel's memory, coherent and not.
//!
//! The kernel runs them when the module is loaded. Each format is a suite. The failure of a case is
//! described in the kernel log.

#![forbid(unsafe_code)]

mod exercise;
mod race;

use exercise::{Failure, WINDOW};
use iommu_pagetable::{
    vmsa::{Granule16K, Granule4K, Granule64K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Mock,
};
use kernel::{device::Device, faux, macros::kunit_tests, prelude::*};
use kernel_ext::iommu::{table::Format, IommuPages, TableAllocation};

module! {
    type: Selftest,
    name: "iommu_pagetable_test",
    authors: ["The iommufd in Rust authors"],
    description: "KUnit tests of the IO page tables",
    license: "GPL",
}

/// The loaded module. KUnit finds the suites by themselves.
struct Selftest;

impl kernel::Module for Selftest {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

const HOW: TableAllocation = TableAllocation::Sleep;

/// Runs `test` with a device that stands for the IOMMU, and logs its failure.
fn on_iommu(test: impl FnOnce(&Device) -> Result<(), Failure>) -> Result<(), Failure> {
    let iommu = faux::Registration::new(c"iommu_pagetable_test", None)
        .map_err(|_| Failure::new("the device can be registered"))?;

    test(iommu.as_ref().as_ref()).inspect_err(|failure| pr_err!("# {failure}\n"))
}

/// One thread maps and unmaps, and compares the table with a list of pages.
fn exercise<F: Format<Options: Default>, const COHERENT: bool>() -> Result<(), Failure> {
    on_iommu(|iommu| {
        let memory = IommuPages::<COHERENT>::new(iommu);
        let mut pages = KVVec::from_elem(0, WINDOW, GFP_KERNEL)
            .map_err(|_| Failure::new("the list of pages can be allocated"))?;

        exercise::exercise::<F, _>(memory, Default::default(), HOW, &mut pages)
    })
}

/// Several CPUs map and unmap adjacent pages.
fn race<F: Format<Options: Default>, const COHERENT: bool>() -> Result<(), Failure> {
    on_iommu(|iommu| {
        let memory = IommuPages::<COHERENT>::new(iommu);

        race::race::<F, _>(memory, Default::default(), HOW)
    })
}

/// Defines a suite for each format.
macro_rules! suites {
    ($($suite:ident: $format:ty,)*) => { $(
        #[kunit_tests($suite)]
        mod $suite {
            use super::*;

            #[test]
            fn coherent() -> Result<(), Failure> {
                exercise::<$format, true>()
            }

            #[test]
            fn not_coherent() -> Result<(), Failure> {
                exercise::<$format, false>()
            }

            #[test]
            fn coherent_many_cpus() -> Result<(), Failure> {
                race::<$format, true>()
            }

            #[test]
            fn not_coherent_many_cpus() -> Result<(), Failure> {
                race::<$format, false>()
            }
        }
    )* };
}

suites! {
    pagetable_vtd_ss3: SecondStage<3>,
    pagetable_vtd_ss4: SecondStage<4>,
    pagetable_vtd_ss5: SecondStage<5>,
    pagetable_vtd_fs4: FirstStage<4>,
    pagetable_vtd_fs5: FirstStage<5>,
    pagetable_vmsa_s1_4k_48: Stage1<Granule4K, 48>,
    pagetable_vmsa_s1_16k_48: Stage1<Granule16K, 48>,
    pagetable_vmsa_s1_64k_48: Stage1<Granule64K, 48>,
    pagetable_vmsa_s1_64k_52: Stage1<Granule64K, 52>,
    pagetable_vmsa_s1_4k_39_bbm2: Stage1<Granule4K, 39, true>,
    pagetable_vmsa_s2_4k_40: Stage2<Granule4K, 40>,
    pagetable_vmsa_s2_16k_40: Stage2<Granule16K, 40>,
    pagetable_vmsa_s2_64k_42_bbm2: Stage2<Granule64K, 42, true>,
    pagetable_mock: Mock,
}
