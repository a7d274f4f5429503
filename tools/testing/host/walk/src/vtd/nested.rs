// SPDX-License-Identifier: GPL-2.0

//! VT-d's nested translation (section 3.8): the first stage of a guest, and the second stage of the
//! host under it.
//!
//! The addresses of the tables of the first stage, and its output, are guest-physical and are
//! translated by the second stage. Reading a table requires the right to read its memory; setting a
//! flag in it requires the right to write.

use super::{Fault, FirstStage, SecondStage};
use crate::{tables::Through, Access, Translation, WalkMemory};

/// A walker of two stages.
#[derive(Clone, Copy, Debug)]
pub struct Nested {
    /// The stage of the guest.
    pub first: FirstStage,
    /// The stage of the host.
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
