// SPDX-License-Identifier: GPL-2.0

//! What the formats need from their surroundings: see `drivers/iommu/pagetable/base.rs`.

pub(crate) use crate::{
    run::MemoryKind,
    table::{
        AddressField, CountField, Format, LeafLayout, Pattern, Permissions, TableLayout, MAX_LEVELS,
    },
};
