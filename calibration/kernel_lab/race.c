/* Tries the shortest counterexamples of `perfmodel safety` on the kernel that runs.
 *
 * Each is about one page in a range whose entries mprotect walks in order. The pages before and
 * after it are mapped to the zero page: they hold the walk up while readers are let in, and need no
 * flush, which would end what is looked for. One CPU (the storer) goes on storing to the page
 * through whatever translation it has cached.
 *
 *   forced-write  mprotect RW->R. A debugger's write through /proc/self/mem (FOLL_FORCE) finds the
 *                 entry not writable and the page referenced by a pipe, and copies it, while the
 *                 storer still stores to the old page. Lost store: the mapped page does not hold
 *                 the last value whose store completed.
 *   dontneed      mprotect RW->R. MADV_DONTNEED takes the entry away before the walk sees it, and
 *                 is held up before its own flush (a task with more weight takes its CPU).
 *                 Late store: one that was begun after mprotect had returned, and completed.
 *   write-fault   mprotect R->RW. A write fault makes the entry writable, the walk takes that away,
 *                 somebody takes a reference (the pipe), and the next write fault copies the page
 *                 while the storer stores to the old one. Lost store: the storer does not find in
 *                 the page what it stored last.
 *
 * The result is one line: {"race":{"name":..., "rounds":..., "met":..., "reproduced":..., ...}}.
 * A round counts as met if the second actor did its part between the begin of mprotect and its
 * return: without it the round could not have shown anything. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u
#define PAUSE_NS 20000	 /* a helper that waits for a round leaves its CPU meanwhile */
#define OTHER_WORD 256	 /* word of the page that the second actor writes */

enum race { FORCED_WRITE, DONTNEED, WRITE_FAULT, RACES };

static const char *const names[RACES] = { "forced-write", "dontneed", "write-fault" };
/* The page first: the rest of the walk is the time in which it can be copied. Else in the middle:
 * something has to happen before the walk comes to the page, and something after. */
static const struct {
	int before, after;
} lengths[RACES] = { { 0, 16384 }, { 16384, 16384 }, { 16384, 16384 } };

static const char *which = "forced-write";
static double seconds = 5;
static long long before = -1, after = -1, seed = 1;
static bool no_reference;

static char *range, *target;
static volatile uint64_t *word;
static int pipe_fd[2], mem_fd, pagemap_fd;

/* A round: the main thread counts it up, helpers act in it and say when they are done. */
static atomic_long round_now;
static atomic_int helpers_ready, helpers_done;
static atomic_bool calling, returned, over, ending;
static _Atomic uint64_t stored; /* last value whose store completed */
static uint64_t lost_now, late_now;
static atomic_long acted; /* what the second actor did while mprotect was in its call */
static uint64_t walk_ns;  /* the shortest call so far: one that nobody held up */
static _Thread_local sigjmp_buf jump;
static _Thread_local uint64_t state;

static void pause_for(uint64_t ns)
{
	struct timespec t = { 0, (long)ns };

	nanosleep(&t, NULL);
}

static uint64_t random_below(uint64_t n)
{
	return n ? random_next(&state) % n : 0;
}

static void on_fault(int number)
{
	(void)number;
	siglongjmp(jump, 1);
}

/* ---- actors ------------------------------------------------------------------------------------ */

/* Stores until a store is refused: the right has gone, and the TLB knows it. */
static void store_until_refused(void)
{
	if (sigsetjmp(jump, 1))
		return;
	for (uint64_t i = 1;; i++) {
		bool late = atomic_load_explicit(&returned, memory_order_acquire);

		*word = i;
		atomic_store_explicit(&stored, i, memory_order_release);
		late_now += late;
	}
}

