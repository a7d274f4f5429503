// SPDX-License-Identifier: GPL-2.0

//! VT-d's second stage (sections 3.7 and 9.8): from an IOVA, or a guest-physical address, to a
//! host-physical one.
//!
//! An entry is present if it allows reads or writes. A right must be granted by all entries on the
//! path. The stage has no notion of privilege, and does not check X: instructions may be fetched
//! from every page that may be read.

use super::{
    address, in_interrupt_range, inaccessible, shift, slot, valid_host_bits, valid_root, Cause,
    ConfigError, Fault, PAGE_SIZE, STRIDE,
};
use crate::{
    bits,
    tables::{self, Direct, Place, Step, Unreachable},
    Access, Permissions, Request, Rights, Stage, Translation, WalkMemory,
};
use core::convert::Infallible;

/// R, W: the page below may be read, written.
const READ: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
/// A, D: set by the hardware if SSADE is set in the PASID-table entry.
const ACCESSED: u64 = 1 << 8;
const DIRTY: u64 = 1 << 9;
/// SNP of an entry that maps a page.
const SNOOP: u64 = 1 << 11;
/// TM of an entry that maps a page.
const TRANSIENT: u64 = 1 << 62;

/// A second stage, as fields of the context or PASID-table entry and the capability registers.
#[derive(Clone, Copy, Debug)]
pub struct SecondStageConfig {
    /// SSPTPTR: the physical address of the top table, in bytes.
    pub root: u64,
    /// Levels of tables: 3 (AW 1, 39 bits), 4 (AW 2, 48 bits) or 5 (AW 3, 57 bits).
    pub levels: u32,
    /// MGAW: the largest number of address bits that are translated.
    pub guest_bits: u32,
    /// HAW: the number of bits of a physical address.
    pub host_bits: u32,
    /// Pages of 2 MiB (CAP.SSLPS bit 0).
    pub two_mib: bool,
    /// Pages of 1 GiB (CAP.SSLPS bit 1).
    pub one_gib: bool,
    /// SNP may be set (ECAP.SC).
    pub snoop_control: bool,
    /// TM may be set (ECAP.DT).
    pub device_tlb: bool,
    /// The hardware sets A and D (SSADE; scalable mode only).
    pub access_dirty: bool,
}

/// A walker of a second stage.
#[derive(Clone, Copy, Debug)]
pub struct SecondStage {
    config: SecondStageConfig,
    input_bits: u32,
}

impl SecondStage {
    /// Creates a walker from the fields, which the hardware checks before a walk.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a field is illegal.
    pub const fn new(config: SecondStageConfig) -> Result<Self, ConfigError> {
        if config.levels < 3 || config.levels > 5 {
            return Err(ConfigError::Levels);
        }
        let width = shift(config.levels) + STRIDE;
        if !valid_host_bits(config.host_bits) || config.guest_bits < 13 {
            return Err(ConfigError::Width);
        }
        if !valid_root(config.root, config.host_bits) {
            return Err(ConfigError::Root);
        }
        Ok(Self {
            input_bits: if config.guest_bits < width {
                config.guest_bits
            } else {
                width
            },
            config,
        })
    }

    /// Translates an address that a device uses, in bytes.
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
        let fault = |cause, level| Fault::new(Stage::Two, cause, level, access, iova);

        if iova >> self.input_bits != 0 {
            return Err(fault(Cause::BeyondWidth, None));
        }
        let first = Place {
            table: self.config.root,
            level: self.config.levels,
            path: Rights::ALL,
        };

        tables::walk(
            &mut Direct(memory),
            first,
            |at| slot(at.table, at.level, iova),
            |at, entry| {
                self.look(entry, at, iova, access.request)
                    .map_err(|cause| fault(cause, Some(at.level)))
            },
            |at, update, Unreachable::Bus(_): Unreachable<Infallible>| {
                let top = at.level == self.config.levels;
                fault(inaccessible(update, top), Some(at.level))
            },
        )
    }

    /// Returns the meaning of an entry, and the value that it has after its use.
    fn look(
        &self,
        entry: u64,
        at: &Place<Rights>,
        input: u64,
        request: Request,
    ) -> Result<(Step<Rights>, u64), Cause> {
        let level = at.level;

        if entry & (READ | WRITE) == 0 {
            return Err(Cause::NotPresent);
        }
        let page = level == 1 || entry & PAGE_SIZE != 0;
        if entry & self.reserved(level, page) != 0 {
            return Err(Cause::Reserved);
        }
        let rights = at.path.and(Rights {
            read: entry & READ != 0,
            write: entry & WRITE != 0,
            execute: entry & READ != 0,
        });
        let accessed = if self.config.access_dirty {
            entry | ACCESSED
        } else {
            entry
        };
        if !page {
            let next = Place {
                table: address(entry, 12),
                level: level - 1,
                path: rights,
            };
            return Ok((Step::Table(next), accessed));
        }

        if !rights.allow(request) {
            return Err(if request.writes() && !rights.write {
                Cause::NoWrite
            } else {
                Cause::NoRead
            });
        }
        let shift = shift(level);
        let output = address(entry, shift) | (input & bits(0, shift));
        if in_interrupt_range(output) {
            return Err(Cause::InterruptRange);
        }
        let dirty = self.config.access_dirty && request.writes();
        let translation = Translation {
            output,
            page_bits: shift,
            permissions: Permissions::alike(rights),
        };
        Ok((
            Step::Page(translation),
            accessed | if dirty { DIRTY } else { 0 },
        ))
    }

    /// Returns the bits that must be zero in an entry that is present (section 9.8).
    const fn reserved(&self, level: u32, page: bool) -> u64 {
        let config = &self.config;
        let mut reserved = bits(config.host_bits, 52);

        let size = match level {
            1 => true,
            2 => config.two_mib,
            3 => config.one_gib,
            _ => false,
        };
        if !size {
            reserved |= PAGE_SIZE;
        }
        if page {
            reserved |= bits(12, shift(level));
        }
        if !page || !config.snoop_control {
            reserved |= SNOOP;
        }
        if !page || !config.device_tlb {
            reserved |= TRANSIENT;
        }
        reserved
    }
}

impl tables::SecondStage for SecondStage {
    type Fault = Fault;

    fn walk<M: WalkMemory>(
        &self,
        memory: &mut M,
        addr: u64,
        access: Access,
    ) -> Result<Translation, Fault> {
        self.translate(memory, addr, access)
    }
}
