/* What every measuring program shares: clock, CPUs, sample sets, JSON Lines, options. */
#ifndef PERFMODEL_BENCH_COMMON_H
#define PERFMODEL_BENCH_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define MAX_LIST 64
#define MAX_CPUS 1024

/* ---- time ------------------------------------------------------------------------------ */

/* CLOCK_MONOTONIC in ns; libc answers it from the vDSO, so no kernel entry is timed by it. */
static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Tells the core that this is a waiting loop; no memory access, no kernel entry. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

void spin_until(uint64_t deadline_ns);
void spin_for(uint64_t ns);

/* Measures the clock itself and prints it as a "null_clock" record; returns the median, ns. */
uint64_t measure_null_clock(int pass);

/* ---- CPUs ------------------------------------------------------------------------------ */

/* CPUs this process may use, lowest first. */
int allowed_cpus(int *cpus, int max);

/* The n-th of them, counted from the last: CPU 0 takes most device interrupts, so the measuring
 * thread sits on the last CPU (n = 0) and its helpers on the ones before it. Dies if n is too big. */
int cpu_from_end(int n);
int cpu_count(void);
void pin_to(int cpu);
void unpin(void); /* back to all CPUs the process was allowed */

/* ---- small deterministic random numbers (splitmix64) ------------------------------------- */

uint64_t random_next(uint64_t *state);
void shuffle(int *items, int n, uint64_t *state);

/* ---- sample sets ------------------------------------------------------------------------ */

struct samples {
	uint64_t *value; /* ns */
	size_t count, room;
};

/* Memory is touched at once, so that storing a sample never faults. */
void samples_init(struct samples *s, size_t room);
void samples_free(struct samples *s);

static inline void samples_add(struct samples *s, uint64_t ns)
{
	if (s->count < s->room)
		s->value[s->count++] = ns;
}

/* ns less the cost of reading the clock, never below zero. */
static inline uint64_t less(uint64_t ns, uint64_t null_ns)
{
	return ns > null_ns ? ns - null_ns : 0;
}

/* ---- records, one JSON object a line on stdout ------------------------------------------- */

void rec_open(const char *benchmark, const char *operation);
void cond_str(const char *key, const char *value);
void cond_int(const char *key, long long value);
void cond_real(const char *key, double value);
void cond_bool(const char *key, bool value);

/* KEEP_MILLI: as KEEP_SAMPLES, for values counted in thousandths of a ns (mean of a batch). */
enum keep { KEEP_HISTOGRAM, KEEP_SAMPLES, KEEP_MILLI };

/* Closes the conditions and writes phase, unit, count, min, max, mean, median and the values. */
void rec_values(const char *phase, const struct samples *s, enum keep keep);

/* Optional, after rec_values: rows [offset, call, latency] thinned evenly to `keep` of `total`. */
void rec_pairs(const int64_t (*rows)[3], size_t total, size_t keep);
void rec_int(const char *key, long long value);
void rec_close(void);

/* A point that could not be measured: {"problem": "..."}; the driver collects these. */
void report_problem(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* After a point: {"progress": [done, total]}. */
void report_progress(long long done, long long total);

/* ---- options ------------------------------------------------------------------------------ */

struct list {
	int n;
	long long item[MAX_LIST];
};

enum option_kind { OPT_INT, OPT_REAL, OPT_STRING, OPT_LIST, OPT_FLAG };

struct option_spec {
	const char *name; /* without the leading dashes */
	enum option_kind kind;
	void *target; /* long long *, double *, const char **, struct list *, bool * */
	const char *help;
};

void parse_options(int argc, char **argv, const char *about, const struct option_spec *specs,
		   int n);
bool list_has(const struct list *l, long long item);
/* Is `word` one of the comma-separated words, or are there none? */
bool words_have(const char *words, const char *word);

/* Prints "program: message" and ends with status 2 (a wrong option) or 1 (the system said no). */
void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
