/* Times waking: how long FUTEX_WAKE of n sleepers takes, and how long until each of them runs.
 *
 * The kernel wakes the sleepers of a futex one after another, as it does the readers of a rwsem;
 * the sleeper's delay by rank (who ran first, second, ...) shows the serial part. */
#include "common.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_SLEEPERS 64

struct sleeper {
	pthread_t thread;
	int cpu; /* -1: any */
	_Alignas(128) _Atomic uint64_t ran_at;
};

static struct sleeper sleepers[MAX_SLEEPERS];
static _Alignas(128) _Atomic uint32_t round_now;
static _Alignas(128) atomic_int asleep, awake;
static atomic_bool stop;
static long long rounds = 120, settle_us = 100, passes = 2;
/* An idle CPU sinks deeper the longer it idles, and a guest's leaves its host's poll loop: the
 * delay of a wake-up grows with the sleep. A single sleeper is timed at these. */
static const long long more_settle_us[] = { 20, 1000 };
static struct list only_sleepers;
static bool quick;
static uint64_t null_ns;

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void *sleep_and_note(void *arg)
{
	struct sleeper *me = arg;
	uint32_t round = 0;

	if (me->cpu >= 0)
		pin_to(me->cpu);
	else
		unpin(); /* a thread begins with the waker's mask */
	while (!atomic_load(&stop)) {
		atomic_fetch_add(&asleep, 1);
		while (atomic_load(&round_now) == round)
			futex(&round_now, FUTEX_WAIT, round);
		atomic_store(&me->ran_at, now_ns());
		round++;
		atomic_fetch_add(&awake, 1);
	}
	return NULL;
}

/* Waits for a count, leaving the CPU to whoever has to raise it. */
static void wait_for(atomic_int *counter, int value)
{
	while (atomic_load(counter) < value)
		sched_yield();
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void conditions(int n, bool pinned, long long slept_us, int rank, int pass)
{
	cond_int("sleepers", n);
	cond_int("slept_us", slept_us);
	cond_str("placement", pinned ? "pinned" : "any");
	if (rank)
		cond_int("rank", rank);
	cond_int("sleeper_cpus", pinned ? cpu_count() - 1 : cpu_count());
	cond_int("pass", pass);
}

static void put(int n, bool pinned, long long slept_us, int pass, const struct samples *call,
		const struct samples *delay)
{
	rec_open("wake", "futex_wake");
	conditions(n, pinned, slept_us, 0, pass);
	rec_values("call", call, KEEP_SAMPLES);
	rec_close();
	for (int rank = 1; rank <= n; rank *= 2) {
		rec_open("wake", "futex_wake");
		conditions(n, pinned, slept_us, rank, pass);
		rec_values("wake", &delay[rank - 1], KEEP_SAMPLES);
		rec_close();
	}
}

static void start(int n, bool pinned)
{
	atomic_store(&stop, false);
	atomic_store(&round_now, 0);
	atomic_store(&asleep, 0);
	atomic_store(&awake, 0);
	for (int i = 0; i < n; i++) {
		/* Round robin over all CPUs but the waker's. */
		sleepers[i].cpu = pinned ? cpu_from_end(1 + i % (cpu_count() - 1)) : -1;
		if (pthread_create(&sleepers[i].thread, NULL, sleep_and_note, &sleepers[i]))
			die(1, "cannot start sleeper %d of %d", i + 1, n);
	}
}

static void measure(int n, bool pinned, long long slept_us, int pass)
{
	struct samples call, delay[MAX_SLEEPERS];
	int n_rounds = (int)rounds, warm_up = 5;

	samples_init(&call, (size_t)n_rounds);
	for (int i = 0; i < n; i++)
		samples_init(&delay[i], (size_t)n_rounds);
	start(n, pinned);
	for (int round = 0; round < n_rounds + warm_up; round++) {
		uint64_t t0, t1, delays[MAX_SLEEPERS];
		long woken;

		wait_for(&asleep, n * (round + 1));
		/* "About to sleep" is not asleep yet: let them get there, and the CPU go idle. */
		spin_for((uint64_t)slept_us * 1000);
		atomic_fetch_add(&round_now, 1);
		t0 = now_ns();
		woken = futex(&round_now, FUTEX_WAKE, (uint32_t)n);
		t1 = now_ns();
		if (round == n_rounds + warm_up - 1)
			atomic_store(&stop, true);
		wait_for(&awake, n * (round + 1));
		/* A sleeper that had not gone to sleep sees the new round by itself: no wake. */
		if (round < warm_up || woken != n)
			continue;
		for (int i = 0; i < n; i++) {
			uint64_t ran = atomic_load(&sleepers[i].ran_at);

			delays[i] = ran > t0 ? less(ran - t0, null_ns) : 0;
		}
		qsort(delays, (size_t)n, sizeof(delays[0]), compare_u64);
		samples_add(&call, less(t1 - t0, null_ns));
		for (int i = 0; i < n; i++)
			samples_add(&delay[i], delays[i]);
	}
	/* Those that saw `stop` too late wait for one more round. */
	atomic_fetch_add(&round_now, 1);
	futex(&round_now, FUTEX_WAKE, MAX_SLEEPERS);
	for (int i = 0; i < n; i++)
		pthread_join(sleepers[i].thread, NULL);
	if (call.count)
		put(n, pinned, slept_us, pass, &call, delay);
	else
		report_problem("wake of %d: not one round found all sleepers asleep", n);
	samples_free(&call);
	for (int i = 0; i < n; i++)
		samples_free(&delay[i]);
}

static const struct option_spec options[] = {
	{ "quick", OPT_FLAG, &quick, "one pass of few rounds" },
	{ "sleepers", OPT_LIST, &only_sleepers, "counts (default 1,2,4,8,16,32,64)" },
	{ "rounds", OPT_INT, &rounds, "wakes of a point and pass (default 120)" },
	{ "settle-us", OPT_INT, &settle_us, "sleep before a wake (default 100; one sleeper also 20 and 1000)" },
	{ "passes", OPT_INT, &passes, "times everything is measured (default 2)" },
};

int main(int argc, char **argv)
{
	parse_options(argc, argv, "Times the waking of sleepers.", options,
		      (int)(sizeof(options) / sizeof(options[0])));
	if (quick) {
		rounds = rounds < 40 ? rounds : 40;
		passes = 1;
	}
	if (!rounds)
		die(2, "--rounds must be 1 or more");
	if (!only_sleepers.n)
		only_sleepers = (struct list){ 7, { 1, 2, 4, 8, 16, 32, 64 } };
	for (int i = 0; i < only_sleepers.n; i++)
		if (only_sleepers.item[i] < 1 || only_sleepers.item[i] > MAX_SLEEPERS)
			die(2, "--sleepers %lld: 1 to %d", only_sleepers.item[i], MAX_SLEEPERS);
	pin_to(cpu_from_end(0));
	for (int pass = 0; pass < passes; pass++) {
		null_ns = measure_null_clock(pass);
		for (int i = 0; i < only_sleepers.n; i++) {
			int n = (int)only_sleepers.item[i];

			if (cpu_count() > 1)
				measure(n, true, settle_us, pass);
			measure(n, false, settle_us, pass);
			for (size_t k = 0; n == 1 && cpu_count() > 1 &&
			     k < sizeof(more_settle_us) / sizeof(more_settle_us[0]); k++)
				measure(n, true, more_settle_us[k], pass);
		}
	}
	return 0;
}
