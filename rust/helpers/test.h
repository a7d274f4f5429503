/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Declarations for test builds only (CONFIG_IOMMUFD_RUST_TEST); included by
 * helpers.h.
 */
#ifndef _KERNEL_EXT_TEST_H
#define _KERNEL_EXT_TEST_H

#include <linux/anon_inodes.h>
#include <linux/notifier.h>
#include <linux/property.h>

/* drivers/iommu/iommu-priv.h is not installed with kernel headers. */
int iommu_device_register_bus(struct iommu_device *iommu,
			      const struct iommu_ops *ops,
			      const struct bus_type *bus,
			      struct notifier_block *nb);
void iommu_device_unregister_bus(struct iommu_device *iommu,
				 const struct bus_type *bus,
				 struct notifier_block *nb);
int iommu_mock_device_add(struct device *dev, struct iommu_device *iommu);

void kernel_ext_mock_lock(void);
void kernel_ext_mock_unlock(void);

bool kernel_ext_should_fail(void);
void kernel_ext_fault_init(void);
void kernel_ext_fault_exit(void);

int kernel_ext_page_pins(struct page *page);
void kernel_ext_put_page(struct page *page);

#endif
