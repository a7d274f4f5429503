// SPDX-License-Identifier: GPL-2.0
/*
 * Functions for dma-bufs that use macros or the name of this module.
 */
#include <linux/dma-buf.h>
#include <linux/module.h>
#include <linux/vfio_pci_core.h>

#include "helpers.h"

/*
 * Asks vfio-pci for the physical address of a BAR, which it reports to iommufd
 * only. The symbol is looked up for each call, because vfio-pci may not be loaded,
 * and depends on iommufd.
 */
int kernel_ext_dma_buf_phys(struct dma_buf_attachment *attachment,
			    struct phys_vec *phys)
{
	typeof(&vfio_pci_dma_buf_iommufd_map) phys_of;
	int rc;

	if (!IS_ENABLED(CONFIG_VFIO_PCI_DMABUF))
		return -EOPNOTSUPP;

	phys_of = symbol_get(vfio_pci_dma_buf_iommufd_map);
	if (!phys_of)
		return -EOPNOTSUPP;
	rc = phys_of(attachment, phys);
	symbol_put(vfio_pci_dma_buf_iommufd_map);
	return rc;
}

#ifdef CONFIG_IOMMUFD_RUST_TEST
struct dma_buf *kernel_ext_dma_buf_export(const struct dma_buf_ops *ops,
					  size_t size, int flags, void *priv)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = ops;
	info.size = size;
	info.flags = flags;
	info.priv = priv;
	return dma_buf_export(&info);
}
#endif
