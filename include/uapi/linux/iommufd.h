/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The userspace ABI of /dev/iommu: every command, structure and constant of
 * Linux 7.3, with the same names, numbers and layout.
 *
 * The sections are: rules for all commands, objects, address spaces, mapping
 * memory, options, device information, page tables, dirty tracking, cache
 * invalidation, page faults, and the objects that a VMM needs to provide a
 * virtual IOMMU to its guest.
 *
 * Terms:
 *
 *  - IOVA: the address that a device puts on the bus.
 *  - IOAS: an IO address space, a map from IOVA to memory.
 *  - HWPT: a hardware page table, which holds the contents of an IOAS, or a
 *    guest's page table, in the format of one IOMMU. A device is attached to
 *    one HWPT.
 *  - "last" is the address of the last byte, inclusive. Lengths are in bytes.
 *  - "Read" and "write" are accesses by the device.
 */
#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* ------------------------------------------------------------------------ */
/* Rules for all commands                                                   */
/* ------------------------------------------------------------------------ */

/**
 * DOC: Calling a command
 *
 * The argument of every ioctl is a pointer to the command's structure. Its first
 * member is a __u32 @size, which the caller sets to the size of the structure
 * that it was compiled with. This makes programs and kernels of different age
 * compatible:
 *
 *  - A @size smaller than the first published version of the structure is EINVAL.
 *  - A structure longer than the kernel's is accepted if all bytes past the end
 *    of the kernel's are zero, else the call fails with E2BIG.
 *  - Results are written into the same structure, never beyond @size.
 *
 * Unless a command says otherwise:
 *
 *  - ENOTTY: the kernel does not have this command.
 *  - EOPNOTSUPP: a flag is unknown, a reserved member is not zero, or the kernel
 *    or the hardware does not support a value.
 *  - EINVAL: a value is known, but is not valid in this call.
 *  - ENOENT: no object of the right type has this ID, or the IOVA is not mapped.
 *  - EBUSY: another object uses the object.
 *  - EOVERFLOW: the sum of an address and a length exceeds the address space.
 *  - ENOMEM: out of memory, or a limit on locked memory would be exceeded.
 *  - EFAULT: the structure, or memory that it points to, cannot be accessed.
 *
 * A failed command has no effect unless its description says otherwise. There is
 * one exception: MAP, COPY and UNMAP that fail because their results cannot be
 * written back (EFAULT) have taken effect.
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
 * An ID is valid within one open file. 0 is never the ID of an object. Closing
 * the file destroys all objects, so this command is needed only to destroy one
 * earlier.
 *
 * EBUSY: the object is in use: an IOAS that has a HWPT, a HWPT that has a
 *        device, or a device that its driver has not unbound yet.
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
 * Creates an empty IO address space. Until a device is attached, any IOVA at any
 * alignment can be mapped.
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};
#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - a range of IOVAs
 * @start: the first IOVA
 * @last: the last IOVA, inclusive
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - argument of IOMMU_IOAS_IOVA_RANGES
 * @size: bytes in this structure
 * @ioas_id: the IOAS
 * @num_iovas: in: number of elements that @allowed_iovas has room for; out:
 *             number of ranges
 * @__reserved: must be 0
 * @allowed_iovas: address of an array of struct iommu_iova_range
 * @out_iova_alignment: bytes, a power of two between 1 and the page size
 *
 * Returns the IOVAs that can be used with all currently attached devices, in
 * ascending order. Attaching a device removes the IOVAs that are outside of the
 * aperture of its IOMMU and those that the platform reserves, such as the window
 * of message signalled interrupts. Detaching the device adds them again. The
 * result is therefore out of date after either.
 *
 * The IOVA and the length of every mapping must be multiples of
 * @out_iova_alignment.
 *
 * EMSGSIZE: the array is too small. It is filled all the same, and @num_iovas is
 * set to the total number of ranges. A caller can pass 0 to learn this number.
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
 * Guarantees that the given ranges remain usable: a device that would have to
 * reserve an address in one of them cannot be attached afterwards. The kernel
 * also chooses IOVAs in these ranges only. The list replaces the previous one. An
 * empty list removes both restrictions.
 *
 * EADDRINUSE: part of a range is not usable now.
 * EINVAL: two ranges overlap, or the @start of one is not below its @last.
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
 * enum iommufd_ioas_map_flags - flags of a mapping
 * @IOMMU_IOAS_MAP_FIXED_IOVA: the caller chooses the IOVA; else the kernel does
 * @IOMMU_IOAS_MAP_WRITEABLE: devices may write
 * @IOMMU_IOAS_MAP_READABLE: devices may read
 *
 * WRITEABLE, READABLE or both must be set, else EINVAL.
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
 * @iova: in: IOVA to map at, with IOMMU_IOAS_MAP_FIXED_IOVA; out: IOVA of the
 *        mapping
 *
 * Maps memory of the calling process for devices. The memory is pinned and
 * charged when the first page table needs it: at once if the IOAS has a HWPT,
 * else when the first device is attached. It remains pinned until it is unmapped,
 * even if the process unmaps it from its own address space.
 *
 * If the kernel chooses the IOVA, it takes the lowest free one above the first
 * page that has the alignment of @user_va and @length, up to the size of a huge
 * page.
 *
 * EEXIST: part of the range is mapped already. No mapping is ever replaced.
 * EINVAL: part of the range is reserved, or it does not have the alignment that
 *         IOMMU_IOAS_IOVA_RANGES returns.
 * ENOSPC: no free range is large enough.
 * EFAULT: there is no memory at @user_va, or IOMMU_IOAS_MAP_WRITEABLE is set and
 *         the process may not write to it.
 * ENOMEM: among other causes, RLIMIT_MEMLOCK would be exceeded.
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
 * @iova: in: IOVA to map at, with IOMMU_IOAS_MAP_FIXED_IOVA; out: IOVA of the
 *        mapping
 *
 * Maps a range of a file as IOMMU_IOAS_MAP maps memory of the process. The file
 * need not be mapped into any process. The only dma-bufs accepted are those that
 * vfio-pci exports for one contiguous range of a BAR
 * (VFIO_DEVICE_FEATURE_DMA_BUF).
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
 * @src_ioas_id: the IOAS to copy from; may be the same as @dst_ioas_id
 * @length: bytes, not 0
 * @dst_iova: in: IOVA to map at, with IOMMU_IOAS_MAP_FIXED_IOVA; out: IOVA of
 *            the new mapping
 * @src_iova: first byte of the source; all of its @length bytes must be mapped
 *
 * Maps memory that is mapped already a second time. Both mappings share the
 * pinned pages and the charge, so this is cheaper than IOMMU_IOAS_MAP.
 *
 * EPERM: IOMMU_IOAS_MAP_WRITEABLE is set, but the source is mapped read-only.
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
 * longer reach the memory. Mappings are removed as a whole, never in part. @iova
 * 0 with a @length of all ones stands for the whole IOAS, and only in this form
 * is it not an error if there is no mapping.
 *
 * ENOENT: the range has no mapping, or it covers only part of one.
 * EBUSY: another thread is mapping or unmapping in the range, or a hardware queue
 *        uses the memory.
 *
 * If the command fails because of one mapping, the mappings at lower IOVAs in
 * the range have been removed already.
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
 * Moves the charge for all memory mapped through this file to the calling
 * process. A program that has received the file from its predecessor uses this.
 *
 * EINVAL: some memory was not mapped by IOMMU_IOAS_MAP_FILE but by address, so it
 *         is memory of the old process.
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
 * @ioas_id: the IOAS
 * @__reserved: must be 0
 * @iova: first byte; must be mapped
 * @length: in: bytes to look up, not 0; out: bytes that are physically contiguous
 *          starting at @iova
 * @out_phys: physical address that @iova is mapped to
 *
 * Returns the address that a device without an IOMMU must use to access the
 * memory. Requires CAP_SYS_RAWIO (EPERM). EOPNOTSUPP if the IOAS is not used by
 * such a device.
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
/* Options and the VFIO container                                           */
/* ------------------------------------------------------------------------ */

