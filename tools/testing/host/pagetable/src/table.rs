// SPDX-License-Identifier: GPL-2.0

//! IO page tables: see `rust/iommu/table.rs`, which stands here in the kernel.

#[path = "../../../../../rust/iommu/table/cut.rs"]
mod cut;
#[path = "../../../../../rust/iommu/table/dirty.rs"]
mod dirty;
#[path = "../../../../../rust/iommu/table/error.rs"]
mod error;
#[path = "../../../../../rust/iommu/table/format.rs"]
mod format;
#[path = "../../../../../rust/iommu/table/gather.rs"]
mod gather;
#[path = "../../../../../rust/iommu/table/grow.rs"]
mod grow;
#[path = "../../../../../rust/iommu/table/layout.rs"]
mod layout;
#[path = "../../../../../rust/iommu/table/leaf.rs"]
mod leaf;
#[path = "../../../../../rust/iommu/table/map.rs"]
mod map;
#[path = "../../../../../rust/iommu/table/memory.rs"]
mod memory;
#[path = "../../../../../rust/iommu/table/page_table.rs"]
mod page_table;
#[path = "../../../../../rust/iommu/table/permissions.rs"]
mod permissions;
#[path = "../../../../../rust/iommu/table/place.rs"]
mod place;
#[path = "../../../../../rust/iommu/table/read.rs"]
mod read;
#[path = "../../../../../rust/iommu/table/tree.rs"]
mod tree;
#[path = "../../../../../rust/iommu/table/unmap.rs"]
mod unmap;
mod word;

use crate::run;

pub use dirty::DirtyPage;
pub use error::Error;
pub use format::{Format, Leaf};
pub use gather::Gather;
pub use layout::{CountField, TableLayout, TableShape, MAX_LEVELS};
pub use leaf::{AddressField, LeafLayout, LeafShape, Pattern};
pub use memory::TableMemory;
pub use page_table::{Limits, PageTable};
pub use permissions::Permissions;
pub use read::View;
pub use word::Word;
