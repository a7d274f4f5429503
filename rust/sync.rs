// SPDX-License-Identifier: GPL-2.0

//! Locks that the `kernel` crate lacks.

mod rwsem;

pub use rwsem::{ReadGuard, RwSem, WriteGuard};

#[doc(hidden)]
pub use kernel::sync::LockClassKey;
