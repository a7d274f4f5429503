// SPDX-License-Identifier: GPL-2.0

//! Address translation as the architectures define it, one request at a time.
//!
//! The tests of `drivers/iommu/pagetable` compare its tables with these walkers, which share no
//! code with it. No kernel module contains them.
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
    /// Returns the eight bytes at `addr`, a multiple of eight, in the machine's byte order.
    ///
    /// # Errors
    ///
    /// [`BusError`] if the address cannot be read.
    fn read(&mut self, addr: u64) -> Result<u64, BusError>;

    /// Replaces the eight bytes at `addr` if they are still `old`; otherwise returns them.
    ///
    /// Without an implementation of this function, the memory is read-only, and a walk faults where
    /// hardware would have to set an accessed or dirty flag.
    ///
    /// # Errors
    ///
    /// [`BusError`] if the address cannot be written.
    fn compare_exchange(
        &mut self,
        _addr: u64,
        _old: u64,
        _new: u64,
    ) -> Result<Result<(), u64>, BusError> {
        Err(BusError)
    }
}

/// The kind of access that a device makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// It reads data.
    Read,
    /// It writes data.
    Write,
    /// It reads and writes in one access, which takes both rights.
    Atomic,
    /// It fetches instructions.
    Execute,
}

impl Request {
    /// Returns whether the access changes memory.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Atomic)
    }
}

/// A request, and its privilege.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// The kind of access.
    pub request: Request,
    /// Whether it is made with supervisor privilege (VT-d), or privileged (SMMU).
    pub privileged: bool,
}

/// The rights to a page.
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
    /// All rights.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        execute: true,
    };
    /// No rights.
    pub const NONE: Self = Self {
        read: false,
        write: false,
        execute: false,
    };

    /// Returns what both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            read: self.read && other.read,
            write: self.write && other.write,
            execute: self.execute && other.execute,
        }
    }

    /// Returns whether `request` is allowed.
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

/// The rights to a page, by the privilege of the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// For requests without privilege.
    pub user: Rights,
    /// For requests with privilege.
    pub privileged: Rights,
}

impl Permissions {
    /// Returns the same rights for all requests.
    #[must_use]
    pub const fn alike(rights: Rights) -> Self {
        Self {
            user: rights,
            privileged: rights,
        }
    }

    /// Returns what both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            user: self.user.and(other.user),
            privileged: self.privileged.and(other.privileged),
        }
    }

    /// Returns whether `access` is allowed.
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

/// The result of a translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The output address in bytes, which includes the low bits of the input.
    pub output: u64,
    /// The translation holds for the naturally aligned 2^`page_bits` bytes around the address. A
    /// nested one holds for the smaller page of the two stages.
    pub page_bits: u32,
    /// The rights to the page, which include the one that was asked for.
    pub permissions: Permissions,
}

impl Translation {
    /// Returns this translation followed by that of its output.
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
    /// From the device's address to a physical address, or to one of a guest (IPA).
    One,
    /// From a guest-physical address to a host-physical one.
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

/// An entry of a first-stage table for which the second stage was walked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableVisit {
    /// The level of the entry, as the architecture counts.
    pub level: u32,
    /// The entry is in the table that the walk begins with.
    pub top: bool,
    /// The entry was to be written, to set a flag in it.
    pub update: bool,
}

/// The reason why an access is refused, and what the hardware records of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault<C> {
    /// The cause, as the architecture names it.
    pub cause: C,
    /// The stage that has refused the access.
    pub stage: Stage,
    /// The level of the entry at which the walk of that stage ended; `None` if it read no entry.
    /// Intel counts down to 1, Arm counts up to 3.
    pub level: Option<u32>,
    /// The access.
    pub access: Access,
    /// The address that the device used, in bytes.
    pub iova: u64,
    /// The input address of the second stage in bytes, if that stage has refused the access.
    pub ipa: Option<u64>,
    /// The first-stage entry for which the second stage was walked; `None` if that was the device's
    /// own access.
    pub table: Option<TableVisit>,
}

impl<C> Fault<C> {
    /// Creates the fault of an access to `input`, the input address of the stage. If that is the
    /// second stage, it is the only one, or [`on_behalf`](Self::on_behalf) corrects the result.
    fn new(stage: Stage, cause: C, level: Option<u32>, access: Access, input: u64) -> Self {
        Self {
            cause,
            stage,
            level,
            access,
            iova: input,
            ipa: (stage == Stage::Two).then_some(input),
            table: None,
        }
    }

    /// Returns a fault of the second stage as the fault of the access for which it was walked.
    fn on_behalf(self, iova: u64, access: Access, table: Option<TableVisit>) -> Self {
        Self {
            access,
            iova,
            table,
            ..self
        }
    }
}

/// Accesses to physical memory are not translated and do not fault.
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

/// Returns a mask of the bits `low..end`, neither above 63.
const fn bits(low: u32, end: u32) -> u64 {
    (1 << end) - (1 << low)
}
