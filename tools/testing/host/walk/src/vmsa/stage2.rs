// SPDX-License-Identifier: GPL-2.0

//! Stage 2: from guest-physical addresses (IPAs) to host-physical ones.
//!
//! The first lookup may use up to sixteen adjacent tables. Only the last descriptor has rights, and
//! only the right to execute depends on privilege.

use super::{
    geometry::{is_output_size, Descriptor, Geometry},
    is_dirty_managed, with_access_flag, Cause, ConfigError, Fault, FlagUpdates, Granule, Illegal,
};
use crate::{
    tables::{self, Direct, Place, Step, Unreachable},
    Access, Permissions, Rights, Stage, Translation, WalkMemory,
};
use core::convert::Infallible;

/// S2AP.
const READ: u64 = 1 << 6;
const WRITE: u64 = 1 << 7;
/// `XN[0]`, which has a meaning with XNX only, and `XN[1]`.
const XN0: u64 = 1 << 53;
const XN1: u64 = 1 << 54;

/// Log2 of the number of tables that the first lookup may use.
const CONCATENATED: u32 = 4;

/// A stage 2, as fields of the stream table entry.
#[derive(Clone, Copy, Debug)]
pub struct Stage2Config {
    /// S2TTB: the address of the first table, in bytes.
    pub base: u64,
    /// S2T0SZ: the number of upper bits of an address that must be zero.
    pub size_offset: u32,
    /// S2SL0, as the granule encodes it.
    pub start_field: u32,
    /// S2TG.
    pub granule: Granule,
    /// S2PS: the number of bits of an output address.
    pub output_bits: u32,
    /// OAS, which is also IAS: the number of bits of a physical address in this SMMU.
    pub system_bits: u32,
    /// S2AFFD: a clear access flag is no fault.
    pub access_faultless: bool,
    /// S2HA, S2HD.
    pub updates: FlagUpdates,
    /// XN has two bits (SMMU_IDR3.XNX).
    pub execute_by_privilege: bool,
}

/// A walker of stage 2.
#[derive(Clone, Copy, Debug)]
pub struct Stage2 {
    config: Stage2Config,
    geometry: Geometry,
}

impl Stage2 {
    /// Creates a walker from the fields of a stream table entry.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a field is illegal.
    pub fn new(config: Stage2Config) -> Result<Self, ConfigError> {
        let error = |illegal| ConfigError {
            stage: Stage::Two,
            illegal,
        };
        if !is_output_size(config.system_bits) {
            return Err(error(Illegal::OutputSize));
        }
        let output_bits = config.output_bits.min(config.system_bits);
        // Only the largest granule allows more than 48 input bits.
        let smallest = match config.granule {
            Granule::K4 | Granule::K16 => 16,
            Granule::K64 => 12,
        };
        if !(smallest..=39).contains(&config.size_offset)
            || 64 - config.size_offset > config.system_bits
        {
            return Err(error(Illegal::InputSize));
        }
        // The topmost level exists only in an SMMU whose addresses need it (D8.2).
        let (lowest, topmost_from) = match config.granule {
            Granule::K4 => (2, 44),
            Granule::K16 => (3, 42),
            Granule::K64 => (3, 44),
        };
        let start = match config.start_field {
            field @ 0..=1 => lowest - field,
            2 if config.system_bits >= topmost_from => lowest - 2,
            _ => return Err(error(Illegal::StartLevel)),
        };

        Ok(Self {
            geometry: Geometry::new(
                config.granule,
                64 - config.size_offset,
                output_bits,
                start,
                CONCATENATED,
                config.base,
            )
            .map_err(error)?,
            config,
        })
    }

    /// Translates an address that a device uses, in bytes; there is no stage 1.
    ///
    /// # Errors
    ///
    /// The [`Fault`] that the hardware records.
    pub fn translate<M: WalkMemory>(
        &self,
        memory: &mut M,
        iova: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        // A stage 1 that is bypassed still checks that the address has no more bits than IAS (IHI
        // 0070, 3.4).
        if iova >> self.config.system_bits != 0 {
            return Err(Fault::new(
                Stage::One,
                Cause::AddressSize,
                None,
                access,
                iova,
            ));
        }
        self.walk(memory, iova, access)
    }

    /// Translates an IPA, in bytes.
    pub(super) fn walk<M: WalkMemory>(
        &self,
        memory: &mut M,
        ipa: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        let fault = |cause, level| Fault::new(Stage::Two, cause, level, access, ipa);

        if ipa >> self.geometry.input_bits() != 0 {
            return Err(fault(Cause::Translation, None));
        }
        let first = Place {
            table: self.geometry.root(),
            level: self.geometry.start(),
            path: (),
        };

        tables::walk(
            &mut Direct(memory),
            first,
            |at| self.geometry.slot(at.table, at.level, ipa),
            |at, descriptor| {
                self.look(descriptor, at.level, ipa, access)
                    .map_err(|cause| fault(cause, Some(at.level)))
            },
            |at, _, Unreachable::Bus(fetched): Unreachable<Infallible>| {
                fault(Cause::ExternalAbort { fetched }, Some(at.level))
            },
        )
    }

    /// Returns the meaning of a descriptor, and the value that it has after its use. The order of
    /// the checks is that of the architecture (Arm ARM, D8.15).
    fn look(
        &self,
        descriptor: u64,
        level: u32,
        ipa: u64,
        access: Access,
    ) -> Result<(Step<()>, u64), Cause> {
        let (output, page_bits) = match self.geometry.decode(descriptor, level, ipa)? {
            Descriptor::Table(table) => {
                let next = Place {
                    table,
                    level: level + 1,
                    path: (),
                };
                return Ok((Step::Table(next), descriptor));
            }
            Descriptor::Leaf { output, page_bits } => (output, page_bits),
        };
        let mut used = with_access_flag(
            descriptor,
            self.config.updates,
            self.config.access_faultless,
        )?;
        let permissions = self.permissions(descriptor);

        if !permissions.allow(access) {
            return Err(Cause::Permission);
        }
        // Writing is allowed, so a page that is marked read-only was clean and becomes dirty.
        if access.request.writes() {
            used |= WRITE;
        }
        Ok((
            Step::Page(Translation {
                output,
                page_bits,
                permissions,
            }),
            used,
        ))
    }

    /// Returns the rights to a page (Arm ARM, D8.4).
    fn permissions(&self, descriptor: u64) -> Permissions {
        let data = Rights {
            read: descriptor & READ != 0,
            write: descriptor & WRITE != 0 || is_dirty_managed(descriptor, self.config.updates),
            execute: false,
        };
        let (user, privileged) = match (descriptor & XN1 != 0, descriptor & XN0 != 0) {
            (never, _) if !self.config.execute_by_privilege => (!never, !never),
            (false, false) => (true, true),
            (false, true) => (true, false),
            (true, false) => (false, false),
            (true, true) => (false, true),
        };
        Permissions {
            user: Rights {
                execute: user,
                ..data
            },
            privileged: Rights {
                execute: privileged,
                ..data
            },
        }
    }
}

impl tables::SecondStage for Stage2 {
    type Fault = Fault;

    fn walk<M: WalkMemory>(
        &self,
        memory: &mut M,
        addr: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        Self::walk(self, memory, addr, access)
    }
}
