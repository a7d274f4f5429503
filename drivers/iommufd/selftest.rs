// SPDX-License-Identifier: GPL-2.0

//! What the kernel's iommufd selftests drive (test builds only): a mock IOMMU with mock devices, and
//! the ioctl `IOMMU_TEST_CMD`.
//!
//! The numbers and layouts are those of `drivers/iommu/iommufd/iommufd_test.h`. Any user of
//! `/dev/iommu` may do things here that are not safe: a build with it is for test kernels alone.
//!
//! | file | what it owns |
//! |---|---|
//! | `uapi.rs` | the command and its operations |
//! | `iommu.rs` | the mock IOMMU: a driver on the same traits as any other |
//! | `device.rs` | mock devices as objects, bound and attached as by vfio |
//! | `access.rs` | users of address spaces in the kernel, as files |
//! | `check.rs` | looking into page tables and at pages |

mod access;
mod check;
mod device;
mod iommu;
mod uapi;

pub(crate) use access::guess_source;
pub(crate) use device::MockDevice;
pub(crate) use iommu::Mock;
pub(crate) use uapi::TestCommand;

use crate::{dispatch::Call, ioas::Ioas};
use iommu::MockIommu;
use iommufd_core::ObjectId;
use kernel::prelude::*;
use kernel_ext::{dma_buf, iommu::DmaOwner};
use uapi::{AddReserved, DmabufGet, DmabufRevoke, Op};

/// `IOMMU_TEST_CMD`. Returns what the ioctl returns, which is zero but for one operation.
pub(crate) fn ioctl(call: &Call<'_>) -> Result<isize> {
    let command = &mut call.read::<TestCommand>()?;
    let done = match command.op()? {
        Op::AddReserved => add_reserved(command, call),
        Op::MockDomain => device::create(command, call, 0),
        Op::MockDomainFlags => {
            let uapi::MockDomain { dev_flags, .. } = command.arguments()?;

            device::create(command, call, dev_flags)
        }
        Op::MockDomainReplace => device::replace(command, call),
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

/// Whether the mock IOMMU serves a device.
pub(crate) fn is_mock(device: &DmaOwner) -> bool {
    device.is_driven_by::<MockIommu>()
}

/// Keeps a range out of what can be mapped.
fn add_reserved(command: &TestCommand, call: &Call<'_>) -> Result {
    let AddReserved { start, length } = command.arguments()?;
    let last = start
        .checked_add(length.checked_sub(1).ok_or(EINVAL)?)
        .ok_or(EOVERFLOW)?;

    call.context
        .get::<Ioas>(ObjectId(command.id))?
        .reserve_for_test(start, last)
}

/// The least that temporary buffers may have: one entry.
const SMALLEST_LIMIT: u32 = (size_of::<usize>() + size_of::<u32>()) as u32;

fn set_memory_limit(command: &TestCommand) -> Result {
    let uapi::MemoryLimit { limit } = command.arguments()?;

    if limit < SMALLEST_LIMIT {
        return Err(EINVAL);
    }
    kernel_ext::mm::set_batch_bytes(limit as usize);
    Ok(())
}
