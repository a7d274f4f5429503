// SPDX-License-Identifier: GPL-2.0

//! `/dev/iommu`: gives user space IO address spaces and the devices that use them.
//!
//! A module uses only modules below it:
//!
//! ```text
//! objects       the state of an open file: types of objects, groups, the VFIO container
//! dispatch      finds the command of an ioctl in one table
//! commands/     the commands, a file for each type of object
//! kernel_api    the functions for drivers such as vfio-pci: bind, attach, replace, detach
//! vfio_compat   a context in place of a VFIO container
//! access        a user in the kernel, which reads, writes and pins memory
//! device        a bound device; device/attach: chooses its page table
//! group         the devices that are attached together
//! hwpt          a page table that mirrors an address space
//! ioas/         an address space: its areas, page tables and members
//! iova_map      areas by IOVA, reserved ranges, search for room; iova_walk: pieces of areas
//! call          the arguments of an ioctl
//! uapi/         the structs of the ABI, and the checks that need no object
//! context       an open file, the type that all others take
//! ```
//!
//! Below all of them is the crate `iommufd_core`, in which pages do not know address spaces, and
//! page tables do not know devices. There are two exceptions. A [`Context`] gives access to its
//! [`State`], which `objects` declares: `group` and `vfio_compat` each use their part of it, and
//! the address spaces use the settings of the file. In builds for the kernel's selftests,
//! `selftest` is at the top as well; [`dispatch`], `objects`, `commands` and [`device`] use it
//! through the names that `selftest_off.rs` lists.
//!
//! The lock order is in [`ioas`]. `uapi`, `interval`, `iova_map` and `iova_walk` are pure: they are
//! also built and tested on the host, in `tools/testing/host`.
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
// The only place in which a build for the kernel's selftests differs from others.
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
    /// The node of VFIO containers, if the kernel leaves it to iommufd. Files that are opened there
    /// are contexts as well.
    #[cfg(CONFIG_IOMMUFD_VFIO_CONTAINER)]
    #[pin]
    container: miscdev::Registration<ContextDevice<Iommufd>>,
    #[pin]
    device: miscdev::Registration<ContextDevice<Iommufd>>,
    /// Dropped after `device`, through which it is used.
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
