// SPDX-License-Identifier: GPL-2.0

//! VT-d's first stage (sections 3.6 and 9.7): the page tables of an x86 processor in 64-bit mode,
//! walked for a device.
//!
//! A right must be granted by all entries on the path. The hardware sets A in each entry that it
//! uses, and D in the last entry of a write; this cannot be disabled. A is set in an entry above
//! the last as soon as it is used, even if the request then fails at a lower level.

use super::{
    address, in_interrupt_range, inaccessible, shift, slot, valid_host_bits, valid_root, Cause,
    ConfigError, Fault, PAGE_SIZE, STRIDE,
};
use crate::{
    bits,
    tables::{self, Direct, Place, Step, Tables, Unreachable},
    Access, Permissions, Request, Rights, Stage, TableVisit, Translation, WalkMemory,
};

const PRESENT: u64 = 1 << 0;
/// R/W: the page may be written.
const WRITE: u64 = 1 << 1;
/// U/S: the page may be used without supervisor privilege.
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// EA: set together with A if EAFE is set in the PASID-table entry.
const EXTENDED_ACCESSED: u64 = 1 << 10;
/// XD: no page below may be executed.
const EXECUTE_DISABLE: u64 = 1 << 63;

/// A first stage, as fields of the PASID-table entry (section 9.6) and the capability registers.
#[derive(Clone, Copy, Debug)]
pub struct FirstStageConfig {
    /// FSPTPTR: the address of the top table, in bytes; guest-physical where the stage is nested.
    pub root: u64,
    /// Levels of tables: 4 (FSPM 0, 48 bits) or 5 (FSPM 1, 57 bits).
    pub levels: u32,
    /// HAW: the number of bits of a physical address.
    pub host_bits: u32,
    /// Pages of 1 GiB (CAP.FS1GP).
    pub one_gib: bool,
    /// NXE: XD has a meaning; otherwise it is reserved.
    pub no_execute: bool,
    /// WPE: requests with supervisor privilege, too, may write only where R/W is set.
    pub write_protect: bool,
    /// SRE: requests with supervisor privilege are accepted.
    pub supervisor: bool,
    /// ERE: requests to execute are accepted.
    pub execute: bool,
    /// SMEP: requests with supervisor privilege must not execute pages with U/S set.
    pub execution_prevention: bool,
    /// EAFE: the hardware sets EA.
    pub extended_accessed: bool,
}

/// A walker of a first stage.
#[derive(Clone, Copy, Debug)]
pub struct FirstStage {
    config: FirstStageConfig,
}

/// The rights that all entries so far allow.
#[derive(Clone, Copy)]
struct Path {
    user: bool,
    write: bool,
    execute: bool,
}

impl Path {
    /// Before the first entry.
    const OPEN: Self = Self {
        user: true,
        write: true,
        execute: true,
    };
}

impl FirstStage {
    /// Creates a walker from the fields, which the hardware checks before a walk.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a field is illegal.
    pub const fn new(config: FirstStageConfig) -> Result<Self, ConfigError> {
        if config.levels != 4 && config.levels != 5 {
            return Err(ConfigError::Levels);
        }
        if !valid_host_bits(config.host_bits) {
            return Err(ConfigError::Width);
        }
        if !valid_root(config.root, config.host_bits) {
            return Err(ConfigError::Root);
        }
        Ok(Self { config })
    }

