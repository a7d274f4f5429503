// SPDX-License-Identifier: GPL-2.0

//! The imports of the formats; see `drivers/iommu/pagetable/base.rs`.

pub(crate) use crate::{
    run::MemoryKind,
    table::{
        AddressField, CountField, Format, LeafLayout, Pattern, Permissions, TableLayout, MAX_LEVELS,
    },
};
