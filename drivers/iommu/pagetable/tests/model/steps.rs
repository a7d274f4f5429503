// SPDX-License-Identifier: GPL-2.0

//! The steps of a test, from bytes, which both a fuzzer and proptest can generate.
//!
//! Every record of bytes is a step in every format. Addresses are chosen where errors are likely:
//! at the ends of the aperture, at boundaries of tables, next to mapped pages.

use super::pages::{Page, Pages};
use iommu_pagetable::{MemoryKind, Permissions, PhysRun};

/// The number of bytes of a step.
pub const RECORD: usize = 12;

/// A step.
#[derive(Clone, Debug)]
pub enum Step {
    Map {
        iova: u64,
        runs: Vec<PhysRun>,
        permissions: Permissions,
        /// The number of tables that can be allocated.
        budget: Option<isize>,
    },
    Unmap {
        iova: u64,
        length: u64,
        budget: Option<isize>,
    },
    Cut {
        iova: u64,
        budget: Option<isize>,
    },
    /// The device writes here, and again at this distance in bytes.
    Dirty {
        iova: u64,
        length: u64,
    },
    ReadDirty {
        iova: u64,
        length: u64,
        clear: bool,
    },
    Look {
        iova: u64,
        length: u64,
        room: usize,
    },
}

/// The bytes of a step, and the pages that are mapped before it.
struct Decoder<'a> {
    record: &'a [u8; RECORD],
    model: &'a Pages,
    /// The largest number of pages to map.
    limit: usize,
}

impl Step {
    /// Decodes `record` as a step that maps no more than `limit` pages. The result depends on the
    /// pages that are mapped in `model`.
    pub fn decode(record: &[u8; RECORD], model: &Pages, limit: usize) -> Self {
        let decoder = Decoder {
            record,
            model,
            limit,
        };
        let iova = decoder.iova();
        let length = decoder.length(iova);
        let budget = decoder.budget();

        match record[0] % 16 {
            0..6 => decoder.map(iova, length, budget),
            6..8 => Self::Unmap {
                iova,
                length,
                budget,
            },
            8 => Self::Unmap {
                iova: iova.wrapping_add(decoder.inside()),
                length,
                budget,
            },
            9 | 10 => Self::Cut {
                iova: iova.wrapping_add(decoder.inside()),
                budget,
            },
            11 | 12 => Self::Dirty { iova, length },
            13 => Self::ReadDirty {
                iova,
                length,
                clear: record[8] & 1 != 0,
            },
            _ => Self::Look {
                iova: iova.wrapping_add(u64::from(record[9])),
                length: length.wrapping_sub(u64::from(record[10] >> 3)),
                room: usize::from(record[8] % 9),
            },
        }
    }
}

