// SPDX-License-Identifier: GPL-2.0

//! The pins of a driver in C, which names them by a range of IOVA.

use crate::pages::KernelPins;
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
};

/// A range of IOVA, exactly as a driver has passed it. It has to pass the same range again to unpin
/// the pages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PinnedRange {
    /// The first address.
    pub(super) iova: u64,
    /// The length in bytes.
    pub(super) length: u64,
}

/// A call that has pinned the pages of a range. There may be several for one range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    range: PinnedRange,
    number: u64,
}

/// The pins of a driver.
///
/// The driver may use the pages until it unpins them, so pins that are left when the table is
/// dropped are leaked, with a warning.
pub(super) struct PinTable {
    pins: RBTree<Key, KernelPins>,
    /// The number of the next call. 64 bits do not overflow.
    next: u64,
}

/// Memory for an entry of a [`PinTable`].
pub(super) struct Room(RBTreeNodeReservation<Key, KernelPins>);

impl PinTable {
    /// Creates an empty table.
    pub(super) fn new() -> Self {
        Self {
            pins: RBTree::new(),
            next: 0,
        }
    }

    /// Allocates memory for an entry.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn room() -> Result<Room> {
        Ok(Room(RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?))
    }

    /// Adds the pins of a call.
    pub(super) fn insert(&mut self, room: Room, range: PinnedRange, pins: KernelPins) {
        let number = self.next;

        self.next += 1;
        // No entry is replaced, because no other has the number.
        self.pins
            .insert(room.0.into_node(Key { range, number }, pins));
    }

    /// Removes the pins of a call for exactly this range. Returns `None` if there are none.
    pub(super) fn remove(&mut self, range: PinnedRange) -> Option<KernelPins> {
        let lowest = Key { range, number: 0 };
        let cursor = self.pins.cursor_lower_bound_mut(&lowest)?;

        if cursor.current().0.range != range {
            return None;
        }
        Some(cursor.remove_current().1.to_key_value().1)
    }
}

impl Drop for PinTable {
    fn drop(&mut self) {
        kernel::warn_on!(!self.pins.is_empty());
        while let Some(cursor) = self.pins.cursor_front_mut() {
            core::mem::forget(cursor.remove_current().1.to_key_value().1);
        }
    }
}
