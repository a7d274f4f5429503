// SPDX-License-Identifier: GPL-2.0

//! The numbers that programs have been compiled with, and what the flags mean.

use super::*;
use crate::base::EOVERFLOW;

#[test]
fn codes_and_sizes() {
    fn row<C: Command>() -> (u32, usize, usize) {
        (C::CODE, C::MIN_SIZE, size_of::<C>())
    }

    assert_eq!(row::<Destroy>(), (0x3b80, 8, 8));
    assert_eq!(row::<IoasAlloc>(), (0x3b81, 12, 12));
    assert_eq!(row::<IoasAllowIovas>(), (0x3b82, 24, 24));
    assert_eq!(row::<IoasCopy>(), (0x3b83, 40, 40));
    assert_eq!(row::<IoasIovaRanges>(), (0x3b84, 32, 32));
    assert_eq!(row::<IoasMap>(), (0x3b85, 40, 40));
    assert_eq!(row::<IoasUnmap>(), (0x3b86, 24, 24));
    assert_eq!(row::<IommuOption>(), (0x3b87, 24, 24));
    assert_eq!(row::<VfioIoas>(), (0x3b88, 12, 12));
    assert_eq!(row::<HwptAlloc>(), (0x3b89, 24, 48));
    assert_eq!(row::<GetHwInfo>(), (0x3b8a, 32, 40));
    assert_eq!(row::<IoasMapFile>(), (0x3b8f, 40, 40));
    assert_eq!(row::<IoasChangeProcess>(), (0x3b92, 8, 8));
    assert!(!is_iommufd(0x3b7f) && is_iommufd(0x3b80) && is_iommufd(0x3b95) && !is_iommufd(0x3b96));
}

/// The command that `words` are: 32 bits each, zero where there are none.
fn command<C: Command>(words: &[u32]) -> C {
    let mut bytes = [0; 64];

    for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    C::read_from_prefix(&bytes).expect("room").0
}

const ONES: u32 = u32::MAX;

#[test]
fn map_flags() {
    let flags = |fixed, read, write| Ok(MapFlags { fixed, read, write });
    let map = |flags| command::<IoasMap>(&[40, flags, 1]).check();

    assert_eq!(map(0), Err(EINVAL));
    assert_eq!(map(1), Err(EINVAL));
    assert_eq!(map(2), flags(false, false, true));
    assert_eq!(map(5), flags(true, true, false));
    assert_eq!(map(8), Err(EOPNOTSUPP));
    // The same flags in the other commands.
    assert_eq!(command::<IoasMapFile>(&[40, 8]).check(), Err(EOPNOTSUPP));
    assert_eq!(
        command::<IoasMapFile>(&[40, 7]).check(),
        flags(true, true, true)
    );
    assert_eq!(command::<IoasCopy>(&[40, 1]).check(), Err(EINVAL));
    assert_eq!(
        command::<IoasCopy>(&[40, 4]).check(),
        flags(false, true, false)
    );
}

#[test]
fn numbers_that_no_range_has() {
    let reserved = command::<IoasMap>(&[40, 7, 1, 1]);
    let length = command::<IoasMap>(&[40, 1, 1, 0, 0, 0, ONES, ONES]);
    let iova = command::<IoasMap>(&[40, 7, 1, 0, 0, 0, 0, 0, ONES, ONES]);

    assert_eq!(reserved.check(), Err(EOPNOTSUPP));
    assert_eq!(length.check(), Err(EOVERFLOW));
    assert_eq!(iova.check(), Err(EOVERFLOW));

    // Where in the file may be any number: it is compared with the file.
    let start = command::<IoasMapFile>(&[40, 7, 1, 3, ONES, ONES]);
    let length = command::<IoasMapFile>(&[40, 7, 1, 3, 0, 0, ONES, ONES]);
    assert!(start.check().is_ok());
    assert_eq!(start.fd, 3);
    assert_eq!(length.check(), Err(EOVERFLOW));

    for number in [4, 6, 8] {
        let mut words = [40, 7, 1, 1, 0, 0, 0, 0, 0, 0];
        words[number] = ONES;
        assert!(command::<IoasCopy>(&words).check().is_ok());
        words[number + 1] = ONES;
        assert_eq!(command::<IoasCopy>(&words).check(), Err(EOVERFLOW));
    }
}

