// SPDX-License-Identifier: GPL-2.0

//! The generic page tables of the kernel (`drivers/iommu/generic_pt`), to be measured for
//! comparison.
//!
//! A [`Table`] is not used by an IOMMU. Each of its methods is one call into `helpers.c`, which
//! calls the functions of the page table as a C driver does. [`meter`] has the counters for
//! measurements.
//!
//! Linked into the module of the benchmark only, because it needs symbols that a kernel without
//! these page tables does not have.
//!
//! C header: `include/linux/generic_pt/iommu.h`.

#![warn(missing_docs)]

pub mod meter;

use core::{
    ffi::{c_int, c_uint, c_void},
    ptr::NonNull,
};
use kernel::{device::Device, error::to_result, prelude::*, sync::aref::ARef};

/// The C type `struct generic_pt`.
#[repr(C)]
struct Raw {
    _opaque: [u8; 0],
}

/// A range of physical memory to be mapped (`struct generic_pt_run`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Physical address of the first byte.
    pub phys: u64,
    /// Length in bytes.
    pub length: u64,
}

extern "C" {
    fn generic_pt_create(format: c_uint, iommu: *mut c_void, coherent: bool) -> *mut Raw;
    fn generic_pt_destroy(pt: *mut Raw);
    fn generic_pt_map(pt: *mut Raw, iova: u64, phys: u64, length: u64) -> c_int;
    fn generic_pt_map_runs(pt: *mut Raw, iova: u64, runs: *const Run, count: usize) -> c_int;
    fn generic_pt_unmap(pt: *mut Raw, iova: u64, length: u64) -> u64;
    fn generic_pt_translate(pt: *mut Raw, iova: u64) -> u64;
    fn generic_pt_read(pt: *mut Raw, iova: u64, granule: u64, phys: *mut u64, count: usize);
}

/// A format of page tables with four levels of 512 entries and pages of 4 KiB, 2 MiB and 1 GiB
/// (`enum generic_pt_format`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Format {
    /// The AMD IOMMU v1 format, which has pages of all other powers of two as well. Its walkers are
    /// coherent.
    AmdV1 = 0,
    /// The second stage of Intel VT-d.
    VtdSecondStage = 1,
    /// The format of x86-64 CPUs, which is also the first stage of Intel VT-d.
    X86_64 = 2,
}

/// A page table.
///
/// # Invariants
///
/// `raw` came from `generic_pt_create`, and this value owns it.
pub struct Table {
    raw: NonNull<Raw>,
    // The C structure points to the device, so it must stay valid.
    _iommu: ARef<Device>,
}

impl Table {
    /// Creates an empty page table. `coherent` says whether it is built for a walker that snoops
    /// the caches of the CPU; if not, entries are flushed to memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; also if the format does not support such tables.
    pub fn new(format: Format, iommu: &Device, coherent: bool) -> Result<Self> {
        // `Device` is a transparent wrapper of `struct device`.
        let device = (&raw const *iommu).cast_mut().cast();
        // SAFETY: `iommu` is a reference to a device, of which the new value takes a counted
        // reference for as long as the table exists.
        let raw = unsafe { generic_pt_create(format as c_uint, device, coherent) };

        // INVARIANT: `generic_pt_create` returns a new table.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(ENOMEM)?,
            _iommu: iommu.into(),
        })
    }

    /// Maps `length` bytes of physical memory from `phys` on at `iova`, with the largest pages that
    /// fit.
    ///
    /// # Errors
    ///
    /// Those of generic_pt. A part of the range may be mapped then.
    #[inline(always)]
    pub fn map(&mut self, iova: u64, phys: u64, length: u64) -> Result {
        // SAFETY: By the type invariant the table is valid. `self` is borrowed mutably, so there is
        // no concurrent call. The function checks the addresses.
        to_result(unsafe { generic_pt_map(self.raw.as_ptr(), iova, phys, length) })
    }

    /// Maps runs one after the other, with one call of `map_range` for each.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    #[inline(always)]
    pub fn map_runs(&mut self, iova: u64, runs: &[Run]) -> Result {
        // SAFETY: By the type invariant the table is valid. `self` is borrowed mutably, so there is
        // no concurrent call. The pointer and the length are those of `runs`.
        to_result(unsafe {
            generic_pt_map_runs(self.raw.as_ptr(), iova, runs.as_ptr(), runs.len())
        })
    }

    /// Unmaps whole pages from `iova` on, up to the first hole. Returns the number of unmapped
    /// bytes.
    #[inline(always)]
    pub fn unmap(&mut self, iova: u64, length: u64) -> u64 {
        // SAFETY: By the type invariant the table is valid. `self` is borrowed mutably, so there is
        // no concurrent call.
        unsafe { generic_pt_unmap(self.raw.as_ptr(), iova, length) }
    }

    /// Returns the physical address of `iova`, or 0 if it is not mapped.
    #[inline(always)]
    pub fn translate(&self, iova: u64) -> u64 {
        // SAFETY: By the type invariant the table is valid. It is changed only through a mutable
        // borrow, and `self` is borrowed.
        unsafe { generic_pt_translate(self.raw.as_ptr(), iova) }
    }

    /// Fills `phys` with the [translations](Self::translate) of addresses from `iova` on that are
    /// `granule` bytes apart.
    #[inline(always)]
    pub fn read(&self, iova: u64, granule: u64, phys: &mut [u64]) {
        // SAFETY: By the type invariant the table is valid, and it is not changed while `self` is
        // borrowed. The pointer and the length are those of `phys`.
        unsafe {
            generic_pt_read(
                self.raw.as_ptr(),
                iova,
                granule,
                phys.as_mut_ptr(),
                phys.len(),
            )
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the table, which is not used after this.
        unsafe { generic_pt_destroy(self.raw.as_ptr()) }
    }
}
