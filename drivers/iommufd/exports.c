// SPDX-License-Identifier: GPL-2.0
/*
 * The symbols of iommufd.ko, in the namespaces where vfio.ko and others expect
 * them.
 *
 * The functions themselves are Rust (drivers/iommufd/kernel_api.rs, access.rs and
 * vfio_compat.rs).
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommufd.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

EXPORT_SYMBOL_NS_GPL(iommufd_ctx_get, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_put, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_from_file, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_from_fd, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_has_group, "IOMMUFD");

EXPORT_SYMBOL_NS_GPL(iommufd_device_bind, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_device_unbind, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_device_attach, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_device_replace, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_device_detach, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_ictx, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_id, "IOMMUFD");

EXPORT_SYMBOL_NS_GPL(iommufd_access_create, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_access_destroy, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_access_attach, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_access_replace, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_access_detach, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_access_pin_pages, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_access_unpin_pages, "IOMMUFD");
EXPORT_SYMBOL_NS_GPL(iommufd_access_rw, "IOMMUFD");

EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_get_id, "IOMMUFD_VFIO");
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_create, "IOMMUFD_VFIO");
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu, "IOMMUFD_VFIO");

/* Opening the node, which is static, loads the module. */
#if IS_ENABLED(CONFIG_IOMMUFD_VFIO_CONTAINER)
MODULE_ALIAS_MISCDEV(VFIO_MINOR);
MODULE_ALIAS("devname:vfio/vfio");
#endif

MODULE_IMPORT_NS("IOMMUFD_INTERNAL");
