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
//!     Domain::new(dev)      an empty page table that suits the device
//!     Attachment::new()     the group translates through it
//!   PinnedMapping           pinned memory at an IOVA, in one or several page tables
//! ```

mod attach;
mod domain;
mod group;
mod mapping;
mod page_table;
mod reserved;

pub use attach::{AttachHandle, Attachment};
pub use domain::Domain;
pub use group::{is_capable, Capability, DmaOwner, Group};
pub use mapping::PinnedMapping;
pub use page_table::{Access, Gather, Geometry, MemoryKind, PageTable, PhysRun};
pub use reserved::{ReservedKind, ReservedRegion, ReservedRegions};