/**
 * enum iommufd_option - options of IOMMU_OPTION
 * @IOMMU_OPTION_RLIMIT_MODE: what RLIMIT_MEMLOCK is compared with: 0 (default)
 *                            for the locked memory of all processes of the user,
 *                            1 for that of the process. Applies to the whole
 *                            file; object_id is 0. Setting it requires
 *                            CAP_SYS_RESOURCE and a file without objects.
 * @IOMMU_OPTION_HUGE_PAGES: 1 (default) to map contiguous memory with the largest
 *                           entries that the hardware supports, 0 to use one
 *                           entry per page, for benchmarks. Applies to the IOAS
 *                           object_id.
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/**
 * enum iommufd_option_ops - operations on an option
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
 * @object_id: the object that the option applies to, or 0
 * @val64: the value; in with SET, out with GET
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
 * enum iommufd_vfio_ioas_op - operations on the IOAS of the container
 * @IOMMU_VFIO_IOAS_GET: return its ID; ENODEV if there is none
 * @IOMMU_VFIO_IOAS_SET: use the given IOAS from now on
 * @IOMMU_VFIO_IOAS_CLEAR: use no IOAS
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
 * The file also implements the ioctls of a VFIO container. Those do not name an
 * IOAS. They apply to the one set by this command, or else to one that the first
 * VFIO_GROUP_SET_CONTAINER creates. SET and CLEAR neither move groups that are
 * attached already nor destroy an IOAS.
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};
#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

/* ------------------------------------------------------------------------ */
/* Hardware information                                                     */
/* ------------------------------------------------------------------------ */

