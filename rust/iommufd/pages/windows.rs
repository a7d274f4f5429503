// SPDX-License-Identifier: GPL-2.0

//! The windows over shared pages: any number of them, over any pages, opened and closed in any
//! order.
//!
//! Page frames that are stored in page tables only are read back through a window that covers them,
//! so windows are looked up by page. User space decides how many there are, and a lock is held
//! during each operation. Therefore each takes logarithmic time, except for [`Windows::for_each`].
//!
//! Pure: this file calls no kernel function and is also compiled for the host.

use crate::{
    base::{fill_slot, new_slot, unbox, Result, Slot},
    interval::{Key, Numbered, NumberedMap, NumberedNode},
};
use core::ops::Range;

/// An object that covers a range of pages.
pub(crate) trait Covers {
    /// Returns the pages; at least one.
    fn pages(&self) -> Range<usize>;
}

/// The windows over shared pages, each with an identifier that does not change.
pub(crate) struct Windows<W> {
    /// One of the windows. Most pages have only one, which then needs no allocation.
    first: Option<W>,
    others: NumberedMap<W>,
}

/// Identifies a window: the key of its interval in `others`, or `None` for `first`.
#[derive(Clone, Copy)]
pub(crate) struct WindowId(Option<Key>);

/// Memory for one more window.
pub(crate) struct Room<W>(Option<Slot<NumberedNode<W>>>);

/// Returns the first and the last page of a window, both inclusive.
fn interval<W: Covers>(window: &W) -> (u64, u64) {
    let pages = window.pages();

    (pages.start as u64, (pages.end - 1) as u64)
}

impl<W: Covers> Windows<W> {
    /// Creates an empty set.
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            others: NumberedMap::new(),
        }
    }

    /// Allocates memory for one more window, which must be the next one that is added.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline(always)]
    pub(crate) fn room(&self) -> Result<Room<W>> {
        Ok(Room(match self.first {
            None => None,
            Some(_) => Some(new_slot()?),
        }))
    }

    /// Adds a window.
    #[inline(always)]
    pub(crate) fn put(&mut self, room: Room<W>, window: W) -> WindowId {
        let Some(slot) = room.0 else {
            debug_assert!(self.first.is_none());
            self.first = Some(window);
            return WindowId(None);
        };
        let (first, last) = interval(&window);
        let node = NumberedNode::new(first, last, Numbered::new(window));

        WindowId(Some(self.others.insert(fill_slot(slot, node))))
    }

    /// Removes a window.
    pub(crate) fn take(&mut self, id: WindowId) -> Option<W> {
        match id.0 {
            None => self.first.take(),
            Some(key) => Some(unbox(self.others.remove(key)?).into_value().value),
        }
    }

    pub(crate) fn get(&self, id: WindowId) -> Option<&W> {
        match id.0 {
            None => self.first.as_ref(),
            Some(key) => self.others.get(key),
        }
    }

    /// Returns a window for modification. Its range of pages must not be changed.
    pub(crate) fn get_mut(&mut self, id: WindowId) -> Option<&mut W> {
        match id.0 {
            None => self.first.as_mut(),
            Some(key) => self.others.get_mut(key),
        }
    }

    /// Runs `cut`, which shortens a window at its end.
    pub(crate) fn shorten(&mut self, id: WindowId, cut: impl FnOnce(&mut W)) {
        let Some(window) = self.get_mut(id) else {
            return;
        };

        cut(window);
        let (_, last) = interval(window);
        if let Some(key) = id.0 {
            self.others.shorten(key, last);
        }
    }

    /// Returns a window that covers a page, if there is one.
    pub(crate) fn over(&self, page: usize) -> Option<&W> {
        self.first
            .as_ref()
            .filter(|window| window.pages().contains(&page))
            .or_else(|| self.others.first_in(page as u64, page as u64))
    }

    /// Calls `visit` for each window.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&W)) {
        self.first.iter().for_each(&mut visit);
        self.others.for_each(visit);
    }
}

#[cfg(test)]
#[path = "../tests/windows.rs"]
mod tests;
