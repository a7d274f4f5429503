// SPDX-License-Identifier: GPL-2.0

//! The kernel's memory for IO page tables.
//!
//! C header: `drivers/iommu/iommu-pages.h`. Retired tables wait for an RCU grace period: who walks
//! a tree of tables is an RCU reader.

use super::{memory::TableMemory, word::Word};
use crate::{bindings, shim::device_ptr};
use core::{
    ffi::c_void,
    mem::size_of_val,
    ptr,
    ptr::NonNull,
    sync::atomic::{compiler_fence, Ordering},
};
use kernel::{
    device::Device,
    sync::{aref::ARef, barrier, rcu},
};

/// How an allocation may go about finding memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableAllocation {
    /// It may sleep.
    Sleep,
    /// It may sleep, and is charged to the memory cgroup of the current process.
    SleepAndAccount,
    /// It does not sleep.
    Atomic,
}

impl TableAllocation {
    fn gfp(self) -> bindings::gfp_t {
        match self {
            Self::Sleep => bindings::GFP_KERNEL,
            Self::SleepAndAccount => bindings::GFP_KERNEL_ACCOUNT,
            Self::Atomic => bindings::GFP_ATOMIC,
        }
    }

    /// What C's flags come to.
    pub(in crate::iommu) fn from_gfp(gfp: bindings::gfp_t) -> Self {
        let has = |flags: bindings::gfp_t| gfp & flags == flags;

        if has(bindings::GFP_KERNEL_ACCOUNT) {
            Self::SleepAndAccount
        } else if has(bindings::GFP_KERNEL) {
            Self::Sleep
        } else {
            Self::Atomic
        }
    }
}

/// Pages of the kernel, counted as IO page tables.
///
/// `COHERENT`: the IOMMU snoops the CPUs' caches when it walks.
///
/// # Invariants
///
/// `offset` is what a virtual address of the linear map is more than the physical one.
pub struct IommuPages<const COHERENT: bool> {
    device: ARef<Device>,
    offset: usize,
}

impl<const COHERENT: bool> IommuPages<COHERENT> {
    /// Memory for tables that `iommu`, the device that is an IOMMU, walks; near to it.
    pub fn new(iommu: &Device) -> Self {
        // INVARIANT: This is the difference.
        Self {
            device: iommu.into(),
            // SAFETY: The function has no requirements: it computes a constant.
            offset: unsafe { bindings::kernel_ext_linear_map_offset() },
        }
    }

    fn device(&self) -> *mut bindings::device {
        device_ptr(&self.device)
    }
}

/// Tables that have been retired: linked through their `struct page`.
///
/// # Invariants
///
/// `0` is null or the first of a list of tables that `kernel_ext_table_retire` has made.
pub struct RetiredPages(*mut c_void);

// SAFETY: The list belongs to whoever has the value.
unsafe impl Send for RetiredPages {}

impl Default for RetiredPages {
    fn default() -> Self {
        // INVARIANT: An empty list.
        Self(ptr::null_mut())
    }
}

// SAFETY: The kernel's allocator gives zeroed pages, aligned to their size, which is a power of
// two. Reclaimed ones are freed by `call_rcu`, so not before all who are RCU readers now are done.
// Linear addresses and physical ones differ by `offset`.
unsafe impl<const COHERENT: bool> TableMemory for IommuPages<COHERENT> {
    const COHERENT: bool = COHERENT;
    type Reading<'a> = rcu::Guard;
    type Flags = TableAllocation;
    type Retired = RetiredPages;

    #[inline(always)]
    fn read(&self) -> rcu::Guard {
        rcu::read_lock()
    }

    fn allocate(&self, words: usize, flags: TableAllocation) -> Option<NonNull<Word>> {
        // SAFETY: `self` has a reference to the device, so it is valid. The function returns null
        // if it cannot allocate.
        let table = unsafe {
            bindings::kernel_ext_table_alloc(
                self.device(),
                words * size_of::<Word>(),
                flags.gfp(),
                COHERENT,
            )
        };

        NonNull::new(table.cast())
    }

    #[inline(always)]
    fn phys(&self, table: NonNull<Word>) -> u64 {
        table.as_ptr().expose_provenance().wrapping_sub(self.offset) as u64
    }

    #[inline(always)]
    unsafe fn virt(&self, phys: u64) -> NonNull<Word> {
        let table = ptr::with_exposed_provenance_mut((phys as usize).wrapping_add(self.offset));

        // SAFETY: The caller promises that `phys` is that of a valid table. By the type invariant
        // this is its address in the linear map, which is not null.
        unsafe { NonNull::new_unchecked(table) }
    }

    fn flush(&self, words: &[Word]) {
        if !COHERENT {
            let first = words.as_ptr().cast_mut().cast();

            // SAFETY: `self` has a reference to the device, so it is valid. The words are borrowed,
            // and the function changes no memory.
            unsafe {
                bindings::kernel_ext_table_flush(self.device(), first, size_of_val(words));
            }
        }
    }

    #[inline(always)]
    fn publish(&self) {
        // x86 keeps stores in order, for devices too; what is left of the barrier is not worth a
        // call.
        if cfg!(CONFIG_X86) {
            compiler_fence(Ordering::SeqCst);
        } else {
            barrier::dma_mb(barrier::Write);
        }
    }

    unsafe fn free(&self, table: NonNull<Word>, _words: usize) {
        // SAFETY: The caller promises that the table came from `allocate`, and that neither a CPU
        // nor the device can reach it.
        unsafe { bindings::kernel_ext_table_free(self.device(), table.as_ptr().cast(), COHERENT) };
    }

    unsafe fn retire(&self, table: NonNull<Word>, _words: usize, list: &mut RetiredPages) {
        // INVARIANT: The table becomes the first of the list.
        // SAFETY: The caller promises that the table came from `allocate` and is on no list, so
        // the link in its page structure is unused. By the type invariant `list` is null or a list.
        list.0 = unsafe { bindings::kernel_ext_table_retire(list.0, table.as_ptr().cast()) };
    }

    fn reclaim(&self, list: RetiredPages) {
        if !list.0.is_null() {
            // SAFETY: By the type invariant this is such a list, and `list`, its owner, ends here.
            // The tables are freed after an RCU grace period, so after all readers of now.
            unsafe { bindings::kernel_ext_tables_reclaim(self.device(), list.0, COHERENT) };
        }
    }
}
