// SPDX-License-Identifier: GPL-2.0

//! Both stages: a guest's stage 1, and the host's stage 2 under it (IHI 0070, section 3.3).
//!
//! Whatever address stage 1 names, its tables' and its output, is an IPA and goes through stage 2.
//! To follow a table takes the right to read there, to set a flag in it the right to write too.

use super::{Fault, Stage1, Stage2};
use crate::{tables::Through, Access, Translation, WalkMemory};

/// Two stages that can be walked.
#[derive(Clone, Copy, Debug)]
pub struct Nested {
    /// The guest's.
    pub stage1: Stage1,
    /// The host's.
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
