// SPDX-License-Identifier: GPL-2.0

//! The numbers that programs have been compiled with, and what the flags mean.

use super::*;

#[test]
fn codes_and_sizes() {
    fn row<C: Command>() -> (u32, usize, usize) {
        (C::CODE, C::MIN_SIZE, size_of::<C>())
    }

    assert_eq!(row::<Destroy>(), (0x3b80, 8, 8));
    assert_eq!(row::<IoasAlloc>(), (0x3b81, 12, 12));
    assert_eq!(row::<IoasIovaRanges>(), (0x3b84, 32, 32));
    assert_eq!(row::<IoasMap>(), (0x3b85, 40, 40));
    assert_eq!(row::<IoasUnmap>(), (0x3b86, 24, 24));
    assert!(!is_iommufd(0x3b7f) && is_iommufd(0x3b80) && is_iommufd(0x3b95) && !is_iommufd(0x3b96));
}

fn map(flags: u32) -> IoasMap {
    IoasMap {
        size: 40,
        flags,
        ioas_id: 1,
        reserved: 0,
        user_va: 0,
        length: 4096,
        iova: 0,
    }
}

#[test]
fn map_flags() {
    let flags = |fixed, read, write| Ok(MapFlags { fixed, read, write });

    assert_eq!(map(0).check(), Err(EINVAL));
    assert_eq!(map(1).check(), Err(EINVAL));
    assert_eq!(map(2).check(), flags(false, false, true));
    assert_eq!(map(5).check(), flags(true, true, false));
    assert_eq!(map(8).check(), Err(EOPNOTSUPP));
    assert_eq!(
        IoasMap {
            reserved: 1,
            ..map(7)
        }
        .check(),
        Err(EOPNOTSUPP)
    );
    assert_eq!(
        IoasMap {
            iova: u64::MAX,
            ..map(7)
        }
        .check(),
        Err(EOVERFLOW)
    );
    assert_eq!(
        IoasMap {
            length: u64::MAX,
            ..map(7)
        }
        .check(),
        Err(EOVERFLOW)
    );
}

#[test]
fn unmap_ranges() {
    let range = |iova, length| {
        IoasUnmap {
            size: 24,
            ioas_id: 1,
            iova,
            length,
        }
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
