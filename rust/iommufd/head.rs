// SPDX-License-Identifier: GPL-2.0

//! The starts of groups and page tables, as C code reads them.
//!
//! The part of iommufd in vmlinux and C drivers of IOMMUs find a page table through the cookie of
//! its domain, and a group through a device. `layout.c` compares the layouts with those of the
//! kernel.

use crate::{
    bindings,
    context::{Context, Iommufd, Reserved},
    iommu::{Domain, Group},
    iova::SpaceId,
    object::{Object, ObjectType},
    table::Table,
};
use core::{cell::UnsafeCell, ffi::c_void, mem::offset_of};
use kernel::{prelude::*, types::Opaque};

/// Returns the `H` that `value`, which is in an object, begins with, so that it follows the header
/// of the object. `AsRef` alone does not say where the `H` is: `None` if it is not there.
pub(crate) fn head_of<T: ObjectType + AsRef<H>, H>(value: &T) -> Option<&H> {
    const {
        assert!(Object::<T>::VALUE_OFFSET == size_of::<bindings::iommufd_object>());
    }
    let head = value.as_ref();

    core::ptr::addr_eq::<T, H>(value, head).then_some(head)
}

/// A group of which devices are bound to a context (`struct iommufd_group`).
pub struct GroupHead(Opaque<bindings::iommufd_group_layout>);

// SAFETY: C code accesses the structure under locks of its own, and Rust only its address.
unsafe impl Send for GroupHead {}
// SAFETY: As above.
unsafe impl Sync for GroupHead {}

impl GroupHead {
    /// Creates the head of `group`, of which a device is being bound to `context`. The devices that
    /// refer to it keep both.
    pub fn new<I: Iommufd>(context: &Context<I>, group: &Group) -> Self {
        let mut raw: bindings::iommufd_group_layout = pin_init::zeroed();

        raw.ictx = (&raw const *context).cast_mut().cast();
        raw.group = group.as_raw();
        // There is no software MSI window (`PHYS_ADDR_MAX`).
        raw.sw_msi_start = bindings::phys_addr_t::MAX;
        Self(Opaque::new(raw))
    }

    /// Returns the address of the C structure.
    pub(crate) fn address(&self) -> usize {
        self.0.get().expose_provenance()
    }
}

/// The start of a page table that the kernel fills (`struct iommufd_hwpt_paging`, behind its
/// object), and its domain.
///
/// # Invariants
///
/// `domain` is that of `table`, and the cookie of the domain is null or the object that begins with
/// this value.
#[repr(C)]
pub struct HwptHead {
    domain: *mut bindings::iommu_domain,
    fault: *mut c_void,
    pasid_compat: u8,
    ioas: *mut c_void,
    flags: u8,
    hwpt_item: [usize; 2],
    present_sw_msi: UnsafeCell<u64>,
    /// From here on Rust only.
    table: Table,
}

/// Asserts that a field behind the object is where C has it.
macro_rules! assert_offset {
    ($field:ident, $($theirs:tt)+) => {
        assert!(
            size_of::<bindings::iommufd_object>() + offset_of!(HwptHead, $field)
                == offset_of!(bindings::iommufd_hwpt_paging_layout, $($theirs)+)
        );
    };
}

const _: () = {
    assert_offset!(domain, common.domain);
    assert_offset!(fault, common.fault);
    assert_offset!(ioas, ioas);
    assert_offset!(hwpt_item, hwpt_item);
    assert_offset!(present_sw_msi, present_sw_msi);
    // The only byte between `fault` and `ioas` that has a bit, of which it is the lowest.
    assert!(offset_of!(HwptHead, pasid_compat) == offset_of!(HwptHead, fault) + size_of::<usize>());
    assert!(cfg!(target_endian = "little"));
};

// SAFETY: The pointers are constant, and refer to the domain of `table`, which is `Send`, or are
// null. C code accesses `present_sw_msi` under a lock of its own.
unsafe impl Send for HwptHead {}
// SAFETY: As above, and `Table` is `Sync`.
unsafe impl Sync for HwptHead {}

impl HwptHead {
    /// Creates the head of a page table with the given domain, for the address space `space`.
    /// `pasids`: PASIDs can be attached to it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(domain: Domain, space: SpaceId, pasids: bool) -> Result<Self> {
        let table = Table::new(domain, space)?;

        // INVARIANT: A new domain has no cookie.
        Ok(Self {
            domain: table.as_raw(),
            fault: core::ptr::null_mut(),
            pasid_compat: pasids.into(),
            ioas: core::ptr::null_mut(),
            flags: 0,
            hwpt_item: [0; 2],
            present_sw_msi: UnsafeCell::new(0),
            table,
        })
    }

    /// Returns the page table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Returns whether PASIDs can be attached to it.
    pub fn is_pasid_compatible(&self) -> bool {
        self.pasid_compat != 0
    }

    /// Makes a page table the cookie of its domain, which no group is attached to yet.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an object that does not begin with its head.
    pub fn set_cookie<T: ObjectType + AsRef<Self>>(hwpt: &Reserved<'_, T>) -> Result {
        let head = head_of::<T, Self>(hwpt).ok_or(EINVAL)?;

        // INVARIANT: It was checked that the object begins with the value.
        // SAFETY: The domain is valid as long as the head, which the object contains, and no C code
        // reads the cookie: no group is attached to the domain before an `Attachment` has the
        // object, which keeps its value.
        unsafe { bindings::iommufd_core_set_cookie(head.domain, hwpt.as_c_ptr()) };
        Ok(())
    }
}

impl Drop for HwptHead {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the domain is that of `table`. No group is attached to it,
        // as an `Attachment` would keep the object.
        unsafe { bindings::iommufd_core_set_cookie(self.domain, core::ptr::null_mut()) };
    }
}
