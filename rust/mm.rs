// SPDX-License-Identifier: GPL-2.0

//! Memory of a process: pinning its pages, and charging somebody for them.

mod account;
mod pin;

pub use account::{Charge, ChargeMode, Payer};
pub use pin::UserMemory;
pub(crate) use pin::{unpin, PfnRun, PinnedBatch};

pub use kernel::page::{PAGE_SHIFT, PAGE_SIZE};
