// SPDX-License-Identifier: GPL-2.0

//! The pure parts of `drivers/iommufd`, and the claims to IOVA of `rust/iommufd`, as they stand
//! there, over `std` instead of the kernel.
//!
//! Their tests are in `drivers/iommufd/tests` and `rust/iommufd/tests`.

#![forbid(unsafe_code)]
#![allow(
    dead_code,
    unused_imports,
    reason = "the parts are used whole in the kernel, and here as far as they are tested"
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