#[test]
fn reserved_fields() {
    assert!(command::<IoasAllowIovas>(&[24, 1, 1]).check().is_ok());
    assert_eq!(
        command::<IoasAllowIovas>(&[24, 1, 1, 1]).check(),
        Err(EOPNOTSUPP)
    );
    assert!(command::<IoasChangeProcess>(&[8]).check().is_ok());
    assert_eq!(
        command::<IoasChangeProcess>(&[8, 1]).check(),
        Err(EOPNOTSUPP)
    );
}

#[test]
fn options() {
    let option = |id, op| command::<IommuOption>(&[24, id, op, 5, 1]);

    assert_eq!(option(0, 0).check(), Ok(OptionId::RlimitMode));
    assert_eq!(option(1, 0).check(), Ok(OptionId::HugePages));
    assert_eq!(option(2, 0).check(), Err(EOPNOTSUPP));
    assert_eq!(option(1, 1 << 16).check(), Err(EOPNOTSUPP));
    assert_eq!(option(1, 0).op(), Ok(OptionOp::Set(1)));
    assert_eq!(option(1, 1).op(), Ok(OptionOp::Get));
    assert_eq!(option(1, 2).op(), Err(EOPNOTSUPP));
    assert_eq!(option(1, 1).object_id, 5);
    assert_eq!(switch(0), Ok(false));
    assert_eq!(switch(1), Ok(true));
    assert_eq!(switch(2), Err(EINVAL));

    let vfio = |op| command::<VfioIoas>(&[12, 5, op]).check();
    assert_eq!(vfio(0), Ok(VfioIoasOp::Get));
    assert_eq!(vfio(1), Ok(VfioIoasOp::Set));
    assert_eq!(vfio(2), Ok(VfioIoasOp::Clear));
    assert_eq!(vfio(3), Err(EOPNOTSUPP));
    assert_eq!(vfio(1 << 16), Err(EOPNOTSUPP));
}

#[test]
fn page_tables() {
    let alloc = |flags, reserved, kind, length| {
        command::<HwptAlloc>(&[48, flags, 1, 2, 0, reserved, kind, length])
    };
    let flags = |flags| alloc(flags, 0, 0, 0).paging_flags();

    assert!(alloc(0, 0, 0, 0).check().is_ok());
    assert!(alloc(0, 0, 1, 8).check().is_ok());
    assert_eq!(alloc(0, 1, 0, 0).check(), Err(EOPNOTSUPP));
    assert_eq!(alloc(0, 0, 0, 8).check(), Err(EINVAL));
    assert_eq!(alloc(0, 0, 1, 0).check(), Err(EINVAL));

    assert_eq!(flags(0), Ok(HwptFlags::default()));
    assert_eq!(
        flags(0b1110),
        Ok(HwptFlags {
            nest_parent: false,
            dirty_tracking: true,
            faults: true,
            pasid: true,
        })
    );
    assert!(flags(1).is_ok_and(|flags| flags.nest_parent));
    assert_eq!(flags(0b101), Err(EOPNOTSUPP));
    assert_eq!(flags(16), Err(EOPNOTSUPP));

    let offered = |word, [features, parents, dirty_tracking]: [bool; 3]| {
        flags(word).is_ok_and(|flags| {
            let offer = HwptOffer {
                features,
                parents,
                dirty_tracking,
            };

            flags.check_offered(offer).is_ok()
        })
    };
    let (no, yes) = (false, true);
    assert!(offered(0, [no, no, no]));
    assert!(offered(0b0001, [no, yes, no]) && !offered(0b0001, [yes, no, yes]));
    assert!(offered(0b0100, [yes, no, no]) && !offered(0b0100, [no, yes, yes]));
    assert!(offered(0b1000, [yes, no, no]) && !offered(0b1000, [no, yes, yes]));
    assert!(offered(0b0010, [yes, no, yes]) && !offered(0b0010, [yes, yes, no]));
    assert!(!offered(0b0010, [no, yes, yes]));

    let nested = |flags, length| alloc(flags, 0, 1, length).check_nested();
    assert_eq!(nested(0b1100, 8), Ok(()));
    assert_eq!(nested(0, 0), Err(EOPNOTSUPP));
    for flag in [1, 2, 16] {
        assert_eq!(nested(flag, 8), Err(EOPNOTSUPP));
    }
}

