// SPDX-License-Identifier: GPL-2.0

//! The top of the crate: the state of an open file, and the types of its objects.
//!
//! This module names every type of object, and passes ioctls to [`dispatch`]. No module below names
//! this one: they reach the state through [`Context`], each its own part.

use crate::{
    access::Access,
    context::{Context, Iommufd},
    device::Device,
    dispatch,
    group::Groups,
    hwpt::Hwpt,
    ioas::Ioas,
    selftest,
    vfio_compat::Container,
    IommufdModule,
};
use iommufd_core::ContextDevice;
use kernel::{
    mm::virt::{flags, VmaNew},
    module::this_module,
    pr_info_once,
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        Arc,
    },
};
use kernel_ext::{
    miscdev::{FileOperations, VFIO_MINOR},
    mm::LimitReports,
    new_rwsem,
    sync::RwSem,
};

/// The state of an open file, apart from its objects.
#[pin_data]
pub(crate) struct State {
    /// The groups of the devices that are bound to it.
    #[pin]
    pub(crate) groups: Groups,
    /// The state of the VFIO container that the file stands in for.
    #[pin]
    pub(crate) container: Container,
    charges_process: Atomic<bool>,
    /// The limit that was last reported in the kernel log for memory that is mapped in the context.
    pub(crate) limit_reports: Arc<LimitReports>,
    /// Held for writing while all address spaces are locked, and for reading while one is
    /// published, so that none is missed.
    #[pin]
    pub(crate) all_address_spaces: RwSem<()>,
}

impl State {
    /// Returns whether pinned pages count against the limit of the process, as in VFIO, instead of
    /// that of the user.
    pub(crate) fn charges_process(&self) -> bool {
        self.charges_process.load(Relaxed)
    }

    /// Sets whether pages that are mapped from now on count against the limit of the process.
    pub(crate) fn charge_process(&self, process: bool) {
        self.charges_process.store(process, Relaxed);
    }
}

selftest::iommufd_objects! {
    Iommufd {
        Access => Access,
        Device => Device,
        HwptPaging => Hwpt,
        Ioas => Ioas,
    }
}

static OPERATIONS: FileOperations<ContextDevice<Iommufd>> =
    FileOperations::new(this_module::<IommufdModule>());

impl iommufd_core::Iommufd for Iommufd {
    type State = State;

    fn operations() -> &'static FileOperations<ContextDevice<Self>> {
        &OPERATIONS
    }

    fn state(minor: u32) -> impl PinInit<State, Error> {
        let is_container = minor == VFIO_MINOR;

        if is_container {
            pr_info_once!("/dev/vfio/vfio is served by iommufd, not by VFIO\n");
        }
        try_pin_init!(State {
            groups <- Groups::new(),
            container <- Container::new(),
            // Programs that use only the API of VFIO expect its accounting.
            charges_process: Atomic::new(is_container),
            limit_reports: Arc::new(LimitReports::new(), GFP_KERNEL_ACCOUNT)?,
            all_address_spaces <- new_rwsem!((), "State::all_address_spaces"),
        })
    }

    fn ioctl(context: &Context, cmd: u32, arg: usize) -> Result<isize> {
        dispatch::ioctl(context, cmd, arg)
    }

    /// # Errors
    ///
    /// `EINVAL` for a private mapping, `EPERM` for one from which code could be executed; else
    /// `ENXIO`: no object has memory to be mapped, so there is no valid offset.
    fn mmap(_context: &Context, vma: &VmaNew) -> Result {
        if vma.flags() & flags::SHARED == 0 {
            return Err(EINVAL);
        }
        if vma.executable() {
            return Err(EPERM);
        }
        Err(ENXIO)
    }
}
