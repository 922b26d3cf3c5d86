/* Does the lock of rwsem.c do what it must? First each rule by itself, in the order of events that it
 * is about; then many threads at random, with plain shared variables that only the lock protects.
 * Ends with status 1 and a sentence if anything is wrong. Built again with a rule broken
 * (-DRWSEM_BREAK=...) it must fail; under -fsanitize=thread it must be silent. */
#include "common.h"
#include "rwsem.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_THREADS 512

static long long threads = 6, run_ms = 1000, seed = 1, stuck_ms = 5000;
static bool only_random, only_rules;

static struct rwsem sem;

/* ---- what the lock protects: plain variables, no atomics ---------------------------------------- */

static uint64_t left, right; /* equal whenever nobody writes */
static int writers_inside;

static void fail(const char *what)
{
	fprintf(stderr, "lock_stress: %s (count %lld, waiting %d)\n", what,
		(long long)rwsem_count(&sem), rwsem_waiting(&sem));
	/* Threads may hang in the lock: no clean-up. */
	_Exit(1);
}

static void check(bool good, const char *what)
{
	if (!good)
		fail(what);
}

static void look(void)
{
	check(left == right, "a reader saw half a write");
	check(!writers_inside, "a reader and a writer were inside together");
}

static void change(struct rwsem_task *me)
{
	check(!writers_inside, "two writers were inside together");
	writers_inside = (int)me->number;
	left++;
	for (int i = 0; i < 20; i++)
		cpu_relax();
	right++;
	check(writers_inside == (int)me->number, "another writer came in");
	writers_inside = 0;
}

/* ---- the rules, one by one ----------------------------------------------------------------------- */

struct actor {
	pthread_t thread;
	struct rwsem_task task;
	bool writes;
	_Atomic int inside;
	_Atomic int leave;
};

static struct actor actors[MOST_THREADS];
static _Atomic int entered; /* how many have come in, over all actors */
static struct rwsem_task mine;

static void pause_a_moment(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

static void *act(void *argument)
{
	struct actor *actor = argument;

	if (actor->writes) {
		rwsem_down_write(&sem, &actor->task);
		change(&actor->task);
	} else {
		rwsem_down_read(&sem, &actor->task);
		look();
	}
	atomic_fetch_add(&entered, 1);
	atomic_store(&actor->inside, 1);
	while (!atomic_load(&actor->leave))
		pause_a_moment();
	if (actor->writes)
		rwsem_up_write(&sem, &actor->task);
	else
		rwsem_up_read(&sem, &actor->task);
	atomic_store(&actor->inside, 0);
	return NULL;
}

/* Starts the n-th actor and waits until it stands in the list. */
static void queue_up(int n, bool writes)
{
	pthread_attr_t attributes;
	uint64_t end = now_ns() + (uint64_t)stuck_ms * 1000000;

	actors[n] = (struct actor){ .writes = writes };
	rwsem_task_init(&actors[n].task, (uint32_t)n + 2);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 128 * 1024);
	if (pthread_create(&actors[n].thread, &attributes, act, &actors[n]))
		die(1, "thread %d cannot be started", n);
	pthread_attr_destroy(&attributes);
	while (rwsem_waiting(&sem) != n + 1) {
		check(now_ns() < end, "a thread that must wait did not queue");
		pause_a_moment();
	}
}

static void wait_until_entered(int n, const char *what)
{
	uint64_t end = now_ns() + (uint64_t)stuck_ms * 1000000;

	while (atomic_load(&entered) < n) {
		check(now_ns() < end, what);
		pause_a_moment();
	}
}

/* Nobody else may come in: seen for a while. A slow machine can only make this pass. */
static void nobody_else(int n, const char *what)
{
	uint64_t end = now_ns() + 20000000;

	while (now_ns() < end) {
		check(atomic_load(&entered) == n, what);
		pause_a_moment();
	}
}

static void leave(int n)
{
	atomic_store(&actors[n].leave, 1);
	pthread_join(actors[n].thread, NULL);
}

