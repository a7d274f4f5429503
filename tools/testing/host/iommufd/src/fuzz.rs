// SPDX-License-Identifier: GPL-2.0

//! Fuzz target for decoding commands: converts arbitrary bytes to the struct of each ioctl, and
//! compares the result of its checks with a second implementation of the ABI's rules.

use crate::{
    base::{Result, EINVAL, EOPNOTSUPP, EOVERFLOW},
    uapi::{
        GetHwInfo, HwptAlloc, HwptGetDirtyBitmap, HwptSetDirtyTracking, IoasAlloc, IoasAllowIovas,
        IoasChangeProcess, IoasCopy, IoasIovaRanges, IoasMap, IoasMapFile, IoasUnmap, IommuOption,
        MapFlags, OptionId, OptionOp, UnmapRange, VfioIoas,
    },
};
use zerocopy::FromBytes;

/// Returns the 32-bit word at `at`.
fn word(bytes: &[u8; 64], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Returns the 64-bit word at `at`.
fn long(bytes: &[u8; 64], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

/// Decodes `data` as each of the commands.
///
/// # Panics
///
/// If a result differs from what `include/uapi/linux/iommufd.h` specifies.
pub fn commands(data: &[u8]) {
    let mut bytes = [0; 64];
    let length = data.len().min(bytes.len());

    bytes[..length].copy_from_slice(&data[..length]);
    alloc(&bytes);
    map(&bytes);
    unmap(&bytes);
    option(&bytes);
    hardware(&bytes);
    dirty(&bytes);
}

fn only_zero(word: u32) -> Result {
    if word == 0 {
        Ok(())
    } else {
        Err(EOPNOTSUPP)
    }
}

fn alloc(bytes: &[u8; 64]) {
    let (alloc, _) = IoasAlloc::read_from_prefix(bytes).expect("room");
    let (ranges, _) = IoasIovaRanges::read_from_prefix(bytes).expect("room");
    let (allow, _) = IoasAllowIovas::read_from_prefix(bytes).expect("room");
    let (process, _) = IoasChangeProcess::read_from_prefix(bytes).expect("room");

    assert_eq!(alloc.check(), only_zero(word(bytes, 4)));
    assert_eq!(ranges.check(), only_zero(word(bytes, 12)));
    assert_eq!(allow.check(), only_zero(word(bytes, 12)));
    assert_eq!(process.check(), only_zero(word(bytes, 4)));
}

/// Decodes the flags of a mapping whose addresses and length are `numbers`.
fn flags(flags: u32, numbers: &[u64]) -> Result<MapFlags> {
    if flags > 7 {
        Err(EOPNOTSUPP)
    } else if numbers.iter().any(|&number| number == u64::MAX) {
        Err(EOVERFLOW)
    } else if flags < 2 {
        Err(EINVAL)
    } else {
        Ok(MapFlags {
            fixed: flags % 2 == 1,
            write: matches!(flags, 2 | 3 | 6 | 7),
            read: flags >= 4,
        })
    }
}

fn map(bytes: &[u8; 64]) {
    let (map, _) = IoasMap::read_from_prefix(bytes).expect("room");
    let (file, _) = IoasMapFile::read_from_prefix(bytes).expect("room");
    let (copy, _) = IoasCopy::read_from_prefix(bytes).expect("room");
    let numbers = [16, 24, 32].map(|at| long(bytes, at));
    let expected = flags(word(bytes, 4), &numbers[1..]);

    assert_eq!(
        map.check(),
        only_zero(word(bytes, 12)).and_then(|()| expected)
    );
    assert_eq!(file.check(), expected);
    assert_eq!(copy.check(), flags(word(bytes, 4), &numbers));
}

fn option(bytes: &[u8; 64]) {
    let (option, _) = IommuOption::read_from_prefix(bytes).expect("room");
    let (vfio, _) = VfioIoas::read_from_prefix(bytes).expect("room");
    let (op, reserved) = (word(bytes, 8) & 0xffff, word(bytes, 8) >> 16);
    let id = match (reserved, word(bytes, 4)) {
        (0, 0) => Ok(OptionId::RlimitMode),
        (0, 1) => Ok(OptionId::HugePages),
        _ => Err(EOPNOTSUPP),
    };
    let known = match op {
        0 => Ok(OptionOp::Set(long(bytes, 16))),
        1 => Ok(OptionOp::Get),
        _ => Err(EOPNOTSUPP),
    };

    assert_eq!(option.check(), id);
    assert_eq!(option.op(), known);
    assert_eq!(vfio.check().is_ok(), reserved == 0 && op < 3);
}

fn hardware(bytes: &[u8; 64]) {
    let (alloc, _) = HwptAlloc::read_from_prefix(bytes).expect("room");
    let (info, _) = GetHwInfo::read_from_prefix(bytes).expect("room");
    let (data_type, data_len) = (word(bytes, 24), word(bytes, 28));
    let flags = word(bytes, 4);

    assert_eq!(
        alloc.check(),
        match word(bytes, 20) {
            0 if (data_type == 0) == (data_len == 0) => Ok(()),
            0 => Err(EINVAL),
            _ => Err(EOPNOTSUPP),
        }
    );
    assert_eq!(
        alloc.paging_flags().is_ok(),
        flags < 16 && flags & 0b101 != 0b101
    );
    assert_eq!(
        info.check(),
        match flags {
            0 if data_len >> 8 == 0 => Ok(0),
            1 if data_len >> 8 == 0 => Ok(data_type),
            _ => Err(EOPNOTSUPP),
        }
    );
}

fn dirty(bytes: &[u8; 64]) {
    let (get, _) = HwptGetDirtyBitmap::read_from_prefix(bytes).expect("room");
    let (set, _) = HwptSetDirtyTracking::read_from_prefix(bytes).expect("room");
    let (iova, length, size) = (long(bytes, 16), long(bytes, 24), long(bytes, 32));
    let end = u128::from(iova) + u128::from(length);
    let aligned = |to: u64| (iova | end as u64) & to.wrapping_sub(1) == 0;

    assert_eq!(set.enable().is_ok(), word(bytes, 4) < 2);
    assert_eq!(
        get.clears().is_ok(),
        word(bytes, 8) < 2 && word(bytes, 12) == 0
    );
    assert_eq!(
        get.range(4096),
        if length == 0 {
            Err(EINVAL)
        } else if end > 1 << 64 {
            Err(EOVERFLOW)
        } else if size == 0 || !aligned(4096) || !aligned(size) {
            Err(EINVAL)
        } else {
            Ok((iova, (end - 1) as u64))
        }
    );
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
