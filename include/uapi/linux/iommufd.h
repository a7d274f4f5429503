/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The userspace ABI of /dev/iommu: every command, structure and constant of
 * Linux 7.3, with the same names, numbers and layout.
 *
 * The file goes from the general to the particular: the rules that all
 * commands share, objects, address spaces and what is mapped in them,
 * devices, page tables, dirty tracking, cache invalidation, page faults, and
 * at the end what a VMM needs to give its guest a virtual IOMMU.
 *
 * Words used throughout:
 *
 *  - IOVA: the address that a device puts on the bus.
 *  - IOAS: an IO address space, the book of which IOVA leads to which memory.
 *  - HWPT: a hardware page table, an IOAS (or a guest's page table) in the
 *    form that one IOMMU understands. A device is attached to one HWPT.
 *  - "last" is the address of the last byte, inclusive; lengths are in bytes.
 *  - Reading and writing are seen from the device.
 */
#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* ------------------------------------------------------------------------ */
/* Rules for all commands                                                   */
/* ------------------------------------------------------------------------ */

/**
 * DOC: How a command is called
 *
 * The argument of every ioctl is a pointer to the command's structure, and the
 * first member of every structure is the __u32 @size that the caller compiled
 * with. So old programs run on new kernels and new programs on old ones:
 *
 *  - A @size smaller than the first published form of the structure is EINVAL.
 *  - A structure longer than the kernel's is accepted if all bytes that the
 *    kernel does not know are zero, else the call fails with E2BIG.
 *  - Results are written into the same structure, never beyond @size.
 *
 * Unless a command says otherwise:
 *
 *  - ENOTTY: the kernel does not have this command.
 *  - EOPNOTSUPP: a flag that the kernel does not know, a reserved member that
 *    is not zero, or a known value that this kernel or hardware cannot do.
 *  - EINVAL: all values are known, but one of them makes no sense here.
 *  - ENOENT: there is no such object (or none of the right type), or nothing
 *    is mapped at this IOVA.
 *  - EBUSY: the object is in use by another one.
 *  - EOVERFLOW: an address plus a length leaves the address space.
 *  - ENOMEM: no memory, or a limit on locked memory would be exceeded.
 *  - EFAULT: the structure, or memory that it points to, cannot be accessed.
 *
 * A failed command has changed nothing, except where its description says so,
 * and except that MAP, COPY and UNMAP have done their work already when results
 * turn out not to be writable (EFAULT).
 */
#define IOMMUFD_TYPE (';')

enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
	IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA = 0x95,
};

/* ------------------------------------------------------------------------ */
/* Objects                                                                  */
/* ------------------------------------------------------------------------ */

/**
 * struct iommu_destroy - argument of IOMMU_DESTROY
 * @size: bytes in this structure
 * @id: the object to destroy
 *
 * Objects are named by IDs that are valid in one open file only; 0 is never
 * one. Closing the file destroys whatever is left, so calling this is needed
 * only to get rid of an object earlier.
 *
 * Fails with EBUSY while something refers to the object: an IOAS with a HWPT, a
 * HWPT with a device, a device as long as the driver that bound it holds it.
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};
#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/* ------------------------------------------------------------------------ */
/* Address spaces                                                           */
/* ------------------------------------------------------------------------ */

/**
 * struct iommu_ioas_alloc - argument of IOMMU_IOAS_ALLOC
 * @size: bytes in this structure
 * @flags: none exist, must be 0
 * @out_ioas_id: ID of the new IOAS
 *
 * Makes an empty IO address space. As long as no device uses it, it accepts any
 * IOVA at any alignment.
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};
#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - a run of IOVAs
 * @start: the first one
 * @last: the last one, inclusive
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - argument of IOMMU_IOAS_IOVA_RANGES
 * @size: bytes in this structure
 * @ioas_id: the IOAS asked about
 * @num_iovas: in: how many elements fit at @allowed_iovas; out: how many ranges
 *             there are
 * @__reserved: must be 0
 * @allowed_iovas: address of an array of struct iommu_iova_range
 * @out_iova_alignment: bytes, a power of two between 1 and the page size
 *
 * Tells which IOVAs can be used with the devices that are attached at the
 * moment, in ascending order. Attaching a device takes away what its IOMMU
 * cannot translate (its aperture) and what its platform uses otherwise (the
 * window of message signalled interrupts, for one); detaching gives it back.
 * So ask again after either.
 *
 * Both ends of every mapping have to be multiples of @out_iova_alignment: its
 * IOVA and its IOVA plus length.
 *
 * EMSGSIZE: the array is too small. As many ranges as fit are there all the
 * same, and @num_iovas says how many there are; 0 is a good first try.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/**
 * struct iommu_ioas_allow_iovas - argument of IOMMU_IOAS_ALLOW_IOVAS
 * @size: bytes in this structure
 * @ioas_id: the IOAS to change
 * @num_iovas: number of elements at @allowed_iovas
 * @__reserved: must be 0
 * @allowed_iovas: address of an array of struct iommu_iova_range
 *
 * Promises to the caller that the given ranges stay usable: a device whose
 * restrictions collide with one of them cannot be attached any more. The list
 * also confines the IOVAs that the kernel chooses by itself. It replaces the
 * list given before; an empty one lifts the promise.
 *
 * EADDRINUSE: one of the ranges is not entirely usable today.
 * EINVAL: ranges overlap, or one has @start not below @last.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/* ------------------------------------------------------------------------ */
