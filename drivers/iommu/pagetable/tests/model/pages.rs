// SPDX-License-Identifier: GPL-2.0

//! The model: a sorted list of the pages that should be mapped.
//!
//! It predicts the pages that a map creates, those that a cut leaves, and the number of tables that
//! hold them. It uses only the shape of the format from the library.

use super::subject::Shape;
use iommu_pagetable::{Error, Leaf, MemoryKind, Permissions, PhysRun};
use std::collections::BTreeMap;

/// A page, whose IOVA is its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    pub phys: u64,
    pub level: u32,
    pub grouped: bool,
    pub dirty: bool,
    pub permissions: Permissions,
    pub kind: MemoryKind,
}

/// The reason why an IOVA is not a boundary between pages.
pub enum Obstacle {
    None,
    /// A group that begins there.
    Group(u64),
    /// A page that begins there.
    Page(u64, Page),
}

/// The pages that should be mapped.
pub struct Pages {
    pub shape: Shape,
    pub pages: BTreeMap<u64, Page>,
}

impl Pages {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            pages: BTreeMap::new(),
        }
    }

    pub fn size(&self, page: &Page) -> u64 {
        1 << self.shape.span_bits(page.level)
    }

    /// Returns the page that contains `iova`.
    pub fn at(&self, iova: u64) -> Option<(u64, Page)> {
        let (&begin, &page) = self.pages.range(..=iova).next_back()?;

        (iova - begin < self.size(&page)).then_some((begin, page))
    }

    /// Returns the pages that overlap the range from `first` to `last`, both inclusive.
    pub fn within(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, Page)> + '_ {
        let begin = self.at(first).map_or(first, |(begin, _)| begin);

        self.pages
            .range(begin..=last.max(begin))
            .map(|(&iova, &page)| (iova, page))
            .filter(move |_| begin <= last)
    }

    pub fn leaf(&self, iova: u64, page: &Page) -> Leaf {
        Leaf {
            iova,
            phys: page.phys,
            size: self.size(page),
            permissions: page.permissions,
            kind: page.kind,
        }
    }

    /// Returns the highest level of a page that can begin with this many bytes left.
    fn level_for(&self, iova: u64, phys: u64, left: u64) -> u32 {
        (0..self.shape.leaf_levels)
            .rev()
            .find(|&level| {
                let size = 1u64 << self.shape.span_bits(level);

                self.shape.page_sizes & size != 0 && (iova | phys) & (size - 1) == 0 && left >= size
            })
            .unwrap_or(0)
    }

    /// Returns the pages that `run` becomes at `iova`, at most `limit`, and their bytes.
    pub fn plan(
        &self,
        iova: u64,
        run: &PhysRun,
        base: Page,
        limit: usize,
    ) -> (Vec<(u64, Page)>, u64) {
        let length = run.length as u64;
        let mut pages = Vec::new();
        let mut done = 0;

        while done < length && pages.len() < limit {
            let (at, phys) = (iova + done, run.phys + done);
            let level = self.level_for(at, phys, length - done);
            let group = self.shape.group_size(level);
            let begin = at & !(group - 1);
            let page = Page {
                phys,
                level,
                grouped: self.shape.group_sizes & group != 0
                    && group > 1 << self.shape.span_bits(level)
                    && begin >= iova
                    && begin - iova + group <= length
                    && (at ^ phys) & (group - 1) == 0,
                ..base
            };

            pages.push((at, page));
            done += self.size(&page);
        }
        (pages, done)
    }

    /// Returns the number of tables that hold the pages, the root included.
    pub fn tables(&self) -> usize {
        self.tables_with(self.pages.iter().map(|(&iova, &page)| (iova, page)))
    }

    /// Returns the same for any pages in the order of their IOVAs.
    fn tables_with(&self, pages: impl Iterator<Item = (u64, Page)>) -> usize {
        let mut last = [None; 8];
        let mut tables = 1;

        for (iova, page) in pages {
            for level in page.level..self.shape.levels - 1 {
                let table = Some(iova >> self.shape.span_bits(level + 1));

                if last[level as usize] != table {
                    last[level as usize] = table;
                    tables += 1;
                }
            }
        }
        tables
    }

    /// Returns the number of tables with `more` pages, which do not overlap the others.
    pub fn tables_after(&self, more: &[(u64, Page)]) -> usize {
        let (Some(&(first, _)), Some(&(last, _))) = (more.first(), more.last()) else {
            return self.tables();
        };
        let before = self.pages.range(..first).map(|(&iova, &page)| (iova, page));
        let after = self.pages.range(last..).map(|(&iova, &page)| (iova, page));

        self.tables_with(before.chain(more.iter().copied()).chain(after))
    }

    pub fn obstacle(&self, iova: u64) -> Obstacle {
        let Some((begin, page)) = self.at(iova) else {
            return Obstacle::None;
        };
        let group = self.shape.group_size(page.level);

        if page.grouped && iova & (group - 1) != 0 {
            Obstacle::Group(iova & !(group - 1))
        } else if iova != begin {
            Obstacle::Page(begin, page)
        } else {
            Obstacle::None
        }
    }

    /// Makes `iova` a boundary, with memory for `budget` tables. `changed` gets the first and the
    /// last byte of the page that was cut.
    pub fn cut(
        &mut self,
        iova: u64,
        budget: &mut isize,
        changed: &mut Vec<(u64, u64)>,
    ) -> Result<(), Error> {
        loop {
            match self.obstacle(iova) {
                Obstacle::None => return Ok(()),
                _ if !self.shape.can_cut => return Err(Error::Indivisible),
                Obstacle::Group(begin) => changed.push(self.ungroup(begin)),
                Obstacle::Page(..) if *budget <= 0 => return Err(Error::NoMemory),
                Obstacle::Page(begin, page) => {
                    *budget -= 1;
                    changed.push((begin, begin + self.size(&page) - 1));
                    self.split(begin, page);
                }
            }
        }
    }

    fn ungroup(&mut self, begin: u64) -> (u64, u64) {
        let level = self.at(begin).map_or(0, |(_, page)| page.level);
        let last = begin + self.shape.group_size(level) - 1;

        for (_, page) in self.pages.range_mut(begin..=last) {
            page.grouped = false;
        }
        (begin, last)
    }

    fn split(&mut self, begin: u64, page: Page) {
        let step = 1u64 << self.shape.span_bits(page.level - 1);

        for index in 0..1 << self.shape.index_bits {
            let part = Page {
                phys: page.phys + index * step,
                level: page.level - 1,
                grouped: false,
                ..page
            };
            self.pages.insert(begin + index * step, part);
        }
    }

    /// Removes the pages from `first` to `last`, both inclusive. Returns them as runs, and the
    /// range of their IOVAs.
    pub fn remove(&mut self, first: u64, last: u64) -> (Vec<PhysRun>, Vec<(u64, u64)>) {
        let gone: Vec<_> = self.within(first, last).collect();
        let mut runs: Vec<PhysRun> = Vec::new();
        let mut ranges = Vec::new();

        for (iova, page) in gone {
            let size = self.size(&page);

            self.pages.remove(&iova);
            ranges.push((iova, iova + size - 1));
            join(&mut runs, page.phys, size, page.kind);
        }
        (runs, ranges)
    }

    /// Returns what is mapped from `first` to `last`, both inclusive, up to the first hole, in the
    /// longest runs.
    pub fn runs(&self, first: u64, last: u64) -> Vec<PhysRun> {
        let mut runs = Vec::new();
        let mut next = first;

        for (iova, page) in self.within(first, last) {
            if iova > next {
                break;
            }
            let end = (iova + self.size(&page) - 1).min(last);

            join(
                &mut runs,
                page.phys + (next - iova),
                end - next + 1,
                page.kind,
            );
            next = end + 1;
        }
        runs
    }
}

/// Adds bytes to the last run if they follow it.
fn join(runs: &mut Vec<PhysRun>, phys: u64, bytes: u64, kind: MemoryKind) {
    let length = bytes as usize;

    match runs.last_mut() {
        Some(run) if run.phys + run.length as u64 == phys && run.kind == kind => {
            run.length += length;
        }
        _ => runs.push(PhysRun { phys, length, kind }),
    }
}
