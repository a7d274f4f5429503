// SPDX-License-Identifier: GPL-2.0

//! Runs of consecutive page frames, and lists of such runs with one word for each.
//!
//! The functions of the kernel that pin pages fill an array with one pointer for each page. The
//! array is converted to a list of runs in place, so that a batch of pins needs only one buffer,
//! however its pages lie in memory.
//!
//! Pure: this file is also compiled for the host.

/// Consecutive page frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PfnRun {
    /// The first page frame.
    pub pfn: usize,
    /// Number of pages.
    pub count: usize,
}

/// Width of the page count in the low bits of a word. The other bits are the first page frame
/// number, which is at most 40 bits wide: 52 bits of physical address in pages of 4 KiB.
const COUNT_BITS: u32 = 24;

impl PfnRun {
    /// Maximum number of pages of a run in one word: 64 GiB in pages of 4 KiB.
    pub const MAX_COUNT: usize = (1 << COUNT_BITS) - 1;

    /// Encodes the run, which has at most [`MAX_COUNT`](Self::MAX_COUNT) pages, in one word.
    #[inline]
    pub fn to_word(self) -> u64 {
        debug_assert!(self.count <= Self::MAX_COUNT);
        (self.pfn as u64) << COUNT_BITS | self.count as u64
    }

    /// Decodes a run that [`to_word`](Self::to_word) has encoded.
    #[inline]
    pub fn from_word(word: u64) -> Self {
        Self {
            pfn: (word >> COUNT_BITS) as usize,
            count: word as usize & Self::MAX_COUNT,
        }
    }

    /// Iterates over the pages, each as a run of one.
    pub fn single_pages(self) -> impl Iterator<Item = Self> {
        (self.pfn..self.pfn + self.count).map(|pfn| Self { pfn, count: 1 })
    }

    /// Splits off the first `count` pages, of at least as many, and returns them.
    #[inline]
    pub fn take_front(&mut self, count: usize) -> Self {
        let front = Self {
            pfn: self.pfn,
            count,
        };

        self.pfn += count;
        self.count -= count;
        front
    }

    /// Returns the run and `next` as one run if `next` follows directly and the sum fits in a word.
    #[inline]
    pub fn joined(self, next: Self) -> Option<Self> {
        let count = self.count + next.count;

        (self.pfn + self.count == next.pfn && count <= Self::MAX_COUNT).then_some(Self {
            pfn: self.pfn,
            count,
        })
    }
}

/// A list of runs that overwrites the words from which it is created.
pub(crate) struct RunWords<'a> {
    words: &'a mut [u64],
    len: usize,
}

impl<'a> RunWords<'a> {
    /// Creates an empty list. `words` still have the values that the runs are created from.
    pub(crate) fn new(words: &'a mut [u64]) -> Self {
        Self { words, len: 0 }
    }

    /// Returns the number of runs.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the word at `at`. It has its original value while at most `at` runs are in the list.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> Option<u64> {
        self.words.get(at).copied()
    }

    /// Appends a run, joined with the last run if it follows that directly. Else there must be a
    /// word left.
    #[inline]
    pub(crate) fn append(&mut self, run: PfnRun) {
        if let Some(last) = self.words.get_mut(self.len.wrapping_sub(1)) {
            if let Some(joined) = PfnRun::from_word(*last).joined(run) {
                *last = joined.to_word();
                return;
            }
        }
        self.append_apart(run);
    }

    /// Appends a run that does not follow the last one directly. There must be a word left.
    #[inline]
    fn append_apart(&mut self, run: PfnRun) {
        if let Some(slot) = self.words.get_mut(self.len) {
            *slot = run.to_word();
            self.len += 1;
        }
    }

    /// Converts an array of page pointers to a list of runs, in the same words.
    ///
    /// `pfn` returns the page frame number for a pointer. If `STRIDE` is not 0, pointers that are
    /// `STRIDE` apart belong to consecutive page frames. There are at most [`PfnRun::MAX_COUNT`]
    /// pointers.
    pub(crate) fn from_pages<const STRIDE: u64>(
        words: &'a mut [u64],
        pfn: impl Fn(u64) -> usize,
    ) -> Self {
        let mut list = Self::new(words);
        let mut first = list.word(0);
        let mut next = 1;

        // Each run replaces at least one pointer, so words are written only after they have been
        // read.
        while let Some(page) = first {
            let mut run = PfnRun {
                pfn: pfn(page),
                count: 1,
            };

            first = list.word(next);
            if STRIDE != 0 && first == Some(page.wrapping_add(STRIDE)) {
                let rest = list.words.get(next..).unwrap_or(&[]);

                run.count += neighbours::<STRIDE>(page, rest);
                next += run.count - 1;
                first = list.word(next);
            }
            next += 1;
            if STRIDE == 0 {
                list.append(run);
            } else {
                // If the page followed the last run, `neighbours` would have counted it there.
                list.append_apart(run);
            }
        }
        list
    }
}

/// Returns how many words of `rest` follow `first` in steps of `STRIDE`.
///
/// A huge page is returned as hundreds of pointers. Compared in blocks of eight, they cost three
/// instructions each. Every pointer must be compared: the first and the last do not determine those
/// between them.
#[inline]
fn neighbours<const STRIDE: u64>(first: u64, rest: &[u64]) -> usize {
    const BLOCK: usize = 8;
    let mut count = 0;
    let mut expected = first.wrapping_add(STRIDE);

    for block in rest.chunks_exact(BLOCK) {
        let matches = |(step, &word): (u64, &u64)| word == expected.wrapping_add(step * STRIDE);

        if !Iterator::zip(0.., block).all(matches) {
            break;
        }
        expected = expected.wrapping_add(BLOCK as u64 * STRIDE);
        count += BLOCK;
    }
    for &word in rest.get(count..).unwrap_or(&[]) {
        if word != expected {
            break;
        }
        expected = expected.wrapping_add(STRIDE);
        count += 1;
    }
    count
}

#[cfg(test)]
#[path = "tests/pfn_run.rs"]
mod tests;