/* Stores as soon as it may, and looks each time whether the store before is still there. */
static void store_and_check(void)
{
	volatile uint64_t last = 0;

	while (!atomic_load(&calling))
		cpu_relax();
	sigsetjmp(jump, 1); /* refused: once more */
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		uint64_t found = *word, next = last + 1;

		if (found < last)
			lost_now += last - found;
		*word = next;
		last = next;
		atomic_store_explicit(&stored, next, memory_order_release);
	}
}

/* The page goes into a pipe by reference, not by copy. */
static void take_reference(void)
{
	struct iovec iov = { target, PAGE };

	if (vmsplice(pipe_fd[1], &iov, 1, 0) != PAGE)
		die(1, "vmsplice: %s", strerror(errno));
}

static uint64_t drop_reference(void)
{
	static uint64_t content[PAGE / sizeof(uint64_t)];

	if (read(pipe_fd[0], content, PAGE) != PAGE)
		die(1, "the pipe does not hold the page: %s", strerror(errno));
	return content[0];
}

static void forced_writes(void)
{
	uint64_t value = 0;
	off_t at = (off_t)(uintptr_t)target + OTHER_WORD * 8;

	while (!atomic_load(&over)) {
		bool within = atomic_load(&calling) && !atomic_load(&returned);

		value++;
		if (pwrite(mem_fd, &value, sizeof(value), at) != sizeof(value))
			die(1, "/proc/self/mem: %s", strerror(errno));
		if (within && !atomic_load(&returned))
			atomic_fetch_add(&acted, 1);
	}
}

static void dontneed(void)
{
	while (!atomic_load(&calling))
		cpu_relax();
	spin_for(random_below(walk_ns / 4 + 1));
	if (madvise(target, ((size_t)after + 1) * PAGE, MADV_DONTNEED))
		die(1, "madvise: %s", strerror(errno));
}

static void write_late(void)
{
	while (!atomic_load(&stored))
		cpu_relax();
	take_reference();
	spin_for(random_below(walk_ns + 1));
	if (!atomic_load(&returned))
		atomic_fetch_add(&acted, 1);
	((volatile uint64_t *)target)[OTHER_WORD]++;
}

/* Is the page mapped? The kernel answers under the read lock. */
static bool target_mapped(void)
{
	uint64_t entry = 0;
	off_t at = (off_t)((uintptr_t)target / PAGE * sizeof(entry));

	if (pread(pagemap_fd, &entry, sizeof(entry), at) != sizeof(entry))
		die(1, "/proc/self/pagemap: %s", strerror(errno));
	return entry >> 63;
}

/* Of more weight than the thread in MADV_DONTNEED, on its CPU: looks in again and again, and keeps
 * the CPU when the entry is gone, until mprotect has returned. */
static void hog(void)
{
	while (!atomic_load(&calling))
		pause_for(PAUSE_NS);
	while (!atomic_load(&returned)) {
		if (!target_mapped()) {
			uint64_t end = now_ns() + 50000000;

			if (!atomic_load(&returned))
				atomic_fetch_add(&acted, 1);
			while (!atomic_load(&returned) && now_ns() < end)
				cpu_relax();
			spin_for(20000); /* and for the storer to be late in */
			return;
		}
		pause_for(1000);
	}
}

struct helper {
	void (*act)(void);
	int cpu, nice;
	pthread_t thread;
};

static void *helper_main(void *arg)
{
	const struct helper *h = arg;
	long seen = 0;

	pin_to(h->cpu);
	prctl(PR_SET_TIMERSLACK, 1);
	state = (uint64_t)seed * 7919 + (uint64_t)h->cpu * 31 + (uint64_t)h->nice;
	if (h->nice && setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), h->nice))
		die(1, "setpriority: %s", strerror(errno));
	for (;;) {
		while (atomic_load(&round_now) == seen)
			pause_for(PAUSE_NS);
		seen++;
		if (atomic_load(&ending))
			return NULL;
		atomic_fetch_add(&helpers_ready, 1);
		h->act();
		atomic_fetch_add(&helpers_done, 1);
	}
}

