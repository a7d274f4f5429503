// SPDX-License-Identifier: GPL-2.0
/* Measurements and reports; see the header. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "meter.h"

#define LOOP_ROUNDS 100000UL
#define LOOP_INSTRUCTIONS 2

/* The cost of a measurement itself */
static struct cost overhead;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void meter_begin(struct cost *cost)
{
	cost->ns = now_ns();
	cost->ticks = __rdtsc();
}

void meter_end(struct cost *cost)
{
	cost->ticks = __rdtsc() - cost->ticks;
	cost->ns = now_ns() - cost->ns;
}

static struct cost less(struct cost cost, struct cost other)
{
	cost.ticks -= cost.ticks < other.ticks ? cost.ticks : other.ticks;
	cost.ns -= cost.ns < other.ns ? cost.ns : other.ns;
	return cost;
}

static void spin(uint64_t rounds)
{
	asm volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
}

void meter_init(void)
{
	struct series empty = {}, known = {};
	uint64_t ticks;

	for (int i = 0; i < MAX_ROUNDS; i++) {
		struct cost cost;

		meter_begin(&cost);
		meter_end(&cost);
		series_add(&empty, &cost);
		meter_begin(&cost);
		spin(LOOP_ROUNDS);
		meter_end(&cost);
		series_add(&known, &cost);
	}
	overhead = series_typical(&empty);
	ticks = series_typical(&known).ticks;
	printf("ticks-per-1000-instructions %" PRIu64 "\n",
	       (ticks * 1000 + LOOP_ROUNDS) / (LOOP_ROUNDS * LOOP_INSTRUCTIONS));
}

void series_add(struct series *series, const struct cost *cost)
{
	if (series->seen++ >= WARM_UP && series->count < MAX_ROUNDS)
		series->rounds[series->count++] = less(*cost, overhead);
}

static int by_ticks(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;

	return (x->ticks > y->ticks) - (x->ticks < y->ticks);
}

struct cost series_typical(const struct series *series)
{
	struct series sorted = *series;
	struct cost typical = {};

	if (!sorted.count)
		return typical;
	qsort(sorted.rounds, sorted.count, sizeof(struct cost), by_ticks);
	typical.ticks = sorted.rounds[(sorted.count - 1) / 2].ticks;
	typical.ns = UINT64_MAX;
	for (unsigned int i = 0; i < sorted.count; i++)
		if (sorted.rounds[i].ns < typical.ns)
			typical.ns = sorted.rounds[i].ns;
	return typical;
}

void report_cost(const char *what, const char *memory, struct cost cost,
		 uint64_t units)
{
	printf("cost %s %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", what, memory,
	       cost.ticks, cost.ns, units);
	fflush(stdout);
}

void report_series(const char *what, const char *memory,
		   const struct series *series, uint64_t units)
{
	report_cost(what, memory, series_typical(series), units);
}

void report_value(const char *what, const char *memory, int64_t value)
{
	printf("value %s %s %" PRId64 "\n", what, memory, value);
	fflush(stdout);
}

void report_none(const char *what, const char *memory, int rc)
{
	printf("none %s %s %s\n", what, memory, strerrorname_np(-rc));
	fflush(stdout);
}

void die(const char *what, int rc)
{
	fprintf(stderr, "ioas_bench: %s: %s\n", what, strerror(-rc));
	exit(1);
}

void must(const char *what, int rc)
{
	if (rc)
		die(what, rc);
}

uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

uint32_t *shuffled(size_t count)
{
	uint32_t *order = calloc(count, sizeof(*order));
	uint32_t state = 1;

	if (!order)
		die("shuffle", -12);
	for (size_t i = 0; i < count; i++) {
		size_t j = next_random(&state) % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	return order;
}