    /// Translates an address that a device uses, in bytes; there is no second stage.
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
        self.walk(&mut Direct(memory), iova, access, true)
    }

    /// Translates an address with tables of any kind.
    ///
    /// If the output is `physical`, because no further stage follows, an output in the interrupt
    /// range is a fault of this stage.
    pub(super) fn walk<T: Tables>(
        &self,
        tables: &mut T,
        iova: u64,
        access: Access,
        physical: bool,
    ) -> Result<Translation, Fault>
    where
        Fault: From<T::Fault>,
    {
        let fault = |cause, level| Fault::new(Stage::One, cause, level, access, iova);

        self.accept(iova, access)
            .map_err(|cause| fault(cause, None))?;
        let first = Place {
            table: self.config.root,
            level: self.config.levels,
            path: Path::OPEN,
        };

        tables::walk(
            tables,
            first,
            |at| slot(at.table, at.level, iova),
            |at, entry| {
                self.look(entry, at, iova, access, physical)
                    .map_err(|cause| fault(cause, Some(at.level)))
            },
            |at, update, why| {
                let level = at.level;
                let top = level == self.config.levels;

                match why {
                    Unreachable::Bus(_) => fault(inaccessible(update, top), Some(level)),
                    Unreachable::Stage2(of_stage2) => {
                        let visit = TableVisit { level, top, update };
                        Fault::from(of_stage2).on_behalf(iova, access, Some(visit))
                    }
                }
            },
        )
    }

    /// Checks a request before the walk.
    fn accept(&self, iova: u64, access: Access) -> Result<(), Cause> {
        if access.privileged && !self.config.supervisor {
            return Err(Cause::SupervisorDisabled);
        }
        if access.request == Request::Execute && !self.config.execute {
            return Err(Cause::ExecuteDisabled);
        }
        // The uppermost translated bit and all bits above it must be equal.
        let sign = !bits(0, shift(self.config.levels) + STRIDE - 1);
        if iova & sign != 0 && iova & sign != sign {
            return Err(Cause::NonCanonical);
        }
        Ok(())
    }

    /// Returns the meaning of an entry, and the value that it has after its use.
    fn look(
        &self,
        entry: u64,
        at: &Place<Path>,
        iova: u64,
        access: Access,
        physical: bool,
    ) -> Result<(Step<Path>, u64), Cause> {
        let Place { level, path, .. } = *at;

        if entry & PRESENT == 0 {
            return Err(Cause::NotPresent);
        }
        let page = level == 1 || entry & PAGE_SIZE != 0;
        if entry & self.reserved(level, page) != 0 {
            return Err(Cause::Reserved);
        }
        let path = Path {
            user: path.user && entry & USER != 0,
            write: path.write && entry & WRITE != 0,
            execute: path.execute && entry & EXECUTE_DISABLE == 0,
        };
        let mut used = entry | ACCESSED;
        if self.config.extended_accessed {
            used |= EXTENDED_ACCESSED;
        }
        if !page {
            let next = Place {
                table: address(entry, 12),
                level: level - 1,
                path,
            };
            return Ok((Step::Table(next), used));
        }

        let permissions = self.permissions(path);
        if !permissions.allow(access) {
            return Err(match access.request {
                _ if !access.privileged && !path.user => Cause::Privilege,
                Request::Execute => Cause::NoExecute,
                _ => Cause::NoWrite,
            });
        }
        let shift = shift(level);
        let output = address(entry, shift) | (iova & bits(0, shift));
        if physical && in_interrupt_range(output) {
            return Err(Cause::InterruptRange);
        }
        if access.request.writes() {
            used |= DIRTY;
        }
        let translation = Translation {
            output,
            page_bits: shift,
            permissions,
        };
        Ok((Step::Page(translation), used))
    }

    /// Returns the rights to a page, given those that all entries on the path allow (section
    /// 3.6.1).
    const fn permissions(&self, path: Path) -> Permissions {
        let config = &self.config;
        let execute = path.execute && config.execute;

        Permissions {
            user: if path.user {
                Rights {
                    read: true,
                    write: path.write,
                    execute,
                }
            } else {
                Rights::NONE
            },
            privileged: if config.supervisor {
                Rights {
                    read: true,
                    write: path.write || !config.write_protect,
                    execute: execute && !(config.execution_prevention && path.user),
                }
            } else {
                Rights::NONE
            },
        }
    }

    /// Returns the bits that must be zero in an entry that is present (section 9.7).
    const fn reserved(&self, level: u32, page: bool) -> u64 {
        let mut reserved = bits(self.config.host_bits, 52);

        if !self.config.no_execute {
            reserved |= EXECUTE_DISABLE;
        }
        if level > 3 || (level == 3 && !self.config.one_gib) {
            reserved |= PAGE_SIZE;
        }
        // Bit 12 of a large page is PAT.
        if page && level > 1 {
            reserved |= bits(13, shift(level));
        }
        reserved
    }
}
