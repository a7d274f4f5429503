// SPDX-License-Identifier: GPL-2.0

//! The charge for pinned pages, made once all pages of a request are pinned.
//!
//! A request that exceeds the limit and also contains a missing page therefore fails with `EFAULT`,
//! not with `ENOMEM`, whatever the size of the batches.

use crate::mm::Charge;
use kernel::prelude::*;

/// A charge, and the number of pinned pages that it does not include yet.
pub(super) struct DeferredCharge {
    charge: Charge,
    /// Pages that are pinned and not yet charged. Zero unless a request is pinning.
    uncharged: usize,
}

impl DeferredCharge {
    /// Creates the state in which no page is pinned. `charge` is empty.
    pub(super) fn new(charge: Charge) -> Self {
        Self {
            charge,
            uncharged: 0,
        }
    }

    /// Returns the charge itself, for callers that charge at once.
    pub(super) fn get_mut(&mut self) -> &mut Charge {
        &mut self.charge
    }

    /// Records that `npages` more pages are pinned; [`commit`](Self::commit) charges them.
    pub(super) fn defer(&mut self, npages: usize) {
        self.uncharged += npages;
    }

    /// Charges all pages that were recorded since the last commit.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if that exceeds the limit. The caller must unpin and [`uncharge`](Self::uncharge)
    /// the pages then.
    pub(super) fn commit(&mut self) -> Result {
        if self.uncharged != 0 {
            self.charge.add(self.uncharged)?;
            self.uncharged = 0;
        }
        Ok(())
    }

    /// Records that `npages` pages have been unpinned. Pages that are not yet charged come off
    /// first.
    pub(super) fn uncharge(&mut self, npages: usize) {
        let uncharged = npages.min(self.uncharged);

        self.uncharged -= uncharged;
        if npages != uncharged {
            self.charge.sub(npages - uncharged);
        }
    }

    /// Drops the record of uncharged pages after a failure. Those that are still pinned are leaked,
    /// and stay uncharged.
    pub(super) fn abandon(&mut self) {
        self.uncharged = 0;
    }
}
