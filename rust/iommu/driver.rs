// SPDX-License-Identifier: GPL-2.0

//! The kernel's IOMMU API for those who drive IOMMUs.
//!
//! C header: `include/linux/iommu.h`.
//!
//! A driver is a type that implements [`Driver`].
//! [`iommu_driver_operations!`](crate::iommu_driver_operations) makes the kernel's tables of
//! functions out of it, and a [`Registration`] adds one IOMMU to the system. From then on the
//! kernel's DMA API, VFIO and any iommufd use it, whatever language they are written in:
//!
//! ```text
//! Registration::new()           the IOMMU is there; the kernel offers it devices
//!   Driver::probe(dev)          it takes one on, with a value of its own for it
//!     Driver::new_domain()      a domain that suits the device: a format, and data of the driver
//!     Driver::attach()          the device translates through it, or is blocked
//!       PagingDomain::sync(), flush() ...
//! ```
//!
//! The page table of a domain is one of [`table`](super::table), in the format that the driver has
//! named. A user maps and unmaps in it without the driver, which is called where hardware must
//! forget something. A whole batch of runs reaches the page table in one call where the user is in
//! Rust as well (see `registry.rs`); all others come by way of the C functions.
//!
//! The traits are safe, and no implementation contains `unsafe`. Which memory a domain holds, and
//! which memory is unpinned once it holds it no longer, is not for a driver to say. That its
//! hardware walks the page table that it was told to, and forgets what it was told to forget, is
//! what a driver is trusted with, as a driver in C is.

mod dirty_ops;
mod domain;
mod domain_ops;
mod instances;
mod new_domain;
mod operations;
mod registration;
mod registry;
mod user_data;

#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub(super) use registration::{unlist, Listed, Named};
pub(super) use registry::find as find_page_table;

#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub use dirty_ops::read_dirty_by_c;
pub use domain::DomainRef;
pub use new_domain::NewDomain;
pub use operations::{DriverOperations, Operations};
pub use registration::Registration;

use super::{
    capability::Capability,
    domain_table::IotlbGather,
    features::{DomainFeatures, UserData},
    requester::Requester,
};
use crate::bindings;
use core::ops::RangeInclusive;
use kernel::{device, prelude::*};
use zerocopy::Immutable;

/// A driver of IOMMUs. A value of the type is one of them.
///
/// Which calls may run at the same time:
///
/// - [`probe`](Self::probe) and [`grouping`](Self::grouping) of a device come before all other
///   calls for it, and the drop of its [`Device`](Self::Device) after them.
/// - [`attach`](Self::attach) runs with the lock of the device's group held, so once at a time for
///   all devices of a group; for devices of other groups it may run at the same time.
/// - [`capable`](Self::capable), [`hw_info`](Self::hw_info) and [`new_domain`](Self::new_domain)
///   may run at any time in between, several times at once and at the same time as `attach`.
pub trait Driver: DriverOperations + Send + Sync + Sized + 'static {
    /// What the driver keeps for a device that it translates for. Dropped when the device goes.
    type Device: Send + Sync;

    /// What the driver keeps for a domain, beside the page table.
    type Domain: PagingDomain;

    /// What a device is attached to while nobody has asked for anything.
    const DEFAULT_DOMAIN: DefaultDomain = DefaultDomain::Chosen;

    /// The largest number of PASIDs that an IOMMU of this driver supports. PASID 0, which stands
    /// for requests without a PASID, is counted. If no IOMMU of this driver supports PASIDs, this
    /// is 0, and no device can be attached for a PASID.
    const MAX_PASIDS: u32 = 0;

    /// Returns the number of PASIDs that this IOMMU supports, counted as in
    /// [`MAX_PASIDS`](Self::MAX_PASIDS), which is also its maximum. It does not change.
    fn max_pasids(&self) -> u32 {
        Self::MAX_PASIDS
    }

    /// Takes on a device. It is not attached to anything yet.
    ///
    /// # Errors
    ///
    /// `ENODEV` if another IOMMU serves it, or none.
    fn probe(&self, dev: &device::Device) -> Result<Self::Device>;

    /// Which devices the IOMMU cannot tell apart from this one.
    fn grouping(dev: &device::Device) -> Grouping;

    /// Whether the IOMMU can do it for this device.
    fn capable(device: &Self::Device, capability: Capability) -> bool;

    /// What user space may want to know of the hardware, `wanted` being the kind that it can make
    /// sense of; [`HwInfoData::ANY`] if it does not say.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if there is no such kind here.
    fn hw_info(_device: &Self::Device, _wanted: u32) -> Result<HwInfoData> {
        Err(EOPNOTSUPP)
    }

    /// A domain with an empty page table that suits `device`, and that other devices may be
    /// attached to as well: [`NewDomain::new`] in one of the formats that the hardware walks.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for features that it does not have and data that it does not know, `EINVAL` for
    /// such as make no sense, `ENOMEM`.
    fn new_domain(
        &self,
        device: &Self::Device,
        features: DomainFeatures,
        data: Option<UserData>,
    ) -> Result<NewDomain<Self>>;

    /// Lets the requests `who` of a device translate through another domain, or be refused. A
    /// device that goes is attached to [`Blocked`](Target::Blocked) first, and so are requests with
    /// a PASID that is detached. Requests with a PASID and requests without one are independent:
    /// neither changes how the others are translated.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the domain does not suit the device, where another one might; any other if it is
    /// the device's fault. The requests are translated as before then. To `Blocked` it must not
    /// fail: the domain that the hardware would go on walking is freed all the same.
    fn attach(device: &Self::Device, who: Requester, change: Change<'_, Self>) -> Result;
}

