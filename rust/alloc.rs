// SPDX-License-Identifier: GPL-2.0

//! Memory for values that never change their size.
//!
//! C header: `include/linux/slab.h`.

use crate::bindings;
use core::{alloc::Layout, ptr::NonNull};
use kernel::{
    alloc::{allocator::Kmalloc, AllocError, Allocator, Box, Flags, NumaNode},
    prelude::*,
};

/// The heap of [`Kmalloc`] without the detour through `krealloc()`, which costs nearly as much as the
/// allocation does.
///
/// Only what is charged to the memory cgroup ([`GFP_KERNEL_ACCOUNT`]) takes the short way.
pub struct Slab;

/// A box for a value that comes and goes often.
///
/// # Examples
///
/// ```ignore
/// let area: SlabBox<Area> = SlabBox::new(Area::new(), GFP_KERNEL_ACCOUNT)?;
/// ```
pub type SlabBox<T> = Box<T, Slab>;

// SAFETY: It is the heap of `Kmalloc`: what `kmalloc()` gives may be resized and freed by that, and the
// other way around.
unsafe impl Allocator for Slab {
    const MIN_ALIGN: usize = Kmalloc::MIN_ALIGN;

    #[inline]
    fn alloc(layout: Layout, flags: Flags, nid: NumaNode) -> Result<NonNull<[u8]>, AllocError> {
        let layout = Kmalloc::aligned_layout(layout);

        if layout.size() == 0 || flags != GFP_KERNEL_ACCOUNT || nid != NumaNode::NO_NODE {
            return Kmalloc::alloc(layout, flags, nid);
        }
        // What `kmalloc()` gives is aligned to any power of two that divides the size.
        // SAFETY: Any size may be asked for.
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
        // SAFETY: The caller vouches for it.
        unsafe { Kmalloc::realloc(ptr, layout, old_layout, flags, nid) }
    }

    #[inline]
    unsafe fn free(ptr: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: The caller gives the allocation up; without a size there was none.
            unsafe { bindings::kfree(ptr.as_ptr().cast()) };
        }
    }
}
