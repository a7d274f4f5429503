// SPDX-License-Identifier: GPL-2.0

//! The mock IOMMU.
//!
//! No hardware walks its page tables, so there is no cache to flush. All else is as in a driver for
//! hardware.

use super::uapi::{
    HwptSelftest, TestHwInfo, APERTURE, DEVICE_NO_DIRTY, DEVICE_PASID, FAILING_PASID,
    HUGE_PAGE_SIZE, HWPT_DATA_NONE, HWPT_DATA_SELFTEST, PAGE_TABLE_DEFAULT, PAGE_TABLE_HUGE,
    PASID_WIDTH, SMALL_PAGE_SIZE,
};
use crate::IommufdModule;
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use kernel::{device::Device, faux, page::PAGE_SIZE, prelude::*, sync::aref::ARef};
use kernel_ext::{
    iommu::{
        driver::{
            Change, DefaultDomain, DirtyTracking, DomainRef, Driver, Grouping, HwInfoData,
            NewDomain, PagingDomain, Target,
        },
        mock::{Bus, MockDevice, Property, Registration},
        table::Limits,
        Capability, DomainFeatures, IotlbGather, Requester, UserData,
    },
    iommu_driver_operations,
};

static BUS: Bus = Bus::new(c"iommufd_mock");

iommu_driver_operations! { static OPERATIONS: MockIommu, IommufdModule }

/// The property of a device for which no page table records what it writes to.
const NO_DIRTY: &CStr = c"no-dirty-tracking";
/// The property with the width of a device's PASIDs in bits, under the kernel's name.
const PASID_BITS: &CStr = c"pasid-num-bits";

/// The number of the next device.
static NEXT_DEVICE: AtomicU32 = AtomicU32::new(0);

/// The registration of the mock IOMMU on its bus, and the device that represents it.
pub(crate) struct Mock {
    _iommu: Registration<MockIommu>,
    _device: faux::Registration,
}

impl Mock {
    /// Registers the mock IOMMU.
    pub(crate) fn new() -> Result<Self> {
        let name = c"iommufd_selftest_iommu";
        let device = faux::Registration::new(name, None)?;
        let iommu = MockIommu {
            device: (&**device.as_ref().as_ref()).into(),
        };

        Ok(Self {
            _iommu: Registration::new(&BUS, device.as_ref().as_ref(), name, Ok(iommu))?,
            _device: device,
        })
    }
}

/// Adds a device with these flags to the bus.
///
/// # Errors
///
/// `EINVAL` for a flag that does not exist, `ENOMEM`.
pub(super) fn add_device(flags: u32) -> Result<MockDevice> {
    if flags & !(DEVICE_NO_DIRTY | DEVICE_PASID) != 0 {
        return Err(EINVAL);
    }
    let number = NEXT_DEVICE.fetch_add(1, Ordering::Relaxed);
    let bits = if flags & DEVICE_PASID != 0 {
        PASID_WIDTH
    } else {
        0
    };
    let properties = [Property::U32(PASID_BITS, bits), Property::Flag(NO_DIRTY)];
    let known = if flags & DEVICE_NO_DIRTY != 0 { 2 } else { 1 };

    MockDevice::new(
        &BUS,
        fmt!("iommufd_mock{number}"),
        properties.get(..known).unwrap_or(&[]),
    )
}

/// The driver.
pub(crate) struct MockIommu {
    /// The device that represents the IOMMU.
    device: ARef<Device>,
}

/// The driver's data of a device.
pub(crate) struct Translated {
    tracks_dirty: bool,
    /// The next time that `FAILING_PASID` is attached fails.
    fails_next: AtomicBool,
}

impl Driver for MockIommu {
    type Device = Translated;
    type Domain = MockDomain;

    // No driver uses the DMA API of these devices, which can do no DMA.
    const DEFAULT_DOMAIN: DefaultDomain = DefaultDomain::Blocked;
    const MAX_PASIDS: u32 = 1 << PASID_WIDTH;

    fn probe(&self, dev: &Device) -> Result<Translated> {
        let properties = dev.fwnode().ok_or(ENODEV)?;

        Ok(Translated {
            tracks_dirty: !properties.property_present(NO_DIRTY),
            fails_next: AtomicBool::new(false),
        })
    }

