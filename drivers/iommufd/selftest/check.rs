// SPDX-License-Identifier: GPL-2.0

//! Checks of page tables and of the pins of pages.

use super::{
    iommu::MockIommu,
    uapi::{CheckMap, CheckRefs, TestCommand},
};
use crate::{call::Call, hwpt::Hwpt};
use iommufd_core::ObjectId;
use kernel::{page::PAGE_SIZE, prelude::*};
use kernel_ext::mm::UserPage;

/// Compares each page of a page table with the memory that should be mapped there.
///
/// # Errors
///
/// `EINVAL` if one differs, if the page table is not one of the mock IOMMU, or if a number is not
/// aligned to its pages; `EFAULT` if there is no memory at an address.
pub(super) fn map(command: &TestCommand, call: &Call<'_>) -> Result {
    let CheckMap { iova, length, uptr } = command.arguments()?;
    let hwpt = call.context.get::<Hwpt>(ObjectId(command.id))?;
    let domain = hwpt.table().downcast::<MockIommu>().ok_or(EINVAL)?;
    let page_size = hwpt.table().geometry().granule();

    if (iova | length | uptr) & (page_size - 1) != 0 || uptr.checked_add(length).is_none() {
        return Err(EINVAL);
    }
    for offset in (0..length).step_by(page_size as usize) {
        let expected = UserPage::at((uptr + offset) as usize)?.phys();

        if domain.iova_to_phys(iova.wrapping_add(offset)) != Some(expected) {
            return Err(EINVAL);
        }
    }
    Ok(())
}

/// Compares the number of pins of each page with `refs`, if the pins of the page are counted
/// separately.
///
/// # Errors
///
/// `EIO` if one differs, `EINVAL` if a number is not aligned to pages, `EFAULT` if there is no
/// memory at an address.
pub(super) fn refs(command: &TestCommand) -> Result {
    let CheckRefs {
        length, uptr, refs, ..
    } = command.arguments()?;

    if (uptr | length) & (PAGE_SIZE as u64 - 1) != 0 || uptr.checked_add(length).is_none() {
        return Err(EINVAL);
    }
    for offset in (0..length).step_by(PAGE_SIZE) {
        let page = UserPage::at((uptr + offset) as usize)?;

        if page.pins().is_some_and(|pins| pins != refs) {
            return Err(EIO);
        }
    }
    Ok(())
}
