/* Times one locked operation on 8 bytes: alone, with other CPUs on the same word, with another CPU
 * plainly writing a neighbour in the same line; and the one-way latency of a line between CPUs.
 *
 * The first thread times batches; a sample is the batch's time over its operations. With T threads
 * on the line the sample is ns per operation *of one thread*: together they do T in that time. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* 128: the adjacent-line prefetcher of x86 makes two 64-byte lines travel together. */
#define LINE 128

enum operation { PLAIN_ADD, XADD, CMPXCHG, OPERATIONS };
enum sharing { OWN_LINE, SAME_WORD, SAME_LINE };

static const char *const operation_names[] = { "plain_add", "xadd", "cmpxchg" };
static const char *const sharing_names[] = { "none", "word", "line" };

static _Alignas(LINE) struct {
	_Atomic uint64_t word;
	volatile uint64_t neighbour; /* same 64-byte line, never the word itself */
	char pad[LINE - 16];
} shared;

static _Alignas(LINE) atomic_bool stop;
static atomic_int running;
static long long n_samples = 150, batch_us = 30, passes = 3;
static bool quick;

/* Returns something that depends on every result, so that none can be left out. */
static uint64_t do_operations(enum operation op, long n)
{
	uint64_t seen = 0, expected = atomic_load_explicit(&shared.word, memory_order_relaxed);

	switch (op) {
	case PLAIN_ADD:
		while (n--)
			shared.neighbour++;
		break;
	case XADD:
		while (n--)
			seen += atomic_fetch_add(&shared.word, 1);
		break;
	case CMPXCHG: /* one attempt is one operation, whether it succeeds or not */
		while (n--)
			if (atomic_compare_exchange_strong(&shared.word, &expected, expected + 1))
				expected++;
		seen = expected;
		break;
	case OPERATIONS:
		break;
	}
	return seen;
}

struct helper {
	pthread_t thread;
	int cpu;
	enum operation op;
};

static void *help(void *arg)
{
	const struct helper *me = arg;

	pin_to(me->cpu);
	atomic_fetch_add(&running, 1);
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		do_operations(me->op, 64);
	return NULL;
}

static void put_batches(enum operation op, enum sharing sharing, int threads, int pass,
			const struct samples *s)
{
	rec_open("locked_op", operation_names[op]);
	cond_str("sharing", sharing_names[sharing]);
	cond_int("threads", threads);
	cond_int("pass", pass);
	rec_values("op", s, KEEP_MILLI);
	rec_close();
}

static void measure(enum operation op, enum sharing sharing, int threads, int pass)
{
	struct helper *helpers = calloc((size_t)threads, sizeof(*helpers));
	struct samples s;
	long n = 500;

	if (!helpers)
		die(1, "out of memory");
	atomic_store(&stop, false);
	atomic_store(&running, 0);
	for (int i = 1; i < threads; i++) {
		helpers[i] = (struct helper){ .cpu = cpu_from_end(i),
					      .op = sharing == SAME_LINE ? PLAIN_ADD : op };
		if (pthread_create(&helpers[i].thread, NULL, help, &helpers[i]))
			die(1, "cannot start a helper thread");
	}
	while (atomic_load(&running) < threads - 1)
		cpu_relax();
	/* Warm-up, and how many operations a batch takes. */
	while (true) {
		uint64_t t0 = now_ns();

		do_operations(op, n);
		if (now_ns() - t0 >= (uint64_t)batch_us * 500)
			break;
		n *= 2;
	}
	samples_init(&s, (size_t)n_samples);
	while (s.count < s.room) {
		uint64_t t0 = now_ns();

		do_operations(op, n);
		samples_add(&s, (now_ns() - t0) * 1000 / (uint64_t)n);
	}
	atomic_store(&stop, true);
	for (int i = 1; i < threads; i++)
		pthread_join(helpers[i].thread, NULL);
	put_batches(op, sharing, threads, pass, &s);
	samples_free(&s);
	free(helpers);
}

