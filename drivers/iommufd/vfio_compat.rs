// SPDX-License-Identifier: GPL-2.0

//! A context in place of a VFIO container: the ioctls of VFIO for programs that do not use
//! iommufd's.
//!
//! These ioctls name no address space. They use the one that was created when the first group
//! joined the container, or the one that `IOMMU_VFIO_IOAS` has chosen. The container has no
//! reference to it: if it is destroyed, the container has no address space.

mod dma;
mod info;

use crate::{
    context::{Context, Iommufd},
    ioas::Ioas,
    uapi::vfio,
};
use iommufd_core::{iova::SpaceId, ObjectGuard, ObjectId, Reserved, VfioCompat};
use kernel::{new_mutex, prelude::*, sync::Mutex, uaccess::UserPtr};
use kernel_ext::capability::{capable, Capability};

/// The state of a container.
#[pin_data]
pub(crate) struct Container {
    #[pin]
    state: Mutex<Choice>,
}

/// The address space that the ioctls of a container use.
struct Choice {
    ioas: Option<Chosen>,
    /// Whether the container has devices without an IOMMU. It has no address space then.
    no_iommu: bool,
}

/// An address space that may have been destroyed.
#[derive(Clone, Copy)]
struct Chosen {
    id: ObjectId,
    /// The identity of the address space, because the ID may have been reused.
    space: SpaceId,
}

impl Chosen {
    fn get(self, context: &Context) -> Option<ObjectGuard<'_, Ioas>> {
        context
            .get(self.id)
            .ok()
            .filter(|ioas: &ObjectGuard<'_, Ioas>| ioas.space() == self.space)
    }
}

impl Container {
    /// Creates a container without an address space.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(Choice { ioas: None, no_iommu: false }, "Container::state"),
        })
    }

    /// Chooses an address space, or none for `None`. `id` is the ID of the address space.
    pub(crate) fn choose(&self, id: ObjectId, ioas: Option<&Ioas>) {
        self.state.lock().ioas = ioas.map(|ioas| Chosen {
            id,
            space: ioas.space(),
        });
    }

    fn no_iommu(&self) -> bool {
        self.state.lock().no_iommu
    }
}

/// Returns the address space of the container.
///
/// # Errors
///
/// `ENODEV` if it has none.
pub(crate) fn container_ioas(context: &Context) -> Result<ObjectGuard<'_, Ioas>> {
    let chosen = context.container.state.lock().ioas;

    chosen.and_then(|chosen| chosen.get(context)).ok_or(ENODEV)
}

impl VfioCompat for Iommufd {
    fn ioas_id(context: &Context) -> Result<ObjectId> {
        container_ioas(context).map(|ioas| ioas.id())
    }

    /// # Errors
    ///
    /// `EINVAL` if the container has devices without an IOMMU.
    fn ensure_ioas(context: &Context) -> Result {
        // Allocated first, so that no allocation sleeps with the lock held.
        let new: Reserved<'_, Ioas> = context.reserve(|_| Ioas::new())?;
        let mut state = context.container.state.lock();

        if state.no_iommu {
            return Err(EINVAL);
        }
        if state
            .ioas
            .is_none_or(|chosen| chosen.get(context).is_none())
        {
            let space = new.space();
            let _all = context.all_address_spaces.read();
            // User space can learn the ID, and destroy the address space as any other.
            let id = new.publish();

            state.ioas = Some(Chosen { id, space });
        }
        Ok(())
    }

    /// # Errors
    ///
    /// `EINVAL` if the container has an address space.
    fn set_no_iommu(context: &Context) -> Result {
        let mut state = context.container.state.lock();

        if state
            .ioas
            .is_some_and(|chosen| chosen.get(context).is_some())
        {
            return Err(EINVAL);
        }
        state.no_iommu = true;
        Ok(())
    }
}

/// Carries an ioctl of VFIO out. Returns its result.
///
/// # Errors
///
/// `ENOTTY` if the container does not have the ioctl, `VFIO_IOMMU_DIRTY_PAGES` among others; else
/// the errors of the ioctl.
pub(crate) fn ioctl(context: &Context, code: u32, arg: usize) -> Result<isize> {
    let user = UserPtr::from_addr(arg);

    match code {
        vfio::GET_API_VERSION => Ok(vfio::API_VERSION),
        vfio::CHECK_EXTENSION => check_extension(context, arg).map(isize::from),
        vfio::SET_IOMMU => set_iommu(context, arg).map(|()| 0),
        vfio::IOMMU_GET_INFO => info::get_info(context, user).map(|()| 0),
        vfio::IOMMU_MAP_DMA => dma::map(context, user).map(|()| 0),
        vfio::IOMMU_UNMAP_DMA => dma::unmap(context, user).map(|()| 0),
        _ => Err(ENOTTY),
    }
}

/// Returns whether the container has an extension.
fn check_extension(context: &Context, extension: usize) -> Result<bool> {
    match extension {
        vfio::TYPE1_IOMMU | vfio::TYPE1V2_IOMMU | vfio::UNMAP_ALL => {
            Ok(!context.container.no_iommu())
        }
        vfio::NOIOMMU_IOMMU => Ok(cfg!(CONFIG_VFIO_NOIOMMU)),
        vfio::DMA_CC_IOMMU => Ok(container_ioas(context)?
            .hwpts
            .lock()
            .iter()
            .all(|hwpt| hwpt.enforces_cache_coherency)),
        _ => Ok(false),
    }
}

/// Chooses the type of the container.
///
/// # Errors
///
/// `EINVAL` for a type that does not exist or does not suit the devices; `EPERM` for the type
/// without an IOMMU if the caller lacks `CAP_SYS_RAWIO`; `ENODEV` before a group has joined; for
/// the first type those of [`Ioas::forbid_large_pages`].
fn set_iommu(context: &Context, kind: usize) -> Result {
    match (kind, context.container.no_iommu()) {
        (vfio::NOIOMMU_IOMMU, true) if cfg!(CONFIG_VFIO_NOIOMMU) => {
            if !capable(Capability::SysRawio) {
                return Err(EPERM);
            }
            Ok(())
        }
        // Areas of this type can be unmapped in part, which large pages in a page table cannot.
        (vfio::TYPE1_IOMMU, false) => container_ioas(context)?.forbid_large_pages(),
        (vfio::TYPE1V2_IOMMU, false) => container_ioas(context).map(drop),
        _ => Err(EINVAL),
    }
}