impl Decoder<'_> {
    /// Returns the sizes of pages, groups, and tables.
    fn size(&self, choice: u8) -> u64 {
        let shape = &self.model.shape;
        let level = u32::from(choice >> 1) % shape.leaf_levels;

        if choice & 1 == 0 {
            1 << shape.span_bits(level)
        } else {
            shape.group_size(level)
        }
    }

    /// Returns a distance of a few pages in either direction, zero in most cases.
    fn slack(&self, choice: u8) -> u64 {
        let pages = if choice % 2 == 0 {
            0
        } else {
            i64::from(choice as i8) / 16
        };

        (pages as u64).wrapping_mul(self.model.shape.granule())
    }

    /// Returns a distance of a few pages into a large page or a group.
    fn inside(&self) -> u64 {
        u64::from(self.record[10] % 16) << self.model.shape.granule_bits
    }

    fn iova(&self) -> u64 {
        let [_, mode, class, index, slack, ..] = *self.record;
        let shape = &self.model.shape;
        let unit = self.size(class);
        let from_page = |index: u8| {
            let pages = &self.model.pages;
            let nth = usize::from(index) * 37 % pages.len().max(1);

            pages.keys().nth(nth).copied().unwrap_or(0)
        };
        let (base, steps) = match mode % 8 {
            0 => (0, i64::from(index % 32)),
            1 => (1 << (shape.input_bits - 1), i64::from(index as i8) / 8),
            2 => (1 << shape.input_bits, -1 - i64::from(index % 32)),
            3 => (
                1 << shape.span_bits(shape.levels - 1),
                i64::from(index as i8) / 8,
            ),
            _ => (from_page(index), i64::from(mode >> 5) - 3),
        };
        // One in a hundred is not aligned.
        let skew = u64::from(self.record[11] == 200) * 8;

        base.wrapping_add(unit.wrapping_mul(steps as u64))
            .wrapping_add(self.slack(slack))
            .wrapping_add(skew)
    }

    fn length(&self, iova: u64) -> u64 {
        let [.., class, count, slack, _, _, _, skew] = *self.record;
        let pages = 1 + u64::from(count % 20);

        if count == 255 {
            return self
                .model
                .shape
                .last_input()
                .wrapping_sub(iova)
                .wrapping_add(1);
        }
        self.size(class)
            .wrapping_mul(pages)
            .wrapping_add(self.slack(slack))
            .wrapping_add(u64::from(skew == 201) * 16)
    }

    fn budget(&self) -> Option<isize> {
        let choice = self.record[11];

        (choice % 4 == 3).then_some(isize::from(choice >> 2) % 8)
    }

    fn permissions(&self) -> Permissions {
        let flags = self.record[8];

        Permissions {
            // Only a few steps grant no access.
            read: flags & 1 == 0 || flags >> 4 == 15,
            write: flags & 2 == 0,
            execute: flags & 4 != 0,
            privileged: flags & 8 != 0,
        }
    }

    /// Returns the physical address of the run with this number.
    fn phys(&self, iova: u64, number: u64, behind: Option<u64>, length: u64) -> u64 {
        let shape = &self.model.shape;
        let mode = self.record[10];
        let largest = 1u64 << shape.span_bits(shape.leaf_levels - 1);
        let pages = shape.last_output >> shape.granule_bits;
        // A different number for each run (splitmix64's multiplier).
        let noise = (number + u64::from(mode)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;

        match mode % 8 {
            0..3 => behind.unwrap_or(u64::from(mode >> 3) * largest + iova % largest),
            3 | 4 => ((noise % 61) * largest + iova % largest) & shape.last_output,
            5 => behind.unwrap_or((noise & pages) << shape.granule_bits),
            6 => (noise & pages) << shape.granule_bits,
            _ => (shape.last_output - length.wrapping_sub(1).min(shape.last_output))
                .wrapping_add(self.slack(mode >> 3)),
        }
    }

    fn map(&self, iova: u64, length: u64, budget: Option<isize>) -> Step {
        let batch = self.record[9];
        let count = match batch % 16 {
            0 => 0,
            small @ 1..12 => u64::from(small).div_ceil(3),
            large => u64::from(large) * 3,
        };
        let mut runs: Vec<PhysRun> = Vec::new();
        let mut at = iova;
        let mut room = self.limit;

        for number in 0..count {
            let behind = runs
                .last()
                .map(|run| run.phys.wrapping_add(run.length as u64));
            let kind = match (batch >> 4) % 4 {
                0 | 1 => MemoryKind::Normal,
                2 => MemoryKind::Mmio,
                _ if number % 3 == 1 => MemoryKind::Mmio,
                _ => MemoryKind::Normal,
            };
            let mut run = PhysRun {
                phys: self.phys(at, number, behind, length),
                length: length as usize,
                kind,
            };
            // A run that is refused may be long.
            if at <= self.model.shape.last_input() && run.phys <= self.model.shape.last_output {
                let (pages, bytes) = self.model.plan(at, &run, blank(kind), room);

                room -= pages.len();
                run.length = run.length.min(bytes as usize);
            }
            at = at.wrapping_add(run.length as u64);
            runs.push(run);
            if room == 0 {
                break;
            }
        }
        Step::Map {
            iova,
            runs,
            permissions: self.permissions(),
            budget,
        }
    }
}

/// Returns a page of which only the kind is known.
pub fn blank(kind: MemoryKind) -> Page {
    Page {
        phys: 0,
        level: 0,
        grouped: false,
        dirty: false,
        permissions: Permissions {
            read: false,
            write: false,
            execute: false,
            privileged: false,
        },
        kind,
    }
}
