// SPDX-License-Identifier: GPL-2.0
/* A PCI device that is driven from userspace */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "iommufd.h"
#include "vfio_dev.h"

#define PCI_DEVICES "/sys/bus/pci/devices"
#define MAX_DEVICES 64

static int read_hex(const char *bdf, const char *attr, uint16_t *val)
{
	char path[128];
	unsigned int v;
	FILE *f;
	int n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, attr);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	n = fscanf(f, "%x", &v);
	fclose(f);
	*val = v;
	return n == 1 ? 0 : -EIO;
}

/* Last component of a symlink in the device's directory */
static int read_link_name(const char *bdf, const char *link, char *name,
			  size_t size)
{
	char path[128], target[256], *base;
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, link);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	base = strrchr(target, '/');
	n = snprintf(name, size, "%s", base ? base + 1 : target);
	return n < (ssize_t)size ? 0 : -ENAMETOOLONG;
}

static int write_attr(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t n;
	int rc;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	rc = n < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int vfio_dev_from_bdf(struct vfio_dev *dev, const char *bdf)
{
	char group[32];
	int rc;

	*dev = (struct vfio_dev)VFIO_DEV_CLOSED;
	if (strlen(bdf) >= sizeof(dev->bdf))
		return -EINVAL;
	strcpy(dev->bdf, bdf);
	rc = read_hex(bdf, "vendor", &dev->vendor);
	if (!rc)
		rc = read_hex(bdf, "device", &dev->device);
	if (!rc && !read_link_name(bdf, "iommu_group", group, sizeof(group)))
		dev->group = atoi(group);
	return rc;
}

static int by_bdf(const void *a, const void *b)
{
	return strcmp(((const struct vfio_dev *)a)->bdf,
		      ((const struct vfio_dev *)b)->bdf);
}

/* Finds all devices of one kind, sorted by address; returns their number or -errno */
static int find_all(struct vfio_dev *devs, uint16_t vendor, uint16_t device)
{
	DIR *dir = opendir(PCI_DEVICES);
	struct dirent *ent;
	int n = 0;

	if (!dir)
		return -errno;
	while (n < MAX_DEVICES && (ent = readdir(dir))) {
		if (ent->d_name[0] == '.' ||
		    vfio_dev_from_bdf(&devs[n], ent->d_name))
			continue;
		if (devs[n].vendor == vendor && devs[n].device == device)
			n++;
	}
	closedir(dir);
	qsort(devs, n, sizeof(*devs), by_bdf);
	return n;
}

int vfio_dev_find(struct vfio_dev *dev, uint16_t vendor, uint16_t device,
		  unsigned int nth)
{
	struct vfio_dev all[MAX_DEVICES];
	int n = find_all(all, vendor, device);

	if (n < 0)
		return n;
	if (nth >= (unsigned int)n)
		return -ENODEV;
	*dev = all[nth];
	return 0;
}

/* Index of another device in the group of all[i], or -1 */
static int sibling(const struct vfio_dev *all, int n, int i)
{
	for (int j = 0; j < n; j++)
		if (j != i && all[j].group == all[i].group)
			return j;
	return -1;
}

int vfio_dev_find_single(struct vfio_dev *dev, uint16_t vendor, uint16_t device)
{
	struct vfio_dev all[MAX_DEVICES];
	int n = find_all(all, vendor, device);

	for (int i = 0; i < n; i++) {
		if (all[i].group < 0 || sibling(all, n, i) >= 0)
			continue;
		*dev = all[i];
		return 0;
	}
	return n < 0 ? n : -ENODEV;
}

int vfio_dev_find_pair(struct vfio_dev pair[2], uint16_t vendor,
		       uint16_t device)
{
	struct vfio_dev all[MAX_DEVICES];
	int n = find_all(all, vendor, device);

	for (int i = 0; i < n; i++) {
		int j = sibling(all, n, i);

		if (all[i].group < 0 || j < 0)
			continue;
		pair[0] = all[i];
		pair[1] = all[j];
		return 0;
	}
	return n < 0 ? n : -ENODEV;
}

/* devtmpfs creates the node shortly after the device appears in sysfs */
static int wait_for_node(const char *path)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < 60000; i++) {
		if (!access(path, F_OK))
			return 0;
		nanosleep(&ms, NULL);
	}
	return -ENOENT;
}

