// SPDX-License-Identifier: GPL-2.0

//! What programs that know VFIO's container find in memory.

use super::*;
use zerocopy::FromZeros;

#[test]
fn codes() {
    assert_eq!(GET_API_VERSION, 0x3b64);
    assert_eq!(CHECK_EXTENSION, 0x3b65);
    assert_eq!(SET_IOMMU, 0x3b66);
    assert_eq!(IOMMU_GET_INFO, 0x3b70);
    assert_eq!(IOMMU_MAP_DMA, 0x3b71);
    assert_eq!(IOMMU_UNMAP_DMA, 0x3b72);
}

#[test]
fn map() {
    let check = |argsz, flags| {
        DmaMap {
            argsz,
            flags,
            vaddr: 0,
            iova: 0,
            size: 0,
        }
        .check()
    };

    assert_eq!(size_of::<DmaMap>(), 32);
    assert_eq!(check(32, 1), Ok((true, false)));
    assert_eq!(check(40, 2), Ok((false, true)));
    assert_eq!(check(32, 0), Ok((false, false)));
    assert_eq!(check(31, 3), Err(EINVAL));
    assert_eq!(check(32, 4), Err(EINVAL));
}

#[test]
fn unmap() {
    let unmap = |argsz, flags, iova, size| DmaUnmap {
        argsz,
        flags,
        iova,
        size,
    };

    assert_eq!(size_of::<DmaUnmap>(), 24);
    assert_eq!(unmap(24, 0, 0, 0).check(), Ok(false));
    assert_eq!(unmap(24, 2, 0, 0).check(), Ok(true));
    assert_eq!(unmap(24, 1, 0, 0).check(), Err(EINVAL));
    assert_eq!(unmap(23, 0, 0, 0).check(), Err(EINVAL));
    assert!(unmap(24, 2, 0, 0).is_without_range());
    assert!(!unmap(24, 2, 1, 0).is_without_range());
    assert!(!unmap(24, 2, 0, 1).is_without_range());

    let range = |iova, size| unmap(24, 0, iova, size).range();
    assert_eq!(range(4096, 4096), Ok(UnmapRange::Range(4096, 8191)));
    assert_eq!(
        range(u64::MAX, 1),
        Ok(UnmapRange::Range(u64::MAX, u64::MAX))
    );
    assert_eq!(range(0, u64::MAX), Ok(UnmapRange::Range(0, u64::MAX - 1)));
    assert_eq!(range(0, 0), Err(EINVAL));
    assert_eq!(range(2, u64::MAX), Err(EOVERFLOW));

    let cuts = |iova, size| unmap(24, 0, iova, size).cuts().collect::<Vec<_>>();
    assert_eq!(cuts(4096, 4096), [8191, 4095]);
    assert_eq!(cuts(0, 4096), [4095]);
}

/// What a caller with `room` bytes finds: 0xaa where nothing was written.
fn info(room: usize, ranges: &[(u64, u64)]) -> Vec<u8> {
    let mut memory = vec![0xaa; 256];
    let mut info = Type1Info {
        argsz: room as u32,
        flags: 0,
        iova_pgsizes: 0,
        cap_offset: 0,
        pad: 0,
    };

    assert_eq!(info.check(), Ok(room));
    let filled = info.fill(0x1000, ranges.iter().copied(), |at, bytes| {
        assert!(at + bytes.len() <= room, "written past the caller's room");
        memory[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    });
    assert_eq!(filled, Ok(()));
    let known = room.min(size_of::<Type1Info>());
    memory[..known].copy_from_slice(&info.as_bytes()[..known]);
    memory
}

fn word(memory: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(memory[at..at + 4].try_into().expect("four bytes"))
}

#[test]
fn info_without_room() {
    let ranges = [(0, 9), (20, u64::MAX)];

    // 24 of the info, 16 of one capability, 16 + 2 * 16 of the other.
    for room in [16, 20, 24] {
        let memory = info(room, &ranges);
        assert_eq!(word(&memory, 0), 88);
        assert_eq!(word(&memory, 4), 3);
        assert_eq!(word(&memory, 8), 0x1000);
        assert!(memory[room..].iter().all(|&byte| byte == 0xaa));
    }
    assert_eq!(word(&info(24, &ranges), 16), 0);

    let short = Type1Info {
        argsz: 15,
        ..Type1Info::new_zeroed()
    };
    assert_eq!(short.check(), Err(EINVAL));
}

#[test]
fn info_with_room_for_some() {
    let ranges = [(0, 9), (20, u64::MAX)];

    // The first capability, all its bytes but not the padding behind it.
    let memory = info(36, &ranges);
    assert_eq!(word(&memory, 16), 0);
    assert_eq!(memory[24..36], [3, 0, 1, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
    assert!(memory[36..].iter().all(|&byte| byte == 0xaa));

    // One range, but not the header, which would promise two.
    let memory = info(80, &ranges);
    assert_eq!(word(&memory, 16), 0);
    assert_eq!(word(&memory, 28), 40);
    assert!(memory[40..56].iter().all(|&byte| byte == 0xaa));
    assert_eq!(word(&memory, 64), 9);
    assert!(memory[72..].iter().all(|&byte| byte == 0xaa));
}

#[test]
fn info_with_room_for_all() {
    let ranges = [(0, 9), (20, u64::MAX)];

    for room in [88, 200] {
        let memory = info(room, &ranges);
        assert_eq!(word(&memory, 0), 88);
        assert_eq!(word(&memory, 16), 24);
        assert_eq!(word(&memory, 20), 0);
        assert_eq!(word(&memory, 28), 40);
        assert_eq!(
            memory[40..56],
            [1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(word(&memory, 64), 9);
        assert_eq!(word(&memory, 72), 20);
        assert_eq!(memory[80..88], [255; 8]);
        assert!(memory[88..].iter().all(|&byte| byte == 0xaa));
    }
    let memory = info(200, &[]);
    assert_eq!(word(&memory, 0), 56);
    assert_eq!(word(&memory, 48), 0);
}

#[test]
fn presumed_ranges() {
    let presumed = |ranges: &[(u64, u64)]| presumed(ranges.iter().copied()).collect::<Vec<_>>();
    let last = (1 << 39) - 1;

    assert_eq!(presumed(&[]), []);
    assert_eq!(presumed(&[(1 << 39, u64::MAX)]), []);
    assert_eq!(
        presumed(&[(0, 9), (last, u64::MAX)]),
        [(0, 9), (last, last)]
    );
    // All of it, but for the window that some machines have.
    for (first, last) in presumed(&[(0, u64::MAX)]) {
        assert!(first < last && last < 1 << 39);
    }
    assert_eq!(
        presumed(&[(0, u64::MAX)]).last().map(|range| range.1),
        Some(last)
    );
}
