// SPDX-License-Identifier: GPL-2.0

//! The faults of an SMMU, and the events that it records for them (IHI 0070, section 7.3).

use crate::Stage;
use core::fmt;

/// A fault of an SMMU.
pub type Fault = crate::Fault<Cause>;

/// The cause of a fault, in the order of the checks at one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A descriptor cannot be read, or a flag in it cannot be set.
    ExternalAbort {
        /// The physical address of the descriptor, in bytes.
        fetched: u64,
    },
    /// No page is mapped there.
    Translation,
    /// An address has more bits than the output size allows.
    AddressSize,
    /// The page has not been used yet.
    AccessFlag,
    /// The access is not allowed.
    Permission,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExternalAbort { fetched } => write!(f, "external abort at {fetched:#x}"),
            Self::Translation => f.write_str("translation fault"),
            Self::AddressSize => f.write_str("address size fault"),
            Self::AccessFlag => f.write_str("access flag fault"),
            Self::Permission => f.write_str("permission fault"),
        }
    }
}

/// CLASS of an event: the access for which the faulting stage was walked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Class {
    /// A descriptor of stage 1.
    TranslationTable = 1,
    /// The input address.
    Input = 2,
}

/// The fields of an event record (IHI 0070, section 7.3) that a fault determines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The event's number: bits 7:0 of the record.
    pub number: u8,
    /// S2: a stage 2 fault.
    pub s2: bool,
    /// CLASS.
    pub class: Class,
    /// TTRnW: a stage 1 descriptor was read and not written; false in other classes.
    pub table_read: bool,
    /// InputAddr, in bytes.
    pub input: u64,
    /// IPA of a stage 2 fault, or the address fetched for an external abort, in bytes; else zero.
    pub address: u64,
}

impl Fault {
    /// Returns the event that the hardware records.
    #[must_use]
    pub fn event(&self) -> Event {
        let (number, address) = match self.cause {
            Cause::ExternalAbort { fetched } => (0x0b, fetched),
            Cause::Translation => (0x10, self.ipa.unwrap_or(0)),
            Cause::AddressSize => (0x11, self.ipa.unwrap_or(0)),
            Cause::AccessFlag => (0x12, self.ipa.unwrap_or(0)),
            Cause::Permission => (0x13, self.ipa.unwrap_or(0)),
        };
        Event {
            number,
            s2: self.stage == Stage::Two,
            class: if self.table.is_some() {
                Class::TranslationTable
            } else {
                Class::Input
            },
            table_read: self.table.is_some_and(|visit| !visit.update),
            input: self.iova,
            address,
        }
    }
}

/// A field that makes a stream table entry or context descriptor illegal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Illegal {
    /// TxSZ or S2T0SZ is out of range.
    InputSize,
    /// SL0 has a reserved value, or one that does not fit S2T0SZ.
    StartLevel,
    /// IPS, S2PS or OAS has a reserved value.
    OutputSize,
    /// TTBx or S2TTB has more bits than the output size allows.
    Base,
}

/// The reason why the fields of a stage are illegal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The stage: its fields are in the context descriptor, or the stream table entry.
    pub stage: Stage,
    /// The field.
    pub illegal: Illegal,
}

impl ConfigError {
    /// Returns the number of the event that the hardware records: C_BAD_CD or C_BAD_STE.
    #[must_use]
    pub const fn event_number(self) -> u8 {
        match self.stage {
            Stage::One => 0x0a,
            Stage::Two => 0x04,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.illegal {
            Illegal::InputSize => "input size is out of range",
            Illegal::StartLevel => "start level does not go with the input size",
            Illegal::OutputSize => "no such output size",
            Illegal::Base => "table base is beyond the output size",
        };
        write!(f, "{}, {what}", self.stage)
    }
}
