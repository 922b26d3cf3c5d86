/* What a prediction of the downgrade's effect needs besides the load itself, timed on a lock that nobody
 * else uses: locking, counting, oversleeping, waking. No arm of any comparison takes part. */
#include "common.h"
#include "lock_load.h"
#include "rwsem.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static _Atomic int stop; /* of the busy threads */

static void put_constant(const char *operation, const char *key, uint64_t value, struct samples *s,
			 enum keep keep)
{
	rec_open("downgrade_constant", operation);
	if (key)
		cond_int(key, (long long)value);
	rec_values("time", s, keep);
	rec_close();
	s->count = 0;
}

/* Means of batches, in thousandths of a ns. */
static void measure_alone(const char *operation, void (*once)(struct thread *), struct thread *me)
{
	const int batch = 1000;
	struct samples s;

	samples_init(&s, 40);
	for (int i = 0; i < batch; i++)
		once(me);
	while (s.count < s.room) {
		uint64_t begun = now_ns();

		for (int i = 0; i < batch; i++)
			once(me);
		samples_add(&s, (now_ns() - begun) * 1000 / (uint64_t)batch);
	}
	put_constant(operation, NULL, 0, &s, KEEP_MILLI);
	samples_free(&s);
}

static void pair_of_read(struct thread *me)
{
	rwsem_down_read(&load.sem, &me->task);
	rwsem_up_read(&load.sem, &me->task);
}

static void pair_of_write(struct thread *me)
{
	rwsem_down_write(&load.sem, &me->task);
	rwsem_up_write(&load.sem, &me->task);
}

static void write_downgrade_read(struct thread *me)
{
	rwsem_down_write(&load.sem, &me->task);
	rwsem_downgrade(&load.sem, &me->task);
	rwsem_up_read(&load.sem, &me->task);
}

/* Everything around a section: laws, counters, lock, all of length 0. */
static void empty_read(struct thread *me)
{
	think(me, 0);
	read_once(me);
}

static void empty_call(struct thread *me)
{
	think(me, 0);
	call_once(me);
}

struct sleeper {
	struct rwsem_task task;
	pthread_t thread;
	int cpu; /* -1: any */
	_Atomic int go, ready;
	_Atomic uint64_t ran;
};

static void *sleep_in_lock(void *argument)
{
	struct sleeper *me = argument;

	if (me->cpu >= 0)
		pin_to(me->cpu);
	for (int round = 1;; round++) {
		while (atomic_load(&me->go) != round)
			if (atomic_load(&me->go) < 0)
				return NULL;
			else
				sched_yield();
		rwsem_down_read(&load.sem, &me->task);
		atomic_store(&me->ran, now_ns());
		rwsem_up_read(&load.sem, &me->task);
		atomic_store(&me->ready, round);
	}
}

#define MOST_SLEEPERS 8

static void start_sleepers(struct sleeper *sleepers, int n, int cpu)
{
	for (int i = 0; i < n; i++) {
		memset(&sleepers[i], 0, sizeof(sleepers[i]));
		rwsem_task_init(&sleepers[i].task, (uint32_t)i + 2);
		sleepers[i].cpu = cpu;
		if (pthread_create(&sleepers[i].thread, NULL, sleep_in_lock, &sleepers[i]))
			die(1, "a sleeper cannot be started");
	}
}

static void end_sleepers(struct sleeper *sleepers, int n)
{
	for (int i = 0; i < n; i++) {
		atomic_store(&sleepers[i].go, -1);
		pthread_join(sleepers[i].thread, NULL);
	}
}

/* Lets n readers sleep behind a write-held lock for a while, gives it up, and notes how long that took
 * (waker) and when the readers ran after it (latency: every one's mean over the round). */
static void wake_round(struct sleeper *sleepers, int n, int round, uint64_t asleep_ns,
		       struct thread *me, bool then_sleep, struct samples *waker,
		       struct samples *latency)
{
	uint64_t begun, after;

	rwsem_down_write(&load.sem, &me->task);
	for (int i = 0; i < n; i++)
		atomic_store(&sleepers[i].go, round);
	while (rwsem_waiting(&load.sem) != n)
		sched_yield();
	spin_for(asleep_ns);
	begun = now_ns();
	rwsem_up_write(&load.sem, &me->task);
	after = now_ns();
	if (then_sleep)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	else
		spin_for(20000);
	samples_add(waker, after - begun);
	for (int i = 0; i < n; i++) {
		while (atomic_load(&sleepers[i].ready) != round)
			sched_yield();
		samples_add(latency, atomic_load(&sleepers[i].ran) - begun);
	}
}

static void measure_wakes(struct thread *me, const char *operation, const char *key, uint64_t value,
			  int sleepers_n, uint64_t asleep_ns, int cpu, bool then_sleep, int rounds)
{
	static struct sleeper sleepers[MOST_SLEEPERS];
	struct samples waker, latency;
	char name[64];

	samples_init(&waker, (size_t)rounds);
	samples_init(&latency, (size_t)(rounds * sleepers_n));
	start_sleepers(sleepers, sleepers_n, cpu);
	for (int round = 1; round <= rounds; round++)
		wake_round(sleepers, sleepers_n, round, asleep_ns, me, then_sleep, &waker, &latency);
	end_sleepers(sleepers, sleepers_n);
	put_constant(operation, key, value, &latency, KEEP_HISTOGRAM);
	snprintf(name, sizeof(name), "%s_waker", operation);
	put_constant(name, key, value, &waker, KEEP_HISTOGRAM);
	samples_free(&waker);
	samples_free(&latency);
}

