// SPDX-License-Identifier: GPL-2.0
/* QEMU's "edu" device */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "edu.h"

#define REG_DMA_SRC 0x80
#define REG_DMA_DST 0x88
#define REG_DMA_COUNT 0x90
#define REG_DMA_CMD 0x98

#define CMD_START 1
#define CMD_TO_RAM 2

/* Address of the device's buffer in a transfer */
#define BUFFER_ADDR 0x40000

/* The device takes a tenth of a second, if the emulator has the time. */
#define TIMEOUT_SECONDS 600

static volatile uint64_t *reg(struct vfio_dev *dev, size_t offset)
{
	return (volatile uint64_t *)((char *)dev->bar0 + offset);
}

static int start(struct vfio_dev *dev, uint64_t src, uint64_t dst,
		 size_t length, uint64_t cmd)
{
	if (length > EDU_BUFFER_SIZE)
		return -EINVAL;
	*reg(dev, REG_DMA_SRC) = src;
	*reg(dev, REG_DMA_DST) = dst;
	*reg(dev, REG_DMA_COUNT) = length;
	*reg(dev, REG_DMA_CMD) = cmd | CMD_START;
	return 0;
}

int edu_wait(struct vfio_dev *dev)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	time_t end = time(NULL) + TIMEOUT_SECONDS;

	while (*reg(dev, REG_DMA_CMD) & CMD_START) {
		if (time(NULL) > end)
			return -ETIMEDOUT;
		nanosleep(&ms, NULL);
	}
	return 0;
}

int edu_start_write_ram(struct vfio_dev *dev, uint64_t iova, size_t length)
{
	return start(dev, BUFFER_ADDR, iova, length, CMD_TO_RAM);
}

int edu_read_ram(struct vfio_dev *dev, uint64_t iova, size_t length)
{
	int rc = start(dev, iova, BUFFER_ADDR, length, 0);

	return rc ? rc : edu_wait(dev);
}

int edu_write_ram(struct vfio_dev *dev, uint64_t iova, size_t length)
{
	int rc = edu_start_write_ram(dev, iova, length);

	return rc ? rc : edu_wait(dev);
}

/* Each call creates another pattern, so that leftovers of an earlier one differ */
static void next_pattern(unsigned char *p, size_t length)
{
	static unsigned int seed;

	seed++;
	for (size_t i = 0; i < length; i++)
		p[i] = i * 7 + (i >> 8) * 13 + seed * 101;
}

/* Writes a new pattern to @memory, and to @pattern for a later comparison */
static bool fill(unsigned char pattern[EDU_BUFFER_SIZE], void *memory,
		 size_t length)
{
	if (length > EDU_BUFFER_SIZE)
		return false;
	next_pattern(pattern, length);
	memcpy(memory, pattern, length);
	return true;
}

bool edu_reaches(struct vfio_dev *dev, uint64_t iova, void *memory,
		 size_t length)
{
	unsigned char pattern[EDU_BUFFER_SIZE];

	if (!fill(pattern, memory, length) || edu_read_ram(dev, iova, length))
		return false;
	memset(memory, 0, length);
	if (edu_write_ram(dev, iova, length))
		return false;
	return !memcmp(memory, pattern, length);
}

bool edu_write_refused(struct vfio_dev *dev, uint64_t iova, void *memory,
		       size_t length)
{
	unsigned char pattern[EDU_BUFFER_SIZE];

	if (!fill(pattern, memory, length) || edu_write_ram(dev, iova, length))
		return false;
	return !memcmp(memory, pattern, length);
}
