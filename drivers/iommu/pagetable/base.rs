// SPDX-License-Identifier: GPL-2.0

//! The imports of this crate: the page tables, which are in `rust/`.
//!
//! On the host, `tools/testing/host/pagetable` compiles the rest of this crate with a file of its
//! own in place of this one.

pub(crate) use kernel_ext::iommu::{
    table::{
        AddressField, CountField, Format, LeafLayout, Pattern, Permissions, TableLayout, MAX_LEVELS,
    },
    MemoryKind,
};
