// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters of iommufd.ko. They are declared in C, because they can be changed
 * in sysfs, where parameters that module! declares do not appear.
 */
#include <linux/compiler.h>
#include <linux/moduleparam.h>

#include "helpers.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Bind devices whose interrupts the platform does not isolate. This is a security risk.");

bool iommufd_core_allow_unsafe_interrupts(void)
{
	return READ_ONCE(allow_unsafe_interrupts);
}
