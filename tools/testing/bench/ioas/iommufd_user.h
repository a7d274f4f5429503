/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/iommufd_user calls the functions of in-kernel users of an IOAS, so that a
 * program can measure them. An open file is one such user.
 */
#ifndef BENCH_IOAS_IOMMUFD_USER_H
#define BENCH_IOAS_IOMMUFD_USER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define USER_NODE "iommufd_user"

/* The most bytes that are copied at once, and pinned */
#define USER_MAX_COPY (64UL << 10)
#define USER_MAX_PINNED (128UL << 20)

struct user_attach {
	__s32 iommufd;
	__u32 ioas;
};

struct user_range {
	__u64 iova;
	__u64 length;
};

/* Once for each open file */
#define USER_ATTACH _IOW('B', 0, struct user_attach)
/* Pins for writing; what is pinned must be unpinned in the same pieces */
#define USER_PIN _IOW('B', 1, struct user_range)
#define USER_UNPIN _IOW('B', 2, struct user_range)
/* Copies from and to a buffer of the module */
#define USER_READ _IOW('B', 3, struct user_range)
#define USER_WRITE _IOW('B', 4, struct user_range)
/* Does nothing: the cost of the ioctl itself */
#define USER_NOTHING _IOW('B', 5, struct user_range)

#endif
