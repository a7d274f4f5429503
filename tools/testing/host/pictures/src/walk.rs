// SPDX-License-Identifier: GPL-2.0

//! The path from an IOVA to a page: the bits of the IOVA that each level uses.

use iommu_pagetable::Format;
use std::fmt::Write;

/// The level numbers of an architecture.
#[derive(Clone, Copy)]
pub enum Numbering {
    /// Intel's: up from 1, the entry of a page.
    FromOne,
    /// Arm's: down to 3, the entry of a page.
    ToThree,
    /// No architecture's.
    None,
}

impl Numbering {
    /// Returns the name of the architecture, and its number of our `level`.
    fn of(self, level: u32) -> Option<(&'static str, u32)> {
        match self {
            Self::FromOne => Some(("VT-d", level + 1)),
            Self::ToThree => Some(("Arm", 3 - level)),
            Self::None => None,
        }
    }
}

/// Returns the size of 2^`bits` bytes as text.
pub fn size(bits: u32) -> String {
    let unit = ["", "K", "M", "G", "T", "P"]
        .get(bits as usize / 10)
        .copied();

    format!("{}{}", 1u64 << (bits % 10), unit.unwrap_or("?"))
}

/// Returns the levels of a format, from the root on.
fn levels<F: Format>() -> impl DoubleEndedIterator<Item = u32> {
    (0..F::LEVELS).rev()
}

/// Returns the highest and the lowest bit of an IOVA that `level` uses.
fn selects<F: Format>(level: u32) -> (u32, u32) {
    let low = F::span_bits(level);

    (low + F::entries_bits(level) - 1, low)
}

/// Log2 of the size of a page of `level`, or `None` if all its entries are links.
fn page_bits<F: Format>(level: u32) -> Option<u32> {
    (level < F::LEAF_LEVELS).then(|| F::span_bits(level))
}

/// Log2 of the size of a group of pages of `level`.
fn group_bits<F: Format>(level: u32) -> Option<u32> {
    page_bits::<F>(level)
        .filter(|_| F::group_bits(level) != 0)
        .map(|page| page + F::group_bits(level))
}

/// Returns the number of tables of the usual size in the root, if it is more than one.
fn side_by_side<F: Format>() -> Option<u64> {
    (F::ROOT_BITS > F::INDEX_BITS).then(|| 1 << (F::ROOT_BITS - F::INDEX_BITS))
}

const LABEL: usize = 8;
const CELL: usize = 10;

/// Returns a line of the picture: a label, then a cell for each level, the offset last.
fn line(label: &str, between: char, cells: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("   {label:LABEL$}");

    for cell in cells {
        let _ = write!(text, "{between}{cell:^CELL$}");
    }
    text.push(between);
    text.trim_end().to_owned() + "\n"
}

/// Returns the picture of the walk of a format.
pub fn picture<F: Format>(numbering: Numbering) -> String {
    let border = line("", '+', (0..=F::LEVELS).map(|_| "-".repeat(CELL)));
    let ends = |(high, low): (u32, u32)| {
        let low = if low == high {
            String::new()
        } else {
            low.to_string()
        };

        let room = CELL - low.len();

        format!("{high:<room$}{low}")
    };
    let offset = ends((F::GRANULE_BITS - 1, 0));
    let or_none = |bits: Option<u32>| bits.map_or_else(String::new, size);
    let mut text = line(
        "IOVA",
        ' ',
        levels::<F>()
            .map(|level| ends(selects::<F>(level)))
            .chain([offset]),
    );

    text += &border;
    text += &line(
        "level",
        '|',
        levels::<F>()
            .map(|level| level.to_string())
            .chain(["offset".into()]),
    );
    text += &border;
    if let Some((whose, _)) = numbering.of(0) {
        let numbers = levels::<F>().filter_map(|level| numbering.of(level));

        text += &line(whose, ' ', numbers.map(|(_, number)| number.to_string()));
    }
    text += &line(
        "entries",
        ' ',
        levels::<F>().map(|level| (1u64 << F::entries_bits(level)).to_string()),
    );
    text += &line(
        "table",
        ' ',
        levels::<F>().map(|level| size(F::entries_bits(level) + 3)),
    );
    text += &line(
        "page",
        ' ',
        levels::<F>().map(|level| or_none(page_bits::<F>(level))),
    );
    if levels::<F>().any(|level| group_bits::<F>(level).is_some()) {
        text += &line(
            "group",
            ' ',
            levels::<F>().map(|level| or_none(group_bits::<F>(level))),
        );
    }
    format!("::\n\n{text}{}", remarks::<F>())
}

/// Returns what the picture does not show, each in a paragraph.
fn remarks<F: Format>() -> String {
    let mut text = String::new();
    let (top, _) = selects::<F>(F::LEVELS - 1);

    if let Some(tables) = side_by_side::<F>() {
        let each = size(F::INDEX_BITS + 3);
        let _ = write!(
            text,
            "\nThe root is {tables} tables of {each} side by side.\n"
        );
    }
    if F::INPUT_BITS <= top {
        let used = 1u64 << (F::ROOT_BITS - (top + 1 - F::INPUT_BITS));
        let bits = F::INPUT_BITS;
        let _ = write!(
            text,
            "\nIOVAs end at 2^{bits}: the first {used} entries of the root are used.\n"
        );
    }
    if !F::CAN_CUT {
        text += "\nA page in use cannot be cut.\n";
    }
    text
}

/// Returns the heading of the lines of [`shape`].
pub fn shape_head() -> String {
    format!(
        "   {:>4}  {:>8} {:>8} {:>8} {:>8}  {:>7}  {:>5}  {}\n",
        "bits", "level 3", "level 2", "level 1", "level 0", "entries", "root", "tables in it"
    )
}

/// Returns the line about the tables for this number of input bits: the bits of the IOVA by level,
/// the entries and bytes of the root.
pub fn shape<F: Format>() -> String {
    let mut text = format!("   {:>4} ", F::INPUT_BITS);

    for level in (0..4).rev() {
        let cell = if level < F::LEVELS {
            let (high, low) = selects::<F>(level);

            format!("{high}:{low}")
        } else {
            "-".into()
        };
        let _ = write!(text, " {cell:>8}");
    }
    let _ = writeln!(
        text,
        "  {:>7}  {:>5}  {:>12}",
        1u64 << F::ROOT_BITS,
        size(F::ROOT_BITS + 3),
        side_by_side::<F>().unwrap_or(1)
    );
    text
}
