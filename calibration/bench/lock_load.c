/* See lock_load.h. */
#include "lock_load.h"

#include <sched.h>
#include <string.h>

#define LEAST_WAIT 64

struct lock_load load = {
	.exclusive_ns = 10000, .shared_ns = 10000, .read_ns = 1000, .read_think_ns = 10000,
	.write_think_ns = 50000, .read_law = EXPONENTIAL,
};

/* ---- work: so many turns of a loop, not so many ns of a clock -------------------------------------
 * A thread that loses its CPU has not worked meanwhile; a clock would say that it has. */

static void turn(uint64_t turns)
{
	uint64_t x = turns;

	for (; turns; turns--) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		__asm__ volatile("" : "+r"(x));
	}
}

/* With --quantum-us a thread gives its CPU away after so much work, lock or no lock. The scheduler's
 * own slices end at its ticks, 4 ms at 250 Hz, however short they are asked to be. */
void work(double ns)
{
	static _Thread_local uint64_t left;
	uint64_t turns = (uint64_t)(ns * load.loops_per_ns);
	uint64_t quantum = (uint64_t)((double)load.quantum_us * 1e3 * load.loops_per_ns);

	while (quantum && turns >= left) {
		turn(left);
		turns -= left;
		left = quantum;
		sched_yield();
	}
	turn(turns);
	left -= quantum ? turns : 0;
}

/* The fastest of many short tries: what is slower was disturbed. */
double measure_loops(void)
{
	const uint64_t turns = 20000;
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 200; i++) {
		uint64_t begun = now_ns(), took;

		turn(turns);
		took = now_ns() - begun;
		best = took < best ? took : best;
	}
	return (double)turns / (double)best;
}

/* ---- laws of the durations, all of mean 1 ---------------------------------------------------------- */

enum law law_named(const char *option, const char *name)
{
	static const char *const names[] = { "constant", "exponential", "heavy", "rare" };

	for (int i = 0; i < 4; i++)
		if (!strcmp(name, names[i]))
			return (enum law)i;
	die(2, "--%s: '%s' is not constant, exponential, heavy or rare", option, name);
}

static double uniform(uint64_t *state)
{
	return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* Von Neumann's way, with comparisons alone: the first of a falling run of odd length, plus one for
 * each run of even length before. */
double exponential(uint64_t *state)
{
	for (double whole = 0;; whole++) {
		double first = uniform(state), last = first;
		int length = 1;

		for (double next; (next = uniform(state)) < last; last = next)
			length++;
		if (length & 1)
			return whole + first;
	}
}

/* 2 of 100 are twenty times as long as the mean, on average (heavy) or always (rare). */
#define TAIL_SHARE 0.02
#define TAIL_TIMES 20.0
#define BODY_TIMES ((1 - TAIL_SHARE * TAIL_TIMES) / (1 - TAIL_SHARE))

static double draw(enum law law, double mean, uint64_t *state)
{
	double times;

	switch (law) {
	case CONSTANT:
		return mean;
	case EXPONENTIAL:
		return mean * exponential(state);
	case HEAVY:
	case RARE:
		times = uniform(state) < TAIL_SHARE ? TAIL_TIMES : BODY_TIMES;
		return mean * times * (law == HEAVY ? exponential(state) : 1);
	}
	return mean;
}

/* ---- sections ------------------------------------------------------------------------------------------ */

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static int bin_of(uint64_t ns)
{
	int octave, bin;

	if (ns < LEAST_WAIT)
		ns = LEAST_WAIT;
	octave = 63 - __builtin_clzll(ns);
	bin = 4 * (octave - 6) + (int)(ns >> (octave - 2) & 3);
	return bin < BINS ? bin : BINS - 1;
}

uint64_t low_of_bin(int bin)
{
	return (uint64_t)(4 + bin % 4) << (bin / 4 + 4);
}

static void count(struct thread *me, struct counts *counts, uint64_t call_ns)
{
	int cpu = sched_getcpu();

	add(&counts->done, 1);
	if (me->task.wait_ns) {
		add(&counts->wait_ns, me->task.wait_ns);
		add(&counts->wait_bin[bin_of(me->task.wait_ns)], 1);
	}
	if (me->task.waited)
		add(&counts->waited, 1);
	if (me->writes)
		add(&counts->call_ns, call_ns);
	if (cpu != me->cpu)
		add(&counts->moved, 1);
	me->cpu = cpu;
}

void think(struct thread *me, double mean)
{
	double ns = mean * exponential(&me->random);

	if (!load.think_asleep) {
		work(ns);
		return;
	}
	nanosleep(&(struct timespec){ .tv_sec = (time_t)(ns / 1e9),
				      .tv_nsec = (long)ns % 1000000000 }, NULL);
}

void read_once(struct thread *me)
{
	double hold = draw(load.read_law, load.read_ns, &me->random);

	rwsem_down_read(&load.sem, &me->task);
	work(hold);
	rwsem_up_read(&load.sem, &me->task);
	count(me, &me->counts[atomic_load_explicit(&load.current, memory_order_relaxed)], 0);
}

void call_once(struct thread *me)
{
	double exclusive = draw(load.call_law, load.exclusive_ns, &me->random);
	double shared = draw(load.call_law, load.shared_ns, &me->random);
	int arm = atomic_load_explicit(&load.current, memory_order_relaxed) >> ARM_SHIFT, set;
	uint64_t begun = now_ns();

	rwsem_down_write(&load.sem, &me->task);
	work(exclusive);
	if (arm) {
		rwsem_downgrade(&load.sem, &me->task);
		work(shared);
		rwsem_up_read(&load.sem, &me->task);
	} else {
		work(shared);
		rwsem_up_write(&load.sem, &me->task);
	}
	set = atomic_load_explicit(&load.current, memory_order_relaxed);
	if (set >> ARM_SHIFT == arm)
		count(me, &me->counts[set], now_ns() - begun);
	else
		add(&me->counts[set].late, 1);
}
