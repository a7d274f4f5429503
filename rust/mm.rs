// SPDX-License-Identifier: GPL-2.0

//! Memory of processes and files: pinning its pages, and charging somebody for them.

mod account;
mod batch;
mod copy;
mod memory;
mod page_map;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
mod peek;
mod pfn_run;
mod pin;
mod pin_page;
mod pin_source;
mod slots;
mod unpin;

pub use account::{Charge, ChargeMode, LimitReports, Payer};
pub use batch::batch_bytes;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub use batch::set_batch_bytes;
pub(crate) use copy::copy_run;
pub use copy::CopyBuffer;
pub use memory::{FileMemory, Memory, UserMemory};
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub use peek::{PagePointers, UserPage};
pub(crate) use pfn_run::PfnRun;
pub(crate) use pin::PinnedBatch;
pub(crate) use pin_page::PinnedPage;
pub(crate) use unpin::Unpinner;

pub use kernel::page::{PAGE_SHIFT, PAGE_SIZE};
