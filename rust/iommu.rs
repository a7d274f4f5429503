// SPDX-License-Identifier: GPL-2.0

//! The kernel's IOMMU API for those who use IOMMUs.
//!
//! C headers: `include/linux/iommu.h`, `drivers/iommu/iommu-priv.h`.
//!
//! From device to DMA, each step needs the value of the step before:
//!
//! ```text
//! Group::of(dev)            the devices that the IOMMU cannot tell apart
//!   DmaOwner::claim(dev)    nobody else drives DMA of the group; it is blocked
//!     Domain::new(owner)    an empty page table that suits the device
//! ```
//!
//! For those who drive IOMMUs, [`driver`] has the traits of a driver, and [`table`] IO page tables.

mod c_table;
mod domain;
mod domain_table;
pub mod driver;
mod features;
mod group;
mod hw_info;
mod join;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub mod mock;
mod reserved;
mod run;
pub mod table;

pub use domain::Domain;
pub use domain_table::{DomainTable, Geometry, IotlbGather, MapError, RunsRead};
pub use features::{DomainFeatures, UserData};
pub use group::{is_capable, Capability, DmaOwner, Group};
pub use hw_info::{HwInfo, PasidSupport};
pub use reserved::{ReservedKind, ReservedRegion, ReservedRegions};
pub use run::{trim, Access, MemoryKind, PhysRun};
pub use table::{IommuPages, TableAllocation};
