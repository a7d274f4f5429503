// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of the kernel as symbols that Rust can call. The
 * logic is in Rust.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>

#include "helpers.h"

/* Without a page table, the domain has no cookie. */
void iommufd_core_set_cookie(struct iommu_domain *domain, void *hwpt)
{
	domain->iommufd_hwpt = hwpt;
	domain->cookie_type = hwpt ? IOMMU_COOKIE_IOMMUFD : IOMMU_COOKIE_NONE;
}

void iommufd_core_ctx_init(struct iommufd_ctx_layout *ctx,
				 struct file *file)
{
	ctx->file = file;
	xa_init_flags(&ctx->objects, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init(&ctx->groups);
	init_waitqueue_head(&ctx->destroy_wait);
	init_rwsem(&ctx->ioas_creation_lock);
	mt_init_flags(&ctx->mt_mmap, MT_FLAGS_ALLOC_RANGE);
	mutex_init(&ctx->sw_msi_lock);
	INIT_LIST_HEAD(&ctx->sw_msi_list);
}

void iommufd_core_ctx_destroy(struct iommufd_ctx_layout *ctx)
{
	xa_destroy(&ctx->objects);
	mutex_destroy(&ctx->sw_msi_lock);
}

bool iommufd_core_wait_unused(struct wait_queue_head *wq, refcount_t *count,
			    unsigned int timeout_ms)
{
	if (!wait_event_timeout(*wq, refcount_read(count) == 0,
				msecs_to_jiffies(timeout_ms)))
		return false;
	/* Orders the accesses of the last users before the destruction. */
	smp_acquire__after_ctrl_dep();
	return true;
}

void iommufd_core_wake_up_all(struct wait_queue_head *wq)
{
	wake_up_all(wq);
}

int iommufd_core_xa_alloc_31b(struct xarray *xa, u32 *id)
{
	return xa_alloc(xa, id, XA_ZERO_ENTRY, xa_limit_31b,
			GFP_KERNEL_ACCOUNT);
}

/*
 * The slot was allocated by iommufd_core_xa_alloc_31b(), so the store cannot
 * fail.
 */
void iommufd_core_xa_store_reserved(struct xarray *xa, u32 id, void *entry)
{
	XA_STATE(xas, xa, id);
	void *old;

	xa_lock(xa);
	old = xas_store(&xas, entry);
	xa_unlock(xa);
	WARN_ON(old != XA_ZERO_ENTRY);
}

bool iommufd_core_refcount_inc_not_zero(refcount_t *r)
{
	return refcount_inc_not_zero(r);
}

bool iommufd_core_refcount_take_last(refcount_t *r)
{
	if (!refcount_dec_if_one(r))
		return false;
	/* Orders the accesses of former users before the destruction. */
	smp_acquire__after_ctrl_dep();
	return true;
}

void iommufd_core_get_file(struct file *file)
{
	get_file(file);
}

bool iommufd_core_get_file_unless_closed(struct file *file)
{
	return file_ref_get(&file->f_ref);
}

bool iommufd_core_access_needs_pages(const struct iommufd_access_ops *ops)
{
	return ops->needs_pin_pages;
}

void iommufd_core_access_unmap(const struct iommufd_access_ops *ops, void *data,
			     unsigned long iova, unsigned long length)
{
	if (ops->unmap)
		ops->unmap(data, iova, length);
}