static void measure_oversleeping(uint64_t mean_ns)
{
	struct samples s;
	uint64_t state = 1;
	int rounds = mean_ns > 1000000 ? 60 : 200;

	samples_init(&s, (size_t)rounds);
	while (s.count < s.room) {
		uint64_t ns = (uint64_t)((double)mean_ns * exponential(&state)), begun = now_ns();

		nanosleep(&(struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
					      .tv_nsec = (long)(ns % 1000000000) }, NULL);
		samples_add(&s, less(now_ns() - begun, ns));
	}
	put_constant("oversleeping", "asked_ns", mean_ns, &s, KEEP_HISTOGRAM);
	samples_free(&s);
}

static void *hog(void *argument)
{
	(void)argument;
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		work(1000);
	return NULL;
}

static void measure_busy_wake(struct thread *me)
{
	pthread_t hogs[MAX_CPUS];
	int n = cpu_count();

	n = n < MAX_CPUS ? n : MAX_CPUS;
	for (int i = 0; i < n; i++)
		if (pthread_create(&hogs[i], NULL, hog, NULL))
			die(1, "a busy thread cannot be started");
	measure_wakes(me, "wake_busy", "asleep_ns", 20000, 1, 20000, -1, false, 100);
	atomic_store(&stop, 1);
	for (int i = 0; i < n; i++)
		pthread_join(hogs[i], NULL);
	atomic_store(&stop, 0);
}

static void measure_work(void)
{
	struct samples s;

	samples_init(&s, 500);
	while (s.count < s.room) {
		uint64_t begun = now_ns();

		work(10000);
		samples_add(&s, now_ns() - begun);
	}
	put_constant("work", "asked_ns", 10000, &s, KEEP_HISTOGRAM);
	samples_free(&s);
}

static void measure_constants(void)
{
	static const uint64_t asleep_ns[] = { 2000,   5000,   10000,   20000,	50000,	100000,
					      200000, 500000, 1000000, 2000000, 5000000 };
	static const uint64_t crowd[] = { 1, 2, 3, 5, 7 };
	static const uint64_t naps_ns[] = { 20000, 100000, 500000, 2000000, 10000000 };
	static struct thread me;
	const int last = cpu_from_end(0);

	rwsem_init(&load.sem, false);
	rwsem_task_init(&me.task, 1);
	me.random = 1;
	load.exclusive_ns = load.shared_ns = load.read_ns = 0;
	load.call_law = CONSTANT;
	load.read_law = EXPONENTIAL;
	if (prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0))
		die(1, "the timer slack cannot be set: %s", strerror(errno));
	pin_to(last);
	measure_null_clock(0);
	measure_work();
	measure_alone("read_pair", pair_of_read, &me);
	measure_alone("write_pair", pair_of_write, &me);
	measure_alone("write_downgrade_read", write_downgrade_read, &me);
	measure_alone("empty_read", empty_read, &me);
	me.writes = true;
	atomic_store(&load.current, 0);
	measure_alone("empty_call", empty_call, &me);
	atomic_store(&load.current, 1 << ARM_SHIFT);
	measure_alone("empty_call_downgraded", empty_call, &me);
	unpin(); /* sleepers and busy threads inherit it */
	for (size_t i = 0; i < sizeof(naps_ns) / sizeof(*naps_ns); i++)
		measure_oversleeping(naps_ns[i]);
	measure_busy_wake(&me);
	pin_to(last);
	if (cpu_count() > 1)
		for (size_t i = 0; i < sizeof(asleep_ns) / sizeof(*asleep_ns); i++)
			measure_wakes(&me, "wake_idle", "asleep_ns", asleep_ns[i], 1, asleep_ns[i],
				      cpu_from_end(1), false, 80);
	if (cpu_count() > 1)
		for (size_t i = 0; i < sizeof(crowd) / sizeof(*crowd); i++)
			measure_wakes(&me, "wake_crowd", "sleepers", crowd[i], (int)crowd[i], 50000,
				      cpu_from_end(1), false, 80);
	measure_wakes(&me, "wake_same_cpu", "asleep_ns", 20000, 1, 20000, last, true, 200);
	unpin();
}

static const struct option_spec options[] = {
	{ "loops-per-ns", OPT_REAL, &load.loops_per_ns,
	  "speed of the work loop (default: measured)" },
};

int main(int argc, char **argv)
{
	parse_options(argc, argv, "Times locking, sleeping and waking without any contention.",
		      options, (int)(sizeof(options) / sizeof(options[0])));
	if (load.loops_per_ns == 0)
		load.loops_per_ns = measure_loops();
	measure_constants();
	return 0;
}
