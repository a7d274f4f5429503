// SPDX-License-Identifier: GPL-2.0

//! The bits of entries: a letter for each, and the meanings of the letters.

use crate::{
    leaf::{fields, refusals, Choice, Field},
    walk::size,
};
use iommu_pagetable::Format;
use std::fmt::Write;

/// A 64-bit word as letters, one for each bit.
struct Word([char; 64]);

impl Word {
    fn new() -> Self {
        Self(['.'; 64])
    }

    /// Puts `letter` where `bits` are set.
    fn put(&mut self, letter: char, bits: u64) {
        for (at, place) in self.0.iter_mut().enumerate() {
            if bits & (1 << at) != 0 {
                *place = letter;
            }
        }
    }

    /// Returns the line for the word, bit 63 first, in groups of eight.
    fn line(&self, label: &str) -> String {
        let mut text = format!("  {label:<5}");

        for (number, letter) in self.0.iter().rev().enumerate() {
            if number % 8 == 0 {
                text.push(' ');
            }
            text.push(*letter);
        }
        text.push('\n');
        text
    }
}

/// Returns bits as ranges, the highest first: `54:53,7`.
fn ranges(bits: u64) -> String {
    let mut text = String::new();
    let mut at = 64;

    while at > 0 {
        at -= 1;
        if bits & (1 << at) == 0 {
            continue;
        }
        let high = at;

        while at > 0 && bits & (1 << (at - 1)) != 0 {
            at -= 1;
        }
        if !text.is_empty() {
            text.push(',');
        }
        let _ = match high == at {
            true => write!(text, "{high}"),
            false => write!(text, "{high}:{at}"),
        };
    }
    text
}

/// Returns a line of the legend, or several if `meaning` has several.
fn explain(letter: char, bits: &str, meaning: &str) -> String {
    let mut text = String::new();

    for (number, line) in meaning.lines().enumerate() {
        let _ = if number == 0 {
            writeln!(text, "  {letter}  {bits:<12}  {line}")
        } else {
            writeln!(text, "  {:17}{line}", "")
        };
    }
    text
}

fn link<F: Format>() -> Word {
    let mut word = Word::new();

    word.put('0', F::LINK_MASK & !F::LINK_TAG);
    word.put('1', F::LINK_TAG | F::LINK_FLAGS);
    word.put('a', F::LINK_ADDRESS);
    word.put('c', F::COUNT.mask());
    word.put('v', F::VISIBLE);
    word
}

/// Returns the places of the bits of a physical address in a leaf of `level`: those at their own
/// positions, and for the others the bit of the address and its place.
fn address<F: Format>(level: u32) -> (u64, Vec<(u32, u64)>) {
    let empty = F::leaf(level, 0, 0);
    let places = (F::span_bits(level)..F::OUTPUT_BITS)
        .map(|bit| (bit, F::leaf(level, 1 << bit, 0) ^ empty))
        .collect::<Vec<_>>();
    let own = |&(bit, place): &(u32, u64)| place == 1 << bit;

    (
        places
            .iter()
            .filter(|it| own(it))
            .fold(0, |all, &(_, place)| all | place),
        places.iter().filter(|it| !own(it)).copied().collect(),
    )
}

fn leaf<F: Format>(level: u32, fields: &[Field]) -> Word {
    let mut word = Word::new();
    let empty = F::leaf(level, 0, 0);
    let (own, elsewhere) = address::<F>(level);
    let attributes = fields.iter().fold(0, |all, field| all | field.bits);

    if level > 0 {
        word.put('0', F::LINK_MASK & !empty & !attributes);
    }
    word.put('1', empty);
    word.put('a', own);
    word.put(
        'A',
        elsewhere.iter().fold(0, |all, &(_, place)| all | place),
    );
    for field in fields {
        word.put(field.letter, field.bits);
    }
    if F::group_bits(level) != 0 {
        word.put('g', F::grouped(empty) ^ empty);
    }
    word
}

/// Returns the picture of the entries of a format, its legend, and what the format cannot express.
pub fn picture<F: Format>(choices: &[Choice<F::Options>]) -> String {
    let fields = fields::<F>(choices);
    let marks: Vec<_> = (0..8).map(|byte| format!("{:<8}", 63 - 8 * byte)).collect();
    let mut text = format!("::\n\n  {:5} {}\n", "bit", marks.join(" ").trim_end());

    text += &link::<F>().line("link");
    for level in 0..F::LEAF_LEVELS.min(F::LEVELS) {
        text += &leaf::<F>(level, &fields).line(&size(F::span_bits(level)));
    }
    text.push('\n');
    text += &legend::<F>(&fields);
    for refusal in refusals::<F>(choices) {
        let _ = write!(text, "\n{refusal}\n");
    }
    text
}

fn legend<F: Format>(fields: &[Field]) -> String {
    let entries = 1u64 << F::INDEX_BITS;
    let mut text = explain('a', "", "the address of a table, or of a page");
    let (_, elsewhere) = address::<F>(0);

    if let (Some((low, _)), Some((high, _))) = (elsewhere.first(), elsewhere.last()) {
        let bits = elsewhere.iter().fold(0, |all, &(_, place)| all | place);

        text += &explain(
            'A',
            &ranges(bits),
            &format!("bits {high}:{low} of the address of a page"),
        );
    }
    text += &explain(
        'c',
        &ranges(F::COUNT.mask()),
        &format!("how many of {entries} entries are in use, or about to be"),
    );
    text += &explain(
        'v',
        &ranges(F::VISIBLE),
        "the link is visible to hardware whose page walks are not coherent",
    );
    if (0..F::LEAF_LEVELS).any(|level| F::group_bits(level) != 0) {
        let mark = F::grouped(0);

        text += &explain(
            'g',
            &ranges(mark),
            "part of a group of pages that may be cached as one page",
        );
    }
    for field in fields.iter().filter(|field| field.letter != '1') {
        text += &explain(field.letter, &ranges(field.bits), &field.meaning);
    }
    text
}