    fn grouping(_dev: &Device) -> Grouping {
        Grouping::Single
    }

    fn capable(device: &Translated, capability: Capability) -> bool {
        match capability {
            Capability::CacheCoherency => true,
            Capability::DirtyTracking => device.tracks_dirty,
            _ => false,
        }
    }

    fn hw_info(_device: &Translated, wanted: u32) -> Result<HwInfoData> {
        if wanted != HwInfoData::ANY && wanted != TestHwInfo::KIND {
            return Err(EOPNOTSUPP);
        }
        HwInfoData::new(TestHwInfo::KIND, &TestHwInfo::new())
    }

    fn new_domain(
        &self,
        _device: &Translated,
        _features: DomainFeatures,
        data: Option<UserData>,
    ) -> Result<NewDomain<Self>> {
        let page_table = match data {
            None => PAGE_TABLE_DEFAULT,
            Some(data) if [HWPT_DATA_SELFTEST, HWPT_DATA_NONE].contains(&data.kind) => {
                data.read::<HwptSelftest>(HWPT_DATA_SELFTEST, HwptSelftest::MIN_SIZE)?
                    .page_table
            }
            Some(_) => return Err(EOPNOTSUPP),
        };

        let domain = NewDomain::new::<iommu_pagetable::Mock, true>(
            &self.device,
            (),
            Limits::default(),
            Ok(MockDomain {
                tracks_dirty: AtomicBool::new(false),
            }),
        )?;

        match page_table {
            PAGE_TABLE_DEFAULT => Ok(domain.with_aperture(APERTURE)),
            // Users of this page table are to use huge pages. The CPU's pages are among its sizes,
            // because no user accepts a page table without them.
            PAGE_TABLE_HUGE => Ok(domain.with_page_sizes(HUGE_PAGE_SIZE | PAGE_SIZE as u64)),
            _ => Err(EOPNOTSUPP),
        }
    }

    /// # Errors
    ///
    /// `ENOMEM` every second time that `FAILING_PASID` is attached, so that tests can replace what
    /// it is attached to without success.
    fn attach(device: &Translated, who: Requester, change: Change<'_, Self>) -> Result {
        if who.as_raw() != FAILING_PASID {
            return Ok(());
        }
        let attaches = !matches!(change.to, Target::Blocked);
        let fails = device.fails_next.load(Ordering::Relaxed) && attaches;

        device
            .fails_next
            .store(attaches && !fails, Ordering::Relaxed);
        if fails {
            return Err(ENOMEM);
        }
        Ok(())
    }
}

/// A domain that no hardware walks: there is no cache to flush.
pub(crate) struct MockDomain {
    /// Whether it records what devices write to.
    tracks_dirty: AtomicBool,
}

impl MockDomain {
    /// Lets a device write to the memory at each of `iovas`, through `domain`.
    ///
    /// The pages of the page table are smaller than the CPU's. A device of this IOMMU always writes
    /// whole pages of the CPU: the kernel's selftests expect that all of such a page is dirty.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the domain does not record what devices write to.
    pub(super) fn write(
        domain: DomainRef<'_, MockIommu>,
        iovas: impl Iterator<Item = u64>,
    ) -> Result {
        if !domain.tracks_dirty.load(Ordering::Relaxed) {
            return Err(EINVAL);
        }
        for iova in iovas {
            let page = iova & !(PAGE_SIZE as u64 - 1);

            for part in (0..PAGE_SIZE as u64).step_by(SMALL_PAGE_SIZE as usize) {
                domain.mark_dirty(page + part);
            }
        }
        Ok(())
    }
}

impl PagingDomain for MockDomain {
    fn sync(&self, _gather: Pin<&mut IotlbGather>) {}

    fn sync_all(&self) {}

    fn flush(&self, _range: RangeInclusive<u64>, _tables: bool) {}

    fn dirty(&self) -> Option<&dyn DirtyTracking> {
        Some(self)
    }
}

impl DirtyTracking for MockDomain {
    fn track(&self, on: bool) -> Result {
        self.tracks_dirty.store(on, Ordering::Relaxed);
        Ok(())
    }
}
