// SPDX-License-Identifier: GPL-2.0

//! Stage 1: from virtual addresses to physical ones, or to those of a guest (IPAs).
//!
//! There are two tables, one for the lower and one for the upper end of the address space. A table
//! descriptor can take rights away from all pages below it.

use super::{
    geometry::{Descriptor, Geometry},
    is_dirty_managed, with_access_flag, Cause, ConfigError, Fault, FlagUpdates, Granule, Illegal,
};
use crate::{
    bits,
    tables::{self, Direct, Place, Step, Tables, Unreachable},
    Access, Permissions, Rights, Stage, TableVisit, Translation, WalkMemory,
};

/// `AP[1]`: software without privilege may use the page.
const AP_USER: u64 = 1 << 6;
/// `AP[2]`: no request may write; with DBM, no request has written.
const AP_READ_ONLY: u64 = 1 << 7;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;

/// Bits of a table descriptor that limit the rights to all pages below it (D8.4).
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
const AP_TABLE_NO_USER: u64 = 1 << 61;
const AP_TABLE_READ_ONLY: u64 = 1 << 62;

/// One of the two tables, as fields of the context descriptor.
#[derive(Clone, Copy, Debug)]
pub struct TableConfig {
    /// TTBx: the address of the first table, in bytes.
    pub base: u64,
    /// TxSZ: the number of upper bits of an address that only select the table.
    pub size_offset: u32,
    /// TGx.
    pub granule: Granule,
    /// TBIx: bits 63:56 of an address are ignored.
    pub top_byte_ignored: bool,
    /// HADx: a table descriptor takes no rights away.
    pub flat_permissions: bool,
}

/// A stage 1, as fields of the context descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Stage1Config {
    /// For addresses whose upper bits are zero; `None` with EPD0.
    pub lower: Option<TableConfig>,
    /// For addresses whose upper bits are one; `None` with EPD1.
    pub upper: Option<TableConfig>,
    /// The smaller of IPS and OAS: the number of bits of an output address.
    pub output_bits: u32,
    /// AFFD: a clear access flag is no fault.
    pub access_faultless: bool,
    /// HA, HD.
    pub updates: FlagUpdates,
    /// WXN: a page that can be written cannot be executed.
    pub write_xor_execute: bool,
    /// PAN: privileged data accesses cannot use the pages of unprivileged requests.
    pub privileged_access_never: bool,
}

/// A walker of stage 1.
#[derive(Clone, Copy, Debug)]
pub struct Stage1 {
    config: Stage1Config,
    lower: Option<Half>,
    upper: Option<Half>,
}

/// One of the two tables.
#[derive(Clone, Copy, Debug)]
struct Half {
    geometry: Geometry,
    top_byte_ignored: bool,
    flat_permissions: bool,
}

/// The rights that table descriptors have taken away so far.
#[derive(Clone, Copy)]
struct Denied(u64);

impl Half {
    fn new(config: &TableConfig, output_bits: u32) -> Result<Self, ConfigError> {
        let error = |illegal| ConfigError {
            stage: Stage::One,
            illegal,
        };
        if !(16..=39).contains(&config.size_offset) {
            return Err(error(Illegal::InputSize));
        }
        let input_bits = 64 - config.size_offset;
        let start = Geometry::natural_start(config.granule, input_bits);

        Ok(Self {
            geometry: Geometry::new(
                config.granule,
                input_bits,
                output_bits,
                start,
                0,
                config.base,
            )
            .map_err(error)?,
            top_byte_ignored: config.top_byte_ignored,
            flat_permissions: config.flat_permissions,
        })
    }

    /// Returns whether the bits of an address that select the table are equal to those of `like`.
    fn covers(&self, iova: u64, like: u64) -> bool {
        let mut selecting = !bits(0, self.geometry.input_bits());

        if self.top_byte_ignored {
            selecting &= bits(0, 56);
        }
        (iova ^ like) & selecting == 0
    }
}