static int find_cdev(struct vfio_dev *dev)
{
	char path[128];
	struct dirent *ent;
	int rc = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/vfio-dev", dev->bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (rc && (ent = readdir(dir))) {
		if (strncmp(ent->d_name, "vfio", 4))
			continue;
		snprintf(dev->cdev, sizeof(dev->cdev),
			 "/dev/vfio/devices/%.32s", ent->d_name);
		rc = 0;
	}
	closedir(dir);
	return rc ? rc : wait_for_node(dev->cdev);
}

static int change_driver(struct vfio_dev *dev, bool has_one)
{
	char path[128];
	int rc;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override",
		 dev->bdf);
	rc = write_attr(path, "vfio-pci");
	if (!rc && has_one) {
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver/unbind",
			 dev->bdf);
		rc = write_attr(path, dev->bdf);
	}
	return rc ? rc : write_attr("/sys/bus/pci/drivers_probe", dev->bdf);
}

int vfio_dev_claim(struct vfio_dev *dev)
{
	char driver[64];
	bool has_one;
	int rc = 0;

	has_one = !read_link_name(dev->bdf, "driver", driver, sizeof(driver));
	if (!has_one || strcmp(driver, "vfio-pci"))
		rc = change_driver(dev, has_one);
	return rc ? rc : find_cdev(dev);
}

int vfio_dev_open(struct vfio_dev *dev)
{
	dev->fd = open(dev->cdev, O_RDWR | O_CLOEXEC);
	return dev->fd < 0 ? -errno : 0;
}

int vfio_dev_bind(struct vfio_dev *dev, int iommufd)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = iommufd,
	};
	int rc = ioctl_errno(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (!rc)
		dev->id = cmd.out_devid;
	return rc;
}

int vfio_dev_attach(struct vfio_dev *dev, uint32_t *pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = *pt_id,
	};
	int rc = ioctl_errno(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	if (!rc)
		*pt_id = cmd.pt_id;
	return rc;
}

int vfio_dev_detach(struct vfio_dev *dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return ioctl_errno(dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static int region_info(struct vfio_dev *dev, uint32_t index,
		       struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){
		.argsz = sizeof(*info),
		.index = index,
	};
	return ioctl_errno(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

static int enable_bus_master(struct vfio_dev *dev)
{
	struct vfio_region_info cfg;
	uint16_t command;
	int rc;

	rc = region_info(dev, VFIO_PCI_CONFIG_REGION_INDEX, &cfg);
	if (rc)
		return rc;
	if (pread(dev->fd, &command, 2, cfg.offset + PCI_COMMAND) != 2)
		return -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(dev->fd, &command, 2, cfg.offset + PCI_COMMAND) != 2)
		return -EIO;
	return 0;
}

int vfio_dev_enable(struct vfio_dev *dev)
{
	struct vfio_region_info bar;
	void *p;
	int rc;

	rc = region_info(dev, VFIO_PCI_BAR0_REGION_INDEX, &bar);
	if (rc)
		return rc;
	p = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, dev->fd,
		 bar.offset);
	if (p == MAP_FAILED)
		return -errno;
	dev->bar0 = p;
	dev->bar0_size = bar.size;
	return enable_bus_master(dev);
}

void vfio_dev_close(struct vfio_dev *dev)
{
	if (dev->bar0)
		munmap(dev->bar0, dev->bar0_size);
	dev->bar0 = NULL;
	if (dev->fd >= 0)
		close(dev->fd);
	dev->fd = -1;
}
