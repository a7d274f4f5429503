// SPDX-License-Identifier: GPL-2.0

//! A page table and its model: each step is applied to both, and the results must be equal.

use super::{
    hardware::{Found, Seen},
    inspect,
    pages::{Page, Pages},
    steps::{blank, Step, RECORD},
    subject::{Forgotten, Subject},
};
use iommu_pagetable::{Error, MemoryKind, Permissions, PhysRun};
use iommu_walk::{Access, Request};

/// The behaviour of a format with the options that were chosen.
#[derive(Clone, Copy)]
pub struct Meaning {
    /// What the device may do, or `None` if the format cannot express it.
    pub grants: fn(Permissions, u8) -> Option<Permissions>,
    /// The bits that determine the options.
    pub options: u8,
    /// Writable pages are dirty from the start.
    pub starts_dirty: bool,
    /// Writes are recorded.
    pub tracks: bool,
    /// The result of an access by hardware, or `None` if there is no walker for the format.
    pub walk: fn(&mut Seen<'_>, u8, u64, Access) -> Option<Found>,
    /// Whether hardware takes an output address for memory.
    pub is_memory: fn(u64) -> bool,
}

/// The extent of the comparisons, and of the steps.
#[derive(Clone, Copy, Debug)]
pub struct Care {
    /// Compare the whole table after each step, not only after the last one.
    pub each_step: bool,
    /// Let hardware walk to both sides of every boundary at the end.
    pub hardware: bool,
    /// The largest number of pages that a step maps.
    pub pages: usize,
}

/// A page table and its model.
pub struct Session<'s> {
    real: &'s dyn Subject,
    model: Pages,
    meaning: Meaning,
    care: Care,
}

impl<'s> Session<'s> {
    pub fn new(real: &'s dyn Subject, model: Pages, meaning: Meaning, care: Care) -> Self {
        Self {
            real,
            model,
            meaning,
            care,
        }
    }