impl Stage1 {
    /// Creates a walker from the fields of a context descriptor.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a field is illegal.
    pub fn new(config: Stage1Config) -> Result<Self, ConfigError> {
        let half = |table: Option<TableConfig>| {
            table
                .map(|table| Half::new(&table, config.output_bits))
                .transpose()
        };
        Ok(Self {
            lower: half(config.lower)?,
            upper: half(config.upper)?,
            config,
        })
    }

    /// Translates an address that a device uses, in bytes; there is no stage 2.
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
        self.walk(&mut Direct(memory), iova, access)
    }

    /// Translates an address with tables of any kind.
    pub(super) fn walk<T: Tables>(
        &self,
        tables: &mut T,
        iova: u64,
        access: Access,
    ) -> Result<Translation, Fault>
    where
        Fault: From<T::Fault>,
    {
        let fault = |cause, level| Fault::new(Stage::One, cause, level, access, iova);
        let half = self
            .half(iova)
            .ok_or_else(|| fault(Cause::Translation, None))?;
        let geometry = &half.geometry;
        let first = Place {
            table: geometry.root(),
            level: geometry.start(),
            path: Denied(0),
        };

        tables::walk(
            tables,
            first,
            |at| geometry.slot(at.table, at.level, iova),
            |at, descriptor| {
                self.look(half, descriptor, at, iova, access)
                    .map_err(|cause| fault(cause, Some(at.level)))
            },
            |at, update, why| match why {
                Unreachable::Bus(fetched) => {
                    fault(Cause::ExternalAbort { fetched }, Some(at.level))
                }
                Unreachable::Stage2(of_stage2) => {
                    let visit = TableVisit {
                        level: at.level,
                        top: at.level == geometry.start(),
                        update,
                    };
                    Fault::from(of_stage2).on_behalf(iova, access, Some(visit))
                }
            },
        )
    }

    /// Returns the table for an address, or `None` if its use is a fault (EPDx) or none covers it.
    fn half(&self, iova: u64) -> Option<&Half> {
        let covering = |half: &&Half, like| half.covers(iova, like);

        self.lower
            .as_ref()
            .filter(|half| covering(half, 0))
            .or_else(|| self.upper.as_ref().filter(|half| covering(half, u64::MAX)))
    }

    /// Returns the meaning of a descriptor, and the value that it has after its use. The order of
    /// the checks is that of the architecture (Arm ARM, D8.15).
    fn look(
        &self,
        half: &Half,
        descriptor: u64,
        at: &Place<Denied>,
        iova: u64,
        access: Access,
    ) -> Result<(Step<Denied>, u64), Cause> {
        let (output, page_bits) = match half.geometry.decode(descriptor, at.level, iova)? {
            Descriptor::Table(table) => {
                let next = Place {
                    table,
                    level: at.level + 1,
                    path: if half.flat_permissions {
                        at.path
                    } else {
                        Denied(at.path.0 | descriptor)
                    },
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
        let permissions = self.permissions(descriptor, at.path);

        if !permissions.allow(access) {
            return Err(Cause::Permission);
        }
        // Writing is allowed, so a page that is marked read-only was clean and becomes dirty.
        if access.request.writes() {
            used &= !AP_READ_ONLY;
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
    fn permissions(&self, descriptor: u64, denied: Denied) -> Permissions {
        let user = descriptor & AP_USER != 0 && denied.0 & AP_TABLE_NO_USER == 0;
        let writable = denied.0 & AP_TABLE_READ_ONLY == 0
            && (descriptor & AP_READ_ONLY == 0
                || is_dirty_managed(descriptor, self.config.updates));
        let user_write = user && writable;
        let hidden = user && self.config.privileged_access_never;
        let wxn = self.config.write_xor_execute;

        Permissions {
            user: Rights {
                read: user,
                write: user_write,
                execute: descriptor & UXN == 0 && denied.0 & UXN_TABLE == 0 && !(wxn && user_write),
            },
            privileged: Rights {
                read: !hidden,
                write: writable && !hidden,
                // A page that unprivileged requests can write is never executed with privilege.
                execute: descriptor & PXN == 0
                    && denied.0 & PXN_TABLE == 0
                    && !user_write
                    && !(wxn && writable),
            },
        }
    }
}
