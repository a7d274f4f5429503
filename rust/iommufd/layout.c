// SPDX-License-Identifier: GPL-2.0
/*
 * Compares the layouts of helpers.h with those of the kernel, field by field. The
 * private header exists in source trees only; with a header package, only the
 * public structures are compared.
 */
#include "helpers.h"

#if __has_include("iommufd_private.h")
#include "iommufd_private.h"

#define SAME(ours, theirs, field)                                           \
	static_assert(offsetof(struct ours, field) ==                       \
		      offsetof(struct theirs, field));                      \
	static_assert(sizeof_field(struct ours, field) ==                   \
		      sizeof_field(struct theirs, field))

SAME(iommufd_ctx_layout, iommufd_ctx, file);
SAME(iommufd_ctx_layout, iommufd_ctx, objects);
SAME(iommufd_ctx_layout, iommufd_ctx, groups);
SAME(iommufd_ctx_layout, iommufd_ctx, destroy_wait);
SAME(iommufd_ctx_layout, iommufd_ctx, ioas_creation_lock);
SAME(iommufd_ctx_layout, iommufd_ctx, mt_mmap);
SAME(iommufd_ctx_layout, iommufd_ctx, sw_msi_lock);
SAME(iommufd_ctx_layout, iommufd_ctx, sw_msi_list);
SAME(iommufd_ctx_layout, iommufd_ctx, sw_msi_id);

SAME(iommufd_device_layout, iommufd_device, obj);
SAME(iommufd_device_layout, iommufd_device, ictx);
SAME(iommufd_device_layout, iommufd_device, igroup);
SAME(iommufd_device_layout, iommufd_device, group_item);
SAME(iommufd_device_layout, iommufd_device, dev);

SAME(iommufd_group_layout, iommufd_group, ref);
SAME(iommufd_group_layout, iommufd_group, lock);
SAME(iommufd_group_layout, iommufd_group, ictx);
SAME(iommufd_group_layout, iommufd_group, group);
SAME(iommufd_group_layout, iommufd_group, pasid_attach);
SAME(iommufd_group_layout, iommufd_group, required_sw_msi);
SAME(iommufd_group_layout, iommufd_group, sw_msi_start);

/* The bit pasid_compat is the only member between fault and ioas. */
SAME(iommufd_hwpt_layout, iommufd_hw_pagetable, obj);
SAME(iommufd_hwpt_layout, iommufd_hw_pagetable, domain);
SAME(iommufd_hwpt_layout, iommufd_hw_pagetable, fault);
static_assert(sizeof(struct iommufd_hwpt_layout) ==
	      sizeof(struct iommufd_hw_pagetable));
SAME(iommufd_hwpt_paging_layout, iommufd_hwpt_paging, common);
SAME(iommufd_hwpt_paging_layout, iommufd_hwpt_paging, ioas);
SAME(iommufd_hwpt_paging_layout, iommufd_hwpt_paging, hwpt_item);
SAME(iommufd_hwpt_paging_layout, iommufd_hwpt_paging, present_sw_msi);
static_assert(sizeof(struct iommufd_hwpt_paging_layout) ==
	      sizeof(struct iommufd_hwpt_paging));

SAME(iommufd_attach_handle_layout, iommufd_attach_handle, handle);
SAME(iommufd_attach_handle_layout, iommufd_attach_handle, idev);
#endif

/* C drivers embed these structures, which begin with an iommufd_object. */
static_assert(offsetof(struct iommufd_object, wait_cnt) == 0);
static_assert(offsetof(struct iommufd_object, users) == 4);
static_assert(offsetof(struct iommufd_object, type) == 8);
static_assert(offsetof(struct iommufd_object, id) == 12);
static_assert(sizeof(struct iommufd_object) == 16);
static_assert(offsetof(struct iommufd_viommu, obj) == 0);
static_assert(offsetof(struct iommufd_vdevice, obj) == 0);
static_assert(offsetof(struct iommufd_hw_queue, obj) == 0);

/* rust/iommufd/capi/access.rs has the same numbers. */
static_assert(IOMMUFD_ACCESS_RW_WRITE == 1 << 0);
static_assert(IOMMUFD_ACCESS_RW_KTHREAD == 1 << 1);
static_assert(__IOMMUFD_ACCESS_RW_SLOW_PATH == 1 << 2);