/* Mapping memory                                                           */
/* ------------------------------------------------------------------------ */

/**
 * enum iommufd_ioas_map_flags - how to map
 * @IOMMU_IOAS_MAP_FIXED_IOVA: the caller chooses the IOVA; else the kernel does
 * @IOMMU_IOAS_MAP_WRITEABLE: devices may write
 * @IOMMU_IOAS_MAP_READABLE: devices may read
 *
 * At least one of the last two has to be there (EINVAL).
 */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/**
 * struct iommu_ioas_map - argument of IOMMU_IOAS_MAP
 * @size: bytes in this structure
 * @flags: of enum iommufd_ioas_map_flags
 * @ioas_id: the IOAS to map into
 * @__reserved: must be 0
 * @user_va: address in the calling process
 * @length: bytes, not 0
 * @iova: in: where to map, with IOMMU_IOAS_MAP_FIXED_IOVA; out: where it is
 *
 * Gives devices access to memory of the calling process. The memory is pinned
 * and charged as soon as a page table needs it: now, if the IOAS has one, else
 * when the first device is attached. It stays pinned until it is unmapped,
 * whatever the process does with its own mapping.
 *
 * A kernel-chosen IOVA is the lowest that fits above the first page, and keeps
 * the alignment of @user_va and @length, up to that of a huge page.
 *
 * EEXIST: part of the range is mapped already; nothing is ever replaced.
 * EINVAL: the range touches a reserved one or is not aligned as
 *         IOMMU_IOAS_IOVA_RANGES demands.
 * ENOSPC: the kernel found no room.
 * EFAULT: there is no memory at @user_va, or the process may not write there
 *         and IOMMU_IOAS_MAP_WRITEABLE is set.
 * ENOMEM: among others, the limit RLIMIT_MEMLOCK.
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/**
 * struct iommu_ioas_map_file - argument of IOMMU_IOAS_MAP_FILE
 * @size: bytes in this structure
 * @flags: of enum iommufd_ioas_map_flags
 * @ioas_id: the IOAS to map into
 * @fd: a memfd, or a dma-buf of a kind that the kernel can map
 * @start: first byte of the file to map
 * @length: bytes, not 0
 * @iova: in: where to map, with IOMMU_IOAS_MAP_FIXED_IOVA; out: where it is
 *
 * Like IOMMU_IOAS_MAP, but the memory is that of a file, which need not be
 * mapped into any process. The only dma-bufs accepted are those that vfio-pci
 * exports for one contiguous range of a BAR (VFIO_DEVICE_FEATURE_DMA_BUF).
 *
 * EBADF: @fd is not open.
 */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)

/**
 * struct iommu_ioas_copy - argument of IOMMU_IOAS_COPY
 * @size: bytes in this structure
 * @flags: of enum iommufd_ioas_map_flags, for the new mapping
 * @dst_ioas_id: the IOAS to map into
 * @src_ioas_id: the IOAS to take from; it may be the same
 * @length: bytes, not 0
 * @dst_iova: in: where to map, with IOMMU_IOAS_MAP_FIXED_IOVA; out: where it is
 * @src_iova: where the source is mapped; all of its @length bytes must be
 *
 * Maps what is mapped elsewhere a second time. Both mappings share one set of
 * pinned pages and one charge, so this is cheaper than IOMMU_IOAS_MAP.
 *
 * EPERM: writeable was asked for, but the source was mapped read-only.
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};
#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/**
 * struct iommu_ioas_unmap - argument of IOMMU_IOAS_UNMAP
 * @size: bytes in this structure
 * @ioas_id: the IOAS to change
 * @iova: first byte to unmap
 * @length: in: bytes to unmap; out: bytes that were mapped, holes not counted
 *
 * Removes every mapping in the range. When the call returns, devices can no
 * longer reach the memory. Mappings go as they came: one that only partly lies
 * in the range is not cut. @iova 0 with a @length of all ones means everything,
 * and only in that form is it no error if nothing is mapped.
 *
 * ENOENT: nothing is mapped in the range, or a mapping sticks out of it. In the
 *         latter case the mappings that lie below it in the range are gone.
 * EBUSY: another thread is mapping or unmapping here, or a queue of the
 *        hardware uses this memory. Here too, mappings below are gone.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

/**
 * struct iommu_ioas_change_process - argument of IOMMU_IOAS_CHANGE_PROCESS
 * @size: bytes in this structure
 * @__reserved: must be 0
 *
 * Makes the calling process the one that is charged for all memory mapped
 * through this file: for handing devices over to a successor.
 *
 * EINVAL: some memory was mapped by address rather than by
 *         IOMMU_IOAS_MAP_FILE, and so belongs to the old process.
 */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};
