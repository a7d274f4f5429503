// SPDX-License-Identifier: GPL-2.0

//! The commands on IO address spaces.

use crate::{
    call::{Call, Execute},
    interval::Node,
    ioas::{change_process, FilePart, Ioas},
    iova_map::AllowedRanges,
    uapi::{
        IoasAlloc, IoasAllowIovas, IoasChangeProcess, IoasCopy, IoasIovaRanges, IoasMap,
        IoasMapFile, IoasUnmap, IovaRange, MapFlags, UnmapRange,
    },
};
use iommufd_core::{ObjectGuard, ObjectId};
use kernel::{prelude::*, uaccess::UserPtr};
use kernel_ext::{
    alloc::SlabBox,
    iommu::Access,
    uaccess::{read_versioned, write_versioned},
};

fn ioas<'a>(call: &Call<'a>, id: u32) -> Result<ObjectGuard<'a, Ioas>> {
    call.context.get(ObjectId(id))
}

/// Returns the access that these flags allow.
fn access(flags: MapFlags) -> Access {
    Access {
        read: flags.read,
        write: flags.write,
    }
}

/// `IOMMU_IOAS_ALLOC`.
impl Execute for IoasAlloc {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        self.check()?;

        let ioas = call.context.reserve(|_| Ioas::new())?;

        self.out_ioas_id = ioas.id().0;
        call.respond(self)?;

        let _all = call.context.all_address_spaces.read();
        ioas.publish();
        Ok(())
    }
}

/// `IOMMU_IOAS_IOVA_RANGES`.
///
/// # Errors
///
/// `EMSGSIZE` if there are more ranges than the caller has room for; those that fit are written,
/// and the number of all ranges.
impl Execute for IoasIovaRanges {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        self.check()?;

        let ioas = ioas(call, self.ioas_id)?;
        let map = ioas.map.read();
        let room = self.num_iovas;
        let array = UserPtr::from_addr(self.allowed_iovas as usize);

        self.num_iovas = 0;
        self.out_iova_alignment = map.alignment();
        for (start, last) in map.usable() {
            if self.num_iovas < room {
                let at = array.wrapping_byte_add(self.num_iovas as usize * size_of::<IovaRange>());
                write_versioned(at, size_of::<IovaRange>(), &IovaRange { start, last })?;
            }
            self.num_iovas += 1;
        }
        call.respond(self)?;
        if self.num_iovas > room {
            return Err(EMSGSIZE);
        }
        Ok(())
    }
}

/// `IOMMU_IOAS_MAP`.
impl Execute for IoasMap {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let flags = self.check()?;
        let ioas = ioas(call, self.ioas_id)?;

        self.iova = ioas.map_user(
            call.context,
            self.user_va as usize,
            self.length as usize,
            flags.fixed.then_some(self.iova),
            access(flags),
        )?;
        call.respond(self)
    }
}

/// `IOMMU_IOAS_MAP_FILE`.
impl Execute for IoasMapFile {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let flags = self.check()?;
        let ioas = ioas(call, self.ioas_id)?;
        let file = FilePart {
            fd: self.fd,
            start: self.start as usize,
            length: self.length as usize,
        };
        let fixed = flags.fixed.then_some(self.iova);

        self.iova = ioas.map_file(call.context, file, fixed, access(flags))?;
        call.respond(self)
    }
}

/// `IOMMU_IOAS_COPY`.
///
/// # Errors
///
/// Those of [`Ioas::slices`], then those of [`Ioas::map_all`].
impl Execute for IoasCopy {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let flags = self.check()?;
        let slices = ioas(call, self.src_ioas_id)?.slices(self.src_iova, self.length)?;
        let ioas = ioas(call, self.dst_ioas_id)?;
        let fixed = flags.fixed.then_some(self.dst_iova);

        self.dst_iova = ioas.map_all(slices, fixed, access(flags))?;
        call.respond(self)
    }
}

/// `IOMMU_IOAS_UNMAP`.
///
/// # Errors
///
/// `ENOENT` if no area is in the range, unless the range is the whole address space; else those of
/// [`Ioas::unmap`].
impl Execute for IoasUnmap {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        let ioas = ioas(call, self.ioas_id)?;
        let range = self.range()?;
        let (unmapped, result) = ioas.unmap(range);

        result?;
        if unmapped == 0 && range != UnmapRange::All {
            return Err(ENOENT);
        }
        self.length = unmapped;
        call.respond(self)
    }
}

/// `IOMMU_IOAS_ALLOW_IOVAS`.
///
/// # Errors
///
/// `EINVAL` for a range of less than two addresses, and for one that overlaps another; `EADDRINUSE`
/// if one overlaps a reserved range. The allowed ranges have not changed then.
impl Execute for IoasAllowIovas {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        self.check()?;

        let ioas = ioas(call, self.ioas_id)?;
        let mut ranges = read_ranges(self)?;
        // The former ranges are freed once the lock is released.
        let allowed = ioas.map.write().allow(&mut ranges);

        allowed
    }
}

fn read_ranges(command: &IoasAllowIovas) -> Result<AllowedRanges> {
    let array = UserPtr::from_addr(command.allowed_iovas as usize);
    let mut ranges = AllowedRanges::new();

    for index in 0..command.num_iovas as usize {
        let at = array.wrapping_byte_add(index * size_of::<IovaRange>());
        let IovaRange { start, last } = read_versioned(at, size_of::<IovaRange>())?;

        if start >= last {
            return Err(EINVAL);
        }
        ranges.add(SlabBox::new(
            Node::new(start, last, ()),
            GFP_KERNEL_ACCOUNT,
        )?)?;
    }
    Ok(ranges)
}

/// `IOMMU_IOAS_CHANGE_PROCESS`.
///
/// # Errors
///
/// Those of [`change_process`].
impl Execute for IoasChangeProcess {
    fn execute(&mut self, call: &Call<'_>) -> Result {
        self.check()?;
        change_process(call.context)
    }
}
