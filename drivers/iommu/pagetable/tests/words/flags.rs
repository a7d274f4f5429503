// SPDX-License-Identifier: GPL-2.0

//! Bits that change while a table is in use: the dirty state, and the mark of visible links.

use crate::rows::{row, Filled, ADDRESS_16K, ADDRESS_4K, ADDRESS_64K, ADDRESS_VTD, RWX};
use iommu_pagetable::{
    vmsa::{Granule16K, Granule4K, Granule64K, Stage1, Stage1Options, Stage2, Stage2Options, MAIR},
    vtd::{FirstStage, FirstStageOptions, SecondStage, SecondStageOptions},
    Format,
};

/// Returns the word of a page that the device has written to.
fn dirtied<F: Format>(options: F::Options, iova: u64, address: u64, path: &[usize]) -> u64 {
    let page = row("a page", 1 << F::GRANULE_BITS, RWX, 0, 0);
    let filled = Filled::<F, true>::new(options, iova, address, path, &page);

    assert!(filled.table.mark_dirty(iova));
    filled.words().1
}

#[test]
fn dirty() {
    // 9.8: D 9. 9.7: D 6. D8.5.2: AP[2] is cleared, S2AP[1] is set.
    let path = [0, 0, 0, 1];
    let word = dirtied::<SecondStage<4>>(SecondStageOptions::default(), 0x1000, ADDRESS_VTD, &path);
    assert_eq!(word, 0x0000_0001_4000_0203);
    let options = FirstStageOptions {
        no_execute: false,
        track_dirty: true,
    };
    let word = dirtied::<FirstStage<4>>(options, 0x1000, ADDRESS_VTD, &path);
    assert_eq!(word, 0x0000_0001_4000_0067);
    let options = Stage1Options { track_dirty: true };
    let word = dirtied::<Stage1<Granule4K, 48>>(options, 0x1000, ADDRESS_4K, &path);
    assert_eq!(word, 0x0008_0001_4000_0f47);
    let options = Stage2Options {
        track_dirty: true,
        force_write_back: false,
    };
    let word = dirtied::<Stage2<Granule4K, 48>>(options, 0x1000, ADDRESS_4K, &path);
    assert_eq!(word, 0x0008_0001_4000_07ff);
}

/// Returns a link after it has become visible to hardware whose walks are not coherent.
fn visible<F: Format>(options: F::Options, address: u64) -> u64 {
    let page = row("a page", 1 << F::GRANULE_BITS, RWX, 0, 0);
    let path = vec![0; F::LEVELS as usize];

    Filled::<F, false>::new(options, 0, address, &path, &page)
        .words()
        .0
}

#[test]
fn links_are_marked_in_an_ignored_bit_where_walkers_are_not_coherent() {
    // 9.8: 10 is ignored in SS-PDEs. 9.7: 9 is ignored in FS-PDEs. D8.3.1: 58:51 are ignored.
    assert_eq!(
        visible::<SecondStage<4>>(SecondStageOptions::default(), ADDRESS_VTD),
        0x0010_0000_0000_0403
    );
    assert_eq!(
        visible::<FirstStage<4>>(FirstStageOptions::default(), ADDRESS_VTD),
        0x0010_0000_0000_0227
    );
    assert_eq!(
        visible::<Stage1<Granule64K, 48>>(Stage1Options::default(), ADDRESS_64K),
        0x0100_0000_0000_0007
    );
    assert_eq!(
        visible::<Stage2<Granule16K, 40>>(Stage2Options::default(), ADDRESS_16K),
        0x0100_0000_0000_0007
    );
}

#[test]
fn memory_attributes() {
    // MAIR_ELx: 0 is normal non-cacheable, 1 normal write-back, 2 device nGnRE.
    assert_eq!(MAIR.to_le_bytes(), [0x44, 0xff, 0x04, 0, 0, 0, 0, 0]);
}
