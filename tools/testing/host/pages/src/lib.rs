// SPDX-License-Identifier: GPL-2.0

//! The pure parts of `rust/iommufd/pages`, as they stand there, over `std` instead of the kernel.
//!
//! Their tests lie in `rust/iommufd/tests`, `rust/iommu/tests`, `rust/mm/tests` and `rust/tests`.

#![forbid(unsafe_code)]
#![allow(
    dead_code,
    reason = "the parts are used whole in the kernel, and here as far as they are tested"
)]

mod base;
#[path = "../../../../../rust/iommufd/pages/frames.rs"]
mod frames;
#[path = "../../../../../rust/iommufd/pages/held.rs"]
mod held;
#[path = "../../../../../rust/interval.rs"]
mod interval;
#[path = "../../../../../rust/iommu/join.rs"]
mod join;
#[path = "../../../../../rust/mm/pfn_run.rs"]
mod pfn_run;
#[path = "../../../../../rust/iommu/run.rs"]
mod run;
#[path = "../../../../../rust/iommufd/pages/windows.rs"]
mod windows;

mod mm {
    pub(crate) use crate::pfn_run::PfnRun;
}