/* The test itself may hang in a broken lock. */
static void on_alarm(int number)
{
	static const char text[] = "lock_stress: the test itself waits for ever: a broken lock\n";

	(void)number;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(3);
	_exit(1);
}

static void begin(bool spin)
{
	alarm((unsigned)((2 * stuck_ms + run_ms) / 1000 + 2));
	rwsem_init(&sem, spin);
	rwsem_task_init(&mine, 1);
	atomic_store(&entered, 0);
}

static void end(void)
{
	check(rwsem_count(&sem) == 0, "the count is not back at zero");
	check(rwsem_waiting(&sem) == 0, "somebody is left in the list");
}

static void rule_downgrade_lets_readers_in(void)
{
	begin(false);
	rwsem_down_write(&sem, &mine);
	for (int i = 0; i < 4; i++)
		queue_up(i, false);
	rwsem_downgrade(&sem, &mine);
	wait_until_entered(4, "a downgrade did not let the queued readers in");
	rwsem_up_read(&sem, &mine);
	for (int i = 0; i < 4; i++)
		leave(i);
	end();
}

static void rule_downgrade_keeps_writers_out(void)
{
	begin(false);
	rwsem_down_write(&sem, &mine);
	queue_up(0, true);
	rwsem_downgrade(&sem, &mine);
	nobody_else(0, "a downgrade let a writer in");
	check(!rwsem_down_write_trylock(&sem, &mine), "a read-held lock was taken for writing");
	rwsem_up_read(&sem, &mine);
	wait_until_entered(1, "the last reader did not wake the writer");
	leave(0);
	end();
}

/* A writer heads the list: a downgrade helps nobody, and who comes queues behind. */
static void rule_writer_at_the_head(void)
{
	begin(false);
	rwsem_down_write(&sem, &mine);
	queue_up(0, true);
	queue_up(1, false);
	rwsem_downgrade(&sem, &mine);
	queue_up(2, false);
	nobody_else(0, "a downgrade with a writer at the head let a reader in");
	rwsem_up_read(&sem, &mine);
	wait_until_entered(1, "the writer at the head was not woken");
	check(atomic_load(&actors[0].inside), "a reader passed the writer at the head");
	leave(0);
	wait_until_entered(3, "the readers behind the writer were not woken");
	leave(1);
	leave(2);
	end();
}

/* A reader heads the list: all readers come in with it, past the writer between them. */
static void rule_readers_pass_a_queued_writer(void)
{
	begin(false);
	rwsem_down_write(&sem, &mine);
	queue_up(0, false);
	queue_up(1, true);
	queue_up(2, false);
	rwsem_up_write(&sem, &mine);
	wait_until_entered(2, "the readers behind a queued writer did not come in with the first");
	nobody_else(2, "a writer came in with readers inside");
	leave(0);
	leave(2);
	wait_until_entered(3, "the writer was not woken by the last reader");
	leave(1);
	end();
}

/* One wake-up lets in 256 readers, the next one the rest. */
static void rule_most_woken(void)
{
	const int all = RWSEM_MOST_WOKEN + 14;

	begin(false);
	rwsem_down_write(&sem, &mine);
	for (int i = 0; i < all; i++)
		queue_up(i, false);
	rwsem_downgrade(&sem, &mine);
	wait_until_entered(RWSEM_MOST_WOKEN, "a downgrade let in too few readers");
	check(rwsem_count(&sem) >> RWSEM_READER_SHIFT == RWSEM_MOST_WOKEN + 1,
	      "one wake-up let in more than 256 readers");
	nobody_else(RWSEM_MOST_WOKEN, "one wake-up let in more than 256 readers");
	rwsem_up_read(&sem, &mine);
	for (int i = 0; i < RWSEM_MOST_WOKEN; i++)
		leave(i);
	wait_until_entered(all, "the readers beyond the limit were forgotten");
	for (int i = RWSEM_MOST_WOKEN; i < all; i++)
		leave(i);
	end();
}

