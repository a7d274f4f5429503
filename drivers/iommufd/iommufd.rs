// SPDX-License-Identifier: GPL-2.0

//! `/dev/iommu`: gives user space IO address spaces and the devices that use them.
//!
//! A module uses those below it only:
//!
//! ```text
//! objects       what an open file holds: types of objects, groups, the VFIO container
//! dispatch      from the number of an ioctl to its command: one table
//! commands/     what carries a command out, by the object that it is about
//! kernel_api    what drivers such as vfio-pci call: bind, attach, replace, detach
//! vfio_compat   a context in place of a VFIO container
//! access        a user in the kernel: reads, writes and pins memory itself
//! device        a bound device; device/attach: which page table it gets
//! group         the unit of ownership: what all devices of a group are attached to
//! hwpt          a page table that mirrors an address space
//! ioas/         an address space: areas, the page tables and members that see them
//! iova_map      areas by IOVA, reserved ranges, search for room; iova_walk: pieces of areas
//! call          one ioctl that is being carried out
//! uapi/         the structs of the ABI, and what can be refused without an object
//! context       an open file, the type that all others take
//! ```
//!
//! Below all of them, in the crate `iommufd_core`, lie the pages, which know nothing of address
//! spaces, and page tables, which know nothing of devices. Two things go upwards. A [`Context`]
//! gives access to its [`State`], which `objects` declares: `group` and `vfio_compat` each use the
//! part that is theirs, and the address spaces the settings of the file. In builds for the kernel's
//! selftests `selftest` stands on top as well, and [`dispatch`], `objects`, `commands` and
//! [`device`] reach it through the names that `selftest_off.rs` lists.
//!
//! The lock order stands in [`ioas`]. `uapi`, `interval`, `iova_map` and `iova_walk` are pure: they
//! are also built and tested on the host, in `tools/testing/host`.
//!
//! [`Context`]: context::Context
//! [`State`]: objects::State
//!
//! There is no `unsafe` here: see the crate `kernel_ext`.

#![forbid(unsafe_code)]

mod access;
mod base;
mod call;
mod commands;
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
// The one place that tells a build for the kernel's selftests from any other.
#[cfg_attr(not(CONFIG_IOMMUFD_RUST_TEST), path = "selftest_off.rs")]
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
    /// The node of VFIO containers, where the kernel leaves it to us. Files opened there are
    /// contexts as well.
    #[cfg(CONFIG_IOMMUFD_VFIO_CONTAINER)]
    #[pin]
    container: miscdev::Registration<ContextDevice<Iommufd>>,
    #[pin]
    device: miscdev::Registration<ContextDevice<Iommufd>>,
    /// Goes after the device, through which it is used.
    mock: selftest::Mock,
}

impl kernel::InPlaceModule for IommufdModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
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