#define IOMMU_IOAS_CHANGE_PROCESS \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

/**
 * struct iommu_ioas_noiommu_get_pa - argument of IOMMU_IOAS_NOIOMMU_GET_PA
 * @size: bytes in this structure
 * @flags: none exist, must be 0
 * @ioas_id: the IOAS asked about
 * @__reserved: must be 0
 * @iova: where to begin; must be mapped
 * @length: in: how many bytes are of interest, not 0; out: how many of them
 *          are physically contiguous from @iova on
 * @out_phys: physical address behind @iova
 *
 * For devices that no IOMMU stands in front of: tells the address that such a
 * device must use. Needs CAP_SYS_RAWIO (EPERM). EOPNOTSUPP if the IOAS is not
 * that of such a device.
 */
struct iommu_ioas_noiommu_get_pa {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 out_phys;
};
#define IOMMU_IOAS_NOIOMMU_GET_PA \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA)

/* ------------------------------------------------------------------------ */
/* Options, and the old VFIO container                                      */
/* ------------------------------------------------------------------------ */

/**
 * enum iommufd_option - what IOMMU_OPTION can turn
 * @IOMMU_OPTION_RLIMIT_MODE: whose locked memory is counted: 0 the user's, over
 *                            all processes (default); 1 the process's alone.
 *                            For the whole file: object_id is 0. Setting needs
 *                            CAP_SYS_RESOURCE and a file without objects.
 * @IOMMU_OPTION_HUGE_PAGES: 1: contiguous memory gets entries as large as the
 *                           hardware has (default); 0: one page an entry, for
 *                           measuring. Per IOAS: object_id is its ID.
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/**
 * enum iommufd_option_ops - what to do with an option
 * @IOMMU_OPTION_OP_SET: set it to val64
 * @IOMMU_OPTION_OP_GET: return it in val64
 */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/**
 * struct iommu_option - argument of IOMMU_OPTION
 * @size: bytes in this structure
 * @option_id: of enum iommufd_option
 * @op: of enum iommufd_option_ops
 * @__reserved: must be 0
 * @object_id: whose option, or 0
 * @val64: the value, in or out
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};
#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/**
 * enum iommufd_vfio_ioas_op - what to do with the container's IOAS
 * @IOMMU_VFIO_IOAS_GET: tell its ID; ENODEV if there is none
 * @IOMMU_VFIO_IOAS_SET: use the given one from now on
 * @IOMMU_VFIO_IOAS_CLEAR: use none
 */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/**
 * struct iommu_vfio_ioas - argument of IOMMU_VFIO_IOAS
 * @size: bytes in this structure
 * @ioas_id: the IOAS, in with SET, out with GET
 * @op: of enum iommufd_vfio_ioas_op
 * @__reserved: must be 0
 *
 * The file also answers the ioctls of a VFIO container. Those know no IDs and
 * act on one IOAS: the one set here, or else one that the first
 * VFIO_GROUP_SET_CONTAINER creates. Changing the choice neither moves groups
 * that are attached already nor destroys an IOAS.
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};
#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

/* ------------------------------------------------------------------------ */
/* What the hardware behind a device can do                                 */
/* ------------------------------------------------------------------------ */

/**
 * enum iommu_hw_info_type - which structure describes the hardware
 * @IOMMU_HW_INFO_TYPE_NONE: out: the driver has nothing to tell
 * @IOMMU_HW_INFO_TYPE_DEFAULT: in: whatever the driver tells by default
 * @IOMMU_HW_INFO_TYPE_INTEL_VTD: struct iommu_hw_info_vtd
 * @IOMMU_HW_INFO_TYPE_ARM_SMMUV3: struct iommu_hw_info_arm_smmuv3
 * @IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV: struct iommu_hw_info_tegra241_cmdqv
 * @IOMMU_HW_INFO_TYPE_AMD: struct iommu_hw_info_amd
 */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

