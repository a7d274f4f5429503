// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_TEST_CMD` as `iommufd_test.h` lays it out.

use crate::uapi::Command;
use kernel::prelude::*;
use zerocopy::Immutable;
use zerocopy_derive::Immutable;

/// The command: an operation on an object, and a union of the arguments of all operations.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct TestCommand {
    size: u32,
    op: u32,
    /// ID of the object.
    pub(crate) id: u32,
    reserved: u32,
    arguments: [u8; 48],
    last: u32,
    padding: u32,
}

impl Command for TestCommand {
    const NR: u32 = 0xa0;
    const MIN_SIZE: usize = core::mem::offset_of!(TestCommand, last) + size_of::<u32>();
}

impl TestCommand {
    /// Returns the operation.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for an operation that does not exist.
    pub(super) fn op(&self) -> Result<Op> {
        Op::from_number(self.op).ok_or(EOPNOTSUPP)
    }

    /// Returns the arguments as those of an operation.
    pub(super) fn arguments<T: FromBytes>(&self) -> Result<T> {
        T::read_from_prefix(&self.arguments)
            .map(|(arguments, _)| arguments)
            .map_err(|_| EINVAL)
    }

    /// Replaces the arguments by the answer of an operation.
    pub(super) fn answer<T: IntoBytes + Immutable>(&mut self, answer: &T) -> Result {
        answer
            .write_to_prefix(&mut self.arguments)
            .map_err(|_| EINVAL)
    }
}

macro_rules! operations {
    ($($(#[$meta:meta])* $name:ident = $number:literal,)+) => {
        /// An operation of the command.
        #[derive(Clone, Copy)]
        pub(super) enum Op {
            $($(#[$meta])* $name,)+
        }

        impl Op {
            fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

operations! {
    /// Reserves a range of IOVA in an address space.
    AddReserved = 1,
    /// Creates a mock device and attaches it to a page table or an address space.
    MockDomain = 2,
    /// Compares a page table with memory of the process.
    CheckMap = 3,
    /// Compares the number of pins of pages with a number.
    CheckRefs = 4,
    /// Creates a user of an address space in the kernel, which is a file.
    CreateAccess = 5,
    /// Lets such a user unpin pages that it has pinned.
    DestroyAccessPages = 6,
    /// Lets such a user pin pages.
    AccessPages = 7,
    /// Lets such a user read or write memory.
    AccessRw = 8,
    /// Sets the size of temporary buffers.
    SetTempMemoryLimit = 9,
    /// Moves a mock device to another page table or address space.
    MockDomainReplace = 10,
    /// Moves a user of an address space to another one.
    AccessReplaceIoas = 11,
    /// As `MockDomain`, for a device with flags.
    MockDomainFlags = 12,
    /// Lets a device write to memory through a page table that records it.
    Dirty = 13,
    /// Compares what a mock device has cached with a number.
    DevCheckCache = 16,
    /// Attaches a PASID of a mock device to a page table or address space.
    PasidAttach = 18,
    /// Moves a PASID of a mock device to another page table or address space.
    PasidReplace = 19,
    /// Detaches a PASID of a mock device.
    PasidDetach = 20,
    /// Compares what a PASID of a mock device is attached to with a page table.
    PasidCheckHwpt = 21,
    /// Creates a dma-buf of kernel memory.
    DmabufGet = 22,
    /// Revokes the memory of a dma-buf, or makes it available again.
    DmabufRevoke = 23,
    /// Has the claim on the DMA of a device outlive the device. Not in the kernel.
    OutliveDevice = 1000,
    /// Has dirty pages read by the functions for C, or, if the ID is zero, not any more. Not in the
    /// kernel.
    ReadDirtyByC = 1001,
}

/// Arguments of [`Op::AddReserved`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct AddReserved {
    /// The first IOVA.
    pub(super) start: u64,
    /// The length in bytes.
    pub(super) length: u64,
}

/// Arguments and answer of [`Op::MockDomain`] and [`Op::MockDomainFlags`].
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct MockDomain {
    /// Answer: ID of the mock device.
    pub(super) out_stdev_id: u32,
    /// Answer: ID of the page table that it is attached to.
    pub(super) out_hwpt_id: u32,
    /// Answer: ID of the bound device.
    pub(super) out_idev_id: u32,
    /// `DEVICE_*`.
    pub(super) dev_flags: u32,
}

/// No page table records what the device writes to.
pub(super) const DEVICE_NO_DIRTY: u32 = 1 << 0;
/// The device has PASIDs.
pub(super) const DEVICE_PASID: u32 = 1 << 2;
/// Their width in bits.
pub(super) const PASID_WIDTH: u32 = 20;

/// Arguments and answer of [`Op::MockDomainReplace`].
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct MockDomainReplace {
    /// ID of the page table or address space; answer: ID of the page table.
    pub(super) pt_id: u32,
}

/// The PASID for which every second attachment of a mock device fails.
pub(super) const FAILING_PASID: u32 = 1024;

/// Arguments of [`Op::PasidAttach`], [`Op::PasidReplace`], [`Op::PasidDetach`] and
/// [`Op::PasidCheckHwpt`], and the answer of the first two. The command names the mock device.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct PasidChange {
    /// The PASID.
    pub(super) pasid: u32,
    /// ID of the page table or address space; answer: ID of the page table. Of `PasidCheckHwpt`:
    /// the expected page table, or zero if the PASID is expected to be detached.
    pub(super) pt_id: u32,
}

/// Arguments of [`Op::CheckMap`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct CheckMap {
    /// The first IOVA.
    pub(super) iova: u64,
    /// The length in bytes.
    pub(super) length: u64,
    /// User address of the memory that is expected there.
    pub(super) uptr: u64,
}

/// Arguments of [`Op::CheckRefs`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct CheckRefs {
    /// The length in bytes.
    pub(super) length: u64,
    /// The first address.
    pub(super) uptr: u64,
    /// The expected number of pins of each page.
    pub(super) refs: u32,
    padding: u32,
}

/// Arguments of [`Op::SetTempMemoryLimit`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct MemoryLimit {
    /// Size of temporary buffers in bytes.
    pub(super) limit: u32,
}

/// The data with which a mock page table is allocated, `struct iommu_hwpt_selftest`.
#[derive(FromBytes, IntoBytes)]
#[repr(C)]
pub(super) struct HwptSelftest {
    iotlb: u32,
    /// One of `PAGE_TABLE_*`.
    pub(super) page_table: u32,
}

impl HwptSelftest {
    /// The size of the first version of the struct, in bytes.
    pub(super) const MIN_SIZE: usize = size_of::<u32>();
}

/// The type of the data [`HwptSelftest`].
pub(super) const HWPT_DATA_SELFTEST: u32 = 0xdead;
/// No data.
pub(super) const HWPT_DATA_NONE: u32 = 0;
/// A page table with small pages, for part of the addresses.
pub(super) const PAGE_TABLE_DEFAULT: u32 = 0;
/// A page table that is filled with huge pages.
pub(super) const PAGE_TABLE_HUGE: u32 = 1;
/// The IOVAs that a page table with small pages translates, both ends inclusive.
pub(super) const APERTURE: core::ops::RangeInclusive<u64> = 1 << 24..=(1 << 31) - 1;
/// The size of the smallest pages of a page table.
pub(super) const SMALL_PAGE_SIZE: u64 = 2048;
/// The size of huge pages, which are used beside the CPU's pages.
pub(super) const HUGE_PAGE_SIZE: u64 = 512 * SMALL_PAGE_SIZE;

/// The information of the mock IOMMU, `struct iommu_test_hw_info`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct TestHwInfo {
    flags: u32,
    test_reg: u32,
}

impl TestHwInfo {
    /// The kind of this information.
    pub(super) const KIND: u32 = 0xfeed_beef;

    /// Returns the only value.
    pub(super) const fn new() -> Self {
        Self {
            flags: 0,
            test_reg: 0xdead_beef,
        }
    }
}

/// Arguments and answer of [`Op::CreateAccess`].
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct CreateAccess {
    /// Answer: file descriptor of the user.
    pub(super) out_access_fd: u32,
    /// `ACCESS_NEEDS_PAGES`, if the user pins pages.
    pub(super) flags: u32,
}

/// The user pins pages.
pub(super) const ACCESS_NEEDS_PAGES: u32 = 1 << 0;
/// Memory is written, or pages are pinned for writing.
pub(super) const ACCESS_WRITE: u32 = 1 << 0;
/// Memory is copied through pinned pages, even if it could be copied in another way.
pub(super) const ACCESS_SLOW_PATH: u32 = 1 << 2;
/// The lower half of the IOVA is the number of an area, and the upper half an offset in it, which a
/// fuzzer can guess.
pub(super) const ACCESS_SYZ: u32 = 1 << 16;

/// Arguments of [`Op::DestroyAccessPages`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct DestroyAccessPages {
    /// The number of the pages.
    pub(super) access_pages_id: u32,
}

