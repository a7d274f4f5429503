// SPDX-License-Identifier: GPL-2.0

//! Page frames that lie next to each other, and a list of such runs in one word each.
//!
//! The list is made where the pages were found: the kernel fills an array with one pointer a page,
//! and the array becomes the list in place. So a batch of pins needs one buffer, whatever its pages
//! look like.
//!
//! Pure: this file is also compiled for the host.

/// Whole pages next to each other in physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PfnRun {
    /// The first page frame.
    pub pfn: usize,
    /// How many.
    pub count: usize,
}

/// The low bits of a word count the pages; the rest, which is enough for 52 bits of physical
/// address in the smallest pages, is the first page frame.
const COUNT_BITS: u32 = 24;

impl PfnRun {
    /// The most pages that one word can count: 64 GiB, if they are small.
    pub const MAX_COUNT: usize = (1 << COUNT_BITS) - 1;

    /// The run as one word. There are at most [`MAX_COUNT`](Self::MAX_COUNT) pages.
    #[inline]
    pub fn to_word(self) -> u64 {
        debug_assert!(self.count <= Self::MAX_COUNT);
        (self.pfn as u64) << COUNT_BITS | self.count as u64
    }

    /// What [`to_word`](Self::to_word) made a word of.
    #[inline]
    pub fn from_word(word: u64) -> Self {
        Self {
            pfn: (word >> COUNT_BITS) as usize,
            count: word as usize & Self::MAX_COUNT,
        }
    }

    /// Each page by itself.
    pub fn single_pages(self) -> impl Iterator<Item = Self> {
        (self.pfn..self.pfn + self.count).map(|pfn| Self { pfn, count: 1 })
    }

    /// Takes the first `count` pages away, of which there are so many.
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

    /// The run and `next` as one, if that lies right behind.
    #[inline]
    pub fn joined(self, next: Self) -> Option<Self> {
        let count = self.count + next.count;

        (self.pfn + self.count == next.pfn && count <= Self::MAX_COUNT).then_some(Self {
            pfn: self.pfn,
            count,
        })
    }
}

/// A list of runs that grows over the words that it is made of.
pub(crate) struct RunWords<'a> {
    words: &'a mut [u64],
    len: usize,
}

impl<'a> RunWords<'a> {
    /// No runs yet, where `words` hold what they will be made of.
    pub(crate) fn new(words: &'a mut [u64]) -> Self {
        Self { words, len: 0 }
    }

    /// How many runs there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What stands at `at`: still to be read, if no more runs than that were appended.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> Option<u64> {
        self.words.get(at).copied()
    }

    /// Adds a run behind the others, as part of the last one where they are neighbours; there must
    /// be a word left.
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

    /// Adds a run that is no neighbour of the last one, as [`append`](Self::append) does.
    #[inline]
    fn append_apart(&mut self, run: PfnRun) {
        if let Some(slot) = self.words.get_mut(self.len) {
            *slot = run.to_word();
            self.len += 1;
        }
    }

    /// Makes a list of runs out of an array of page pointers, in the same words.
    ///
    /// Pointers that are `STRIDE` apart stand for neighbours, if `STRIDE` is not 0; `pfn` says which
    /// page frame a pointer stands for. There are at most [`PfnRun::MAX_COUNT`] pointers.
    pub(crate) fn from_pages<const STRIDE: u64>(
        words: &'a mut [u64],
        pfn: impl Fn(u64) -> usize,
    ) -> Self {
        let mut list = Self::new(words);
        let mut first = list.word(0);
        let mut next = 1;

        // What is written lies before what is still to be read: a run has at least one page.
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
                // Had it been a neighbour of the last one, it would be part of it.
                list.append_apart(run);
            }
        }
        list
    }
}

/// How many of `rest` follow `first` in steps of `STRIDE`.
///
/// Huge pages come as hundreds of pointers. Eight at a time cost three instructions each, and every
/// one must be looked at: the first and the last say nothing of those between.
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