/**
 * enum iommu_hw_info_vtd_flags - flags of struct iommu_hw_info_vtd
 * @IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17: Intel's erratum 772415 (SPR17): a
 *                                         nest parent must not hold read-only
 *                                         mappings
 */
enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

/**
 * struct iommu_hw_info_vtd - Intel VT-d
 * @flags: of enum iommu_hw_info_vtd_flags
 * @__reserved: 0
 * @cap_reg: the capability register (VT-d 11.4.2)
 * @ecap_reg: the extended capability register (VT-d 11.4.3)
 */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/**
 * enum iommu_hw_info_arm_smmuv3_flags - flags of struct
 *                                       iommu_hw_info_arm_smmuv3
 * @IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI: erratum T264-SMMU-3: each
 *                                                    TLBI or CFGI with its
 *                                                    SYNC has to be issued
 *                                                    twice
 */
enum iommu_hw_info_arm_smmuv3_flags {
	IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI = 1 << 0,
};

/**
 * struct iommu_hw_info_arm_smmuv3 - Arm SMMUv3
 * @flags: of enum iommu_hw_info_arm_smmuv3_flags
 * @__reserved: 0
 * @idr: the registers IDR0 to IDR5 (SMMUv3 6.3.1 to 6.3.6)
 * @iidr: the register IIDR
 * @aidr: the register AIDR
 *
 * These are the registers as the hardware has them, but a VMM may rely on these
 * fields alone, since the kernel need not support the others for a guest:
 *
 *  - IDR0: ST_LEVEL, TERM_MODEL, STALL_MODEL, TTENDIAN, CD2L, ASID16, TTF
 *  - IDR1: SIDSIZE, SSIDSIZE
 *  - IDR3: BBML, RIL
 *  - IDR5: VAX, GRAN64K, GRAN16K, GRAN4K, DS
 *
 * Not read off a register: S1P holds if a nested HWPT can be made, COHACC holds
 * always, and ATS is a matter of each device's firmware description.
 */
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags;
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};

/**
 * struct iommu_hw_info_tegra241_cmdqv - the CMDQ-Virtualization of NVIDIA's
 *                                       Tegra241
 * @flags: 0
 * @version: PARAM bits 3:0, the version of the unit
 * @log2vcmdqs: PARAM bits 7:4, number of virtual command queues, as a power
 *              of 2
 * @log2vsids: PARAM bits 15:12, number of stream ID replacements, as a power
 *             of 2
 * @__reserved: 0
 *
 * A guest sees one virtual interface, so bits 11:8 of the PARAM that a VMM
 * shows to it are 0.
 */
struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};

/**
 * struct iommu_hw_info_amd - AMD IOMMU
 * @efr: Extended Feature Register, at MMIO offset 0x30
 * @efr2: Extended Feature 2 Register, at MMIO offset 0x1a0
 *
 * See AMD's IOMMU specification (48882). The kernel supports a guest in these
 * fields of @efr only: GTSup, GASup, GioSup, PPRSup, EPHSup, GATS, GLX, PASmax.
 */
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

/**
 * enum iommufd_hw_capabilities - what is possible with this device, whatever
 *                                the hardware
 * @IOMMU_HW_CAP_DIRTY_TRACKING: IOMMU_HWPT_SET_DIRTY_TRACKING and
 *                               IOMMU_HWPT_GET_DIRTY_BITMAP work
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: the device can ask for execute permission;
 *                               means nothing if out_max_pasid_log2 is 0
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: the device has a privileged mode; means nothing
 *                               if out_max_pasid_log2 is 0
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: the device cannot use ATS; without this
 *                                      flag it may have it enabled
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/**
 * enum iommufd_hw_info_flags - flags of struct iommu_hw_info
 * @IOMMU_HW_INFO_FLAG_INPUT_TYPE: in_data_type says which description is wanted
 */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};

/**
 * struct iommu_hw_info - argument of IOMMU_GET_HW_INFO
 * @size: bytes in this structure
 * @flags: of enum iommufd_hw_info_flags
 * @dev_id: a bound device
 * @data_len: in: bytes at @data_uptr, may be 0; out: bytes that the kernel has
 * @data_uptr: where to put the description
 * @in_data_type: the wanted one of enum iommu_hw_info_type; counts as
 *                IOMMU_HW_INFO_TYPE_DEFAULT without the flag
 * @out_data_type: the type of what is at @data_uptr
 * @out_max_pasid_log2: bits in a PASID of this device, 0 if it has none
 * @__reserved: must be 0
 * @out_capabilities: of enum iommufd_hw_capabilities
 *
 * Describes the IOMMU in front of a device, so that a VMM can build a virtual
 * one that matches. A short buffer gets the beginning of the description, a
 * long one is filled up with zeros.
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	union {
		__u32 in_data_type;
		__u32 out_data_type;
	};
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};
#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

/* ------------------------------------------------------------------------ */
/* Hardware page tables                                                     */
/* ------------------------------------------------------------------------ */

