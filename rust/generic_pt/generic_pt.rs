// SPDX-License-Identifier: GPL-2.0

//! The kernel's generic page tables (`drivers/iommu/generic_pt`), to be measured beside ours.
//!
//! C header: `include/linux/generic_pt/iommu.h`. A [`Table`] belongs to nobody's IOMMU. Each of its
//! methods is one call into `helpers.c`, which does what a C driver does around the page table's own
//! functions. [`meter`] has the counters that measuring takes.
//!
//! A part of the benchmark's module and of no other: it needs symbols that a kernel without these
//! page tables does not have.

#![warn(missing_docs)]

pub mod meter;

use core::{
    ffi::{c_int, c_uint, c_void},
    ptr::NonNull,
};
use kernel::{device::Device, error::to_result, prelude::*, sync::aref::ARef};

/// `struct generic_pt`.
#[repr(C)]
struct Raw {
    _opaque: [u8; 0],
}

/// Physical memory to be mapped: `struct generic_pt_run`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Address of its first byte.
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

/// A format of page tables, with four levels of 512 entries and pages of 4 KiB, 2 MiB and 1 GiB:
/// `enum generic_pt_format`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Format {
    /// AMD's own format, which has all other powers of two as well. Its walkers are coherent.
    AmdV1 = 0,
    /// The second stage of Intel VT-d.
    VtdSecondStage = 1,
    /// The tables of x86-64 CPUs, which are the first stage of Intel VT-d.
    X86_64 = 2,
}

/// A page table.
///
/// # Invariants
///
/// `raw` came from `generic_pt_create`, and nobody else has it.
pub struct Table {
    raw: NonNull<Raw>,
    // C has it too.
    _iommu: ARef<Device>,
}

impl Table {
    /// An empty page table; `coherent` if the walker that it does not have snoops CPU caches.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; also if the format has no such tables.
    pub fn new(format: Format, iommu: &Device, coherent: bool) -> Result<Self> {
        // `Device` is a transparent wrapper of `struct device`.
        let device = (&raw const *iommu).cast_mut().cast();
        // SAFETY: The device is valid, and stays so as long as the table.
        let raw = unsafe { generic_pt_create(format as c_uint, device, coherent) };

        // INVARIANT: It is new.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(ENOMEM)?,
            _iommu: iommu.into(),
        })
    }

    /// Maps `length` bytes from `phys` at `iova`, in the largest pages that fit.
    ///
    /// # Errors
    ///
    /// Those of generic_pt. A part may be mapped then.
    #[inline(always)]
    pub fn map(&mut self, iova: u64, phys: u64, length: u64) -> Result {
        // SAFETY: By the type invariant the table is valid; `self` is borrowed mutably, so nobody
        // else changes it. The table checks the numbers.
        to_result(unsafe { generic_pt_map(self.raw.as_ptr(), iova, phys, length) })
    }

    /// Maps runs one behind the other, in one call for each.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    #[inline(always)]
    pub fn map_runs(&mut self, iova: u64, runs: &[Run]) -> Result {
        // SAFETY: As for `map`; there are as many runs as we say.
        to_result(unsafe {
            generic_pt_map_runs(self.raw.as_ptr(), iova, runs.as_ptr(), runs.len())
        })
    }

    /// Removes whole pages from `iova` on, up to the first hole. Returns how many bytes.
    #[inline(always)]
    pub fn unmap(&mut self, iova: u64, length: u64) -> u64 {
        // SAFETY: As for `map`.
        unsafe { generic_pt_unmap(self.raw.as_ptr(), iova, length) }
    }

    /// The physical address behind `iova`; 0 if nothing is mapped there.
    #[inline(always)]
    pub fn translate(&self, iova: u64) -> u64 {
        // SAFETY: By the type invariant the table is valid; nobody changes it while it is borrowed.
        unsafe { generic_pt_translate(self.raw.as_ptr(), iova) }
    }

    /// [`translate`](Self::translate) for as many addresses as there is room for, from `iova` on and
    /// `granule` bytes apart.
    #[inline(always)]
    pub fn read(&self, iova: u64, granule: u64, phys: &mut [u64]) {
        // SAFETY: As for `translate`; there is as much room as we say.
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
        // SAFETY: By the type invariant it is ours, and nobody uses it after this.
        unsafe { generic_pt_destroy(self.raw.as_ptr()) }
    }
}