/* ---- rounds ------------------------------------------------------------------------------------ */

static size_t range_bytes(void)
{
	return (size_t)(before + 1 + after) * PAGE;
}

static void protect(int prot)
{
	if (mprotect(range, range_bytes(), prot))
		die(1, "mprotect: %s", strerror(errno));
}

/* A read maps the zero page. */
static void map_zero_pages(char *at, long long n)
{
	if (n && madvise(at, (size_t)n * PAGE, MADV_POPULATE_READ))
		for (long long i = 0; i < n; i++) /* a kernel before 5.14 */
			(void)*(volatile uint64_t *)(at + (size_t)i * PAGE);
}

/* The page written, all others on the zero page, the rights as they are before the call. */
static void prepare(enum race race)
{
	atomic_store(&calling, false);
	atomic_store(&returned, false);
	atomic_store(&over, false);
	atomic_store(&stored, 0);
	atomic_store(&acted, 0);
	atomic_store(&helpers_ready, 0);
	atomic_store(&helpers_done, 0);
	lost_now = late_now = 0;
	protect(PROT_READ | PROT_WRITE);
	map_zero_pages(range, before);
	map_zero_pages(target + PAGE, after);
	*word = 0;
	((volatile uint64_t *)target)[OTHER_WORD] = 0;
	if (race == WRITE_FAULT)
		protect(PROT_READ);
	if (race == FORCED_WRITE && !no_reference)
		take_reference();
}

struct result {
	long long rounds, met, reproduced;
	uint64_t events, most;
	long long in_old_page; /* of the lost ones: the old page, read from the pipe, has the store */
};

static void call_timed(int prot)
{
	uint64_t t0, took;

	spin_for(random_below(20000));
	atomic_store(&calling, true);
	t0 = now_ns();
	protect(prot);
	took = now_ns() - t0;
	atomic_store_explicit(&returned, true, memory_order_seq_cst);
	walk_ns = walk_ns && walk_ns < took ? walk_ns : took;
}

static void wait_for_helpers(int n)
{
	while (atomic_load(&helpers_done) < n)
		pause_for(PAUSE_NS);
}

static void one_round(enum race race, int helpers, struct result *r)
{
	uint64_t events;

	prepare(race);
	atomic_fetch_add(&round_now, 1);
	while (atomic_load(&helpers_ready) < helpers)
		cpu_relax();
	while (race != WRITE_FAULT && atomic_load(&stored) < 100)
		cpu_relax();
	call_timed(race == WRITE_FAULT ? PROT_READ | PROT_WRITE : PROT_READ);
	if (race == FORCED_WRITE) {
		wait_for_helpers(1); /* the storer: refused */
	} else if (race == WRITE_FAULT) {
		while (!atomic_load(&stored))
			cpu_relax();
		wait_for_helpers(1); /* the other writer */
		spin_for(5000);
	}
	atomic_store(&over, true);
	wait_for_helpers(helpers);
	events = race == DONTNEED ? late_now : lost_now;
	if (race == FORCED_WRITE && *word < atomic_load(&stored))
		events = atomic_load(&stored) - *word;
	if (race == WRITE_FAULT || (race == FORCED_WRITE && !no_reference)) {
		uint64_t old = drop_reference();

		if (race == FORCED_WRITE && events && old > *word)
			r->in_old_page++;
	}
	r->rounds++;
	r->met += atomic_load(&acted) > 0;
	r->reproduced += events > 0;
	r->events += events;
	if (events > r->most)
		r->most = events;
}