/* A writer that has waited at the head for 4 ms is not passed, and the mark of it goes with it. */
static void rule_handoff(void)
{
	uint64_t end_of_patience;

	begin(false);
	rwsem_down_read(&sem, &mine);
	queue_up(0, true);
	end_of_patience = now_ns() + RWSEM_HANDOFF_NS + 2000000;
	while (now_ns() < end_of_patience)
		pause_a_moment();
	/* A wake-up that comes too early, as a signal would be: it finds the lock still held. */
	atomic_store(&actors[0].task.word, 1);
	syscall(SYS_futex, &actors[0].task.word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	end_of_patience = now_ns() + (uint64_t)stuck_ms * 1000000;
	while (!(rwsem_count(&sem) & RWSEM_HANDOFF)) {
		check(now_ns() < end_of_patience, "a writer that waited for long was not marked");
		pause_a_moment();
	}
	queue_up(1, false);
	nobody_else(0, "somebody came in while the lock was read-held and kept for a writer");
	rwsem_up_read(&sem, &mine);
	wait_until_entered(1, "the writer that the lock was kept for was not woken");
	check(atomic_load(&actors[0].inside), "a reader passed the writer that the lock was kept for");
	check(!(rwsem_count(&sem) & RWSEM_HANDOFF), "the handoff bit outlived its handoff");
	leave(0);
	wait_until_entered(2, "the reader behind the handoff was not woken");
	leave(1);
	end();
}

/* Who only tries gets a free lock and no other. */
static void rule_trying(void)
{
	begin(false);
	check(rwsem_down_read_trylock(&sem, &mine), "a free lock was refused");
	check(!rwsem_down_write_trylock(&sem, &mine), "a read-held lock was taken for writing");
	rwsem_up_read(&sem, &mine);
	check(rwsem_down_write_trylock(&sem, &mine), "a free lock was refused");
	check(!rwsem_down_read_trylock(&sem, &mine), "a write-held lock was taken for reading");
	rwsem_up_write(&sem, &mine);
	end();
}

/* ---- many threads at random ---------------------------------------------------------------------- */

static _Atomic int stop;
static _Atomic uint64_t done[MOST_THREADS];
static _Atomic uint64_t downgraded, read_sections, write_sections, waited, kept;

struct worker {
	pthread_t thread;
	struct rwsem_task task;
	uint64_t random;
	int number;
};

/* Now and then the CPU is given away inside: then the list grows. */
static void some_work(uint64_t bits)
{
	if (!(bits >> 58))
		sched_yield();
	for (unsigned i = bits % 200; i; i--)
		cpu_relax();
}

static void read_once(struct worker *w, bool try)
{
	if (try) {
		if (!rwsem_down_read_trylock(&sem, &w->task))
			return;
	} else {
		rwsem_down_read(&sem, &w->task);
		if (w->task.waited)
			atomic_fetch_add_explicit(&waited, 1, memory_order_relaxed);
	}
	look();
	some_work(random_next(&w->random));
	look();
	rwsem_up_read(&sem, &w->task);
	atomic_fetch_add_explicit(&read_sections, 1, memory_order_relaxed);
}

static void write_once(struct worker *w, bool try, bool downgrade)
{
	if (try) {
		if (!rwsem_down_write_trylock(&sem, &w->task))
			return;
	} else {
		rwsem_down_write(&sem, &w->task);
	}
	if (!try && w->task.heads_handoff)
		atomic_fetch_add_explicit(&kept, 1, memory_order_relaxed);
	change(&w->task);
	some_work(random_next(&w->random));
	atomic_fetch_add_explicit(&write_sections, 1, memory_order_relaxed);
	if (downgrade) {
		uint64_t mine_still = left;

		rwsem_downgrade(&sem, &w->task);
		some_work(random_next(&w->random));
		look();
		check(left == mine_still, "a writer came in between a downgrade and its read section");
		rwsem_up_read(&sem, &w->task);
		atomic_fetch_add_explicit(&downgraded, 1, memory_order_relaxed);
		return;
	}
	rwsem_up_write(&sem, &w->task);
}

static void *work_at_random(void *argument)
{
	struct worker *w = argument;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t dice = random_next(&w->random);

		if (dice % 100 < 60)
			read_once(w, dice >> 8 & 7 ? false : true);
		else
			write_once(w, dice >> 8 & 7 ? false : true, dice >> 16 & 1);
		/* Most of the time a moment outside: else the list never runs empty. */
		if (dice >> 20 & 7)
			some_work(dice >> 32);
		atomic_fetch_add_explicit(&done[w->number], 1, memory_order_relaxed);
	}
	return NULL;
}

