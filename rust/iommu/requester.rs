// SPDX-License-Identifier: GPL-2.0

//! The requests of a device that are translated alike: those without a PASID, and those with the
//! same PASID.

use core::num::NonZeroU32;

/// A PASID: the number of one of the address spaces that a device accesses at the same time. It is
/// not zero, which stands for requests without a PASID (`IOMMU_NO_PASID`).
///
/// The largest PASID of a device is known to the IOMMU core, which refuses greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pasid(NonZeroU32);

impl Pasid {
    /// Returns the PASID with this number, or `None` for zero.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// The requests of a device, or of all devices of a group, that are translated alike.
///
/// They are ordered by the number of their PASID, those without a PASID first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requester {
    /// Requests without a PASID, which are identified by the device's requester ID only.
    Rid,
    /// Requests with this PASID.
    Pasid(Pasid),
}

impl Requester {
    /// Returns the requests that C code identifies with the number `pasid`, of which zero stands
    /// for those without a PASID.
    pub const fn from_raw(pasid: u32) -> Self {
        match Pasid::new(pasid) {
            Some(pasid) => Self::Pasid(pasid),
            None => Self::Rid,
        }
    }

    /// Returns the number by which C code identifies the requests.
    pub const fn as_raw(self) -> u32 {
        match self {
            Self::Rid => 0,
            Self::Pasid(pasid) => pasid.get(),
        }
    }
}
