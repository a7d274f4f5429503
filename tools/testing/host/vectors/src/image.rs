// SPDX-License-Identifier: GPL-2.0

//! The initial memory of the machine.

use iommu_pagetable::window::WindowMemory;
use iommu_walk::{BusError, WalkMemory};
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// Words by their physical addresses; all others are zero.
#[derive(Clone, Default)]
pub struct Image {
    words: BTreeMap<u64, u64>,
    /// The end of the memory, exclusive.
    pub end: u64,
}

impl Image {
    /// Returns what was built in `window`, at the addresses in the window.
    pub fn of(window: &WindowMemory, end: u64) -> Self {
        Self {
            words: window.image().collect(),
            end,
        }
    }

    /// Adds what was built in `window`, each word where `place` puts it.
    pub fn add(&mut self, window: &WindowMemory, place: impl Fn(u64) -> Option<u64>) {
        self.words.extend(
            window
                .image()
                .filter_map(|(addr, word)| Some((place(addr)?, word))),
        );
    }

    /// Returns the word at `addr`.
    pub fn word(&self, addr: u64) -> u64 {
        self.words.get(&addr).copied().unwrap_or(0)
    }

    /// Writes the word at `addr`.
    pub fn set(&mut self, addr: u64, word: u64) {
        self.words.insert(addr, word);
    }

    /// Returns the form of the document: spans of words that are not zero.
    pub fn to_json(&self) -> Value {
        let mut spans: Vec<(u64, Vec<String>)> = Vec::new();

        for (&addr, &word) in self.words.iter().filter(|(_, &word)| word != 0) {
            let text = format!("{word:x}");

            match spans.last_mut() {
                Some((first, span)) if *first + 8 * span.len() as u64 == addr => span.push(text),
                _ => spans.push((addr, vec![text])),
            }
        }
        spans
            .into_iter()
            .map(|(addr, span)| json!([format!("{addr:#x}"), span.join(" ")]))
            .collect()
    }
}

impl WalkMemory for Image {
    fn read(&mut self, addr: u64) -> Result<u64, BusError> {
        if addr < self.end {
            Ok(self.word(addr))
        } else {
            Err(BusError)
        }
    }

    fn compare_exchange(
        &mut self,
        addr: u64,
        old: u64,
        new: u64,
    ) -> Result<Result<(), u64>, BusError> {
        let now = self.read(addr)?;

        if now == old {
            self.set(addr, new);
            Ok(Ok(()))
        } else {
            Ok(Err(now))
        }
    }
}