static void watch(uint64_t end)
{
	uint64_t seen[MOST_THREADS] = { 0 }, since[MOST_THREADS];

	for (int i = 0; i < threads; i++)
		since[i] = now_ns();
	while (now_ns() < end) {
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		for (int i = 0; i < threads; i++) {
			uint64_t now = atomic_load(&done[i]);

			if (now != seen[i]) {
				seen[i] = now;
				since[i] = now_ns();
			}
			/* Since the thread last did something: a lost wake-up is for good. */
			check(now_ns() - since[i] < (uint64_t)stuck_ms * 1000000,
			      "a thread waits for ever: a wake-up was lost");
		}
	}
}

static void join_or_fail(pthread_t thread)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += stuck_ms / 1000 + 1;
	check(!pthread_timedjoin_np(thread, NULL, &until),
	      "a thread waits for ever: a wake-up was lost");
}

static void at_random(bool spin)
{
	static struct worker workers[MOST_THREADS];
	uint64_t state = (uint64_t)seed;

	begin(spin);
	atomic_store(&stop, 0);
	for (int i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .random = random_next(&state), .number = i };
		rwsem_task_init(&workers[i].task, (uint32_t)i + 1);
		if (pthread_create(&workers[i].thread, NULL, work_at_random, &workers[i]))
			die(1, "thread %d cannot be started", i);
	}
	watch(now_ns() + (uint64_t)run_ms * 1000000);
	atomic_store(&stop, 1);
	for (int i = 0; i < threads; i++)
		join_or_fail(workers[i].thread);
	check(left == right && left == atomic_load(&write_sections), "a write was lost");
	end();
}

static const struct option_spec options[] = {
	{ "threads", OPT_INT, &threads, "threads of the random part (default 6)" },
	{ "ms", OPT_INT, &run_ms, "its length, once without spinning and once with (default 1000)" },
	{ "stuck-ms", OPT_INT, &stuck_ms, "waiting longer than this is for ever (default 5000)" },
	{ "seed", OPT_INT, &seed, "of the random part (default 1)" },
	{ "random", OPT_FLAG, &only_random, "the random part alone" },
	{ "rules", OPT_FLAG, &only_rules, "the rules alone" },
};

int main(int argc, char **argv)
{
	parse_options(argc, argv, "Tests the lock that the downgrade is measured with.", options,
		      (int)(sizeof(options) / sizeof(options[0])));
	if (threads < 1 || threads > MOST_THREADS)
		die(2, "--threads must be 1 to %d", MOST_THREADS);
	signal(SIGALRM, on_alarm);
	if (!only_random) {
		rule_trying();
		rule_downgrade_lets_readers_in();
		rule_downgrade_keeps_writers_out();
		rule_writer_at_the_head();
		rule_readers_pass_a_queued_writer();
		rule_handoff();
		rule_most_woken();
	}
	left = right = 0;
	if (!only_rules) {
		at_random(false);
		at_random(true);
	}
	printf("{\"lock_stress\":{\"read_sections\":%llu,\"write_sections\":%llu,\"downgraded\":%llu,"
	       "\"waited\":%llu,\"handed_off\":%llu}}\n",
	       (unsigned long long)atomic_load(&read_sections),
	       (unsigned long long)atomic_load(&write_sections),
	       (unsigned long long)atomic_load(&downgraded),
	       (unsigned long long)atomic_load(&waited), (unsigned long long)atomic_load(&kept));
	return 0;
}
