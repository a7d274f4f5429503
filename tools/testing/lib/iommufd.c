// SPDX-License-Identifier: GPL-2.0
/* The commands of /dev/iommu as C functions */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "iommufd.h"

int ioctl_errno(int fd, unsigned long cmd, void *arg)
{
	int rc = ioctl(fd, cmd, arg);

	return rc < 0 ? -errno : rc;
}

int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommufd_destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return ioctl_errno(fd, IOMMU_DESTROY, &cmd);
}

int iommufd_ioas_alloc(int fd, uint32_t *ioas_id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = ioctl_errno(fd, IOMMU_IOAS_ALLOC, &cmd);

	*ioas_id = cmd.out_ioas_id;
	return rc;
}

int iommufd_iova_ranges(int fd, uint32_t ioas_id,
			struct iommu_iova_range *ranges, uint32_t *num,
			uint64_t *alignment)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas_id,
		.num_iovas = *num,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int rc = ioctl_errno(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);

	*num = cmd.num_iovas;
	if (alignment)
		*alignment = cmd.out_iova_alignment;
	return rc;
}

int iommufd_map(int fd, uint32_t ioas_id, uint32_t flags, const void *va,
		uint64_t length, uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas_id,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = *iova,
	};
	int rc = ioctl_errno(fd, IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;
	return rc;
}

int iommufd_map_at(int fd, uint32_t ioas_id, const void *va, uint64_t length,
		   uint64_t iova)
{
	return iommufd_map(fd, ioas_id, MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA, va,
			   length, &iova);
}

int iommufd_unmap(int fd, uint32_t ioas_id, uint64_t iova, uint64_t length,
		  uint64_t *unmapped)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas_id,
		.iova = iova,
		.length = length,
	};
	int rc = ioctl_errno(fd, IOMMU_IOAS_UNMAP, &cmd);

	if (!rc && unmapped)
		*unmapped = cmd.length;
	return rc;
}

int iommufd_unmap_all(int fd, uint32_t ioas_id, uint64_t *unmapped)
{
	return iommufd_unmap(fd, ioas_id, 0, UINT64_MAX, unmapped);
}
