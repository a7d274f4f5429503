// SPDX-License-Identifier: GPL-2.0

//! `/dev/iommu`: what each open file owns, and which types of objects it may hold.

use crate::{device::Device, dispatch, group::Groups, hwpt::Hwpt, ioas::Ioas, IommufdModule};
use kernel::{fs::File, module::this_module, prelude::*};
use kernel_ext::{
    iommufd::{self, ObjectTable, OpenContext},
    miscdev::{FileOperations, MiscDevice},
};

/// The device.
pub(crate) struct Iommufd;

/// An open `/dev/iommu`.
pub(crate) type Context = iommufd::Context<Iommufd>;

/// What an open file has beside its objects.
#[pin_data]
pub(crate) struct State {
    /// The groups of the devices that are bound to it.
    #[pin]
    pub(crate) groups: Groups,
}

kernel_ext::iommufd_objects! {
    Iommufd {
        Device => Device,
        HwptPaging => Hwpt,
        Ioas => Ioas,
    }
}

impl iommufd::Iommufd for Iommufd {
    type State = State;
    const OBJECTS: ObjectTable = OBJECTS;
}

static OPERATIONS: FileOperations<Iommufd> = FileOperations::new(this_module::<IommufdModule>());

impl MiscDevice for Iommufd {
    type Data = OpenContext<Self>;

    fn operations() -> &'static FileOperations<Self> {
        &OPERATIONS
    }

    fn open(file: &File) -> Result<Self::Data> {
        OpenContext::new(file, try_pin_init!(State { groups <- Groups::new() }))
    }

    fn ioctl(context: &Context, cmd: u32, arg: usize) -> Result<isize> {
        dispatch::ioctl(context, cmd, arg).map(|()| 0)
    }
}