#[test]
fn hardware() {
    let info =
        |flags, reserved| command::<GetHwInfo>(&[40, flags, 1, 0, 0, 0, 7, reserved]).check();

    assert_eq!(info(0, 0), Ok(0));
    assert_eq!(info(1, 0), Ok(7));
    assert_eq!(info(2, 0), Err(EOPNOTSUPP));
    // The first byte is a result, and not looked at.
    assert_eq!(info(1, 0xff), Ok(7));
    assert_eq!(info(1, 0x100), Err(EOPNOTSUPP));
    assert_eq!(info(1, 1 << 31), Err(EOPNOTSUPP));

    assert_eq!(HwCapabilities::default().bits(), 8);
    assert_eq!(
        HwCapabilities {
            dirty_tracking: true,
            pasid_exec: true,
            pasid_privileged: true,
            ats: true,
        }
        .bits(),
        7
    );
}

#[test]
fn dirty_tracking() {
    let set = |flags| command::<HwptSetDirtyTracking>(&[16, flags, 1, 0]).enable();

    assert_eq!(set(0), Ok(false));
    assert_eq!(set(1), Ok(true));
    assert_eq!(set(2), Err(EOPNOTSUPP));

    let words = |value: u64| [value as u32, (value >> 32) as u32];
    let get = |flags, reserved, iova, length, size| {
        let mut numbers = vec![48, 1, flags, reserved];

        for value in [iova, length, size, 0] {
            numbers.extend(words(value));
        }
        command::<HwptGetDirtyBitmap>(&numbers)
    };
    assert_eq!(get(0, 0, 0, 0, 0).clears(), Ok(true));
    assert_eq!(get(1, 0, 0, 0, 0).clears(), Ok(false));
    assert_eq!(get(2, 0, 0, 0, 0).clears(), Err(EOPNOTSUPP));
    assert_eq!(get(0, 1, 0, 0, 0).clears(), Err(EOPNOTSUPP));

    let range = |iova, length, size| get(0, 0, iova, length, size).range(4096);
    let half = 1 << 63;
    assert_eq!(range(4096, 8192, 4096), Ok((4096, 12287)));
    assert_eq!(range(4096, 8192, 1), Ok((4096, 12287)));
    assert_eq!(range(half, half, half), Ok((half, u64::MAX)));
    assert_eq!(range(0, half, half), Ok((0, half - 1)));
    assert_eq!(range(0, 0, 4096), Err(EINVAL));
    assert_eq!(range(4096, u64::MAX - 4095, 4096), Ok((4096, u64::MAX)));
    assert_eq!(range(8192, u64::MAX - 4095, 4096), Err(EOVERFLOW));
    assert_eq!(range(0, 4096, 0), Err(EINVAL));
    assert_eq!(range(2048, 4096, 1), Err(EINVAL));
    assert_eq!(range(4096, 2048, 1), Err(EINVAL));
    assert_eq!(range(4096, 8192, 8192), Err(EINVAL));
    assert_eq!(range(0, 4096, half), Err(EINVAL));
}

#[test]
fn unmap_ranges() {
    let range = |iova: u64, length: u64| {
        command::<IoasUnmap>(&[
            24,
            1,
            iova as u32,
            (iova >> 32) as u32,
            length as u32,
            (length >> 32) as u32,
        ])
        .range()
    };

    assert_eq!(range(0, u64::MAX), Ok(UnmapRange::All));
    assert_eq!(range(1, u64::MAX), Err(EOVERFLOW));
    assert_eq!(range(u64::MAX, 1), Err(EOVERFLOW));
    assert_eq!(range(0, 0), Err(EINVAL));
    assert_eq!(
        range(1, u64::MAX - 1),
        Ok(UnmapRange::Range(1, u64::MAX - 1))
    );
    assert_eq!(range(2, u64::MAX - 1), Ok(UnmapRange::Range(2, u64::MAX)));
    assert_eq!(range(3, u64::MAX - 1), Err(EOVERFLOW));
    assert_eq!(range(4096, 4096), Ok(UnmapRange::Range(4096, 8191)));
}
