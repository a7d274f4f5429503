// SPDX-License-Identifier: GPL-2.0

//! The pure parts of `rust/iommufd/pages`, built with `std` instead of the kernel crate.
//!
//! The files are those of the module, without changes. Their tests are in `rust/iommufd/tests`,
//! `rust/iommu/tests`, `rust/mm/tests` and `rust/tests`.

#![forbid(unsafe_code)]
#![allow(
    dead_code,
    reason = "the kernel module uses all of these files, the tests only a part"
)]

mod base;
#[path = "../../../../../rust/iommufd/pages/frames.rs"]
mod frames;
#[path = "../../../../../rust/iommufd/pages/held_ranges.rs"]
mod held_ranges;
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

// For the documentation tests.
pub use interval::{IntervalMap, Node};

mod mm {
    pub(crate) use crate::pfn_run::PfnRun;
}