/**
 * enum iommu_hwpt_data_type - which structure describes a guest's page table
 * @IOMMU_HWPT_DATA_NONE: none; the kernel makes the page table from an IOAS
 * @IOMMU_HWPT_DATA_VTD_S1: struct iommu_hwpt_vtd_s1
 * @IOMMU_HWPT_DATA_ARM_SMMUV3: struct iommu_hwpt_arm_smmuv3
 * @IOMMU_HWPT_DATA_AMD_GUEST: struct iommu_hwpt_amd_guest
 */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/**
 * enum iommu_hwpt_vtd_s1_flags - attributes of a VT-d first-stage table
 * @IOMMU_VTD_S1_SRE: supervisor requests are allowed
 * @IOMMU_VTD_S1_EAFE: the extended access flag is kept
 * @IOMMU_VTD_S1_WPE: write protection binds supervisor requests too
 */
enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,
	IOMMU_VTD_S1_EAFE = 1 << 1,
	IOMMU_VTD_S1_WPE = 1 << 2,
};

/**
 * struct iommu_hwpt_vtd_s1 - a guest's first-stage table on Intel VT-d
 * @flags: of enum iommu_hwpt_vtd_s1_flags
 * @pgtbl_addr: guest physical address of the root table
 * @addr_width: bits in an input address
 * @__reserved: must be 0
 */
struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/**
 * struct iommu_hwpt_arm_smmuv3 - a guest's stream table entry on Arm SMMUv3
 * @ste: the first two 64-bit words of the entry (SMMUv3 5.2), little-endian
 *
 * These fields may be set, anything else is EIO:
 *
 *  - word 0: V, Cfg, S1Fmt, S1ContextPtr, S1CDMax
 *  - word 1: EATS, S1DSS, S1CIR, S1COR, S1CSH, S1STALLD
 *
 * Cfg selects stage 1 (context descriptors are found through the nest parent),
 * bypass (the nest parent alone translates) or abort.
 *
 * Translation needs to know the guest's stream ID, for the sake of
 * invalidations and events: allocate the device's vDEVICE before attaching. In
 * bypass and abort it may be missing, as for a guest that has its SMMU turned
 * off, but then no event of the device can be reported to the guest: attach
 * again as soon as the stream ID is known.
 */
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2];
};

/**
 * struct iommu_hwpt_amd_guest - a guest's page table on AMD IOMMU
 * @dte: the guest's device table entry
 */
struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4];
};

/**
 * enum iommufd_hwpt_alloc_flags - what the page table must be able to do
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: guests' page tables can be nested in it
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: only devices whose IOMMU can record writes
 *                                   may be attached
 * @IOMMU_HWPT_FAULT_ID_VALID: page faults go to the queue fault_id
 * @IOMMU_HWPT_ALLOC_PASID: it can serve a PASID. A device that uses PASIDs also
 *                          needs such a table for its traffic without one.
 *                          Attach HWPTs in this case rather than an IOAS.
 *                          EOPNOTSUPP if the IOMMU knows no PASIDs.
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

/**
 * struct iommu_hwpt_alloc - argument of IOMMU_HWPT_ALLOC
 * @size: bytes in this structure
 * @flags: of enum iommufd_hwpt_alloc_flags
 * @dev_id: the device whose IOMMU the page table is made for
 * @pt_id: what it is made from: an IOAS, a nest parent HWPT or a vIOMMU
 * @out_hwpt_id: ID of the new HWPT
 * @__reserved: must be 0
 * @data_type: of enum iommu_hwpt_data_type
 * @data_len: bytes at @data_uptr
 * @data_uptr: the description that @data_type names
 * @fault_id: a fault queue, with IOMMU_HWPT_FAULT_ID_VALID
 * @__reserved2: must be 0
 *
 * Attaching a device to an IOAS makes a HWPT without being asked; this command
 * is for those who need a special one.
 *
 * Made from an IOAS, the page table always shows what is mapped there;
 * @data_type is IOMMU_HWPT_DATA_NONE, and no data is given. Made from a nest
 * parent or a vIOMMU, which must belong to the same IOMMU as the device, it is
 * the guest's own: the guest's tables are walked by the hardware, through the
 * nest parent. What the hardware cannot do is refused.
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};
#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/* ------------------------------------------------------------------------ */
/* Which memory devices have written to                                     */
/* ------------------------------------------------------------------------ */

