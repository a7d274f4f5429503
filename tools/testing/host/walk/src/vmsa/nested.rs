// SPDX-License-Identifier: GPL-2.0

//! Both stages: stage 1 of a guest, and stage 2 of the host under it (IHI 0070, section 3.3).
//!
//! The addresses of the tables of stage 1, and its output, are IPAs and are translated by stage 2.
//! Reading a table requires the right to read its memory; setting a flag in it requires the right
//! to write as well.

use super::{Fault, Stage1, Stage2};
use crate::{tables::Through, Access, Translation, WalkMemory};

/// A walker of two stages.
#[derive(Clone, Copy, Debug)]
pub struct Nested {
    /// The stage of the guest.
    pub stage1: Stage1,
    /// The stage of the host.
    pub stage2: Stage2,
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
            stage: &self.stage2,
        };
        let first = self.stage1.walk(&mut tables, iova, access)?;
        let second = self
            .stage2
            .walk(memory, first.output, access)
            .map_err(|fault| fault.on_behalf(iova, access, None))?;

        Ok(first.then(second))
    }
}
