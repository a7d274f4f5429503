// SPDX-License-Identifier: GPL-2.0

//! All windows of some pages: any number, over any pages, opened and closed in any order.
//!
//! Page frames that stand in page tables only are read back through a window over them, so windows
//! are looked for by page. How many there are is up to the user, and locks are held meanwhile: each
//! operation takes logarithmic time, except for showing them all. Pure: no kernel calls.

use crate::{
    base::{fill_slot, new_slot, unbox, Result, Slot},
    interval::{Key, Numbered, NumberedMap, NumberedNode},
};
use core::ops::Range;

/// What is over some pages.
pub(crate) trait Covers {
    /// The pages: at least one.
    fn pages(&self) -> Range<usize>;
}

/// Windows over pages, each with an identifier that stays the same.
pub(crate) struct Windows<W> {
    /// One of them: nearly always there is no other, and it costs no allocation.
    first: Option<W>,
    others: NumberedMap<W>,
}

/// Identifies a window: the key of its interval of pages, or `None` for the one that has none.
#[derive(Clone, Copy)]
pub(crate) struct WindowId(Option<Key>);

/// Room for one more window.
pub(crate) struct Room<W>(Option<Slot<NumberedNode<W>>>);

/// The first and the last page.
fn interval<W: Covers>(window: &W) -> (u64, u64) {
    let pages = window.pages();

    (pages.start as u64, (pages.end - 1) as u64)
}

impl<W: Covers> Windows<W> {
    /// No window.
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            others: NumberedMap::new(),
        }
    }

    /// Makes room for one more window, which is to be the next that is added.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn room(&self) -> Result<Room<W>> {
        Ok(Room(match self.first {
            None => None,
            Some(_) => Some(new_slot()?),
        }))
    }

    /// Adds a window.
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

    /// Takes a window out.
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

    /// A window, of which anything may be changed but over which pages it is.
    pub(crate) fn get_mut(&mut self, id: WindowId) -> Option<&mut W> {
        match id.0 {
            None => self.first.as_mut(),
            Some(key) => self.others.get_mut(key),
        }
    }

    /// Lets `cut` take pages away from the end of a window.
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

    /// A window over a page.
    pub(crate) fn over(&self, page: usize) -> Option<&W> {
        self.first
            .as_ref()
            .filter(|window| window.pages().contains(&page))
            .or_else(|| self.others.first_in(page as u64, page as u64))
    }

    /// Shows `visit` all windows.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&W)) {
        self.first.iter().for_each(&mut visit);
        self.others.for_each(visit);
    }
}

#[cfg(test)]
#[path = "../tests/windows.rs"]
mod tests;