static void set_up(void)
{
	size_t bytes = range_bytes();
	struct sigaction action = { .sa_handler = on_fault };

	/* Between guards that it cannot merge with. */
	range = mmap(NULL, bytes + 2 * PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (range == MAP_FAILED)
		die(1, "cannot map %zu bytes: %s", bytes, strerror(errno));
	range += PAGE;
	if (mmap(range, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		die(1, "cannot map %zu bytes: %s", bytes, strerror(errno));
	if (madvise(range, bytes, MADV_NOHUGEPAGE) && errno != EINVAL)
		die(1, "madvise: %s", strerror(errno));
	target = range + (size_t)before * PAGE;
	word = (volatile uint64_t *)target;
	if (pipe2(pipe_fd, O_CLOEXEC))
		die(1, "pipe: %s", strerror(errno));
	mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (mem_fd < 0)
		die(1, "/proc/self/mem: %s", strerror(errno));
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap_fd < 0)
		die(1, "/proc/self/pagemap: %s", strerror(errno));
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static const struct option_spec options[] = {
	{ "race", OPT_STRING, &which, "forced-write, dontneed or write-fault" },
	{ "seconds", OPT_REAL, &seconds, "how long to try (default 5)" },
	{ "before", OPT_INT, &before, "pages walked before the page (default: by race)" },
	{ "after", OPT_INT, &after, "pages walked after it (default: by race)" },
	{ "no-reference", OPT_FLAG, &no_reference, "forced-write without the pipe's reference" },
	{ "seed", OPT_INT, &seed, "of the pauses" },
};

int main(int argc, char **argv)
{
	struct helper helpers[3];
	struct result r = { 0 };
	uint64_t end;
	enum race race = 0;
	int n = 2;

	parse_options(argc, argv, "Tries to lose a store to an mprotect that lets readers in.",
		      options, (int)(sizeof(options) / sizeof(options[0])));
	while (race < RACES && strcmp(which, names[race]))
		race++;
	if (race == RACES)
		die(2, "--race %s: forced-write, dontneed or write-fault", which);
	if (before < 0)
		before = lengths[race].before;
	if (after < 0)
		after = lengths[race].after;
	if (before > 1 << 20 || after > 1 << 20)
		die(2, "--before %lld, --after %lld: at most %d pages", before, after, 1 << 20);
	if (cpu_count() < 3)
		die(2, "3 CPUs are needed, this process may use %d", cpu_count());
	state = (uint64_t)seed;
	set_up();
	helpers[0] = (struct helper){ race == WRITE_FAULT ? store_and_check : store_until_refused,
				      cpu_from_end(1), 0, 0 };
	helpers[1] = (struct helper){ race == FORCED_WRITE ? forced_writes :
				      race == DONTNEED	   ? dontneed :
							     write_late,
				      cpu_from_end(2), race == DONTNEED ? 19 : 0, 0 };
	helpers[2] = (struct helper){ hog, cpu_from_end(2), 0, 0 };
	if (race == DONTNEED)
		n = 3;
	pin_to(cpu_from_end(0));
	for (int i = 0; i < n; i++)
		if (pthread_create(&helpers[i].thread, NULL, helper_main, &helpers[i]))
			die(1, "cannot start a thread");
	end = now_ns() + (uint64_t)(seconds * 1e9);
	while (now_ns() < end)
		one_round(race, n, &r);
	atomic_store(&ending, true);
	atomic_fetch_add(&round_now, 1);
	for (int i = 0; i < n; i++)
		pthread_join(helpers[i].thread, NULL);
	printf("{\"race\":{\"name\":\"%s\",\"reference\":%s,\"before\":%lld,\"after\":%lld,"
	       "\"seconds\":%.3f,"
	       "\"rounds\":%lld,\"met\":%lld,\"reproduced\":%lld,\"events\":%llu,\"most\":%llu,"
	       "\"in_old_page\":%lld,\"shortest_call_ns\":%llu}}\n",
	       names[race], no_reference || race == DONTNEED ? "false" : "true", before, after, seconds,
	       r.rounds, r.met, r.reproduced, (unsigned long long)r.events,
	       (unsigned long long)r.most, r.in_old_page, (unsigned long long)walk_ns);
	return 0;
}
