// SPDX-License-Identifier: GPL-2.0

//! For the fuzzer: arbitrary bytes as each ioctl's struct, and what the ABI says of them, in words of
//! its own.

use crate::{
    base::{EINVAL, EOPNOTSUPP, EOVERFLOW},
    uapi::{IoasAlloc, IoasIovaRanges, IoasMap, IoasUnmap, MapFlags, UnmapRange},
};
use zerocopy::FromBytes;

/// The 32-bit word at `at`.
fn word(bytes: &[u8; 64], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The 64-bit word at `at`.
fn long(bytes: &[u8; 64], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

/// Decodes `data` as every command there is.
///
/// # Panics
///
/// If what comes out is not what `include/uapi/linux/iommufd.h` says.
pub fn commands(data: &[u8]) {
    let mut bytes = [0; 64];
    let length = data.len().min(bytes.len());

    bytes[..length].copy_from_slice(&data[..length]);
    alloc(&bytes);
    map(&bytes);
    unmap(&bytes);
}

fn alloc(bytes: &[u8; 64]) {
    let (alloc, _) = IoasAlloc::read_from_prefix(bytes).expect("room");
    let (ranges, _) = IoasIovaRanges::read_from_prefix(bytes).expect("room");
    let only_zero = |word: u32| if word == 0 { Ok(()) } else { Err(EOPNOTSUPP) };

    assert_eq!(alloc.check(), only_zero(word(bytes, 4)));
    assert_eq!(ranges.check(), only_zero(word(bytes, 12)));
}

fn map(bytes: &[u8; 64]) {
    let (map, _) = IoasMap::read_from_prefix(bytes).expect("room");
    let (flags, reserved) = (word(bytes, 4), word(bytes, 12));
    let (length, iova) = (long(bytes, 24), long(bytes, 32));
    let expected = if flags > 7 || reserved != 0 {
        Err(EOPNOTSUPP)
    } else if length == u64::MAX || iova == u64::MAX {
        Err(EOVERFLOW)
    } else if flags < 2 {
        Err(EINVAL)
    } else {
        Ok(MapFlags {
            fixed: flags % 2 == 1,
            write: matches!(flags, 2 | 3 | 6 | 7),
            read: flags >= 4,
        })
    };

    assert_eq!(map.check(), expected);
}

fn unmap(bytes: &[u8; 64]) {
    let (unmap, _) = IoasUnmap::read_from_prefix(bytes).expect("room");
    let (iova, length) = (long(bytes, 8), long(bytes, 16));
    let end = u128::from(iova) + u128::from(length);
    let expected = match (iova, length) {
        (0, u64::MAX) => Ok(UnmapRange::All),
        (u64::MAX, _) | (_, u64::MAX) => Err(EOVERFLOW),
        (_, 0) => Err(EINVAL),
        _ if end > 1 << 64 => Err(EOVERFLOW),
        _ => Ok(UnmapRange::Range(iova, (end - 1) as u64)),
    };

    assert_eq!(unmap.range(), expected);
}
