// SPDX-License-Identifier: GPL-2.0

//! Several CPUs use one page table at the same time, each with pages of its own between those of
//! the others.

use crate::exercise::{Failure, Numbers, ALL};
use kernel::{
    prelude::*,
    sync::{
        atomic::{ordering, Atomic},
        Arc, Completion,
    },
    workqueue,
};
use kernel_ext::iommu::{
    table::{Format, Gather, Limits, PageTable, TableMemory},
    MemoryKind, PhysRun,
};

/// The number of workers.
const WORKERS: u64 = 4;
/// The number of times that each worker maps and unmaps.
const ROUNDS: u64 = 1000;

/// The state that the workers share.
#[pin_data]
struct Race<F: Format, M: TableMemory> {
    table: PageTable<F, M>,
    /// The workers that are not done.
    running: Atomic<u64>,
    /// The rounds that have failed.
    wrong: Atomic<u64>,
    #[pin]
    done: Completion,
}

impl<F: Format, M: TableMemory> Race<F, M> {
    /// Maps a page of this worker, looks it up, and unmaps it. Returns whether all of it worked.
    ///
    /// The pages of all workers are adjacent, so that tables are created and removed while other
    /// workers use them.
    fn round(&self, worker: u64, page: u64, flags: M::Flags) -> bool {
        let granule = 1u64 << F::GRANULE_BITS;
        let iova = (page * WORKERS + worker) << F::GRANULE_BITS;
        let run = PhysRun {
            phys: iova + granule,
            length: granule as usize,
            kind: MemoryKind::Normal,
        };
        let mut gather = Gather::new();
        let mut right = self
            .table
            .map(iova, &[run], ALL, flags, &mut gather)
            .is_ok();

        right &= self.table.translate(iova) == Some(run.phys);
        right &= self.table.unmap(iova, granule, flags, &mut gather, |_| ()) == Ok(granule);
        right &= self.table.lookup(iova).is_none();
        gather.flush(&self.table, |_| ());
        right
    }

    /// Runs one worker.
    fn worker(&self, worker: u64, flags: M::Flags) {
        let mut numbers = Numbers::new(worker + 1);

        for _ in 0..ROUNDS {
            // Adjacent pages, in one of three tables.
            let page = numbers.below(2) + (numbers.below(3) << F::INDEX_BITS);

            if !self.round(worker, page, flags) {
                self.wrong.fetch_add(1, ordering::Relaxed);
            }
        }
        self.leave(1);
    }

    /// Notes that a number of workers are done, or could not be started.
    fn leave(&self, workers: u64) {
        if self.running.fetch_sub(workers, ordering::Full) == workers {
            self.done.complete_all();
        }
    }
}

/// Runs all workers on a page table in the format `F`.
pub(crate) fn race<F, M>(memory: M, options: F::Options, flags: M::Flags) -> Result<(), Failure>
where
    F: Format,
    M: TableMemory + 'static,
    M::Flags: Send + 'static,
{
    let table = PageTable::<F, M>::new(memory, options, Limits::default(), flags)
        .map_err(|_| Failure::new("a table can be created"))?;
    let race = Arc::pin_init(
        pin_init!(Race {
            table,
            running: Atomic::new(WORKERS),
            wrong: Atomic::new(0),
            done <- Completion::new(),
        }),
        GFP_KERNEL,
    )
    .map_err(|_| Failure::new("the shared state can be allocated"))?;
    let mut started = 0;

    for worker in 0..WORKERS {
        let mine = race.clone();
        let spawned =
            workqueue::system_unbound().try_spawn(GFP_KERNEL, move || mine.worker(worker, flags));

        if spawned.is_err() {
            break;
        }
        started += 1;
    }
    race.leave(WORKERS - started);
    race.done.wait_for_completion();
    match race.wrong.load(ordering::Relaxed) {
        _ if started < WORKERS => Err(Failure::new("all workers can be started")),
        0 => Ok(()),
        wrong => Err(Failure {
            detail: wrong,
            ..Failure::new("each worker finds its own pages")
        }),
    }
}
