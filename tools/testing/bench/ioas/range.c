// SPDX-License-Identifier: GPL-2.0
/* One large range of each kind of memory; see bench.h. */
#include <sys/ioctl.h>

#include "bench.h"
#include "iommufd.h"
#include "meter.h"

#define LENGTH FILE_LENGTH
#define PAGES (LENGTH / KIB4)
#define ROUNDS (WARM_UP + 2)

enum op { MAP, COPY, HWPT_ADD, HWPT_REMOVE, COPY_UNMAP, UNMAP, OPS };

static const char *const op_names[OPS] = {
	"map", "copy", "hwpt-add", "hwpt-remove", "copy-unmap", "unmap",
};

static int map_file(const struct bench *bench, const struct memory *memory)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = bench->ioas,
		.fd = memory->file,
		.length = memory->length,
		.iova = IOVA_BASE,
	};

	return ioctl_errno(bench->fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

static int map(const struct bench *bench, const struct memory *memory)
{
	if (memory->file >= 0)
		return map_file(bench, memory);
	return iommufd_map_at(bench->fd, bench->ioas, memory->va, memory->length,
			      IOVA_BASE);
}

static int copy(const struct bench *bench, const struct memory *memory)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA,
		.dst_ioas_id = bench->other_ioas,
		.src_ioas_id = bench->ioas,
		.length = memory->length,
		.dst_iova = IOVA_BASE,
		.src_iova = IOVA_BASE,
	};

	return ioctl_errno(bench->fd, IOMMU_IOAS_COPY, &cmd);
}

static int hwpt_add(const struct bench *bench, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = bench->device,
		.pt_id = bench->ioas,
	};
	int rc = ioctl_errno(bench->fd, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

static int do_op(const struct bench *bench, const struct memory *memory, enum op op,
		 uint32_t *hwpt)
{
	switch (op) {
	case MAP:
		return map(bench, memory);
	case COPY:
		return copy(bench, memory);
	case COPY_UNMAP:
		return iommufd_unmap(bench->fd, bench->other_ioas, IOVA_BASE,
				     memory->length, NULL);
	case HWPT_ADD:
		return hwpt_add(bench, hwpt);
	case HWPT_REMOVE:
		return iommufd_destroy(bench->fd, *hwpt);
	default:
		return iommufd_unmap(bench->fd, bench->ioas, IOVA_BASE,
				     memory->length, NULL);
	}
}

/* The operation that cannot be made if the given one is refused */
static enum op opposite(enum op op)
{
	switch (op) {
	case MAP:
		return UNMAP;
	case COPY:
		return COPY_UNMAP;
	case HWPT_ADD:
		return HWPT_REMOVE;
	default:
		return op;
	}
}

/* One round of all operations; one that is refused is left out from then on */
static void round_of(const struct bench *bench, const struct memory *memory,
		     struct series *series, int *refused)
{
	uint32_t hwpt = 0;

	for (enum op op = MAP; op < OPS; op++) {
		struct cost cost;

		if (refused[op])
			continue;
		meter_begin(&cost);
		refused[op] = do_op(bench, memory, op, &hwpt);
		meter_end(&cost);
		series_add(&series[op], &cost);
		if (refused[op]) {
			refused[opposite(op)] = refused[op];
			report_none(op_names[op], memory->name, refused[op]);
		}
		if (refused[MAP])
			return;
	}
}

static void bench_range(const struct bench *bench, const struct memory *memory)
{
	struct series series[OPS] = {};
	int refused[OPS] = {};

	memory_report(memory);
	for (int i = 0; i < ROUNDS && !refused[MAP]; i++)
		round_of(bench, memory, series, refused);
	for (enum op op = MAP; op < OPS && !refused[MAP]; op++)
		if (!refused[op])
			report_series(op_names[op], memory->name, &series[op], PAGES);
}

/* Measures memory that is freed afterwards */
static void bench_passing(const struct bench *bench, struct memory memory)
{
	bench_range(bench, &memory);
	memory_free(&memory);
}

static void set_large_pages(const struct bench *bench, bool allowed)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = bench->ioas,
		.val64 = allowed,
	};

	must("large pages", ioctl_errno(bench->fd, IOMMU_OPTION, &cmd));
}

/* Measures page tables in which every page can be unmapped alone, as in an old VFIO container */
static void bench_divisible(const struct bench *bench)
{
	struct memory memory = memory_thp(LENGTH);

	memory.name = "thp-divisible";
	set_large_pages(bench, false);
	bench_passing(bench, memory);
	set_large_pages(bench, true);
}

static void bench_hugetlb(const struct bench *bench)
{
	struct memory memory = memory_hugetlb(LENGTH);

	memory_arrange(&memory, true);
	bench_range(bench, &memory);
	memory_arrange(&memory, false);
	bench_range(bench, &memory);
	memory_free(&memory);
}

void bench_ranges(const struct bench *bench)
{
	/* First, because memory that was freed in random order is allocated in random order */
	bench_passing(bench, memory_sequential(LENGTH));
	bench_passing(bench, memory_scattered(LENGTH));
	bench_passing(bench, memory_thp(LENGTH));
	bench_divisible(bench);
	bench_hugetlb(bench);
	bench_range(bench, memory_file(false));
	bench_range(bench, memory_file(true));
}
