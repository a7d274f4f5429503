// SPDX-License-Identifier: GPL-2.0

//! What is mapped at a range of IOVA.

use crate::{interval::Node, iova_map::PageOffset};
use iommufd_core::{iova::IovaClaim, Mapping, SharedPages, View};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};
use kernel_ext::{iommu::Access, mm::PAGE_SIZE};

/// Bytes of some pages.
#[derive(Clone)]
pub(crate) struct Slice {
    /// The pages.
    pub(crate) pages: SharedPages,
    /// The first byte, counted from the start of page 0.
    pub(crate) start: usize,
    /// How many bytes.
    pub(crate) length: usize,
}

impl Slice {
    /// What the IOVA is best aligned to: the address of the first byte, wherever that is.
    pub(crate) fn address(&self) -> u64 {
        self.pages.base().wrapping_add(self.start as u64)
    }

    /// Where in its page the first byte lies.
    pub(crate) fn page_offset(&self) -> u64 {
        (self.start % PAGE_SIZE) as u64
    }

    /// Whether the bytes behind the start of the first page can be rounded up to whole pages.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` if not.
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

/// The right to map in the range of an area, and where it is.
pub(crate) enum Hold {
    /// With the thread that is mapping or unmapping the area.
    Taken,
    /// Here: the address space has no page table.
    Claim(IovaClaim),
    /// In the mapping, in all page tables of the address space.
    Mapping(Mapping),
}

impl Hold {
    /// Takes it for the calling thread.
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::Taken)
    }

    /// Removes the mapping, if there is one, and returns the claim to the range. `None` if another
    /// thread has that.
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
    /// What devices may do.
    pub(crate) access: Access,
    /// What is mapped. Its length is that of the area.
    pub(crate) slice: Slice,
    /// In transit: it belongs to the thread that is mapping or unmapping it.
    pub(crate) in_transit: bool,
    /// The right to map in its range, and what is mapped there.
    pub(crate) hold: Hold,
    /// It is to be unmapped: users in the kernel are asked to give its pages back, and get no more.
    pub(crate) prevent_access: bool,
    /// How often users in the kernel have pinned pages of it.
    accesses: Atomic<usize>,
}

impl Area {
    /// An area in transit.
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

    /// Whether nobody is mapping or unmapping it.
    pub(crate) fn is_settled(&self) -> bool {
        !self.in_transit
    }

    /// Whether users in the kernel may read it, or write it.
    ///
    /// # Errors
    ///
    /// `EPERM` if not.
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

    /// How often users in the kernel have pinned pages of it.
    pub(crate) fn accesses(&self) -> usize {
        self.accesses.load(Relaxed)
    }

    /// Counts one more, or one less, pinned by a user in the kernel. The map is locked for reading
    /// at least.
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

/// The bytes of an area from an IOVA on.
pub(crate) fn bytes_from(area: &Node<Area>, iova: u64) -> usize {
    area.value.slice.start + (iova - area.first()) as usize
}