    /// Applies all steps, compares, empties the table, and compares again.
    pub fn run<'r>(&mut self, records: impl Iterator<Item = &'r [u8; RECORD]>) {
        for record in records {
            let step = Step::decode(record, &self.model, self.care.pages);

            self.step(&step);
            assert_eq!(
                self.real.live(),
                self.model.tables(),
                "tables after {step:x?}"
            );
            if self.care.each_step {
                inspect::all(self.real, &self.model);
            }
        }
        inspect::all(self.real, &self.model);
        if self.care.hardware {
            self.walk();
        }
        self.unmap(0, self.model.shape.last_input() + 1, None);
        inspect::all(self.real, &self.model);
        assert_eq!(self.real.live(), 1, "tables are left over");
    }

    /// Lets hardware walk to both sides of every boundary.
    fn walk(&self) {
        for (&iova, page) in &self.model.pages {
            let end = iova + self.model.size(page);

            for at in [iova.wrapping_sub(8), iova, end - 8, end] {
                for privileged in [false, true] {
                    for request in [Request::Read, Request::Write, Request::Execute] {
                        self.walk_to(
                            at,
                            Access {
                                request,
                                privileged,
                            },
                        );
                    }
                }
            }
        }
    }

    fn walk_to(&self, iova: u64, access: Access) {
        let Some(found) =
            (self.meaning.walk)(&mut Seen(self.real), self.meaning.options, iova, access)
        else {
            return;
        };
        let expected = self.model.at(iova).filter(|(begin, page)| {
            let granted = page.permissions;
            let allowed = match access.request {
                Request::Read => granted.read,
                Request::Write => granted.write,
                Request::Atomic => granted.read && granted.write,
                Request::Execute => granted.execute,
            };

            allowed
                && (access.privileged || !granted.privileged)
                && (self.meaning.is_memory)(page.phys + (iova - begin))
        });
        // Whether privileged requests may execute unprivileged pages differs between formats.
        if access.privileged && access.request == Request::Execute && found.is_none() {
            return;
        }
        let facts = expected.map(|(begin, page)| {
            let size = if page.grouped {
                self.model.shape.group_size(page.level)
            } else {
                self.model.size(&page)
            };

            (page.phys + (iova - begin), size)
        });
        let walked = found.map(|found| (found.output, 1 << found.page_bits));

        assert_eq!(walked, facts, "hardware, {access:?} at {iova:#x}");
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Map {
                iova,
                ref runs,
                permissions,
                budget,
            } => self.map(iova, runs, permissions, budget),
            Step::Unmap {
                iova,
                length,
                budget,
            } => self.unmap(iova, length, budget),
            Step::Cut { iova, budget } => self.cut(iova, budget),
            Step::Dirty { iova, length } => {
                self.dirty(iova);
                self.dirty(iova.wrapping_add(length));
            }
            Step::ReadDirty {
                iova,
                length,
                clear,
            } => self.read_dirty(iova, length, clear),
            Step::Look { iova, length, room } => self.look(iova, length, room),
        }
    }

    /// Calls `f` with memory for `budget` more tables. Returns its result, and whether tables were
    /// removed.
    fn limited<T>(&self, budget: Option<isize>, f: impl FnOnce() -> T) -> (T, bool) {
        let retired = self.real.retired();

        self.real.set_budget(budget.unwrap_or(isize::MAX));
        let result = f();
        self.real.set_budget(isize::MAX);
        (result, self.real.retired() > retired)
    }

    /// Returns the error for a range of IOVAs, or `None` if it is valid.
    fn range_error(&self, iova: u64, length: u64) -> Vec<Error> {
        let shape = &self.model.shape;
        let mut errors = Vec::new();

        if (iova | length) % shape.granule() != 0 || length == 0 {
            errors.push(Error::Alignment);
        }
        match iova.checked_add(length.saturating_sub(1)) {
            Some(last) if last <= shape.last_input() => {}
            _ => errors.push(Error::Range),
        }
        errors
    }

    /// Returns the error for runs, irrespective of what is mapped already.
    fn map_errors(&self, iova: u64, runs: &[PhysRun], granted: bool) -> Vec<Error> {
        let shape = &self.model.shape;
        let total = runs
            .iter()
            .try_fold(0u64, |total, run| total.checked_add(run.length as u64));
        let mut errors = self.range_error(iova, total.unwrap_or(u64::MAX));

        for run in runs {
            let length = run.length as u64;
            let last = run.phys.checked_add(length.saturating_sub(1));

            if (run.phys | length) % shape.granule() != 0 || length == 0 {
                errors.push(Error::Alignment);
            }
            if !last.is_some_and(|last| last <= shape.last_output) {
                errors.push(Error::Range);
            }
            if !granted {
                errors.push(Error::Unsupported);
            }
        }
        errors
    }

    fn page(&self, granted: Permissions) -> Page {
        Page {
            permissions: granted,
            dirty: granted.write && self.meaning.starts_dirty,
            ..blank(MemoryKind::Normal)
        }
    }

    fn map(
        &mut self,
        iova: u64,
        runs: &[PhysRun],
        permissions: Permissions,
        budget: Option<isize>,
    ) {
        let granted = (self.meaning.grants)(permissions, self.meaning.options);
        let mut errors = self.map_errors(iova, runs, granted.is_some());
        let mut planned = Vec::new();

        if let (Some(granted), true) = (granted, errors.is_empty()) {
            let mut at = iova;

            for run in runs {
                let page = Page {
                    kind: run.kind,
                    ..self.page(granted)
                };
                planned.extend(self.model.plan(at, run, page, usize::MAX).0);
                at += run.length as u64;
            }
            if self.model.within(iova, at - 1).next().is_some() {
                errors.push(Error::Exists);
            }
        }
        let ((result, forgotten), gone) =
            self.limited(budget, || self.real.map(iova, runs, permissions));
        let context = || format!("map {iova:#x} {runs:x?} {permissions:?} with {budget:?}");

        assert_eq!(forgotten.tables, gone, "{}", context());
        if errors.is_empty() {
            let tables = self.model.tables_after(&planned) - self.model.tables();
            let enough = budget.is_none_or(|budget| tables as isize <= budget);
            let expected = if enough { Ok(()) } else { Err(Error::NoMemory) };

            assert_eq!(result, expected, "{} takes {tables}", context());
            if enough {
                assert_eq!(forgotten, Forgotten::default(), "{}", context());
                self.model.pages.extend(planned);
            }
        } else {
            let error = result.expect_err(&context());
            let exhausted = errors == [Error::Exists] && budget.is_some();

            assert!(
                errors.contains(&error) || exhausted && error == Error::NoMemory,
                "{}: {error:?}, not {errors:?}",
                context()
            );
        }
    }

    fn unmap(&mut self, iova: u64, length: u64, budget: Option<isize>) {
        let errors = self.range_error(iova, length);
        let ((result, removed, forgotten), gone) =
            self.limited(budget, || self.real.unmap(iova, length));
        let context = || format!("unmap {iova:#x}+{length:#x} with {budget:?}");

        assert_eq!(forgotten.tables, gone, "{}", context());
        if !errors.is_empty() {
            let error = result.expect_err(&context());

            assert!(
                errors.contains(&error),
                "{}: {error:?}, not {errors:?}",
                context()
            );
            return;
        }
        let last = iova + (length - 1);
        let mut left = budget.unwrap_or(isize::MAX);
        let mut changed = Vec::new();
        let cut = self
            .model
            .cut(iova, &mut left, &mut changed)
            .and_then(|()| self.model.cut(last + 1, &mut left, &mut changed));

        if let Err(error) = cut {
            assert_eq!(result, Err(error), "{}", context());
            assert_eq!(removed, [], "{}", context());
        } else {
            let (runs, ranges) = self.model.remove(iova, last);
            let bytes = ranges.iter().map(|(first, last)| last - first + 1).sum();

            assert_eq!(result, Ok(bytes), "{}", context());
            assert_eq!(removed, runs, "{}", context());
            changed.extend(ranges);
        }
        Self::all_forgotten(&forgotten, &changed);
    }

    fn cut(&mut self, iova: u64, budget: Option<isize>) {
        let ((result, forgotten), gone) = self.limited(budget, || self.real.cut(iova));
        let mut left = budget.unwrap_or(isize::MAX);
        let mut changed = Vec::new();
        let expected = if iova % self.model.shape.granule() == 0 {
            self.model.cut(iova, &mut left, &mut changed)
        } else {
            Err(Error::Alignment)
        };

        assert_eq!(result, expected, "cut {iova:#x} with {budget:?}");
        assert!(!gone, "a cut removes no tables");
        Self::all_forgotten(&forgotten, &changed);
    }

    /// Checks that the invalidation includes what has changed, and is empty if nothing has.
    fn all_forgotten(forgotten: &Forgotten, changed: &[(u64, u64)]) {
        for &(first, last) in changed {
            assert!(
                forgotten
                    .range
                    .is_some_and(|range| range.0 <= first && last <= range.1),
                "{first:#x} to {last:#x} is not in {forgotten:x?}"
            );
        }
        assert_eq!(
            forgotten.range.is_some(),
            !changed.is_empty(),
            "{forgotten:x?}"
        );
    }

    fn dirty(&mut self, iova: u64) {
        let page = self.model.at(iova);
        let writable = page.is_some_and(|(_, page)| page.permissions.write);

        assert_eq!(self.real.mark_dirty(iova), writable, "mark dirty {iova:#x}");
        if let (true, Some((begin, mut page))) = (writable, page) {
            page.dirty |= self.meaning.tracks;
            self.model.pages.insert(begin, page);
            if let Some(address) = inspect::entry_address(self.real, &self.model.shape, iova) {
                self.real.wrote(address);
            }
        }
    }

    fn read_dirty(&mut self, iova: u64, length: u64, clear: bool) {
        let errors = self.range_error(iova, length);
        let (result, dirty, forgotten) = self.real.dirty(iova, length, clear);
        let context = || format!("read dirty {iova:#x}+{length:#x}, clear: {clear}");

        if !errors.is_empty() {
            let error = result.expect_err(&context());

            assert!(
                errors.contains(&error),
                "{}: {error:?}, not {errors:?}",
                context()
            );
            return;
        }
        let last = iova + (length - 1);
        let found: Vec<_> = self
            .model
            .within(iova, last)
            .filter(|(_, page)| page.dirty)
            .collect();
        let part = |&(begin, page): &(u64, Page)| {
            let at = begin.max(iova);

            (at, (begin + self.model.size(&page) - 1).min(last) - at + 1)
        };
        let expected: Vec<_> = found.iter().map(part).collect();

        assert_eq!((result, dirty), (Ok(()), expected), "{}", context());
        let mut changed = Vec::new();
        for (begin, mut page) in found.into_iter().filter(|_| clear) {
            changed.push((begin, begin + self.model.size(&page) - 1));
            page.dirty = false;
            self.model.pages.insert(begin, page);
        }
        Self::all_forgotten(&forgotten, &changed);
    }

    fn look(&self, iova: u64, length: u64, room: usize) {
        let last = iova.saturating_add(length.saturating_sub(1));
        let nothing = PhysRun {
            phys: 0,
            length: 0,
            kind: MemoryKind::Mmio,
        };
        let mut runs = vec![nothing; room];
        let count = self.real.read_runs(iova, length, &mut runs);
        // A range that ends beyond the last address is not read.
        let mut expected = match iova.checked_add(length.wrapping_sub(1)) {
            Some(last) if length != 0 => self.model.runs(iova, last),
            _ => vec![],
        };

        expected.truncate(room);
        assert_eq!(
            runs.get(..count),
            Some(&*expected),
            "read {iova:#x}+{length:#x}"
        );
        let pages: Vec<_> = self
            .model
            .within(iova, last)
            .map(|(iova, page)| self.model.leaf(iova, &page))
            .collect();

        if length != 0 {
            assert_eq!(self.real.leaves(iova, last, usize::MAX), pages);
            assert_eq!(
                self.real.leaves(iova, last, 2),
                pages.get(..2).unwrap_or(&pages)
            );
        }
        inspect::address(self.real, &self.model, iova);
        inspect::address(self.real, &self.model, last);
        inspect::address(self.real, &self.model, last.wrapping_add(1));
    }
}
