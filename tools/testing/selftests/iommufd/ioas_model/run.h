/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sequence of random steps, each done to the model and to the kernel. After
 * every step both have to agree about what it returned, what is pinned and
 * charged, and what page tables lead to.
 */
#ifndef IOAS_MODEL_RUN_H
#define IOAS_MODEL_RUN_H

#include "model.h"

#define USER 1000	/* who is charged, where anybody is */
#define LOG_LINES 24
#define LOG_LINE 192

struct run {
	int fd;
	uint64_t seed, random;
	unsigned int step;
	bool failed, trace;
	struct model model;
	char log[LOG_LINES][LOG_LINE];
	char *buffer;			/* as large as the largest memory */
};

/* A random number below @n */
uint64_t run_random(struct run *run, uint64_t n);

/* Notes what the step is going to do */
void run_log(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A difference: prints the last steps, once */
void run_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The errno that was expected and the one that came; true if both are 0 */
bool run_check(struct run *run, int expected, int got);

/*
 * From here on an ordinary user, who may lock @limit pages; the way back is kept.
 * 0 or a negative errno.
 */
int become_user(uint64_t limit);
int become_root(void);

/* One random step */
void step_ioas(struct run *run);
void step_users(struct run *run);
void verify(struct run *run);

/*
 * @steps steps from @seed on, with an iommufd of its own. 0, or a negative errno if
 * it could not begin; failed is set if there was a difference.
 */
int run_sequence(struct run *run, enum account account, uint64_t limit, uint64_t seed,
		 unsigned int steps);
/* How it begins, steps and ends, for whoever wants to look in between */
int run_begin(struct run *run, enum account account, uint64_t limit, uint64_t seed);
void run_step(struct run *run);
void run_end(struct run *run);

#endif
