// SPDX-License-Identifier: GPL-2.0
/*
 * Functions for test builds only (CONFIG_IOMMUFD_RUST_TEST); see helpers.c.
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/mm.h>
#include <linux/mutex.h>

#include "helpers.h"

static DEFINE_MUTEX(mock);

void kernel_ext_mock_lock(void)
{
	mutex_lock(&mock);
}

void kernel_ext_mock_unlock(void)
{
	mutex_unlock(&mock);
}

static DECLARE_FAULT_ATTR(fail_iommufd);
static struct dentry *fault_dir;

bool kernel_ext_should_fail(void)
{
	return should_fail(&fail_iommufd, 1);
}

void kernel_ext_fault_init(void)
{
	fault_dir = fault_create_debugfs_attr("fail_iommufd", NULL,
					      &fail_iommufd);
}

void kernel_ext_fault_exit(void)
{
	debugfs_remove_recursive(fault_dir);
}

/* Returns the number of pins of a page, or -1 for a part of a compound page. */
int kernel_ext_page_pins(struct page *page)
{
	return PageCompound(page) ? -1 :
				    page_ref_count(page) / GUP_PIN_COUNTING_BIAS;
}

void kernel_ext_put_page(struct page *page)
{
	put_page(page);
}