/**
 * enum iommufd_hwpt_set_dirty_tracking_flags - flags of struct
 *                                              iommu_hwpt_set_dirty_tracking
 * @IOMMU_HWPT_DIRTY_TRACKING_ENABLE: record writes from now on; without it,
 *                                    stop
 */
enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

/**
 * struct iommu_hwpt_set_dirty_tracking - argument of
 *                                        IOMMU_HWPT_SET_DIRTY_TRACKING
 * @size: bytes in this structure
 * @flags: of enum iommufd_hwpt_set_dirty_tracking_flags
 * @hwpt_id: the page table
 * @__reserved: must be 0
 *
 * Starting forgets all writes made before.
 */
struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};
#define IOMMU_HWPT_SET_DIRTY_TRACKING \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

/**
 * enum iommufd_hwpt_get_dirty_bitmap_flags - flags of struct
 *                                            iommu_hwpt_get_dirty_bitmap
 * @IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR: look without forgetting: cheaper if
 *                                        the range is unmapped next
 */
enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/**
 * struct iommu_hwpt_get_dirty_bitmap - argument of IOMMU_HWPT_GET_DIRTY_BITMAP
 * @size: bytes in this structure
 * @hwpt_id: the page table
 * @flags: of enum iommufd_hwpt_get_dirty_bitmap_flags
 * @__reserved: must be 0
 * @iova: first byte of the range, which bit 0 stands for
 * @length: bytes in the range
 * @page_size: bytes that one bit stands for, a power of two
 * @data: address of the bitmap, in 64-bit words
 *
 * Sets the bits of pages written to since the last call and forgets the writes.
 * Bits that are set already stay so.
 */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};
#define IOMMU_HWPT_GET_DIRTY_BITMAP \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

/* ------------------------------------------------------------------------ */
/* Cache invalidation for guests' page tables                               */
/* ------------------------------------------------------------------------ */

/**
 * enum iommu_hwpt_invalidate_data_type - form of an invalidation request
 * @IOMMU_HWPT_INVALIDATE_DATA_VTD_S1: struct iommu_hwpt_vtd_s1_invalidate, for
 *                                     a HWPT
 * @IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3: struct
 *                                           iommu_viommu_arm_smmuv3_invalidate,
 *                                           for a vIOMMU
 */
enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

/**
 * enum iommu_hwpt_vtd_s1_invalidate_flags - how much to invalidate
 * @IOMMU_VTD_INV_FLAGS_LEAF: last-level entries only; without it, the entries
 *                            of upper levels too
 */
enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

/**
 * struct iommu_hwpt_vtd_s1_invalidate - a request for Intel VT-d
 * @addr: where the guest's page table was changed, a multiple of 4 KiB
 * @npages: how far, in pages of 4 KiB
 * @flags: of enum iommu_hwpt_vtd_s1_invalidate_flags
 * @__reserved: must be 0
 *
 * @addr 0 with @npages all ones means the whole table. The translation cache
 * of a device that uses ATS is included.
 */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
};

/**
 * struct iommu_viommu_arm_smmuv3_invalidate - a request for Arm SMMUv3
 * @cmd: a command as the guest put it in its command queue, little-endian
 *
 * May be one of TLBI_NSNH_ALL, TLBI_NH_VA, TLBI_NH_VAA, TLBI_NH_ALL,
 * TLBI_NH_ASID, ATC_INV, CFGI_CD and CFGI_CD_ALL. Another opcode, a field that
 * the kernel does not support or a value that the hardware lacks is EIO.
 */
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2];
};

/**
 * struct iommu_hwpt_invalidate - argument of IOMMU_HWPT_INVALIDATE
 * @size: bytes in this structure
 * @hwpt_id: a guest's HWPT, or a vIOMMU
 * @data_uptr: address of an array of requests
 * @data_type: of enum iommu_hwpt_invalidate_data_type
 * @entry_len: bytes in one request
 * @entry_num: in: number of requests; out: number of those that were done, also
 *             if the call fails
 * @__reserved: must be 0
 *
 * To be called when a guest has changed its page table and says so. A vIOMMU
 * can also invalidate what does not belong to one page table, such as
 * descriptors or a device's own cache.
 *
 * With @entry_num 0 nothing is done and @data_uptr and @entry_len are not
 * looked at: a way to find out whether @data_type is supported.
 */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};
#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)

/* ------------------------------------------------------------------------ */
/* Page faults of devices                                                   */
/* ------------------------------------------------------------------------ */

/**
 * struct iommu_fault_alloc - argument of IOMMU_FAULT_QUEUE_ALLOC
 * @size: bytes in this structure
 * @flags: none exist, must be 0
 * @out_fault_id: ID of the new fault queue
 * @out_fault_fd: a file descriptor to read struct iommu_hwpt_pgfault from and
 *                to write struct iommu_hwpt_page_response to; the caller's to
 *                close
 */
struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};
#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

/**
 * enum iommu_hwpt_pgfault_flags - flags of struct iommu_hwpt_pgfault
 * @IOMMU_PGFAULT_FLAGS_PASID_VALID: the request came with a PASID
 * @IOMMU_PGFAULT_FLAGS_LAST_PAGE: the last one of its group, to be answered
 */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = (1 << 0),
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = (1 << 1),
};

/**
 * enum iommu_hwpt_pgfault_perm - what the device wanted to do
 * @IOMMU_PGFAULT_PERM_READ: read
 * @IOMMU_PGFAULT_PERM_WRITE: write
 * @IOMMU_PGFAULT_PERM_EXEC: execute (Execute Requested in the PASID prefix,
 *                           PCIe 10.4.1)
 * @IOMMU_PGFAULT_PERM_PRIV: any of these in privileged mode (Privileged Mode
 *                           Requested in the PASID prefix, PCIe 10.4.1)
 */
enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = (1 << 0),
	IOMMU_PGFAULT_PERM_WRITE = (1 << 1),
	IOMMU_PGFAULT_PERM_EXEC = (1 << 2),
	IOMMU_PGFAULT_PERM_PRIV = (1 << 3),
};

/**
 * struct iommu_hwpt_pgfault - one page request of a device
 * @flags: of enum iommu_hwpt_pgfault_flags
 * @dev_id: the device
 * @pasid: its PASID, with IOMMU_PGFAULT_FLAGS_PASID_VALID
 * @grpid: index of the group of page requests that this one belongs to
 * @perm: of enum iommu_hwpt_pgfault_perm
 * @__reserved: 0
 * @addr: the IOVA that was not mapped
 * @length: how many bytes the device is going to touch, 0 if it did not say
 * @cookie: to be repeated in the answer
 */
struct iommu_hwpt_pgfault {
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length;
	__u32 cookie;
};

/**
 * enum iommufd_page_response_code - what to tell the device (PCIe 10.4.2.1)
 * @IOMMUFD_PAGE_RESP_SUCCESS: the page is there now, try again
 * @IOMMUFD_PAGE_RESP_INVALID: there is no such page, do not try again
 */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/**
 * struct iommu_hwpt_page_response - the answer to a group of page requests
 * @cookie: that of the group's last request
 * @code: of enum iommufd_page_response_code
 */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code;
};

/* ------------------------------------------------------------------------ */
/* Virtual IOMMUs                                                           */
/* ------------------------------------------------------------------------ */

/**
 * enum iommu_viommu_type - kinds of virtual IOMMU
 * @IOMMU_VIOMMU_TYPE_DEFAULT: not in use
 * @IOMMU_VIOMMU_TYPE_ARM_SMMUV3: Arm SMMUv3
 * @IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: Arm SMMUv3 with NVIDIA's CMDQ
 *                                    Virtualization, struct
 *                                    iommu_viommu_tegra241_cmdqv. The kernel
 *                                    gives it a virtual interface with HYP_OWN
 *                                    clear, so the guest must see that bit of
 *                                    VINTF_CONFIG as 0 or its queues fail.
 */
enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_viommu_tegra241_cmdqv - data of
 *                                      IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV
 * @out_vintf_mmap_offset: offset for mmap() of /dev/iommu
 * @out_vintf_mmap_length: bytes to mmap()
 *
 * What is there is page 0 of the virtual interface: registers that the VMM maps
 * into the guest, which then drives its command queues without exits.
 */
struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};

/**
 * struct iommu_viommu_alloc - argument of IOMMU_VIOMMU_ALLOC
 * @size: bytes in this structure
 * @flags: none exist, must be 0
 * @type: of enum iommu_viommu_type
 * @dev_id: a device whose IOMMU is to be shared
 * @hwpt_id: the nest parent, which maps the guest's memory
 * @out_viommu_id: ID of the new vIOMMU
 * @data_len: bytes at @data_uptr
 * @__reserved: must be 0
 * @data_uptr: data that belongs to @type
 *
 * A vIOMMU is one VM's share of one physical IOMMU, apart from that of any
 * other VM. It owns what a guest names by numbers of its own (cache tags,
 * device IDs), what concerns no single device (errors of the command queue),
 * and hardware that can be handed to a guest, such as command queues.
 */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};
#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)

