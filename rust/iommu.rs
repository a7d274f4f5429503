// SPDX-License-Identifier: GPL-2.0

//! The IOMMU API of the kernel, for users of IOMMUs and for their drivers.
//!
//! C headers: `include/linux/iommu.h`, `drivers/iommu/iommu-priv.h`.
//!
//! A user of a device proceeds in these steps, each of which takes the value of the step before:
//!
//! ```text
//! Group::of(dev)            devices that the IOMMU cannot isolate from each other
//!   DmaOwner::claim(dev)    exclusive ownership of the DMA of the group, which is blocked; ends
//!                           with the binding of the driver at the latest
//!     Domain::new(owner)    an empty page table that is compatible with the device
//! ```
//!
//! [`driver`] has the traits for drivers of IOMMUs, and [`table`] has IO page tables.

mod c_table;
mod capability;
mod dirty;
mod dirty_bits;
mod dma_owner;
mod domain;
mod domain_table;
pub mod driver;
mod features;
mod group;
mod hw_info;
mod join;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub mod mock;
mod requester;
mod reserved;
mod run;
pub mod table;

pub use capability::{is_capable, Capability};
pub use dirty::DirtyRecorder;
pub use dirty_bits::Bitmap;
pub use dma_owner::{Claimed, DmaOwner};
pub use domain::Domain;
pub use domain_table::{DomainTable, Geometry, IotlbGather, MapError, RunsRead};
pub use features::{DomainFeatures, UserData};
pub use group::Group;
pub use hw_info::{HwInfo, PasidSupport};
pub use requester::{Pasid, Requester};
pub use reserved::{ReservedKind, ReservedRegion, ReservedRegions};
pub use run::{trim, Access, MemoryKind, PhysRun};
pub use table::{IommuPages, TableAllocation};

use kernel::page::PAGE_SIZE;
