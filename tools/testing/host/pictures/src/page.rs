// SPDX-License-Identifier: GPL-2.0

//! The page: the formats that are drawn, and the text around the pictures.

use crate::{
    entry,
    leaf::Choice,
    walk::{self, Numbering},
};
use iommu_pagetable::{
    vmsa::{
        Granule, Granule16K, Granule4K, Granule64K, Stage1, Stage1Options, Stage2, Stage2Options,
    },
    vtd::{FirstStage, FirstStageOptions, SecondStage, SecondStageOptions},
    Format, Mock,
};

const HEAD: &str = "\
.. SPDX-License-Identifier: GPL-2.0

.. Do not edit: tools/testing/vm/checks/pictures.sh --write makes this page.

==================
Page table formats
==================

Every format of IO page tables that ``drivers/iommu/pagetable`` has, drawn by
``tools/testing/host/pictures`` from the constants and functions that the code
itself uses. :doc:`page-tables` says how page tables are used.

The first picture of a format shows, for each level, the bits of the IOVA that
select an entry, the number of entries and bytes of a table, and the size of a
page. Levels are counted from the leaves; the level numbers of the architecture
are given as well. A *group* is a number of adjacent pages that the hardware may
cache as one page.

The second picture shows the bits of a *link*, which points to a table, and of a
page of each size. ``0`` and ``1`` are constant; ``.`` is written as zero. The
other letters are explained below each picture. A meaning without the name of an
option applies unless the option has a meaning of its own. The hardware ignores
``c`` and ``v``.

Sizes are in bytes: 4K is 4096.
";

fn title(text: &str, underline: char) -> String {
    format!("\n{text}\n{}\n\n", underline.to_string().repeat(text.len()))
}

/// Returns the pictures of the walk and of the entries of a format.
fn section<F: Format>(what: &str, numbering: Numbering, choices: &[Choice<F::Options>]) -> String {
    let heading = format!("{what} (``{}``)", F::NAME);

    title(&heading, '-') + &walk::picture::<F>(numbering) + "\n" + &entry::picture::<F>(choices)
}

/// Returns the picture of the walk, for a format with the entries of the one before.
fn walk_only<F: Format>(what: &str, numbering: Numbering) -> String {
    let heading = format!("{what} (``{}``)", F::NAME);

    title(&heading, '-') + &walk::picture::<F>(numbering) + "\nEntries are as above.\n"
}

fn vtd() -> String {
    let second = [
        ("", SecondStageOptions::default()),
        (
            "snoop",
            SecondStageOptions {
                snoop: true,
                ..Default::default()
            },
        ),
        (
            "writable_only",
            SecondStageOptions {
                writable_only: true,
                ..Default::default()
            },
        ),
    ];
    let first = [
        ("", FirstStageOptions::default()),
        (
            "no_execute",
            FirstStageOptions {
                no_execute: true,
                ..Default::default()
            },
        ),
        (
            "track_dirty",
            FirstStageOptions {
                track_dirty: true,
                ..Default::default()
            },
        ),
    ];
    let numbering = Numbering::FromOne;

    title("Intel VT-d", '=')
        + "The VT-d specification, sections 3.6, 3.7, 9.7 and 9.8.\n"
        + &section::<SecondStage<4>>("Second stage, 4 levels", numbering, &second)
        + &walk_only::<SecondStage<3>>("Second stage, 3 levels", numbering)
        + &walk_only::<SecondStage<5>>("Second stage, 5 levels", numbering)
        + &section::<FirstStage<4>>("First stage, 4 levels", numbering, &first)
        + &walk_only::<FirstStage<5>>("First stage, 5 levels", numbering)
}

const STAGE1: [Choice<Stage1Options>; 2] = [
    ("", Stage1Options { track_dirty: false }),
    ("track_dirty", Stage1Options { track_dirty: true }),
];

const STAGE2: [Choice<Stage2Options>; 3] = [
    (
        "",
        Stage2Options {
            track_dirty: false,
            force_write_back: false,
        },
    ),
    (
        "track_dirty",
        Stage2Options {
            track_dirty: true,
            force_write_back: false,
        },
    ),
    (
        "force_write_back",
        Stage2Options {
            track_dirty: false,
            force_write_back: true,
        },
    ),
];

/// Returns the lines for the input sizes of SMMUs, of a stage with a granule.
macro_rules! shapes {
    ($stage:ident, $granule:ident: $($bits:literal)*) => {
        String::from("\nInput sizes::\n\n")
            + &walk::shape_head()
            $(+ &walk::shape::<$stage<$granule, $bits>>())*
    };
}

fn stage1<G: Granule, const BITS: u32>(granule: &str) -> String {
    let what = format!("Stage 1, {granule} granule, {BITS} bits");

    section::<Stage1<G, BITS>>(&what, Numbering::ToThree, &STAGE1)
}

fn stage2<G: Granule, const BITS: u32>(granule: &str) -> String {
    let what = format!("Stage 2, {granule} granule, {BITS} bits");

    section::<Stage2<G, BITS>>(&what, Numbering::ToThree, &STAGE2)
}

fn arm() -> String {
    title("Arm VMSAv8-64", '=')
        + "The Arm Architecture Reference Manual, chapters D8.2 and D8.3, as an SMMUv3\n\
           walks it. The number of levels and the size of the root depend on the number of\n\
           input bits. The root is aligned to its size, and at least to 64 bytes. With\n\
           ``BBM2`` (SMMU_IDR3.BBML = 2) pages in use can be cut; the entries are the same.\n"
        + &stage1::<Granule4K, 48>("4K")
        + &shapes!(Stage1, Granule4K: 39 40 42 44 48)
        + &stage1::<Granule16K, 48>("16K")
        + &shapes!(Stage1, Granule16K: 39 40 42 44 48)
        + &stage1::<Granule64K, 48>("64K")
        + &shapes!(Stage1, Granule64K: 39 40 42 44 48 52)
        + &stage2::<Granule4K, 40>("4K")
        + &shapes!(Stage2, Granule4K: 39 40 42 44 48)
        + &stage2::<Granule16K, 40>("16K")
        + &shapes!(Stage2, Granule16K: 39 40 42 44 48)
        + &stage2::<Granule64K, 44>("64K")
        + &shapes!(Stage2, Granule64K: 39 40 42 44 48 52)
}

/// Returns the whole page.
pub fn page() -> String {
    let mock = title("Mock", '=')
        + "The format of the mock IOMMU, which is also used in tests.\n"
        + &section::<Mock>("Mock IOMMU", Numbering::None, &[("", ())]);

    HEAD.to_owned() + &vtd() + &arm() + &mock
}
