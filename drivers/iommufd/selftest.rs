// SPDX-License-Identifier: GPL-2.0

//! The subject of the kernel's iommufd selftests, in test builds only: a mock IOMMU with mock
//! devices, and the ioctl `IOMMU_TEST_CMD`.
//!
//! The numbers and layouts are those of `drivers/iommu/iommufd/iommufd_test.h`. Any user of
//! `/dev/iommu` can do unsafe things through it, so such a build is for test kernels only. Other
//! builds have `selftest_off.rs` in its place, which has the same public names.
//!
//! | file | what it owns |
//! |---|---|
//! | `uapi.rs` | the command and its operations |
//! | `iommu.rs` | the mock IOMMU: a driver on the same traits as any other |
//! | `device.rs` | mock devices as objects, bound and attached as by vfio |
//! | `access.rs` | users of address spaces in the kernel, as files |
//! | `dirty.rs` | writes of devices that page tables record |
//! | `check.rs` | looking into page tables and at pages |

mod access;
mod check;
mod device;
mod dirty;
mod iommu;
mod uapi;

pub(crate) use device::SelftestDevice;
pub(crate) use iommu::Mock;

use crate::{
    call::{Call, Entry},
    ioas::{Ioas, ReservedFor},
    iova_map::ReservedRange,
    uapi::{Command, IoasCopy},
};
use iommu::MockIommu;
use iommufd_core::ObjectId;
use kernel::{device::Device, prelude::*};
use kernel_ext::{
    alloc::SlabBox,
    dma_buf,
    iommu::{mock, DmaOwner},
};
use uapi::{AddReserved, DmabufGet, DmabufRevoke, Op, TestCommand};

/// The commands of the selftests.
pub(crate) static COMMANDS: &[Entry] = &[
    Entry {
        code: TestCommand::CODE,
        min_size: TestCommand::MIN_SIZE,
        run: ioctl,
    },
    Entry {
        code: IoasCopy::CODE,
        min_size: IoasCopy::MIN_SIZE,
        run: access::copy_area,
    },
];

/// Returns whether a device is known to raise no interrupts, which holds for mock devices.
pub(crate) fn raises_no_interrupts(dev: &Device) -> bool {
    mock::is_mock(dev)
}

/// Returns whether page tables for a device can be allocated as parents. No program can nest page
/// tables on them, but the selftests allocate some for mock devices nevertheless.
pub(crate) fn can_be_parent(device: &DmaOwner) -> bool {
    device.is_driven_by::<MockIommu>()
}

/// Declares the types of objects of a family, [`SelftestDevice`] among them.
macro_rules! iommufd_objects {
    ($family:ty { $($types:tt)+ }) => {
        iommufd_core::iommufd_objects! {
            $family { $($types)+ Selftest => $crate::selftest::SelftestDevice }
        }
    };
}
pub(crate) use iommufd_objects;

/// Carries `IOMMU_TEST_CMD` out. Returns the result of the ioctl: zero, except for one operation.
fn ioctl(call: &Call<'_>) -> Result<isize> {
    let command = &mut call.read::<TestCommand>()?;
    let done = match command.op()? {
        Op::AddReserved => add_reserved(command, call),
        Op::MockDomain => device::create(command, call, 0),
        Op::MockDomainFlags => {
            let uapi::MockDomain { dev_flags, .. } = command.arguments()?;

            device::create(command, call, dev_flags)
        }
        Op::MockDomainReplace => device::replace(command, call),
        Op::Dirty => dirty::write(command, call),
        Op::ReadDirtyByC => {
            kernel_ext::iommu::driver::read_dirty_by_c(command.id != 0);
            Ok(())
        }
        Op::PasidAttach => device::attach_pasid(command, call),
        Op::PasidReplace => device::replace_pasid(command, call),
        Op::PasidDetach => device::detach_pasid(command, call),
        Op::PasidCheckHwpt => device::check_pasid(command, call),
        Op::OutliveDevice => device::outlive(call),
        Op::CheckMap => check::map(command, call),
        Op::CheckRefs => check::refs(command),
        Op::DevCheckCache => device::check_cache(command, call),
        Op::CreateAccess => access::create(command, call),
        Op::DestroyAccessPages => access::give_back(command),
        Op::AccessPages => access::pin(command, call),
        Op::AccessRw => access::copy(command),
        Op::AccessReplaceIoas => access::replace(command),
        Op::SetTempMemoryLimit => set_memory_limit(command),
        Op::DmabufGet => {
            let DmabufGet { length, open_flags } = command.arguments()?;

            return dma_buf::export_test_memory(length as usize, open_flags).map(|fd| fd as isize);
        }
        Op::DmabufRevoke => {
            let DmabufRevoke { dmabuf_fd, revoked } = command.arguments()?;

            dma_buf::revoke_test_memory(dmabuf_fd, revoked != 0)
        }
    };

    done.map(|()| 0)
}

/// Reserves a range of IOVA.
fn add_reserved(command: &TestCommand, call: &Call<'_>) -> Result {
    let AddReserved { start, length } = command.arguments()?;
    let last = start
        .checked_add(length.checked_sub(1).ok_or(EINVAL)?)
        .ok_or(EOVERFLOW)?;

    let ioas = call.context.get::<Ioas>(ObjectId(command.id))?;
    // The range is reserved as long as the address space exists.
    let owner = ReservedFor::Object(ioas.id());
    let range = SlabBox::new(ReservedRange::new(start, last, owner), GFP_KERNEL_ACCOUNT)?;
    let reserved = ioas.map.write().reserve(range);

    reserved
}

/// The smallest size of temporary buffers, in bytes: one entry.
const SMALLEST_LIMIT: u32 = (size_of::<usize>() + size_of::<u32>()) as u32;

fn set_memory_limit(command: &TestCommand) -> Result {
    let uapi::MemoryLimit { limit } = command.arguments()?;

    if limit < SMALLEST_LIMIT {
        return Err(EINVAL);
    }
    kernel_ext::mm::set_batch_bytes(limit as usize);
    Ok(())
}