/**
 * enum iommu_hw_info_type - types of hardware description
 * @IOMMU_HW_INFO_TYPE_NONE: out: the driver has no description
 * @IOMMU_HW_INFO_TYPE_DEFAULT: in: the driver's default type
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
 * The registers have the values of the hardware. A VMM must use only the following
 * fields, since the kernel need not support the others for a guest:
 *
 *  - IDR0: ST_LEVEL, TERM_MODEL, STALL_MODEL, TTENDIAN, CD2L, ASID16, TTF
 *  - IDR1: SIDSIZE, SSIDSIZE
 *  - IDR3: BBML, RIL
 *  - IDR5: VAX, GRAN64K, GRAN16K, GRAN4K, DS
 *
 * Three features are not to be taken from the registers: a guest can have S1P if
 * a nested HWPT can be allocated, COHACC is always supported, and the firmware
 * describes for each device whether ATS is supported.
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
 * A guest has one virtual interface, so a VMM sets bits 11:8 of the guest's PARAM
 * to 0.
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
 * See AMD's IOMMU specification (48882). For a guest, the kernel supports only
 * these fields of @efr: GTSup, GASup, GioSup, PPRSup, EPHSup, GATS, GLX, PASmax.
 */
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

/**
 * enum iommufd_hw_capabilities - capabilities of a device, regardless of the
 *                                type of IOMMU
 * @IOMMU_HW_CAP_DIRTY_TRACKING: IOMMU_HWPT_SET_DIRTY_TRACKING and
 *                               IOMMU_HWPT_GET_DIRTY_BITMAP are supported
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: the device can request execute permission; to be
 *                               ignored if out_max_pasid_log2 is 0
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: the device has a privileged mode; to be ignored
 *                               if out_max_pasid_log2 is 0
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: the device cannot use ATS; if not set, ATS
 *                                      may be enabled
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/**
 * enum iommufd_hw_info_flags - flags of struct iommu_hw_info
 * @IOMMU_HW_INFO_FLAG_INPUT_TYPE: in_data_type is the type of description to
 *                                 return
 */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};

