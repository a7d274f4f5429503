// SPDX-License-Identifier: GPL-2.0

//! VT-d's second stage (sections 3.7 and 9.8): from an IOVA, or a guest's physical address, to the
//! host's.
//!
//! An entry is there if it lets something be read or written; all entries on the way must agree.
//! The stage knows no privilege, and does not look at X: what can be read can be fetched.

use super::{
    address, in_interrupt_range, inaccessible, shift, slot, valid_host_bits, valid_root, Cause,
    ConfigError, Fault, PAGE_SIZE, STRIDE,
};
use crate::{
    bits,
    tables::{self, visit, Direct, Unreachable},
    Access, Permissions, Request, Rights, Stage, Translation, WalkMemory,
};
use core::convert::Infallible;

/// R, W: the page below may be read, written.
const READ: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
/// A, D: set by the hardware where the PASID-table entry has SSADE.
const ACCESSED: u64 = 1 << 8;
const DIRTY: u64 = 1 << 9;
/// SNP of an entry that maps a page.
const SNOOP: u64 = 1 << 11;
/// TM of an entry that maps a page.
const TRANSIENT: u64 = 1 << 62;

/// A second stage, in the words of the context or PASID-table entry and the capability registers.
#[derive(Clone, Copy, Debug)]
pub struct SecondStageConfig {
    /// SSPTPTR: the physical address of the top table, in bytes.
    pub root: u64,
    /// Levels of tables: 3 (AW 1, 39 bits), 4 (AW 2, 48 bits) or 5 (AW 3, 57 bits).
    pub levels: u32,
    /// MGAW: how many bits of an address are translated at most.
    pub guest_bits: u32,
    /// HAW: how many bits a physical address has.
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

/// A second stage that can be walked.
#[derive(Clone, Copy, Debug)]
pub struct SecondStage {
    config: SecondStageConfig,
    input_bits: u32,
}

/// What an entry leads to.
enum Step {
    Table(u64),
    Page(u64),
}

impl SecondStage {
    /// Checks what the hardware checks before it walks.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no such stage.
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
        let fault = |cause, level| Fault {
            cause,
            stage: Stage::Two,
            level,
            access,
            iova,
            ipa: Some(iova),
            table: None,
        };
        if iova >> self.input_bits != 0 {
            return Err(fault(Cause::BeyondWidth, None));
        }

        let mut table = self.config.root;
        let mut level = self.config.levels;
        let mut rights = Rights::ALL;

        loop {
            let look = |entry| {
                self.look(entry, level, iova, rights, access.request)
                    .map_err(|cause| fault(cause, Some(level)))
            };
            let blocked = |update, Unreachable::Bus(_): Unreachable<Infallible>| {
                let top = level == self.config.levels;
                fault(inaccessible(update, top), Some(level))
            };
            let found = visit(&mut Direct(memory), slot(table, level, iova), look, blocked);
            let (step, granted) = found?;

            match step {
                // Level 1 has pages only, so this ends.
                Step::Table(next) => {
                    table = next;
                    level -= 1;
                    rights = granted;
                }
                Step::Page(output) => {
                    return Ok(Translation {
                        output,
                        page_bits: shift(level),
                        permissions: Permissions::alike(granted),
                    })
                }
            }
        }
    }

    /// What an entry means, what is allowed from here on, and what the entry becomes by being used.
    fn look(
        &self,
        entry: u64,
        level: u32,
        input: u64,
        rights: Rights,
        request: Request,
    ) -> Result<((Step, Rights), u64), Cause> {
        if entry & (READ | WRITE) == 0 {
            return Err(Cause::NotPresent);
        }
        let page = level == 1 || entry & PAGE_SIZE != 0;
        if entry & self.reserved(level, page) != 0 {
            return Err(Cause::Reserved);
        }
        let rights = rights.and(Rights {
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
            return Ok(((Step::Table(address(entry, 12)), rights), accessed));
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
        Ok((
            (Step::Page(output), rights),
            accessed | if dirty { DIRTY } else { 0 },
        ))
    }

    /// The bits that must be zero in an entry that is there (section 9.8).
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

/// The walk of a first stage reads its tables, and sets flags in them with a locked access.
impl tables::SecondStage for SecondStage {
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
        Ok(self.translate(memory, addr, access)?.output)
    }
}
