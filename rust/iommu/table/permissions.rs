// SPDX-License-Identifier: GPL-2.0

//! What a device may do with a page.

use super::run::Access;

/// What a device may do with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// It may read.
    pub read: bool,
    /// It may write.
    pub write: bool,
    /// It may fetch instructions.
    pub execute: bool,
    /// Only privileged requests may do so. Formats without the notion ignore it.
    pub privileged: bool,
}

impl From<Access> for Permissions {
    /// What a user asked for says nothing of instructions, so they may be fetched from what may be
    /// read: who wants it otherwise says so.
    fn from(access: Access) -> Self {
        Self {
            read: access.read,
            write: access.write,
            execute: access.read,
            privileged: false,
        }
    }
}
