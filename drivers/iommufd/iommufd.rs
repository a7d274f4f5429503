// SPDX-License-Identifier: GPL-2.0

//! `/dev/iommu`: gives user space IO address spaces and the devices that use them.
//!
//! A request takes this way:
//!
//! ```text
//! ioctl ─ dispatch (one table) ─ context (one open file) ─ objects (what it holds)
//!       └ ioas: iova_map (areas by IOVA, reserved ranges, hole search)
//!             └ pages: user memory → pinned runs, one charge
//!                   └ hwpt: a page table that mirrors the map, behind the trait DomainTable
//! vfio.ko ─ kernel_api: bind, attach, replace, detach
//!       ├ device ─ group (the unit of ownership) ─ hwpt
//!       └ access (reads, writes and pins memory itself) ─ ioas
//! ```
//!
//! Downwards only: pages know nothing of address spaces, page tables nothing of devices. The lock
//! order stands in [`ioas`]. `uapi`, `interval`, `iova_map` and `iova_walk` are pure: they are also
//! built and tested on the host, in `tools/testing/host`.
//!
//! There is no `unsafe` here: see the crate `kernel_ext`.

#![forbid(unsafe_code)]

mod access;
mod base;
mod context;
mod device;
mod dispatch;
mod group;
mod hwpt;
mod ioas;
mod iova_map;
mod iova_walk;
mod kernel_api;
mod objects;
mod option;
#[cfg(CONFIG_IOMMUFD_RUST_TEST)]
mod selftest;
mod uapi;
mod vfio_compat;

use context::Iommufd;
use iommufd_core::{iova, ContextDevice};
use kernel::prelude::*;
use kernel_ext::{interval, miscdev};

module! {
    type: IommufdModule,
    name: "iommufd",
    authors: ["The iommufd in Rust authors"],
    description: "IO address spaces for user space",
    license: "GPL",
}

/// The loaded module.
#[pin_data]
struct IommufdModule {
    /// The node of VFIO containers, where the kernel leaves it to us. Files opened there are contexts
    /// as well.
    #[cfg(CONFIG_IOMMUFD_VFIO_CONTAINER)]
    #[pin]
    container: miscdev::Registration<ContextDevice<Iommufd>>,
    #[pin]
    device: miscdev::Registration<ContextDevice<Iommufd>>,
    /// Goes after the device, through which it is used.
    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    mock: selftest::Mock,
}

impl kernel::InPlaceModule for IommufdModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
            mock: selftest::Mock::new()?,
            device <- miscdev::Registration::new(miscdev::Options {
                minor: None,
                name: c"iommu",
                node: c"iommu",
                mode: 0o660,
            }),
            #[cfg(CONFIG_IOMMUFD_VFIO_CONTAINER)]
            container <- miscdev::Registration::new(miscdev::Options {
                minor: Some(miscdev::VFIO_MINOR),
                name: c"vfio",
                node: c"vfio/vfio",
                mode: 0o666,
            }),
        })
    }
}
