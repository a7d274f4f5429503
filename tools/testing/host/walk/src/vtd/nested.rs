// SPDX-License-Identifier: GPL-2.0

//! VT-d's nested translation (section 3.8): a guest's first stage, and the host's second stage
//! under it.
//!
//! Whatever address the first stage names, its tables' and its output, is the guest's and goes
//! through the second stage. To follow a table takes the right to read there, to set a flag in it
//! the right to write.

use super::{Fault, FirstStage, SecondStage};
use crate::{tables::Through, Access, Translation, WalkMemory};

/// Two stages that can be walked.
#[derive(Clone, Copy, Debug)]
pub struct Nested {
    /// The guest's.
    pub first: FirstStage,
    /// The host's.
    pub second: SecondStage,
}

impl Nested {
    /// Translates an address that a device uses, in bytes.
    ///
    /// # Errors
    ///
    /// The [`Fault`] that the hardware records, of either stage.
    pub fn translate<M: WalkMemory>(
        &self,
        memory: &mut M,
        iova: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        let mut tables = Through {
            memory,
            stage: &self.second,
        };
        let first = self.first.walk(&mut tables, iova, access, false)?;
        let second = self
            .second
            .translate(memory, first.output, access)
            .map_err(|fault| fault.on_behalf(iova, access, None))?;

        Ok(first.then(second))
    }
}
