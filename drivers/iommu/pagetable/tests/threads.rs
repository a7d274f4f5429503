// SPDX-License-Identifier: GPL-2.0

//! Threads that map and unmap their own pages, which lie between those of the other threads.
//!
//! A model checker tries every order on a few words; these tests use whole tables in the order that
//! the scheduler chooses. Built with AddressSanitizer they also find a table that is used after it
//! was freed.

#![forbid(unsafe_code)]

use iommu_pagetable::{
    memory::HostMemory,
    vmsa::{Granule4K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Error, Format, Gather, Limits, MemoryKind, Mock, PageTable, Permissions, PhysRun,
};
use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const THREADS: u64 = 4;
const ROUNDS: u64 = 2_000;
/// The number of pieces of a thread; they alternate with those of the other threads.
const PIECES: u64 = 6;

const RW: Permissions = Permissions {
    read: true,
    write: true,
    execute: false,
    privileged: false,
};

type Table<F, const COHERENT: bool> = PageTable<F, HostMemory<COHERENT>>;

/// A sequence of pseudo-random numbers (xorshift64).
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

/// The pieces of one thread: their addresses, their size, and whether they are mapped.
struct Owner<'t, F: Format, const COHERENT: bool> {
    table: &'t Table<F, COHERENT>,
    thread: u64,
    size: u64,
    mapped: [bool; PIECES as usize],
}

impl<F: Format, const COHERENT: bool> Owner<'_, F, COHERENT> {
    /// The pieces of the threads alternate, around a boundary of the tables of all levels.
    fn iova(&self, piece: u64) -> u64 {
        let middle = 1u64 << (F::INPUT_BITS - 1);
        let first = middle - PIECES / 2 * THREADS * self.size;

        first + (piece * THREADS + self.thread) * self.size
    }

    fn phys(&self, piece: u64) -> u64 {
        self.iova(piece) & ((1 << 36) - 1) | (1 << 35)
    }

    fn step(&mut self, piece: u64) {
        let mut gather = Gather::new();
        let index = piece as usize;
        let iova = self.iova(piece);

        if self.mapped[index] {
            let mut bytes = 0;
            let result = self.table.unmap(iova, self.size, (), &mut gather, |run| {
                bytes += run.length as u64;
            });

            assert_eq!((result, bytes), (Ok(self.size), self.size));
        } else {
            let run = PhysRun {
                phys: self.phys(piece),
                length: self.size as usize,
                kind: MemoryKind::Normal,
            };

            assert_eq!(self.table.map(iova, &[run], RW, (), &mut gather), Ok(()));
            let again = self.table.map(iova, &[run], RW, (), &mut gather);
            assert_eq!(again, Err(Error::Exists));
        }
        self.mapped[index] = !self.mapped[index];
        gather.flush(&self.table, |_| {});
    }

    /// Checks that the pieces of this thread are as it has left them.
    fn look(&self) {
        for piece in 0..PIECES {
            let offset = self.size - 1;
            let expected = self.mapped[piece as usize].then(|| self.phys(piece) + offset);

            assert_eq!(self.table.translate(self.iova(piece) + offset), expected);
        }
    }

    fn run(mut self) {
        let mut noise = Noise(0x1234_5678_9abc_def1 + self.thread);

        for _ in 0..ROUNDS {
            self.step(noise.next(PIECES));
            self.look();
        }
        for piece in 0..PIECES {
            if self.mapped[piece as usize] {
                self.step(piece);
            }
        }
    }
}

/// Reads the whole page table until the other threads are done.
fn watch<F: Format, const COHERENT: bool>(table: &Table<F, COHERENT>, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let mut last = None;

        table.for_each(0, u64::MAX, |leaf| {
            assert!(last.is_none_or(|last| last < leaf.iova), "out of order");
            assert_eq!(leaf.phys, leaf.iova & ((1 << 36) - 1) | (1 << 35));
            last = Some(leaf.iova);
            ControlFlow::Continue(())
        });
        table.memory().check_retired();
    }
}

/// Runs all threads, with pieces of `size` bytes.
fn stress<F: Format, const COHERENT: bool>(options: F::Options, size: u64) {
    let memory = HostMemory::default();
    let table = Table::<F, COHERENT>::new(memory, options, Limits::default(), ()).expect("new");
    let done = AtomicBool::new(false);

    thread::scope(|scope| {
        scope.spawn(|| watch(&table, &done));
        let owners = [0, 1, 2, 3].map(|thread| {
            let owner = Owner {
                table: &table,
                thread,
                size,
                mapped: [false; PIECES as usize],
            };
            scope.spawn(|| owner.run())
        });

        let results = owners.map(|owner| owner.join());
        done.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok), "a thread has failed");
    });
    // No thread reads any more, so the next table that is freed takes all others along.
    let mut gather = Gather::new();
    let run = PhysRun {
        phys: 0,
        length: 1 << F::GRANULE_BITS,
        kind: MemoryKind::Normal,
    };
    assert_eq!(table.map(0, &[run], RW, (), &mut gather), Ok(()));
    table
        .unmap(0, 1 << F::GRANULE_BITS, (), &mut gather, |_| {})
        .expect("mapped");
    gather.flush(&table, |_| {});
    assert_eq!(table.memory().live(), 1, "tables are left over");
}

/// Runs all threads with pieces of every size.
fn stress_all<F: Format, const COHERENT: bool>(options: F::Options) {
    let page = 1u64 << F::GRANULE_BITS;
    let large = 1u64 << F::span_bits(1);

    for size in [page, 3 * page, 16 * page, large, large + page] {
        stress::<F, COHERENT>(options, size);
    }
}

#[test]
fn second_stage() {
    stress_all::<SecondStage<4>, true>(Default::default());
    stress_all::<SecondStage<3>, false>(Default::default());
}

#[test]
fn first_stage() {
    stress_all::<FirstStage<5>, true>(Default::default());
}

#[test]
fn mock() {
    stress_all::<Mock, true>(());
}

#[test]
fn stage1() {
    stress_all::<Stage1<Granule4K, 48, true>, true>(Default::default());
}

#[test]
fn stage2() {
    stress_all::<Stage2<Granule4K, 40, true>, false>(Default::default());
}
