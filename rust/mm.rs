// SPDX-License-Identifier: GPL-2.0

//! Memory of processes and files: pinning its pages, and charging them to an account.

mod account;
mod batch;
mod copy;
mod memory;
mod page_map;
mod page_slots;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
mod peek;
mod pfn_run;
mod pin;
mod pin_page;
mod pin_source;
mod slots;
mod unpin;

pub use account::{Account, Charge, ChargeMode, LimitReports};
pub use batch::batch_bytes;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub use batch::set_batch_bytes;
pub use copy::{copy_run, CopyBuffer};
pub use memory::{FileMemory, Memory, UserMemory};
pub use page_slots::PageSlots;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
pub use peek::{PagePointers, UserPage};
pub use pfn_run::PfnRun;
pub use pin::PinnedBatch;
pub use pin_page::PinnedPage;
pub use unpin::Unpinner;

pub use kernel::page::{PAGE_SHIFT, PAGE_SIZE};
