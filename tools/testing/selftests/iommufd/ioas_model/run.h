/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sequence of random steps, each of which is executed by the model and by the kernel.
 * After every step, the results, the pins and charges, and the page tables of the two
 * are compared.
 */
#ifndef IOAS_MODEL_RUN_H
#define IOAS_MODEL_RUN_H

#include "model.h"

#define USER 1000	/* UID of the user that is charged */
#define LOG_LINES 24
#define LOG_LINE 192

struct run {
	int fd;
	uint64_t seed, random;
	unsigned int step;
	bool failed, trace;
	struct model model;
	char log[LOG_LINES][LOG_LINE];
	char *buffer;			/* MAX_PAGES pages */
};

/* Returns a random number below @n */
uint64_t run_random(struct run *run, uint64_t n);

/* Records a description of the current step */
void run_log(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Reports a difference between model and kernel; the first time, prints the last steps */
void run_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Compares the results of model and kernel; returns whether both are 0 */
bool run_check(struct run *run, int expected, int got);

/*
 * become_user() changes to an ordinary user with a limit of @limit locked pages,
 * become_root() changes back. Both return 0 or a negative errno.
 */
int become_user(uint64_t limit);
int become_root(void);

/* Execute one random step; compare model and kernel */
void step_ioas(struct run *run);
void step_users(struct run *run);
void verify(struct run *run);

/*
 * Runs a sequence of @steps steps that @seed determines, on a new open of /dev/iommu.
 * Returns 0, or a negative errno if the setup fails. Sets failed if model and kernel
 * differ.
 */
int run_sequence(struct run *run, enum account account, uint64_t limit, uint64_t seed,
		 unsigned int steps);
/* The parts of run_sequence() */
int run_begin(struct run *run, enum account account, uint64_t limit, uint64_t seed);
void run_step(struct run *run);
void run_end(struct run *run);

#endif
