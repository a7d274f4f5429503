// SPDX-License-Identifier: GPL-2.0

//! The types and constants that the pure parts use, implemented with `std`.

use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use zerocopy::{FromBytes, Immutable, IntoBytes};
pub(crate) use zerocopy_derive::{FromBytes, Immutable, IntoBytes};

pub(crate) type Box<T> = std::boxed::Box<T>;
pub(crate) type Slot<T> = std::boxed::Box<std::mem::MaybeUninit<T>>;
pub(crate) type Result<T = (), E = Error> = core::result::Result<T, E>;

pub(crate) const PAGE_SIZE: usize = 4096;

/// An errno.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Error(&'static str);

macro_rules! errnos {
    ($($name:ident)*) => {
        $( pub(crate) const $name: Error = Error(stringify!($name)); )*
    };
}

errnos!(EADDRINUSE EEXIST EINVAL ENOENT ENOSPC EOPNOTSUPP EOVERFLOW);

pub(crate) fn fill_slot<T>(slot: Slot<T>, value: T) -> Box<T> {
    Box::write(slot, value)
}

/// A number that no other call returns.
pub(crate) fn next_serial() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);

    LAST.fetch_add(1, Ordering::Relaxed)
}
