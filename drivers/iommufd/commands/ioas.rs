// SPDX-License-Identifier: GPL-2.0

//! The ioctls on IO address spaces.

use crate::{
    dispatch::Call,
    ioas::{FilePart, Ioas},
    uapi::{
        IoasAlloc, IoasCopy, IoasIovaRanges, IoasMap, IoasMapFile, IoasUnmap, IovaRange, MapFlags,
        UnmapRange,
    },
};
use iommufd_core::{ObjectGuard, ObjectId};
use kernel::{prelude::*, uaccess::UserPtr};
use kernel_ext::{iommu::Access, uaccess::write_versioned};

fn ioas<'a>(call: &Call<'a>, id: u32) -> Result<ObjectGuard<'a, Ioas>> {
    call.context.get(ObjectId(id))
}

/// What a device may do with what is mapped with these flags.
fn access(flags: MapFlags) -> Access {
    Access {
        read: flags.read,
        write: flags.write,
    }
}

/// `IOMMU_IOAS_ALLOC`.
pub(crate) fn alloc(command: &mut IoasAlloc, call: &Call<'_>) -> Result {
    command.check()?;

    let ioas = call.context.reserve(|_| Ioas::new())?;

    command.out_ioas_id = ioas.id().0;
    call.respond(command)?;

    let _all = call.context.all_address_spaces.read();
    ioas.publish();
    Ok(())
}

/// `IOMMU_IOAS_IOVA_RANGES`.
///
/// # Errors
///
/// `EMSGSIZE` if there are more ranges than the caller has room for; those that fit are written, and
/// the number of all of them.
pub(crate) fn iova_ranges(command: &mut IoasIovaRanges, call: &Call<'_>) -> Result {
    command.check()?;

    let ioas = ioas(call, command.ioas_id)?;
    let map = ioas.map.read();
    let room = command.num_iovas;
    let array = UserPtr::from_addr(command.allowed_iovas as usize);

    command.num_iovas = 0;
    command.out_iova_alignment = map.alignment();
    for (start, last) in map.usable() {
        if command.num_iovas < room {
            let at = array.wrapping_byte_add(command.num_iovas as usize * size_of::<IovaRange>());
            write_versioned(at, size_of::<IovaRange>(), &IovaRange { start, last })?;
        }
        command.num_iovas += 1;
    }
    call.respond(command)?;
    if command.num_iovas > room {
        return Err(EMSGSIZE);
    }
    Ok(())
}

/// `IOMMU_IOAS_MAP`.
pub(crate) fn map(command: &mut IoasMap, call: &Call<'_>) -> Result {
    let flags = command.check()?;
    let ioas = ioas(call, command.ioas_id)?;

    command.iova = ioas.map_user(
        call.context,
        command.user_va as usize,
        command.length as usize,
        flags.fixed.then_some(command.iova),
        access(flags),
    )?;
    call.respond(command)
}

/// `IOMMU_IOAS_MAP_FILE`.
pub(crate) fn map_file(command: &mut IoasMapFile, call: &Call<'_>) -> Result {
    let flags = command.check()?;
    let ioas = ioas(call, command.ioas_id)?;
    let file = FilePart {
        fd: command.fd,
        start: command.start as usize,
        length: command.length as usize,
    };
    let fixed = flags.fixed.then_some(command.iova);

    command.iova = ioas.map_file(call.context, file, fixed, access(flags))?;
    call.respond(command)
}

/// `IOMMU_IOAS_COPY`.
///
/// # Errors
///
/// Those of [`Ioas::slices`], then those of [`Ioas::map`].
pub(crate) fn copy(command: &mut IoasCopy, call: &Call<'_>) -> Result {
    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    crate::selftest::guess_source(command, call);

    let flags = command.check()?;
    let slices = ioas(call, command.src_ioas_id)?.slices(command.src_iova, command.length)?;
    let ioas = ioas(call, command.dst_ioas_id)?;
    let fixed = flags.fixed.then_some(command.dst_iova);

    command.dst_iova = ioas.map_all(slices, fixed, access(flags))?;
    call.respond(command)
}

/// `IOMMU_IOAS_UNMAP`.
///
/// # Errors
///
/// `ENOENT` if nothing is mapped in the range, unless it is everything.
pub(crate) fn unmap(command: &mut IoasUnmap, call: &Call<'_>) -> Result {
    let ioas = ioas(call, command.ioas_id)?;
    let range = command.range()?;
    let (unmapped, result) = ioas.unmap(range);

    result?;
    if unmapped == 0 && range != UnmapRange::All {
        return Err(ENOENT);
    }
    command.length = unmapped;
    call.respond(command)
}
