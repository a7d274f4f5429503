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
//!     Attachment::new()     the group translates through it
//!   SharedPages             memory, pinned once however often it is used
//!     Mapping               a part of it at an IOVA, in one or several page tables
//! ```
//!
//! For those who drive IOMMUs, [`driver`] has the traits of a driver, and [`table`] IO page tables.

mod attach;
mod domain;
pub mod driver;
mod group;
mod hw_info;
mod join;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub mod mock;
mod page_table;
mod pages;
mod reserved;
mod run;
pub mod table;

pub use attach::{AttachHandle, Attachment};
pub use domain::{Domain, DomainFeatures, UserData};
pub use group::{is_capable, Capability, DmaOwner, Group};
pub use hw_info::{HwInfo, PasidSupport};
pub use page_table::{Gather, Geometry, PageTable, RunsRead};
pub use pages::{CopyPath, Mapping, PageSlots, PagesKind, SharedPages, Table, View};
pub use reserved::{ReservedKind, ReservedRegion, ReservedRegions};
pub use run::{Access, MemoryKind, PhysRun};
pub use table::{IommuPages, TableAllocation};
