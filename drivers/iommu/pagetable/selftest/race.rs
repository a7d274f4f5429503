// SPDX-License-Identifier: GPL-2.0

//! Several CPUs in one page table, each with pages of its own among those of the others.

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

/// How many do it at once.
const WORKERS: u64 = 4;
/// How often each one maps and unmaps.
const ROUNDS: u64 = 1000;

/// What the workers share.
#[pin_data]
struct Race<F: Format, M: TableMemory> {
    table: PageTable<F, M>,
    running: Atomic<u64>,
    wrong: Atomic<u64>,
    #[pin]
    done: Completion,
}

impl<F: Format, M: TableMemory> Race<F, M> {
    /// Maps a page of this worker's, finds it, and takes it away. The pages of all lie next to each
    /// other, so tables come and go with the others' pages in them.
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

    fn worker(&self, worker: u64, flags: M::Flags) {
        let mut numbers = Numbers::new(worker + 1);

        for _ in 0..ROUNDS {
            // Neighbours in one table, now and then in others.
            let page = numbers.below(2) + (numbers.below(3) << F::INDEX_BITS);

            if !self.round(worker, page, flags) {
                self.wrong.fetch_add(1, ordering::Relaxed);
            }
        }
        self.leave(1);
    }

    /// So many are done, or have never begun.
    fn leave(&self, workers: u64) {
        if self.running.fetch_sub(workers, ordering::Full) == workers {
            self.done.complete_all();
        }
    }
}

/// Lets several CPUs loose on a table in the format `F`.
pub(crate) fn race<F, M>(memory: M, options: F::Options, flags: M::Flags) -> Result<(), Failure>
where
    F: Format,
    M: TableMemory + 'static,
    M::Flags: Send + 'static,
{
    let failed = |what| Failure {
        what,
        iova: 0,
        detail: 0,
    };
    let table = PageTable::<F, M>::new(memory, options, Limits::default(), flags)
        .map_err(|_| failed("a table can be made"))?;
    let race = Arc::pin_init(
        pin_init!(Race {
            table,
            running: Atomic::new(WORKERS),
            wrong: Atomic::new(0),
            done <- Completion::new(),
        }),
        GFP_KERNEL,
    )
    .map_err(|_| failed("there is memory"))?;

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
        _ if started < WORKERS => Err(failed("all workers can be started")),
        0 => Ok(()),
        wrong => Err(Failure {
            what: "each finds its own pages",
            iova: 0,
            detail: wrong,
        }),
    }
}