/**
 * struct iommu_hw_info - argument of IOMMU_GET_HW_INFO
 * @size: bytes in this structure
 * @flags: of enum iommufd_hw_info_flags
 * @dev_id: a bound device
 * @data_len: in: bytes at @data_uptr, may be 0; out: full length of the
 *            description
 * @data_uptr: address of the buffer for the description
 * @in_data_type: of enum iommu_hw_info_type, the type to return; without
 *                IOMMU_HW_INFO_FLAG_INPUT_TYPE it is
 *                IOMMU_HW_INFO_TYPE_DEFAULT
 * @out_data_type: of enum iommu_hw_info_type, the type of the description
 * @out_max_pasid_log2: bits in a PASID of this device, 0 if it has no PASIDs
 * @__reserved: must be 0
 * @out_capabilities: of enum iommufd_hw_capabilities
 *
 * Describes the IOMMU of a device, so that a VMM can provide a matching virtual
 * IOMMU. If the buffer is shorter than the description, only the beginning is
 * written to it. If it is longer, the rest is filled with zeros.
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
 * enum iommu_hwpt_data_type - types of description of a guest's page table
 * @IOMMU_HWPT_DATA_NONE: none; the kernel fills the page table from an IOAS
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
 * @IOMMU_VTD_S1_EAFE: the extended access flag is maintained
 * @IOMMU_VTD_S1_WPE: write protection applies to supervisor requests too
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
 * These fields may be set. EIO if any other is set:
 *
 *  - word 0: V, Cfg, S1Fmt, S1ContextPtr, S1CDMax
 *  - word 1: EATS, S1DSS, S1CIR, S1COR, S1CSH, S1STALLD
 *
 * Cfg selects stage 1 (context descriptors are read through the nest parent),
 * bypass (only the nest parent translates) or abort.
 *
 * With stage 1, the kernel needs the guest's stream ID for invalidations and
 * events, so allocate the vDEVICE of the device before attaching it. With bypass
 * and abort the vDEVICE is not required, since a guest that has not enabled its
 * SMMU has no stream ID yet. Events of the device are not reported to the guest
 * in that case, so attach again when the stream ID is known.
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
 * enum iommufd_hwpt_alloc_flags - requirements on a new HWPT
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: page tables of guests can be nested in it
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: only devices whose IOMMU supports dirty
 *                                   tracking can be attached
 * @IOMMU_HWPT_FAULT_ID_VALID: page faults are reported to the queue fault_id
 * @IOMMU_HWPT_ALLOC_PASID: it can be attached to a PASID. If a device uses
 *                          PASIDs, the HWPT for its requests without a PASID
 *                          needs this flag as well, so attach the device to
 *                          such a HWPT and not to an IOAS. EOPNOTSUPP if the
 *                          IOMMU does not support PASIDs.
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
 * @dev_id: a device of the IOMMU that will use the page table
 * @pt_id: parent of the new HWPT: an IOAS, a nest parent HWPT or a vIOMMU
 * @out_hwpt_id: ID of the new HWPT
 * @__reserved: must be 0
 * @data_type: of enum iommu_hwpt_data_type
 * @data_len: bytes at @data_uptr
 * @data_uptr: address of the description that @data_type names
 * @fault_id: a fault queue, with IOMMU_HWPT_FAULT_ID_VALID
 * @__reserved2: must be 0
 *
 * Attaching a device to an IOAS allocates a HWPT automatically. This command
 * allocates one explicitly, with the given properties.
 *
 * If @pt_id is an IOAS, the page table always has the same mappings as the IOAS.
 * @data_type must be IOMMU_HWPT_DATA_NONE and @data_len 0.
 *
 * If @pt_id is a nest parent or a vIOMMU, which must belong to the same IOMMU as
 * the device, the page table is the guest's. The hardware walks it, and
 * translates its output addresses by the nest parent.
 *
 * The command fails if the hardware does not support what is requested.
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
/* Dirty tracking                                                           */
/* ------------------------------------------------------------------------ */

/**
 * enum iommufd_hwpt_set_dirty_tracking_flags - flags of struct
 *                                              iommu_hwpt_set_dirty_tracking
 * @IOMMU_HWPT_DIRTY_TRACKING_ENABLE: start recording writes; if not set, stop
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
 * Starting clears the record of earlier writes.
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
 * @IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR: leave the record as it is, which is
 *                                        cheaper if the range is unmapped next
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
 * @iova: first byte of the range; bit 0 of the bitmap is for the page at @iova
 * @length: bytes in the range
 * @page_size: bytes per bit, a power of two
 * @data: address of the bitmap, in 64-bit words
 *
 * Sets the bit of each page that was written to since the last call, and clears
 * the record. Bits that are set already in the bitmap remain set.
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
 * enum iommu_hwpt_invalidate_data_type - types of invalidation request
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
 * enum iommu_hwpt_vtd_s1_invalidate_flags - flags of struct
 *                                           iommu_hwpt_vtd_s1_invalidate
 * @IOMMU_VTD_INV_FLAGS_LEAF: invalidate last-level entries only; if not set, also
 *                            the entries of upper levels
 */
enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

/**
 * struct iommu_hwpt_vtd_s1_invalidate - a request for Intel VT-d
 * @addr: first IOVA to invalidate, a multiple of 4 KiB
 * @npages: number of pages of 4 KiB
 * @flags: of enum iommu_hwpt_vtd_s1_invalidate_flags
 * @__reserved: must be 0
 *
 * @addr 0 with @npages all ones stands for the whole table. If a device uses ATS,
 * its translation cache is invalidated as well.
 */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
};

/**
 * struct iommu_viommu_arm_smmuv3_invalidate - a request for Arm SMMUv3
 * @cmd: a command from the guest's command queue, little-endian
 *
 * The command may be TLBI_NSNH_ALL, TLBI_NH_VA, TLBI_NH_VAA, TLBI_NH_ALL,
 * TLBI_NH_ASID, ATC_INV, CFGI_CD or CFGI_CD_ALL. EIO if it is another one, or if
 * the kernel does not support a field, or the hardware a value, of the command.
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
 * @entry_num: in: number of requests; out: number of requests that were handled,
 *             also if the call fails
 * @__reserved: must be 0
 *
 * A VMM calls this when its guest invalidates a cache of its virtual IOMMU. With
 * a vIOMMU, caches that do not belong to one page table can be invalidated too,
 * such as those of context descriptors or of a device.
 *
 * With @entry_num 0, the command only checks whether @data_type is supported, and
 * ignores @data_uptr and @entry_len.
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
 *                to write struct iommu_hwpt_page_response to; the caller must
 *                close it
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
 * @IOMMU_PGFAULT_FLAGS_PASID_VALID: the request has a PASID
 * @IOMMU_PGFAULT_FLAGS_LAST_PAGE: the request is the last one of its group and
 *                                 requires a response
 */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = (1 << 0),
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = (1 << 1),
};

/**
 * enum iommu_hwpt_pgfault_perm - access that the device requested
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
 * @pasid: the PASID, with IOMMU_PGFAULT_FLAGS_PASID_VALID
 * @grpid: index of the group of page requests that this one belongs to
 * @perm: of enum iommu_hwpt_pgfault_perm
 * @__reserved: 0
 * @addr: the IOVA that was not mapped
 * @length: bytes that the device is going to access, 0 if unknown
 * @cookie: to be copied to the response
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
 * enum iommufd_page_response_code - codes of a page response (PCIe 10.4.2.1)
 * @IOMMUFD_PAGE_RESP_SUCCESS: the page is mapped now; the device repeats the
 *                             access
 * @IOMMUFD_PAGE_RESP_INVALID: the page cannot be mapped; the device does not
 *                             repeat the access
 */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/**
 * struct iommu_hwpt_page_response - response to a group of page requests
 * @cookie: the cookie of the last request of the group
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
 * enum iommu_viommu_type - types of virtual IOMMU
 * @IOMMU_VIOMMU_TYPE_DEFAULT: not in use
 * @IOMMU_VIOMMU_TYPE_ARM_SMMUV3: Arm SMMUv3
 * @IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: Arm SMMUv3 with NVIDIA's CMDQ
 *                                    Virtualization, struct
 *                                    iommu_viommu_tegra241_cmdqv. HYP_OWN of the
 *                                    virtual interface is clear. The VMM must
 *                                    show this bit of VINTF_CONFIG as 0 to the
 *                                    guest, or the guest's queues fail.
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
 * The mapping is page 0 of the virtual interface. The VMM maps these registers
 * into the guest, so that the guest can use its command queues without VM exits.
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
 * @dev_id: a device of the physical IOMMU
 * @hwpt_id: the nest parent, which maps the guest's memory
 * @out_viommu_id: ID of the new vIOMMU
 * @data_len: bytes at @data_uptr
 * @__reserved: must be 0
 * @data_uptr: data that belongs to @type
 *
 * A vIOMMU is the part of one physical IOMMU that one VM uses, separate from
 * those of other VMs. It owns:
 *
 *  - the identifiers that the guest assigns: cache tags and device IDs;
 *  - events that are not of one device, such as errors of the command queue;
 *  - hardware that is assigned to the guest, such as command queues.
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
 * @viommu_id: the vIOMMU of the device
 * @dev_id: the device
 * @out_vdevice_id: ID of the new vDEVICE
 * @virt_id: ID of the device in the guest's virtual IOMMU: the stream ID on Arm,
 *           the device ID on AMD, the requester ID on Intel
 *
 * Destroy the vDEVICE before the device is unbound. Otherwise unbinding destroys
 * it, but its ID is not available again until the file is closed.
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
 * enum iommu_veventq_type - types of event queue
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
 * @IOMMU_VEVENTQ_FLAG_LOST_EVENTS: events were lost after the previous event; no
 *                                  event follows this header
 */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = (1U << 0),
};

