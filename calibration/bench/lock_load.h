/* What the threads of the downgrade programs do: work, think, read, call, and count it. */
#ifndef PERFMODEL_BENCH_LOCK_LOAD_H
#define PERFMODEL_BENCH_LOCK_LOAD_H

#include "common.h"
#include "rwsem.h"

#include <pthread.h>

/* Waits are kept in bins: four an octave from 64 ns, the last one open. */
#define BINS 128

enum law { CONSTANT, EXPONENTIAL, HEAVY, RARE };

/* The sets in which sections are counted: one for each arm, and one each for the time after a change,
 * which counts for neither. */
enum { SETTLING = 1, ARM_SHIFT = 1, SETS = 4 };

/* What all threads are told. Times are means in ns. */
extern struct lock_load {
	double exclusive_ns, shared_ns, read_ns, read_think_ns, write_think_ns;
	double loops_per_ns; /* speed of the work loop */
	long long quantum_us; /* a thread gives the CPU away after so much work; 0: never */
	enum law call_law, read_law;
	bool think_asleep;
	struct rwsem sem;
	_Alignas(128) _Atomic int current; /* the set */
} load;

/* What was counted while one set was current. Written by its thread alone, read by the main one. */
struct counts {
	_Atomic uint64_t done;	  /* read sections, or calls */
	_Atomic uint64_t waited;  /* of them, those that went through the list */
	_Atomic uint64_t wait_ns; /* until the lock was there and the thread ran */
	_Atomic uint64_t call_ns; /* of a call: from asking for the lock to having given it up */
	_Atomic uint64_t moved;	  /* sections that ended on another CPU than the one before */
	_Atomic uint64_t late;	  /* calls that began in the other arm: in none of the above */
	_Atomic uint64_t wait_bin[BINS];
};

struct thread {
	_Alignas(128) struct rwsem_task task;
	pthread_t thread;
	uint64_t random;
	int cpu;
	int schedstat; /* file with its time on CPUs and its time waiting for one; -1: none */
	_Atomic int ready;
	bool writes;
	struct counts counts[SETS];
};

/* So much work as takes `ns` on a CPU of one's own. */
void work(double ns);
double measure_loops(void);

enum law law_named(const char *option, const char *name);
/* Exponential, of mean 1. */
double exponential(uint64_t *state);

uint64_t low_of_bin(int bin);

/* One round of a thread, in this order: outside of the lock, then one section. */
void think(struct thread *me, double mean);
void read_once(struct thread *me);
void call_once(struct thread *me);

#endif