/// Arguments and answer of [`Op::AccessPages`].
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct AccessPages {
    /// `ACCESS_*`.
    pub(super) flags: u32,
    /// Answer: a number for these pages.
    pub(super) out_access_pages_id: u32,
    /// The first IOVA.
    pub(super) iova: u64,
    /// The length in bytes.
    pub(super) length: u64,
    /// User address of the memory that is expected there, or zero.
    pub(super) uptr: u64,
}

/// Arguments of [`Op::AccessRw`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct AccessRw {
    /// The first IOVA.
    pub(super) iova: u64,
    /// The length in bytes.
    pub(super) length: u64,
    /// User address of the bytes.
    pub(super) uptr: u64,
    /// `ACCESS_*`.
    pub(super) flags: u32,
    padding: u32,
}

/// Arguments of [`Op::AccessReplaceIoas`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct AccessReplaceIoas {
    /// ID of the address space.
    pub(super) ioas_id: u32,
}

/// Arguments and answer of [`Op::Dirty`].
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Dirty {
    flags: u32,
    padding: u32,
    /// The first IOVA.
    pub(super) iova: u64,
    /// The length in bytes.
    pub(super) length: u64,
    /// Number of bytes that a bit stands for.
    pub(super) page_size: u64,
    /// User address of a bitmap of the pages that are written to.
    pub(super) uptr: u64,
    /// Answer: the number of bits that are set.
    pub(super) out_nr_dirty: u64,
}

/// Arguments of [`Op::DevCheckCache`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct DevCheckCache {
    /// Index of the entry.
    pub(super) id: u32,
    /// The expected value.
    pub(super) cache: u32,
}

/// The number of entries that a device has cached.
pub(super) const DEV_CACHE_ENTRIES: u32 = 4;
/// Their value until they are invalidated.
pub(super) const DEV_CACHE_DEFAULT: u32 = 0xbaddad;

/// Arguments of [`Op::DmabufGet`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct DmabufGet {
    /// Size of the dma-buf in bytes.
    pub(super) length: u32,
    /// Flags of `open()`.
    pub(super) open_flags: u32,
}

/// Arguments of [`Op::DmabufRevoke`].
#[derive(FromBytes)]
#[repr(C)]
pub(super) struct DmabufRevoke {
    /// File descriptor of the dma-buf.
    pub(super) dmabuf_fd: i32,
    /// Whether its memory is to be revoked.
    pub(super) revoked: u32,
}