/**
 * struct iommufd_vevent_header - header of each event
 * @flags: of enum iommu_veventq_flag
 * @sequence: number of the event, from 0 to INT_MAX and then 0 again
 *
 * The difference between the numbers of two successive events shows how many were
 * lost between them. If the latest events were lost, so that there is no event
 * after the gap, a header with IOMMU_VEVENTQ_FLAG_LOST_EVENTS follows the last
 * event.
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
 * These events of devices that have a vDEVICE are reported: C_BAD_STE (0x04),
 * F_STREAM_DISABLED (0x06), C_BAD_SUBSTREAMID (0x08), C_BAD_CD (0x0a),
 * F_TRANSLATION (0x10), F_ADDR_SIZE (0x11), F_ACCESS (0x12) and F_PERMISSION
 * (0x13).
 */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

/**
 * struct iommu_vevent_tegra241_cmdqv - errors of virtual command queues
 * @lvcmdq_err_map: the registers LVCMDQ_ERR_MAP of the virtual interface, with
 *                  one bit for each logical queue, little-endian
 */
struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/**
 * struct iommu_veventq_alloc - argument of IOMMU_VEVENTQ_ALLOC
 * @size: bytes in this structure
 * @flags: none exist, must be 0
 * @viommu_id: the vIOMMU; it has at most one queue of each type
 * @type: of enum iommu_veventq_type
 * @veventq_depth: number of unread events that the queue holds before further
 *                 ones are lost
 * @out_veventq_id: ID of the new queue
 * @out_veventq_fd: a file descriptor to read events from; the caller must close
 *                  it
 * @__reserved: must be 0
 *
 * Reading returns a struct iommufd_vevent_header for each event, followed by the
 * event in the format of @type.
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
 * enum iommu_hw_queue_type - types of hardware queue
 * @IOMMU_HW_QUEUE_TYPE_DEFAULT: not in use
 * @IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV: a virtual command queue of NVIDIA's CMDQ
 *                                      Virtualization
 *
 * For a virtual command queue:
 *
 *  - Queues must be allocated in ascending order of their index, starting at 0,
 *    and destroyed in descending order.
 *  - The length is a power of two, from 32 bytes to 16 bytes shifted by CMDQS
 *    of IDR1 (see struct iommu_hw_info_arm_smmuv3). The base is a multiple of the
 *    length and is mapped in the IOAS.
 *  - The memory should be physically contiguous, for instance one huge page. The
 *    VMM should limit the guest's CMDQS so that a queue fits in it.
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
 * @index: index of the queue among those of this type; must not be in use
 * @out_hw_queue_id: ID of the new queue
 * @nesting_parent_iova: guest physical address of the queue, which is its IOVA in
 *                       the nest parent
 * @length: bytes in the queue
 *
 * Makes the hardware read a queue directly from guest memory. The memory cannot
 * be unmapped while the queue exists.
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
