// SPDX-License-Identifier: GPL-2.0

//! What the formats need from their surroundings: the page tables, which are in `rust/`.
//!
//! Everything else of this crate is also compiled for the host, where `tools/testing/host` has
//! another file of this name.

pub(crate) use kernel_ext::iommu::{
    table::{
        AddressField, CountField, Format, LeafLayout, Pattern, Permissions, TableLayout, MAX_LEVELS,
    },
    MemoryKind,
};
