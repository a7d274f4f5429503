// SPDX-License-Identifier: GPL-2.0

//! The kernel's IOMMU API for those who drive IOMMUs.
//!
//! C header: `include/linux/iommu.h`.
//!
//! A driver is a type that implements [`Driver`], and its page tables are one that implements
//! [`PagingDomain`]. A `static` of the type [`Operations`] makes the kernel's tables of functions out
//! of them, and a [`Registration`] adds one IOMMU to the system. From then on the kernel's DMA API,
//! VFIO and any iommufd use it, whatever language they are written in:
//!
//! ```text
//! Registration::new()           the IOMMU is there; the kernel offers it devices
//!   Driver::probe(dev)          it takes one on, with a value of its own for it
//!     Driver::new_domain()      an empty page table that suits the device
//!     Driver::attach()          the device translates through it, or is blocked
//!       PagingDomain::map(), unmap(), sync() ...
//! ```
//!
//! A whole batch of runs reaches [`PagingDomain::map`] in one call where the user of the page table
//! is in Rust as well (see `registry.rs`); all others come by way of the C functions.
//!
//! Neither trait is unsafe, and no implementation contains `unsafe`: what a device may reach through
//! DMA is beyond what a language can check, as is everything else that a driver tells its hardware.
//! What the traits ask is nevertheless what keeps other people's memory intact.

mod domain;
mod operations;
mod registration;
mod registry;
mod user_data;

pub(super) use domain::paging_domain;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub(super) use registration::{Listed, Named};
pub(super) use registry::find as find_page_table;

pub use operations::Operations;
pub use registration::Registration;

use super::{
    features::{DomainFeatures, UserData},
    group::Capability,
    page_table::{Gather, Geometry},
    run::{Access, PhysRun},
    table::TableAllocation,
};
use crate::bindings;
use kernel::{device, prelude::*};
use zerocopy::Immutable;

/// A driver of IOMMUs. A value of the type is one of them.
///
/// What concerns one device, from [`probe`](Self::probe) to the drop of [`Device`](Self::Device),
/// never runs twice at the same time.
pub trait Driver: Send + Sync + Sized + 'static {
    /// What the driver keeps for a device that it translates for. Dropped when the device goes.
    type Device: Send + Sync;

    /// Its page tables.
    type Domain: PagingDomain;

    /// What a device is attached to while nobody has asked for anything.
    const DEFAULT_DOMAIN: DefaultDomain = DefaultDomain::Chosen;

    /// How many PASIDs its IOMMUs tell apart, that of requests without one among them; 0 for none.
    const MAX_PASIDS: u32 = 0;

    /// The operations of this driver: a `static` of the implementor.
    fn operations() -> &'static Operations<Self>;

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
    /// sense of; [`HwInfo::ANY`] if it does not say.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if there is no such kind here.
    fn hw_info(_device: &Self::Device, _wanted: u32) -> Result<HwInfo> {
        Err(EOPNOTSUPP)
    }

    /// An empty page table that suits `device`, and that other devices may be attached to as well.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for features that it does not have and data that it does not know, `EINVAL` for such as make no sense,
    /// `ENOMEM`.
    fn new_domain(
        &self,
        device: &Self::Device,
        features: DomainFeatures,
        data: Option<UserData>,
    ) -> Result<impl PinInit<Self::Domain, Error>>;

    /// Lets all requests of a device without a PASID translate through `to`, instead of through
    /// `from`. Called with the lock of its group held.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the domain does not suit the device, where another one might; any other if it is
    /// the device's fault. The device is attached to what it was attached to then. Blocking must
    /// not fail.
    fn attach(
        device: &Self::Device,
        to: Target<'_, Self>,
        from: Option<Target<'_, Self>>,
    ) -> Result;
}

/// A page table of a driver, which a user fills.
///
/// Calls for ranges that do not meet may run at the same time, on several CPUs and some of them in
/// interrupts. Whoever owns a range sees to that calls for it do not.
pub trait PagingDomain: Send + Sync {
    /// The addresses and page sizes of it, which do not change.
    fn geometry(&self) -> Geometry;

    /// Maps `runs` one behind the other from `iova` on, in one walk if it can. IOVA, addresses and
    /// lengths are multiples of the smallest page.
    ///
    /// # Errors
    ///
    /// Nothing of `runs` is mapped then: `EADDRINUSE` if something is mapped there, `ERANGE` outside the
    /// addresses of the page table, `ENOMEM`.
    fn map(&self, iova: u64, runs: &[PhysRun], access: Access, how: TableAllocation) -> Result;

    /// Removes what is mapped in `length` bytes from `iova` on; both ends are ends of runs that were
    /// mapped, and no memory is needed. Returns how many bytes were mapped.
    ///
    /// What devices may still have cached is added to `gather`, or flushed at once.
    fn unmap(&self, iova: u64, length: usize, gather: Pin<&mut Gather>) -> usize;

    /// Returns when no device reaches any more what has been unmapped into `gather`.
    fn sync(&self, gather: Pin<&mut Gather>);

    /// Returns when no device reaches any more what has ever been unmapped.
    fn sync_all(&self);

    /// The physical address behind `iova`.
    fn translate(&self, iova: u64) -> Option<u64>;

    /// Reads what is mapped in `length` bytes from `iova` on, up to the first hole, into `runs`, as
    /// the longest runs possible. Returns how many; stops at the end of the last run that fits.
    fn read_runs(&self, iova: u64, length: usize, runs: &mut [PhysRun]) -> usize;

    /// Makes the page table ignore requests of devices to bypass the CPU's caches, if it can. Called
    /// before anything is mapped.
    fn enforce_cache_coherency(&self) -> bool {
        false
    }
}

/// What a device can be attached to.
pub enum Target<'a, T: Driver> {
    /// Nothing: all its requests are refused.
    Blocked,
    /// A page table.
    Domain(&'a T::Domain),
}

/// Who decides what a device is attached to by default.
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
pub struct HwInfo {
    kind: u32,
    /// Not empty.
    data: KVec<u8>,
}

impl HwInfo {
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
