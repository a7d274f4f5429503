// SPDX-License-Identifier: GPL-2.0

//! Stage 2: from a guest's physical addresses (IPAs) to the host's.
//!
//! The first lookup may be in up to sixteen tables, one after the other. Rights stand in the last
//! descriptor only, and only that of execution depends on privilege.

use super::{
    geometry::{is_output_size, Descriptor, Geometry},
    is_dirty_managed, with_access_flag, Cause, ConfigError, Fault, FlagUpdates, Granule, Illegal,
};
use crate::{
    tables::{self, visit, Direct, Unreachable},
    Access, Permissions, Request, Rights, Stage, Translation, WalkMemory,
};
use core::convert::Infallible;

/// S2AP.
const READ: u64 = 1 << 6;
const WRITE: u64 = 1 << 7;
/// `XN[0]`, which has a meaning with XNX only, and `XN[1]`.
const XN0: u64 = 1 << 53;
const XN1: u64 = 1 << 54;

/// log2 of how many tables the first lookup may be in.
const CONCATENATED: u32 = 4;

/// A stage 2, in the words of the stream table entry.
#[derive(Clone, Copy, Debug)]
pub struct Stage2Config {
    /// S2TTB: the address of the first table, in bytes.
    pub base: u64,
    /// S2T0SZ: how many upper bits of an address must be zero.
    pub size_offset: u32,
    /// S2SL0, as the granule encodes it.
    pub start_field: u32,
    /// S2TG.
    pub granule: Granule,
    /// S2PS: how many bits an address that comes out may have.
    pub output_bits: u32,
    /// OAS, which is IAS too: how many bits a physical address has in this SMMU.
    pub system_bits: u32,
    /// S2AFFD: a clear access flag is no fault.
    pub access_faultless: bool,
    /// S2HA, S2HD.
    pub updates: FlagUpdates,
    /// XN has two bits (SMMU_IDR3.XNX).
    pub execute_by_privilege: bool,
}

/// A stage 2 that can be walked.
#[derive(Clone, Copy, Debug)]
pub struct Stage2 {
    config: Stage2Config,
    geometry: Geometry,
}

/// What a descriptor leads to.
enum Step {
    Table(u64),
    Page(Translation),
}

impl Stage2 {
    /// Checks what makes a stream table entry illegal.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no such stage.
    pub fn new(config: Stage2Config) -> Result<Self, ConfigError> {
        let error = |illegal| ConfigError {
            stage: Stage::Two,
            illegal,
        };
        if !is_output_size(config.system_bits) {
            return Err(error(Illegal::OutputSize));
        }
        let output_bits = config.output_bits.min(config.system_bits);
        // Only with the largest granule can more than 48 bits come in.
        let smallest = match config.granule {
            Granule::K4 | Granule::K16 => 16,
            Granule::K64 => 12,
        };
        if !(smallest..=39).contains(&config.size_offset)
            || 64 - config.size_offset > config.system_bits
        {
            return Err(error(Illegal::InputSize));
        }
        // The topmost level is there only where the SMMU is wide enough to need it (D8.2).
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
        // A stage 1 that is bypassed still lets no more bits through than IAS (IHI 0070, 3.4).
        if iova >> self.config.system_bits != 0 {
            return Err(Fault {
                cause: Cause::AddressSize,
                stage: Stage::One,
                level: None,
                access,
                iova,
                ipa: None,
                table: None,
            });
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
        let fault = |cause, level| Fault {
            cause,
            stage: Stage::Two,
            level,
            access,
            iova: ipa,
            ipa: Some(ipa),
            table: None,
        };
        if ipa >> self.geometry.input_bits() != 0 {
            return Err(fault(Cause::Translation, None));
        }
        let mut table = self.geometry.root();
        let mut level = self.geometry.start();

        loop {
            let look = |descriptor| {
                self.look(descriptor, level, ipa, access)
                    .map_err(|cause| fault(cause, Some(level)))
            };
            let blocked = |_, Unreachable::Bus(fetched): Unreachable<Infallible>| {
                fault(Cause::ExternalAbort { fetched }, Some(level))
            };
            let slot = self.geometry.slot(table, level, ipa);

            match visit(&mut Direct(&mut *memory), slot, look, blocked)? {
                // The last level has no table descriptors, so this ends.
                Step::Table(next) => {
                    table = next;
                    level += 1;
                }
                Step::Page(translation) => return Ok(translation),
            }
        }
    }

    /// What a descriptor means, and what it becomes by being used. The order of the checks is the
    /// architecture's (Arm ARM, D8.15).
    fn look(
        &self,
        descriptor: u64,
        level: u32,
        ipa: u64,
        access: Access,
    ) -> Result<(Step, u64), Cause> {
        let (output, page_bits) = match self.geometry.decode(descriptor, level, ipa)? {
            Descriptor::Table(next) => return Ok((Step::Table(next), descriptor)),
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
        // Allowed to write a page that says read-only: it is clean, and now no more.
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

    /// What a page may be used for (Arm ARM, D8.4).
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

/// The walk of a stage 1 reads its descriptors, and sets flags in them atomically.
impl tables::SecondStage for Stage2 {
    type Fault = Fault;

    fn reach<M: WalkMemory>(&self, memory: &mut M, addr: u64, update: bool) -> Result<u64, Fault> {
        let access = Access {
            request: if update {
                Request::Atomic
            } else {
                Request::Read
            },
            privileged: true,
        };
        Ok(self.walk(memory, addr, access)?.output)
    }
}
