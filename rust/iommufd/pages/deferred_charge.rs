// SPDX-License-Identifier: GPL-2.0

//! The charge for pinned pages, paid once all that somebody wants is pinned.
//!
//! A range that is both too much and in part not there at all is then `EFAULT`, not `ENOMEM`, however
//! the pages are divided into batches.

use crate::mm::Charge;
use kernel::prelude::*;

/// What has been paid for, and what has not yet.
pub(super) struct Bill {
    charge: Charge,
    /// Pages that are pinned and not charged. Zero while nobody is pinning.
    unpaid: usize,
}

impl Bill {
    /// Nothing is pinned.
    pub(super) fn new(charge: Charge) -> Self {
        Self { charge, unpaid: 0 }
    }

    /// The charge.
    pub(super) fn charge(&mut self) -> &mut Charge {
        &mut self.charge
    }

    /// So many more pages are pinned.
    pub(super) fn owe(&mut self, npages: usize) {
        self.unpaid += npages;
    }

    /// Charges for what is unpaid.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if that would pass the limit. The pages must be given back then.
    pub(super) fn pay(&mut self) -> Result {
        if self.unpaid != 0 {
            self.charge.add(self.unpaid)?;
            self.unpaid = 0;
        }
        Ok(())
    }

    /// So many pages are not pinned any more.
    pub(super) fn give_back(&mut self, npages: usize) {
        let unpaid = npages.min(self.unpaid);

        self.unpaid -= unpaid;
        if npages != unpaid {
            self.charge.sub(npages - unpaid);
        }
    }

    /// What is pinned and still unpaid after a failure stays pinned for ever, and nobody is charged.
    pub(super) fn forget(&mut self) {
        self.unpaid = 0;
    }
}
