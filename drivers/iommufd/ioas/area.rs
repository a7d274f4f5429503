// SPDX-License-Identifier: GPL-2.0

//! Areas: mapped ranges of IOVA.

use crate::{interval::Node, iova_map::PageOffset};
use iommufd_core::{iova::IovaClaim, Mapping, SharedPages, View};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};
use kernel_ext::{iommu::Access, mm::PAGE_SIZE};

/// A range of bytes of some pages.
#[derive(Clone)]
pub(crate) struct Slice {
    /// The pages.
    pub(crate) pages: SharedPages,
    /// Offset of the first byte from the start of page 0, in bytes.
    pub(crate) start: usize,
    /// Length in bytes.
    pub(crate) length: usize,
}

impl Slice {
    /// Returns the address of the first byte, to which the IOVA is best aligned: a user address or
    /// an offset in a file.
    pub(crate) fn address(&self) -> u64 {
        self.pages.base().wrapping_add(self.start as u64)
    }

    /// Returns the offset of the first byte in its page.
    pub(crate) fn page_offset(&self) -> u64 {
        (self.start % PAGE_SIZE) as u64
    }

    /// Checks that the end of the last page can be represented, counted from the start of the first
    /// page.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` if it cannot.
    pub(crate) fn check_end(&self) -> Result {
        let whole_pages = (self.start % PAGE_SIZE)
            .checked_add(self.length)
            .and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));

        whole_pages.map(drop).ok_or(EOVERFLOW)
    }

    /// Returns the pages, and the view of the bytes at the IOVA of `claim`, which has their length.
    #[inline]
    pub(crate) fn view(self, claim: IovaClaim, access: Access) -> (SharedPages, View) {
        let view = View {
            claim,
            start: self.start,
            access,
        };

        (self.pages, view)
    }
}

/// The holder of the right to map in the range of an area.
pub(crate) enum Hold {
    /// The thread that is mapping or unmapping the area.
    Taken,
    /// The area itself: the address space has no page table.
    Claim(IovaClaim),
    /// The mapping, which is in all page tables of the address space.
    Mapping(Mapping),
}

impl Hold {
    /// Takes the right for the calling thread.
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::Taken)
    }

    /// Unmaps the mapping, if there is one, and returns the claim to the range. Returns `None` if
    /// another thread has the claim.
    pub(crate) fn close(self) -> Option<IovaClaim> {
        match self {
            Self::Taken => None,
            Self::Claim(claim) => Some(claim),
            Self::Mapping(mapping) => mapping.close(),
        }
    }
}

/// A mapped range.
pub(crate) struct Area {
    /// The accesses that devices may make.
    pub(crate) access: Access,
    /// The memory that is mapped. Its length is that of the area.
    pub(crate) slice: Slice,
    /// Whether the area belongs to a thread that is mapping or unmapping it.
    pub(crate) in_transit: bool,
    /// The right to map in its range, and the mapping.
    pub(crate) hold: Hold,
    /// Whether it is about to be unmapped: users in the kernel are asked to unpin its pages, and
    /// may pin no more.
    pub(crate) prevent_access: bool,
    /// The number of times that users in the kernel have pinned pages of it.
    accesses: Atomic<usize>,
}

impl Area {
    /// Creates an area in transit.
    pub(crate) fn new(slice: Slice, access: Access) -> Self {
        Self {
            access,
            slice,
            in_transit: true,
            hold: Hold::Taken,
            prevent_access: false,
            accesses: Atomic::new(0),
        }
    }

    /// Returns whether no thread is mapping or unmapping it.
    pub(crate) fn is_settled(&self) -> bool {
        !self.in_transit
    }

    /// Checks that users in the kernel may read it, or write to it if `write`.
    ///
    /// # Errors
    ///
    /// `EPERM` if they may not.
    pub(crate) fn check_access(&self, write: bool) -> Result {
        let allowed = if write {
            self.access.write
        } else {
            self.access.read
        };

        if allowed {
            Ok(())
        } else {
            Err(EPERM)
        }
    }

    /// Returns the number of times that users in the kernel have pinned pages of it.
    pub(crate) fn accesses(&self) -> usize {
        self.accesses.load(Relaxed)
    }

    /// Counts one more pin by a user in the kernel, or one less. The map is locked for reading at
    /// least.
    pub(crate) fn count_access(&self, more: bool) {
        if more {
            self.accesses.fetch_add(1, Relaxed);
        } else {
            self.accesses.fetch_sub(1, Relaxed);
        }
    }
}

impl PageOffset for Area {
    fn page_offset(&self) -> u64 {
        self.slice.page_offset()
    }
}

/// Returns the offset of the byte at `iova` in the pages of an area, in bytes.
pub(crate) fn bytes_from(area: &Node<Area>, iova: u64) -> usize {
    area.value.slice.start + (iova - area.first()) as usize
}
