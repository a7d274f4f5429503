// SPDX-License-Identifier: GPL-2.0
/*
 * Measures the costs of IO address spaces from user space. The same program
 * measures the kernel's module and ours. Prints the lines that
 * tools/testing/bench/ioas_report.py reads; see meter.h.
 *
 *   ioas_bench PART...		ranges small growth memory access parallel, ranges first;
 *				or one of {one,many,range}-for-ever
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "iommufd.h"
#include "meter.h"
#include "setup.h"

static const struct {
	const char *name;
	void (*run)(const struct bench *bench);
} parts[] = {
	{ "small", bench_small },
	{ "ranges", bench_ranges },
	{ "growth", bench_growth },
	{ "memory", bench_kernel_memory },
	{ "access", bench_access },
	{ "parallel", bench_parallel },
	{ "one-for-ever", bench_one_for_ever },
	{ "many-for-ever", bench_many_for_ever },
	{ "range-for-ever", bench_range_for_ever },
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

/* A second address space, with a page table of its own */
static void open_other(struct rig *rig, struct vfio_dev *dev, uint32_t *ioas)
{
	uint32_t pt;

	must("second device", setup_testdev(dev, rig->fd));
	must("second IOAS", iommufd_ioas_alloc(rig->fd, ioas));
	pt = *ioas;
	must("second attach", vfio_dev_attach(dev, &pt));
}

static void (*find_part(const char *name))(const struct bench *bench)
{
	for (size_t i = 0; i < PARTS; i++)
		if (!strcmp(parts[i].name, name))
			return parts[i].run;
	die(name, -EINVAL);
}

/* Measures with a new IOAS, so that the parts do not affect each other */
static void run_part(struct rig *rig, uint32_t other_ioas, const char *name)
{
	void (*run)(const struct bench *bench) = find_part(name);
	struct bench bench = {
		.fd = rig->fd, .device = rig->edu.id, .other_ioas = other_ioas,
	};

	must("IOAS", iommufd_ioas_alloc(rig->fd, &bench.ioas));
	must("attach", rig_attach(rig, bench.ioas));
	run(&bench);
	must("detach", vfio_dev_detach(&rig->edu));
	must("destroy", iommufd_destroy(rig->fd, bench.ioas));
}

int main(int argc, char **argv)
{
	struct vfio_dev other;
	uint32_t other_ioas;
	struct rig rig;

	setvbuf(stdout, NULL, _IOLBF, 0);
	meter_init();
	must("device", rig_open(&rig));
	open_other(&rig, &other, &other_ioas);
	for (int i = 1; i < argc; i++)
		run_part(&rig, other_ioas, argv[i]);
	report_value("pins", "left", rig_pins(&rig));
	vfio_dev_close(&other);
	rig_close(&rig);
	return 0;
}
