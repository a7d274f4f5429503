// SPDX-License-Identifier: GPL-2.0

//! Page tables that mirror an IO address space (`HWPT_PAGING`).

use crate::{
    context::Context,
    ioas::{Ioas, ListedHwpt, TableId},
};
use iommufd_core::{HwptHead, Reserved, Table, UserRef};
use kernel::{prelude::*, sync::SetOnce};
use kernel_ext::iommu::{Capability, DmaOwner, Domain, DomainFeatures, UserData};

/// The way in which a page table is allocated, which decides when it is freed.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    /// By the kernel, for a device that is attached to an IO address space. It is freed when no
    /// device is attached to it any more.
    Automatic,
    /// By user space. It is freed when user space destroys it.
    User {
        /// The features that it must have.
        features: DomainFeatures,
        /// Data for the driver of the IOMMU.
        data: Option<UserData>,
    },
}

/// A page table.
#[repr(C)]
pub(crate) struct Hwpt {
    head: HwptHead,
    /// Set by the last step of its creation; dropped first.
    listed: SetOnce<Listed>,
    /// Set once it mirrors the address space.
    mirrors: SetOnce<Mirrors>,
    /// That of `head`, for as long as the lists identify the page table by its address.
    table: Table,
    automatic: bool,
    enforces_cache_coherency: bool,
    ioas: UserRef<Ioas>,
}

impl AsRef<HwptHead> for Hwpt {
    fn as_ref(&self) -> &HwptHead {
        &self.head
    }
}

/// The entry of a page table in the list of its address space, which is removed on drop.
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

/// The mirroring of an address space by a page table, which ends on drop.
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
    /// Allocates an empty page table that suits `device`.
    ///
    /// # Errors
    ///
    /// Those of [`Domain::new`]; `EINVAL` if the page table cannot enforce cache coherency although
    /// the IOMMU can, which is a fault of its driver.
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
        let head = HwptHead::new(domain, ioas.space(), features.pasid)?;
        let hwpt = context.reserve(|_| {
            Ok(Self {
                table: head.table().clone(),
                head,
                listed: SetOnce::new(),
                mirrors: SetOnce::new(),
                automatic,
                enforces_cache_coherency,
                ioas,
            })
        })?;

        HwptHead::set_cookie(&hwpt)?;
        Ok(hwpt)
    }

    /// Returns whether `listed` is the entry of this page table.
    pub(crate) fn is(&self, listed: &ListedHwpt) -> bool {
        TableId::of(&self.table) == listed.table
    }

    /// Returns the page table as the layers below know it.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Returns whether it is freed when no device is attached to it any more.
    pub(crate) fn is_automatic(&self) -> bool {
        self.automatic
    }

    /// Returns whether it may be attached for a PASID, and for other requests of a device of which
    /// a PASID is attached.
    pub(crate) fn is_pasid_compatible(&self) -> bool {
        self.head.is_pasid_compatible()
    }

    /// Returns the address space that it mirrors.
    pub(crate) fn ioas(&self) -> &UserRef<Ioas> {
        &self.ioas
    }
}

/// Maps all areas of its address space in a new page table, which mirrors the address space from
/// then on.
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

/// Adds a page table that is about to be published to the list of its address space. Until it is
/// published, lookups of its ID fail. `hwpts` is that list, locked, with room for one more entry.
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