/**
 * struct iommu_vdevice_alloc - argument of IOMMU_VDEVICE_ALLOC
 * @size: bytes in this structure
 * @viommu_id: the vIOMMU in front of the device
 * @dev_id: the device
 * @out_vdevice_id: ID of the new vDEVICE
 * @virt_id: what the guest calls the device towards its IOMMU: the stream ID on
 *           Arm, the device ID on AMD, the requester ID on Intel
 *
 * Destroy the vDEVICE before the device is unbound. Unbinding destroys it if
 * need be, but its ID then stays taken until the file is closed.
 */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};
#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)

/* ------------------------------------------------------------------------ */
/* Events for the guest                                                     */
/* ------------------------------------------------------------------------ */

/**
 * enum iommu_veventq_type - what an event queue reports
 * @IOMMU_VEVENTQ_TYPE_DEFAULT: not in use
 * @IOMMU_VEVENTQ_TYPE_ARM_SMMUV3: struct iommu_vevent_arm_smmuv3
 * @IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV: struct iommu_vevent_tegra241_cmdqv
 */
enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * enum iommu_veventq_flag - flags of struct iommufd_vevent_header
 * @IOMMU_VEVENTQ_FLAG_LOST_EVENTS: events were lost at this place; no event
 *                                  follows this header
 */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = (1U << 0),
};

/**
 * struct iommufd_vevent_header - what stands before each event
 * @flags: of enum iommu_veventq_flag
 * @sequence: the event's number, from 0 to INT_MAX and then 0 again
 *
 * A gap in the numbers is the number of events lost between two that were
 * read. If the last ones were lost, so that no event follows to show the gap, a
 * header with IOMMU_VEVENTQ_FLAG_LOST_EVENTS stands at the end.
 */
struct iommufd_vevent_header {
	__u32 flags;
	__u32 sequence;
};

/**
 * struct iommu_vevent_arm_smmuv3 - an event of Arm SMMUv3
 * @evt: the event record (SMMUv3 7.3), little-endian, with the guest's stream
 *       ID in place of the host's
 *
 * Reported are C_BAD_STE (0x04), F_STREAM_DISABLED (0x06), C_BAD_SUBSTREAMID
 * (0x08), C_BAD_CD (0x0a), F_TRANSLATION (0x10), F_ADDR_SIZE (0x11), F_ACCESS
 * (0x12) and F_PERMISSION (0x13), of devices that have a vDEVICE.
 */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

/**
 * struct iommu_vevent_tegra241_cmdqv - errors of virtual command queues
 * @lvcmdq_err_map: a bit per logical queue: the registers LVCMDQ_ERR_MAP of the
 *                  virtual interface, little-endian
 */
struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/**
 * struct iommu_veventq_alloc - argument of IOMMU_VEVENTQ_ALLOC
 * @size: bytes in this structure
 * @flags: none exist, must be 0
 * @viommu_id: the vIOMMU to report on; it has one queue of each type at most
 * @type: of enum iommu_veventq_type
 * @veventq_depth: how many unread events are kept before further ones are lost
 * @out_veventq_id: ID of the new queue
 * @out_veventq_fd: a file descriptor to read from; the caller's to close
 * @__reserved: must be 0
 *
 * What is read is a struct iommufd_vevent_header, then the event in the form
 * that @type names, and so on.
 */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};
#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)

/* ------------------------------------------------------------------------ */
/* Queues that a guest and the hardware share                               */
/* ------------------------------------------------------------------------ */

/**
 * enum iommu_hw_queue_type - kinds of queue
 * @IOMMU_HW_QUEUE_TYPE_DEFAULT: not in use
 * @IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV: a virtual command queue of NVIDIA's CMDQ
 *                                      Virtualization
 *
 * For a virtual command queue:
 *
 *  - Indices are allocated from 0 upwards and destroyed from the highest down.
 *  - The length is a power of two, from 32 bytes to 16 bytes shifted by CMDQS
 *    of IDR1 (see struct iommu_hw_info_arm_smmuv3); the base is a multiple of
 *    it and mapped in the IOAS.
 *  - The memory should be physically contiguous, for instance one huge page,
 *    and the guest's CMDQS be limited so that a queue fits in it.
 */
enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/**
 * struct iommu_hw_queue_alloc - argument of IOMMU_HW_QUEUE_ALLOC
 * @size: bytes in this structure
 * @flags: none exist, must be 0
 * @viommu_id: the vIOMMU that owns the queue
 * @type: of enum iommu_hw_queue_type
 * @index: which queue of this type; each exists once
 * @out_hw_queue_id: ID of the new queue
 * @nesting_parent_iova: where the queue is in the guest's physical memory,
 *                       which is its IOVA in the nest parent
 * @length: bytes in the queue
 *
 * Lets the hardware read a queue in guest memory directly. As long as the queue
 * exists, its memory cannot be unmapped.
 */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};
#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

#endif
