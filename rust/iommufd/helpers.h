/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Declarations for iommufd_core that bindgen cannot generate: inline functions
 * and macros as symbols, prototypes from private headers of the kernel, and the
 * layouts of objects that C code accesses as well.
 */
#ifndef _IOMMUFD_CORE_HELPERS_H
#define _IOMMUFD_CORE_HELPERS_H

#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/wait.h>
#include <linux/xarray.h>

/*
 * drivers/iommu/iommu-priv.h is not installed with kernel headers. These are
 * exported in the namespace IOMMUFD_INTERNAL, for iommufd only.
 */
int iommu_attach_group_handle(struct iommu_domain *domain,
			      struct iommu_group *group,
			      struct iommu_attach_handle *handle);
void iommu_detach_group_handle(struct iommu_domain *domain,
			       struct iommu_group *group);
int iommu_replace_group_handle(struct iommu_group *group,
			       struct iommu_domain *new_domain,
			       struct iommu_attach_handle *handle);
int iommu_replace_device_pasid(struct iommu_domain *domain, struct device *dev,
			       ioasid_t pasid,
			       struct iommu_attach_handle *handle);
struct iommu_attach_handle *iommu_attach_handle_get(struct iommu_group *group,
						    ioasid_t pasid,
						    unsigned int type);

/*
 * The part of an iommufd context that the iommufd driver core in vmlinux reads
 * through the opaque pointer. layout.c compares this and the structures below
 * with the definitions of the kernel, if the source tree is available.
 */
struct iommufd_ctx_layout {
	struct file *file;
	struct xarray objects;
	struct xarray groups;
	wait_queue_head_t destroy_wait;
	struct rw_semaphore ioas_creation_lock;
	struct maple_tree mt_mmap;
	struct mutex sw_msi_lock;
	struct list_head sw_msi_list;
	unsigned int sw_msi_id;
};

struct iommufd_group_layout {
	struct kref ref;
	struct mutex lock;
	struct iommufd_ctx *ictx;
	struct iommu_group *group;
	struct xarray pasid_attach;
	u64 required_sw_msi;
	phys_addr_t sw_msi_start;
};

/* C code reads the fields of a bound device up to @dev. */
struct iommufd_device_layout {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommufd_group_layout *igroup;
	struct list_head group_item;
	struct device *dev;
};

/* The page table that is the cookie of a domain. */
struct iommufd_hwpt_layout {
	struct iommufd_object obj;
	struct iommu_domain *domain;
	void *fault;
	bool pasid_compat : 1;
};

struct iommufd_hwpt_paging_layout {
	struct iommufd_hwpt_layout common;
	void *ioas;
	bool auto_domain : 1;
	bool enforce_cache_coherency : 1;
	bool nest_parent : 1;
	struct list_head hwpt_item;
	u64 present_sw_msi;
};

/* The attach handle of the kernel, to which an attached domain points back. */
struct iommufd_attach_handle_layout {
	struct iommu_attach_handle handle;
	void *idev;
};

bool iommufd_core_allow_unsafe_interrupts(void);

void iommufd_core_set_cookie(struct iommu_domain *domain, void *hwpt);
void iommufd_core_ctx_init(struct iommufd_ctx_layout *ctx,
				 struct file *file);
void iommufd_core_ctx_destroy(struct iommufd_ctx_layout *ctx);
bool iommufd_core_wait_unused(struct wait_queue_head *wq, refcount_t *count,
			    unsigned int timeout_ms);
void iommufd_core_wake_up_all(struct wait_queue_head *wq);

int iommufd_core_xa_alloc_31b(struct xarray *xa, u32 *id);
void iommufd_core_xa_store_reserved(struct xarray *xa, u32 id, void *entry);

bool iommufd_core_refcount_inc_not_zero(refcount_t *r);
bool iommufd_core_refcount_take_last(refcount_t *r);
void iommufd_core_get_file(struct file *file);
bool iommufd_core_get_file_unless_closed(struct file *file);

bool iommufd_core_access_needs_pages(const struct iommufd_access_ops *ops);
void iommufd_core_access_unmap(const struct iommufd_access_ops *ops, void *data,
			     unsigned long iova, unsigned long length);

#endif