/// What a driver keeps for a domain, and how its hardware forgets what it has cached of the page
/// table.
///
/// All of it may be called at the same time, on several CPUs and in interrupts.
pub trait PagingDomain: Send + Sync {
    /// Returns when no device reaches any more what has been unmapped into `gather`. No tables are
    /// among it.
    fn sync(&self, gather: Pin<&mut IotlbGather>);

    /// Returns when no device reaches any more what has ever been unmapped.
    fn sync_all(&self);

    /// Returns when the hardware has forgotten what it may have cached for `range`, both ends
    /// inclusive, and, if `tables` says so, the way there through tables. Called where the page
    /// table cannot wait for [`sync`](Self::sync): tables were removed, or put where some had been.
    fn flush(&self, range: RangeInclusive<u64>, tables: bool);

    /// Makes the hardware ignore requests of devices to bypass the CPU's caches, and returns
    /// whether it does. Called before anything is mapped.
    fn enforce_cache_coherency(&self) -> bool {
        false
    }

    /// Returns how the domain records which memory devices write to, or `None` if the driver or
    /// the hardware cannot do that. It does not change in the life of the domain.
    ///
    /// The driver calls this function when a domain is allocated for dirty tracking; the allocation
    /// is refused with `None`, and for a device without [`Capability::DirtyTracking`]. A device
    /// without this capability cannot be attached to such a domain.
    fn dirty(&self) -> Option<&dyn DirtyTracking> {
        None
    }
}

/// How the hardware records which memory devices write to.
///
/// It sets a flag in the entry of the page table, in a format and with options that say so. These
/// flags are read, and cleared, by the code of [`table`](super::table), without the driver. The
/// driver is called to [`sync`](PagingDomain::sync) afterwards: until it returns, the hardware may
/// write through entries that it has cached as dirty.
pub trait DirtyTracking: Send + Sync {
    /// Lets the hardware set the flags from now on, or not any more, for all devices that are
    /// attached to the domain, or will be. May be called several times at once.
    ///
    /// # Errors
    ///
    /// Any. Nothing has changed then.
    fn track(&self, on: bool) -> Result;
}

/// The way in which the attachment of a device changes.
pub struct Change<'a, T: Driver> {
    /// What requests are translated through from now on.
    pub to: Target<'a, T>,
    /// What they have been translated through; `None` if that is not known.
    pub from: Option<Target<'a, T>>,
}

/// What a device can be attached to.
pub enum Target<'a, T: Driver> {
    /// Nothing: all its requests are refused.
    Blocked,
    /// A page table.
    Domain(DomainRef<'a, T>),
}

/// What decides the domain that a device is attached to by default.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DefaultDomain {
    /// The kernel, by its configuration.
    Chosen,
    /// The driver: it is blocked. For devices that no driver of the kernel does DMA with.
    Blocked,
}

/// How devices are put into groups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// Each device for itself.
    Single,
    /// By what the PCI topology isolates.
    Pci,
}

/// What a driver says of its hardware: data of a kind that the ABI gives a number
/// (`enum iommu_hw_info_type`).
pub struct HwInfoData {
    kind: u32,
    /// Not empty.
    data: KVec<u8>,
}

impl HwInfoData {
    /// Whatever kind there is.
    pub const ANY: u32 = bindings::iommu_hw_info_type_IOMMU_HW_INFO_TYPE_DEFAULT;

    /// Data of a kind.
    pub fn new<T: IntoBytes + Immutable>(kind: u32, info: &T) -> Result<Self> {
        const { assert!(size_of::<T>() != 0) };
        let mut data = KVec::new();

        data.extend_from_slice(info.as_bytes(), GFP_KERNEL)?;
        Ok(Self { kind, data })
    }
}
