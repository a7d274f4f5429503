// SPDX-License-Identifier: GPL-2.0

//! The permissions of a page.

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
    /// Only privileged requests may do so. Formats that cannot express this ignore it.
    pub privileged: bool,
}

impl From<Access> for Permissions {
    /// Returns permissions that allow instruction fetches wherever reads are allowed, since an
    /// [`Access`] does not say anything about them.
    fn from(access: Access) -> Self {
        Self {
            read: access.read,
            write: access.write,
            execute: access.read,
            privileged: false,
        }
    }
}