/* ---- a line going to and fro between two CPUs --------------------------------------------------- */

struct pong {
	int cpu;
	uint64_t turns;
};

/* Turn k belongs to this side when k is odd; the other side plays the even turns. */
static void *pong(void *arg)
{
	const struct pong *me = arg;

	pin_to(me->cpu);
	atomic_fetch_add(&running, 1);
	for (uint64_t turn = 1; turn < me->turns; turn += 2) {
		while (atomic_load_explicit(&shared.word, memory_order_acquire) != turn)
			;
		atomic_store_explicit(&shared.word, turn + 1, memory_order_release);
	}
	return NULL;
}

static void measure_pair(int cpu_a, int cpu_b, int pass)
{
	const uint64_t turns_of_batch = 200;
	struct pong other = { cpu_b, turns_of_batch * (uint64_t)n_samples };
	pthread_t thread;
	struct samples s;

	pin_to(cpu_a);
	atomic_store(&shared.word, 0);
	atomic_store(&running, 0);
	if (pthread_create(&thread, NULL, pong, &other))
		die(1, "cannot start the other side");
	while (!atomic_load(&running))
		cpu_relax();
	samples_init(&s, (size_t)n_samples);
	for (uint64_t turn = 0; s.count < s.room;) {
		uint64_t t0 = now_ns();

		for (uint64_t end = turn + turns_of_batch; turn < end; turn += 2) {
			while (atomic_load_explicit(&shared.word, memory_order_acquire) != turn)
				;
			atomic_store_explicit(&shared.word, turn + 1, memory_order_release);
		}
		samples_add(&s, (now_ns() - t0) * 1000 / turns_of_batch);
	}
	pthread_join(thread, NULL);
	rec_open("locked_op", "line_transfer");
	cond_int("cpu_a", cpu_a);
	cond_int("cpu_b", cpu_b);
	cond_int("pass", pass);
	rec_values("one_way", &s, KEEP_MILLI);
	rec_close();
	samples_free(&s);
}

/* The measuring CPU with every other one: on a big machine that shows each distance once. */
static void measure_pairs(int pass)
{
	int cpus[MAX_CPUS];
	int n = allowed_cpus(cpus, MAX_CPUS);
	int step = n > 65 ? (n + 63) / 64 : 1;

	for (int i = n - 2; i >= 0; i -= step)
		measure_pair(cpus[n - 1], cpus[i], pass);
	pin_to(cpu_from_end(0));
}

static const struct option_spec options[] = {
	{ "quick", OPT_FLAG, &quick, "one pass" },
	{ "samples", OPT_INT, &n_samples, "batches of a point and pass (default 150)" },
	{ "batch-us", OPT_INT, &batch_us, "length of a batch, about" },
	{ "passes", OPT_INT, &passes, "times everything is measured (default 3)" },
};

int main(int argc, char **argv)
{
	parse_options(argc, argv, "Times locked operations on private and shared cache lines.",
		      options, (int)(sizeof(options) / sizeof(options[0])));
	if (!n_samples || !batch_us)
		die(2, "--samples and --batch-us must be 1 or more");
	if (quick)
		passes = 1;
	pin_to(cpu_from_end(0));
	for (int pass = 0; pass < passes; pass++) {
		for (int op = PLAIN_ADD; op < OPERATIONS; op++)
			measure((enum operation)op, OWN_LINE, 1, pass);
		for (int op = XADD; op < OPERATIONS && cpu_count() > 1; op++) {
			measure((enum operation)op, SAME_LINE, 2, pass);
			for (int threads = 2; threads < cpu_count(); threads *= 2)
				measure((enum operation)op, SAME_WORD, threads, pass);
			measure((enum operation)op, SAME_WORD, cpu_count(), pass);
		}
		measure_pairs(pass);
	}
	return 0;
}
