// SPDX-License-Identifier: GPL-2.0

//! The pure parts of `drivers/iommufd` and the claims of `rust/iommufd`, built with `std` instead
//! of the kernel crate.
//!
//! The files are those of the module, without changes. Their tests are in `drivers/iommufd/tests`
//! and `rust/iommufd/tests`.

#![forbid(unsafe_code)]
#![allow(
    dead_code,
    unused_imports,
    reason = "the kernel module uses all of these files, the tests only a part"
)]

mod base;
pub mod fuzz;
#[path = "../../../../../rust/interval.rs"]
mod interval;
#[path = "../../../../../rust/iommufd/iova.rs"]
mod iova;
#[path = "../../../../../drivers/iommufd/iova_map.rs"]
mod iova_map;
#[path = "../../../../../drivers/iommufd/iova_walk.rs"]
mod iova_walk;
#[path = "../../../../../drivers/iommufd/uapi.rs"]
mod uapi;
