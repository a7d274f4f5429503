/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cost of a call by the time-stamp counter, which counts instructions in a
 * VM with -icount, and by the clock. Figures go to stdout, one in a line:
 *
 *   cost WHAT MEMORY TICKS NANOSECONDS UNITS
 *
 * UNITS is the number of pages of 4 KiB, or of calls, that the cost includes.
 */
#ifndef BENCH_IOAS_METER_H
#define BENCH_IOAS_METER_H

#include <stddef.h>
#include <stdint.h>

struct cost {
	uint64_t ticks;
	uint64_t ns;
};

/* The same call, many times; the first WARM_UP are not recorded */
#define MAX_ROUNDS 101
#define WARM_UP 1

struct series {
	struct cost rounds[MAX_ROUNDS];
	unsigned int seen;
	unsigned int count;
};

/* Measures a loop of known length and an empty call, and prints the former */
void meter_init(void);

void meter_begin(struct cost *cost);
void meter_end(struct cost *cost);

/* Records the cost of a round */
void series_add(struct series *series, const struct cost *cost);

/* Returns the median of the ticks and the minimum of the times */
struct cost series_typical(const struct series *series);

void report_cost(const char *what, const char *memory, struct cost cost,
		 uint64_t units);
void report_series(const char *what, const char *memory,
		   const struct series *series, uint64_t units);

/* "value WHAT MEMORY NUMBER": a figure that is not a cost */
void report_value(const char *what, const char *memory, int64_t value);

/* "none WHAT MEMORY ERRNO": an operation that is refused */
void report_none(const char *what, const char *memory, int rc);

/* Ends the program, with a message */
void die(const char *what, int rc) __attribute__((noreturn));

/* Dies unless @rc, 0 or a negative errno, is 0 */
void must(const char *what, int rc);

/* Returns a pseudo-random number; the sequence is the same in every run */
uint32_t next_random(uint32_t *state);

/* Returns the numbers below @count in random order, the same in every run */
uint32_t *shuffled(size_t count);

#endif
