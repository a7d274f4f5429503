// SPDX-License-Identifier: GPL-2.0

//! Allocation of memory whose size never changes.
//!
//! C header: `include/linux/slab.h`.

use crate::bindings;
use core::{alloc::Layout, ptr::NonNull};
use kernel::{
    alloc::{allocator::Kmalloc, AllocError, Allocator, Box, Flags, NumaNode},
    prelude::*,
};

/// An allocator that calls `kmalloc()` directly. [`Kmalloc`] allocates through `krealloc()`, whose
/// overhead is nearly as large as the allocation itself.
///
/// Only allocations with [`GFP_KERNEL_ACCOUNT`] take the fast path; all others are passed to
/// [`Kmalloc`].
pub struct Slab;

/// A box for values that are allocated and freed often.
///
/// # Examples
///
/// ```ignore
/// let area: SlabBox<Area> = SlabBox::new(Area::new(), GFP_KERNEL_ACCOUNT)?;
/// ```
pub type SlabBox<T> = Box<T, Slab>;

// SAFETY: Memory is valid until it is freed, because all of it comes from `kmalloc()` or `Kmalloc`.
// These use the same heap, so either may resize and free what the other has allocated. The layout
// is aligned as `Kmalloc` aligns it.
unsafe impl Allocator for Slab {
    const MIN_ALIGN: usize = Kmalloc::MIN_ALIGN;

    #[inline]
    fn alloc(layout: Layout, flags: Flags, nid: NumaNode) -> Result<NonNull<[u8]>, AllocError> {
        let layout = Kmalloc::aligned_layout(layout);

        if layout.size() == 0 || flags != GFP_KERNEL_ACCOUNT || nid != NumaNode::NO_NODE {
            return Kmalloc::alloc(layout, flags, nid);
        }
        // The size is a multiple of the alignment (`aligned_layout`), and `kmalloc()` aligns memory
        // to any power of two that divides the size.
        // SAFETY: `kmalloc()` accepts any size, and returns null if it cannot allocate.
        let memory = unsafe { bindings::kernel_ext_kmalloc_account(layout.size()) };
        let memory = NonNull::new(memory.cast()).ok_or(AllocError)?;

        Ok(NonNull::slice_from_raw_parts(memory, layout.size()))
    }

    #[inline]
    unsafe fn realloc(
        ptr: Option<NonNull<u8>>,
        layout: Layout,
        old_layout: Layout,
        flags: Flags,
        nid: NumaNode,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: The caller upholds the contract of `Allocator::realloc`, and `ptr` comes from the
        // heap that `Kmalloc` uses.
        unsafe { Kmalloc::realloc(ptr, layout, old_layout, flags, nid) }
    }

    #[inline]
    unsafe fn free(ptr: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: The caller promises that `ptr` is an allocation of this allocator with
            // `layout`, and does not use it after this. It is not of size zero, for which no memory
            // is allocated.
            unsafe { bindings::kfree(ptr.as_ptr().cast()) };
        }
    }
}
