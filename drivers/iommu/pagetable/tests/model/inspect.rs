// SPDX-License-Identifier: GPL-2.0

//! The comparison of the tables in memory with the model.

use super::{
    pages::{Page, Pages},
    subject::{Entry, Shape, Subject},
};
use std::collections::BTreeMap;

/// Compares the results of the library and the contents of the tables with the model.
pub fn all(real: &dyn Subject, model: &Pages) {
    let listed = real.leaves(0, u64::MAX, usize::MAX);
    let expected = model
        .pages
        .iter()
        .map(|(&iova, page)| model.leaf(iova, page));
    let difference = listed
        .iter()
        .copied()
        .zip(expected)
        .find(|(is, should)| is != should);

    assert_eq!(difference, None, "a page that is listed, and in the model");
    assert_eq!(listed.len(), model.pages.len(), "pages that are listed");
    // Both sides of every boundary.
    for (&iova, page) in &model.pages {
        let end = iova + model.size(page);

        // The byte before a page is checked with the page that ends there.
        for at in [iova, end - 1, end] {
            address(real, model, at);
        }
    }
    tables(real, model);
}

/// Compares the lookups of one address.
pub fn address(real: &dyn Subject, model: &Pages, iova: u64) {
    let page = model.at(iova);
    let leaf = page.map(|(begin, page)| model.leaf(begin, &page));
    let phys = page.map(|(begin, page)| page.phys + (iova - begin));

    assert_eq!(real.lookup(iova), leaf, "lookup {iova:#x}");
    assert_eq!(real.translate(iova), phys, "translate {iova:#x}");
}

/// What the tables contain.
struct Found<'s> {
    real: &'s dyn Subject,
    shape: Shape,
    tables: usize,
    pages: BTreeMap<u64, (u32, u64, bool, bool)>,
}

/// Compares the tables, entry by entry, and the contents that the hardware sees.
fn tables(real: &dyn Subject, model: &Pages) {
    let mut found = Found {
        real,
        shape: model.shape,
        tables: 0,
        pages: BTreeMap::new(),
    };
    let facts = |page: &Page| (page.level, page.phys, page.grouped, page.dirty);
    let expected: BTreeMap<_, _> = model
        .pages
        .iter()
        .map(|(&iova, page)| (iova, facts(page)))
        .collect();

    found.table(real.root(), model.shape.levels - 1, 0);
    let difference = found
        .pages
        .iter()
        .zip(&expected)
        .find(|(is, should)| is != should);

    assert_eq!(difference, None, "a page in the tables, and in the model");
    assert_eq!(found.pages.len(), expected.len(), "pages in the tables");
    // No table is linked twice, leaked, or empty.
    assert_eq!(found.tables, real.live(), "tables that are linked");
    assert_eq!(found.tables, model.tables(), "tables that are needed");
}

impl Found<'_> {
    /// Reads a table for the IOVAs from `iova` on. Returns how many of its entries are not empty.
    fn table(&mut self, table: u64, level: u32, iova: u64) -> u64 {
        let (entries, words) = self.real.table(table).expect("a link to no table");
        let mut used = 0;

        self.tables += 1;
        assert_eq!(entries, 1 << self.shape.entries_bits(level), "entries");
        for (index, raw, seen) in words {
            let at = iova + ((index as u64) << self.shape.span_bits(level));
            let entry = self.real.entry(level, raw);

            used += u64::from(raw != 0);
            match entry {
                Entry::Empty => {}
                Entry::Leaf {
                    phys,
                    grouped,
                    dirty,
                } => {
                    let size = 1 << self.shape.span_bits(level);

                    assert_ne!(self.shape.page_sizes & size, 0, "a page of {size:#x}");
                    self.pages.insert(at, (level, phys, grouped, dirty));
                }
                Entry::Link {
                    table,
                    count,
                    visible,
                    proper,
                } => {
                    assert!(proper, "bits of the link {raw:#x}");
                    assert_eq!(visible, !self.shape.coherent, "the link {raw:#x} is seen");
                    let below = self.table(table, level - 1, at);
                    assert_eq!(count, below, "count of the link {raw:#x} at {at:#x}");
                }
            }
            if seen != raw {
                self.same(level, entry, seen);
            }
        }
        used
    }

    /// Checks that the hardware sees what the CPU sees, except the bits that it ignores.
    fn same(&self, level: u32, entry: Entry, seen: u64) {
        let blind = |entry| match entry {
            Entry::Link { table, proper, .. } => Entry::Link {
                table,
                count: 0,
                visible: false,
                proper,
            },
            other => other,
        };

        assert_eq!(
            blind(self.real.entry(level, seen)),
            blind(entry),
            "seen as {seen:#x}"
        );
    }
}

/// Returns the address of the entry for the page of `iova`.
pub fn entry_address(real: &dyn Subject, shape: &Shape, iova: u64) -> Option<u64> {
    let mut table = real.root();

    for level in (0..shape.levels).rev() {
        let address = table + shape.index(level, iova) * 8;

        match real.entry(level, real.raw(address)?) {
            Entry::Empty => return None,
            Entry::Leaf { .. } => return Some(address),
            Entry::Link { table: below, .. } => table = below,
        }
    }
    None
}
