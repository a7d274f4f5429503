// SPDX-License-Identifier: GPL-2.0
/* The ioctls of VFIO's container */
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include "iommufd.h"
#include "vfio_container.h"

int vfio_ioas(int fd, uint16_t op, uint32_t *id)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = *id,
		.op = op,
	};
	int rc = ioctl_errno(fd, IOMMU_VFIO_IOAS, &cmd);

	*id = cmd.ioas_id;
	return rc;
}

int container_ioas(int fd, uint32_t *id)
{
	*id = 0;
	return vfio_ioas(fd, IOMMU_VFIO_IOAS_GET, id);
}

int choose_ioas(int fd, uint32_t id)
{
	return vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, &id);
}

int set_iommu(int fd, unsigned long type)
{
	return ioctl_errno(fd, VFIO_SET_IOMMU, (void *)type);
}

int map_dma(int fd, const void *va, uint64_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return ioctl_errno(fd, VFIO_IOMMU_MAP_DMA, &map);
}

int unmap_dma(int fd, uint32_t flags, uint64_t iova, uint64_t *size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = iova,
		.size = *size,
	};
	int rc = ioctl_errno(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

	*size = unmap.size;
	return rc;
}
