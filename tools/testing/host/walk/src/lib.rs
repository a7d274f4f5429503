// SPDX-License-Identifier: GPL-2.0

//! Address translation as the architectures define it, one request at a time.
//!
//! The tests of `drivers/iommu/pagetable` compare its tables with these walkers, which share no code
//! with it. No kernel module contains them.
//!
//! A walker takes a table, an address and a kind of access. It returns what hardware would do: the
//! address that is accessed, or the fault that is recorded. [`vtd`] holds Intel's stages, [`vmsa`]
//! those of Arm as an SMMUv3 uses them. Each has a nested form, in which the tables and the output
//! of the first stage are translated by the second.
//!
//! The contents of the tables are not trusted and may change at any time, as those of a guest do. A
//! walk reads only through [`WalkMemory`], takes at most as many steps as the table has levels,
//! gives up an update that keeps failing, and never panics. It caches nothing; the [`Translation`]
//! says what hardware may cache, and for how large a page.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod tables;
#[cfg(test)]
mod tests;
pub mod vmsa;
pub mod vtd;

use core::{convert::Infallible, fmt};

/// No memory answers at the address, or it refuses the access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusError;

/// The physical memory in which the tables lie.
pub trait WalkMemory {
    /// The eight bytes at `addr`, a multiple of eight, in the machine's byte order.
    ///
    /// # Errors
    ///
    /// [`BusError`] if nothing can be read there.
    fn read(&mut self, addr: u64) -> Result<u64, BusError>;

    /// Replaces the eight bytes at `addr` if they are still `old`; else says what is there.
    ///
    /// Memory that is only looked at leaves this out: it then behaves as read-only memory does, and
    /// a walk faults where hardware would have to set an accessed or dirty flag.
    ///
    /// # Errors
    ///
    /// [`BusError`] if nothing can be written there.
    fn compare_exchange(
        &mut self,
        _addr: u64,
        _old: u64,
        _new: u64,
    ) -> Result<Result<(), u64>, BusError> {
        Err(BusError)
    }
}

/// What a device asks of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// To read data.
    Read,
    /// To write data.
    Write,
    /// To read and write in one, which takes both rights.
    Atomic,
    /// To fetch instructions.
    Execute,
}

impl Request {
    /// Is memory changed?
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Atomic)
    }
}

/// A request, and on whose behalf it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// What is asked.
    pub request: Request,
    /// Made with supervisor privilege (VT-d), or privileged (SMMU).
    pub privileged: bool,
}

/// What may be done with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// Instructions may be fetched from it.
    pub execute: bool,
}

impl Rights {
    /// Anything.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        execute: true,
    };
    /// Nothing.
    pub const NONE: Self = Self {
        read: false,
        write: false,
        execute: false,
    };

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            read: self.read && other.read,
            write: self.write && other.write,
            execute: self.execute && other.execute,
        }
    }

    /// May this be done?
    #[must_use]
    pub const fn allow(self, request: Request) -> bool {
        match request {
            Request::Read => self.read,
            Request::Write => self.write,
            Request::Atomic => self.read && self.write,
            Request::Execute => self.execute,
        }
    }
}

/// What may be done with a page, and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// For requests without privilege.
    pub user: Rights,
    /// For requests with privilege.
    pub privileged: Rights,
}

impl Permissions {
    /// The same for everybody.
    #[must_use]
    pub const fn alike(rights: Rights) -> Self {
        Self {
            user: rights,
            privileged: rights,
        }
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            user: self.user.and(other.user),
            privileged: self.privileged.and(other.privileged),
        }
    }

    /// May this be done, by this requester?
    #[must_use]
    pub const fn allow(self, access: Access) -> bool {
        let rights = if access.privileged {
            self.privileged
        } else {
            self.user
        };
        rights.allow(access.request)
    }
}

/// Where an access goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The address that comes out, in bytes; all low bits of the input are in it.
    pub output: u64,
    /// The translation holds for the naturally aligned 2^`page_bits` bytes around the address. A
    /// nested one holds for the smaller page of the two stages.
    pub page_bits: u32,
    /// What the page may be used for, which is at least what was asked.
    pub permissions: Permissions,
}

impl Translation {
    /// This translation followed by that of its output.
    const fn then(self, next: Self) -> Self {
        Self {
            output: next.output,
            page_bits: if next.page_bits < self.page_bits {
                next.page_bits
            } else {
                self.page_bits
            },
            permissions: self.permissions.and(next.permissions),
        }
    }
}

/// One of the two translations that an address can go through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// From the device's address to a physical address, or to a guest's (IPA).
    One,
    /// From a guest's physical address to the host's.
    Two,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "stage 1",
            Self::Two => "stage 2",
        })
    }
}

/// An entry of a first-stage table that the second stage was asked to find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableVisit {
    /// The level of the entry, as the architecture counts.
    pub level: u32,
    /// The entry lies in the table that the walk begins with.
    pub top: bool,
    /// The entry was to be written: a flag is to be set in it.
    pub update: bool,
}

/// Why an access goes nowhere, where that was found out, and what the hardware records of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault<C> {
    /// What the architecture calls it.
    pub cause: C,
    /// The stage that refused.
    pub stage: Stage,
    /// The level of the entry at which the walk of that stage ended; `None` if it read no entry.
    /// Intel counts down to 1, Arm counts up to 3.
    pub level: Option<u32>,
    /// What was asked.
    pub access: Access,
    /// The address that the device used, in bytes.
    pub iova: u64,
    /// The address that the second stage was given, in bytes, if it is the one that refused.
    pub ipa: Option<u64>,
    /// The first-stage entry on whose behalf the second stage was walked; `None` if it was for the
    /// device's own access.
    pub table: Option<TableVisit>,
}

impl<C> Fault<C> {
    /// A fault of the second stage, as it looks to the request that the second stage served.
    fn on_behalf(self, iova: u64, access: Access, table: Option<TableVisit>) -> Self {
        Self {
            access,
            iova,
            table,
            ..self
        }
    }
}

/// Physical memory is not translated, and so does not fault.
impl<C> From<Infallible> for Fault<C> {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl<C: fmt::Display> fmt::Display for Fault<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stage)?;
        if let Some(level) = self.level {
            write!(f, ", level {level}")?;
        }
        write!(f, ", {}, IOVA {:#x}", self.cause, self.iova)?;
        if let Some(ipa) = self.ipa {
            write!(f, ", IPA {ipa:#x}")?;
        }
        if let Some(TableVisit { level, update, .. }) = self.table {
            let doing = if update { "updating" } else { "reading" };
            write!(f, ", {doing} the stage 1 entry of level {level}")?;
        }
        Ok(())
    }
}

/// A mask of the bits `low..end`, neither above 63.
const fn bits(low: u32, end: u32) -> u64 {
    (1 << end) - (1 << low)
}
