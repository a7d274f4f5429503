// SPDX-License-Identifier: GPL-2.0

//! Lookups in a page table.

use super::{
    format::{Format, Leaf},
    memory::TableMemory,
    page_table::{last_of, PageTable},
    place::Place,
    run::PhysRun,
    tree::{Entry, Reader, Slot},
};
use core::ops::ControlFlow;

/// An RCU read-side critical section for several lookups in one page table.
///
/// It prevents tables that are removed meanwhile from being reused. The holder must not sleep, and
/// drops it soon. The compiler does not check that, as it does not for `kernel::sync::rcu::Guard`:
/// lockdep reports a holder that sleeps.
///
/// # Examples
///
/// ```
/// # use iommu_pagetable::{memory::HostMemory, vtd::SecondStage, Error, Limits, PageTable};
/// # let memory = <HostMemory>::default();
/// # let limits = Limits::default();
/// # let table = PageTable::<SecondStage<4>, _>::new(memory, Default::default(), limits, ())?;
/// let view = table.view();
/// let mapped = [0x1000, 0x2000, 0x3000]
///     .into_iter()
///     .filter(|&iova| view.translate(iova).is_some())
///     .count();
///
/// assert_eq!(mapped, 0);
/// # Ok::<(), Error>(())
/// ```
pub struct View<'t, F: Format, M: TableMemory>(Reader<'t, F, M>);

impl<F: Format, M: TableMemory> View<'_, F, M> {
    /// Returns the page that contains `iova`.
    #[inline]
    pub fn lookup(&self, iova: u64) -> Option<Leaf> {
        self.find(iova, |level, leaf, _| leaf_of::<F>(level, iova, leaf))
    }

    /// Returns the physical address to which `iova` is translated.
    #[inline]
    pub fn translate(&self, iova: u64) -> Option<u64> {
        self.find(iova, |_, leaf, offset| F::phys(leaf) | offset)
    }

    /// Calls `f` with the level of the leaf for `iova`, the leaf, and the offset in its page.
    #[inline(always)]
    fn find<R>(&self, iova: u64, f: impl Fn(u32, u64, u64) -> R) -> Option<R> {
        if iova > last_of(F::INPUT_BITS) {
            return None;
        }
        let mut table = self.0.root();
        let mut offset = iova;

        // One round for each level: where the compiler unrolls the loop, `f` gets a constant level.
        for _ in 0..F::LEVELS {
            let slot = table.slot(offset);

            offset &= (1 << F::span_bits(table.level())) - 1;
            match slot.load() {
                Entry::Empty => return None,
                Entry::Leaf(leaf) => return Some(f(table.level(), leaf, offset)),
                Entry::Link(below) => table = below,
            }
        }
        None
    }
}

/// Returns the page of `level` around `iova` that `entry` maps.
fn leaf_of<F: Format>(level: u32, iova: u64, entry: u64) -> Leaf {
    let size = 1u64 << F::span_bits(level);

    Leaf {
        iova: iova & !(size - 1),
        phys: F::phys(entry),
        size,
        permissions: F::permissions(entry),
        kind: F::kind(entry),
    }
}

impl<F: Format, M: TableMemory> PageTable<F, M> {
    /// Begins an RCU read-side critical section for several lookups.
    #[inline]
    pub fn view(&self) -> View<'_, F, M> {
        View(self.tree.read())
    }

    /// Returns the page that contains `iova`.
    #[inline]
    pub fn lookup(&self, iova: u64) -> Option<Leaf> {
        self.view().lookup(iova)
    }

    /// Returns the physical address to which `iova` is translated.
    #[inline]
    pub fn translate(&self, iova: u64) -> Option<u64> {
        self.view().translate(iova)
    }

    /// Calls `f` for each page that overlaps the range from `first` to `last`, both inclusive, in
    /// the order of the IOVAs, until it returns [`ControlFlow::Break`]. `f` must not sleep.
    pub fn for_each(&self, first: u64, last: u64, mut f: impl FnMut(Leaf) -> ControlFlow<()>) {
        self.for_each_slot(first, last, |_, entry, level, iova| {
            f(leaf_of::<F>(level, iova, entry))
        });
    }

    /// Reads what is mapped in `length` bytes from `iova` on, up to the first hole, into `runs`.
    ///
    /// Returns the number of runs, which are as long as possible. Stops when `runs` is full.
    pub fn read_runs(&self, iova: u64, length: u64, runs: &mut [PhysRun]) -> usize {
        let Some(last) = length
            .checked_sub(1)
            .and_then(|more| iova.checked_add(more))
        else {
            return 0;
        };
        let mut count: usize = 0;
        let mut next = iova;

        self.for_each(iova, last, |leaf| {
            let end = (leaf.iova + (leaf.size - 1)).min(last);
            let phys = leaf.phys + (next.max(leaf.iova) - leaf.iova);
            let length = (end - next.max(leaf.iova)) as usize + 1;

            if leaf.iova > next {
                return ControlFlow::Break(());
            }
            match count.checked_sub(1).and_then(|at| runs.get_mut(at)) {
                Some(run) if run.phys + run.length as u64 == phys && run.kind == leaf.kind => {
                    run.length += length;
                }
                _ => match runs.get_mut(count) {
                    Some(run) => {
                        *run = PhysRun {
                            phys,
                            length,
                            kind: leaf.kind,
                        };
                        count += 1;
                    }
                    None => return ControlFlow::Break(()),
                },
            }
            next = end + 1;
            ControlFlow::Continue(())
        });
        count
    }

    /// Calls `f` for each leaf that overlaps the range from `first` to `last`, both inclusive.
    ///
    /// The arguments of `f` are the slot of the leaf, its value when it was read, its level and the
    /// IOVA of its first byte.
    #[inline(always)]
    pub(super) fn for_each_slot(
        &self,
        first: u64,
        last: u64,
        mut f: impl FnMut(Slot<'_, F, M>, u64, u32, u64) -> ControlFlow<()>,
    ) {
        let last = last.min(last_of(F::INPUT_BITS));
        let mut at = first;

        while at <= last {
            let reader = self.tree.read();
            let table = Place::seek(&reader, at, 0).table;
            let level = table.level();
            let size = 1u64 << F::span_bits(level);
            let mut iova = at & !(size - 1);

            for slot in table.slots_from(at) {
                let entry = slot.raw();

                if F::is_link(level, entry) {
                    break;
                }
                if entry != 0 && f(slot, entry, level, iova).is_break() {
                    return;
                }
                iova += size;
                if iova > last {
                    return;
                }
            }
            at = at.max(iova);
        }
    }
}
