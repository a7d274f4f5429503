// SPDX-License-Identifier: GPL-2.0

//! Page tables that mirror an IO address space (`HWPT_PAGING`).

use crate::{
    context::Context,
    ioas::{Ioas, ListedHwpt, TableId},
};
use iommufd_core::{Reserved, Table, UserRef};
use kernel::{prelude::*, sync::SetOnce};
use kernel_ext::iommu::{Capability, DmaOwner, Domain, DomainFeatures, UserData};

/// How a page table was allocated, which decides when it is freed.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    /// By the kernel, for a device that is attached to an IO address space: it goes when no device
    /// is attached to it any more.
    Automatic,
    /// By user space, with wishes of its own: it stays until it is destroyed.
    User {
        /// What it is to be able to do.
        features: DomainFeatures,
        /// What the driver is told.
        data: Option<UserData>,
    },
}

/// A page table.
pub(crate) struct Hwpt {
    /// Set with the last step that makes it; goes first.
    listed: SetOnce<Listed>,
    /// Set once it mirrors the address space.
    mirrors: SetOnce<Mirrors>,
    table: Table,
    automatic: bool,
    enforces_cache_coherency: bool,
    ioas: UserRef<Ioas>,
}

/// A page table that its address space knows of, until this is dropped.
struct Listed {
    ioas: UserRef<Ioas>,
    table: TableId,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.ioas
            .hwpts
            .lock()
            .retain(|listed| listed.table != self.table);
    }
}

/// A page table that mirrors an address space, until this is dropped.
struct Mirrors {
    ioas: UserRef<Ioas>,
    table: Table,
}

impl Drop for Mirrors {
    fn drop(&mut self) {
        self.ioas.remove_table(&self.table);
    }
}

impl Hwpt {
    /// An empty page table that suits `device`.
    ///
    /// # Errors
    ///
    /// Those of [`Domain::new`]; `EINVAL` if it cannot enforce cache coherency although the IOMMU
    /// can, which is a fault of its driver.
    pub(crate) fn reserve<'a>(
        context: &'a Context,
        ioas: UserRef<Ioas>,
        device: &DmaOwner,
        origin: Origin,
    ) -> Result<Reserved<'a, Self>> {
        let (automatic, features, data) = match origin {
            Origin::Automatic => (true, DomainFeatures::default(), None),
            Origin::User { features, data } => (false, features, data),
        };
        let domain = Domain::new(device, features, data)?;
        let enforces_cache_coherency = device.is_capable(Capability::EnforceCacheCoherency);

        // Before anything is mapped: some page tables keep this in each entry.
        if enforces_cache_coherency && kernel::warn_on!(!domain.enforce_cache_coherency()) {
            return Err(EINVAL);
        }
        let table = Table::new(domain, ioas.space())?;

        context.reserve(|_| {
            Ok(Self {
                listed: SetOnce::new(),
                mirrors: SetOnce::new(),
                table,
                automatic,
                enforces_cache_coherency,
                ioas,
            })
        })
    }

    /// Whether this is the one that `listed` means.
    pub(crate) fn is(&self, listed: &ListedHwpt) -> bool {
        TableId::of(&self.table) == listed.table
    }

    /// The page table itself.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Whether it goes when no device is attached to it any more.
    pub(crate) fn is_automatic(&self) -> bool {
        self.automatic
    }

    /// The address space that it mirrors.
    pub(crate) fn ioas(&self) -> &UserRef<Ioas> {
        &self.ioas
    }
}

/// Fills a new page table with all that is mapped in its address space, and keeps it so.
///
/// # Errors
///
/// Those of [`Ioas::add_table`].
pub(crate) fn start_mirroring(hwpt: &Hwpt) -> Result {
    let table = hwpt.table.clone();

    hwpt.ioas.add_table(&table)?;
    hwpt.mirrors.populate(Mirrors {
        ioas: hwpt.ioas.clone(),
        table,
    });
    Ok(())
}

/// Lets the address space know of a page table that is about to be published; it is passed over
/// until then. `hwpts` is the list of that address space, locked, with room for one more.
pub(crate) fn list(hwpt: &Reserved<'_, Hwpt>, hwpts: &mut KVec<ListedHwpt>) -> Result {
    let table = TableId::of(&hwpt.table);

    hwpts.push_within_capacity(ListedHwpt {
        id: hwpt.id(),
        table,
        automatic: hwpt.automatic,
        enforces_cache_coherency: hwpt.enforces_cache_coherency,
    })?;
    hwpt.listed.populate(Listed {
        ioas: hwpt.ioas.clone(),
        table,
    });
    Ok(())
}
