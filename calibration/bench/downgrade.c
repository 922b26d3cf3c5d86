/* What a downgrade is worth, measured: readers and writers share the lock of rwsem.c; the writers hold
 * it for an exclusive part and for a part that readers could share. In one arm they downgrade between
 * the two, in the other they do not. The arms take turns in short slices of one process, so that both
 * meet the same noise. */
#include "common.h"
#include "lock_load.h"
#include "rwsem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_THREADS 64

static long long readers = 1, writers = 1, pairs = 20, slice_us = 40000, settle_us = 8000;
static long long warm_up_ms = 50, seed = 1, number;
static const char *call_law_name = "constant", *read_law_name = "exponential", *think_name = "run";
static bool spin, own_cpus;

static struct thread *threads; /* readers first */
static _Atomic int stop;

/* ---- threads ------------------------------------------------------------------------------------------ */

/* The slice that each thread asks of the scheduler (6.12 and later; others ignore it). */
static void shorten_slice(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attributes = { .size = 48, .runtime = (uint64_t)load.quantum_us * 1000 };

	if (load.quantum_us && syscall(SYS_sched_setattr, 0, &attributes, 0))
		die(1, "the scheduler's slice cannot be set: %s", strerror(errno));
}

static void *run_thread(void *argument)
{
	struct thread *me = argument;

	shorten_slice();
	me->schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	atomic_store(&me->ready, 1);
	/* With a CPU for everybody, everybody has one: the scheduler would now and then let two share. */
	if (own_cpus)
		pin_to(cpu_from_end((int)(me - threads)));
	if (prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0)) /* sleeps as short as they are asked for */
		die(1, "the timer slack cannot be set: %s", strerror(errno));
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		think(me, me->writes ? load.write_think_ns : load.read_think_ns);
		if (me->writes)
			call_once(me);
		else
			read_once(me);
	}
	return NULL;
}

/* ---- slices ------------------------------------------------------------------------------------------- */

static void sleep_until(uint64_t deadline)
{
	struct timespec until = { .tv_sec = (time_t)(deadline / 1000000000),
				  .tv_nsec = (long)(deadline % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static uint64_t cpu_time(bool of_writers)
{
	uint64_t sum = 0;

	for (int i = of_writers ? (int)readers : 0; i < (of_writers ? readers + writers : readers);
	     i++) {
		struct timespec ts;
		clockid_t clock;

		if (!pthread_getcpuclockid(threads[i].thread, &clock) && !clock_gettime(clock, &ts))
			sum += (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	}
	return sum;
}

/* What is written of each slice, in this order. */
enum column {
	ARM, NS, READS, READS_BLOCKED, READ_WAIT_NS, READS_MOVED, CALLS, CALLS_BLOCKED, CALL_WAIT_NS,
	CALL_NS, CALLS_LATE, WOKEN, READER_CPU_NS, WRITER_CPU_NS, OWN_CPU_NS, IDLE_NS, DELAY_NS,
	PREEMPTED, SLEPT, COLUMNS
};
static const char *const column_names[COLUMNS] = {
	"arm", "ns", "reads", "reads_blocked", "read_wait_ns", "reads_moved", "calls",
	"calls_blocked", "call_wait_ns", "call_ns", "calls_late", "woken", "reader_cpu_ns",
	"writer_cpu_ns", "own_cpu_ns", "idle_ns", "delay_ns", "preempted", "slept",
};

/* Sums since the program began; of a set that is not current, so that nothing is under way in it
 * once a settling time is over. */
static void read_counts(int set, uint64_t *row)
{
	const int sums[][2] = { { READS, CALLS }, { READS_BLOCKED, CALLS_BLOCKED },
				{ READ_WAIT_NS, CALL_WAIT_NS }, { READS_MOVED, COLUMNS } };

	for (int i = 0; i < COLUMNS; i++)
		if (i >= READS && i <= CALLS_LATE)
			row[i] = 0;
	for (int i = 0; i < readers + writers; i++) {
		struct counts *c = &threads[i].counts[set];
		const uint64_t found[] = { c->done, c->waited, c->wait_ns, c->moved };

		for (int k = 0; k < 4; k++)
			if (sums[k][threads[i].writes] < COLUMNS)
				row[sums[k][threads[i].writes]] += found[k];
		row[CALL_NS] += c->call_ns;
		row[CALLS_LATE] += c->late;
	}
}

/* Idle states of the CPUs that may be used, by their files in sysfs. What is neither idle nor ours
 * was taken by others: such slices can be told from quiet ones. */
static int idle_files[MAX_CPUS], idle_file_count;

static void open_idle_files(void)
{
	int cpus[MAX_CPUS], n = allowed_cpus(cpus, MAX_CPUS);

	for (int i = 0; i < n; i++)
		for (int state = 0; state < 16 && idle_file_count < MAX_CPUS; state++) {
			char path[96];
			int file;

			snprintf(path, sizeof(path),
				 "/sys/devices/system/cpu/cpu%d/cpuidle/state%d/time", cpus[i], state);
			file = open(path, O_RDONLY | O_CLOEXEC);
			if (file < 0)
				break;
			idle_files[idle_file_count++] = file;
		}
}

static uint64_t idle_time(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < idle_file_count; i++) {
		char text[32] = "";

		if (pread(idle_files[i], text, sizeof(text) - 1, 0) > 0)
			sum += strtoull(text, NULL, 10) * 1000; /* us */
	}
	return sum;
}

static bool delay_known(void)
{
	for (int i = 0; i < readers + writers; i++)
		if (threads[i].schedstat < 0)
			return false;
	return true;
}

/* For how long the threads, all together, were ready to run and had no CPU. */
static uint64_t delay_time(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < readers + writers; i++) {
		char text[64] = "", *second = text;

		if (threads[i].schedstat >= 0 &&
		    pread(threads[i].schedstat, text, sizeof(text) - 1, 0) > 0) {
			(void)strtoull(text, &second, 10); /* on CPUs */
			sum += strtoull(second, NULL, 10);
		}
	}
	return sum;
}

static void read_clocks(uint64_t *row)
{
	struct rusage usage;
	struct timespec ts;

	row[NS] = now_ns();
	row[READER_CPU_NS] = cpu_time(false);
	row[WRITER_CPU_NS] = cpu_time(true);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	row[OWN_CPU_NS] = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	row[IDLE_NS] = idle_time();
	row[DELAY_NS] = delay_time();
	getrusage(RUSAGE_SELF, &usage);
	row[PREEMPTED] = (uint64_t)usage.ru_nivcsw;
	row[SLEPT] = (uint64_t)usage.ru_nvcsw;
	row[WOKEN] = 0;
	for (int i = 0; i < readers + writers; i++)
		row[WOKEN] += *(volatile uint64_t *)&threads[i].task.wakes;
}

static void put_row(const uint64_t *row, bool first)
{
	printf(first ? "[" : ",[");
	for (int i = 0; i < COLUMNS; i++)
		printf("%s%" PRIu64, i ? "," : "", row[i]);
	printf("]");
}

/* One slice of an arm: the change, the settling, the time that counts. */
static void run_slice(int arm, uint64_t *row)
{
	static uint64_t before[2][COLUMNS];
	uint64_t begin[COLUMNS], end[COLUMNS], at = now_ns() + (uint64_t)settle_us * 1000;
	int set = arm << ARM_SHIFT;

	atomic_store_explicit(&load.current, set | SETTLING, memory_order_relaxed);
	sleep_until(at);
	read_clocks(begin);
	atomic_store_explicit(&load.current, set, memory_order_relaxed);
	sleep_until(begin[NS] + (uint64_t)slice_us * 1000);
	read_clocks(end);
	atomic_store_explicit(&load.current, set | SETTLING, memory_order_relaxed);
	/* Who loaded the set just before the change counts within this moment. */
	sleep_until(end[NS] + 200000);
	read_counts(set, end);
	for (int i = 0; i < COLUMNS; i++) {
		if (i >= READS && i <= CALLS_LATE) {
			row[i] = end[i] - before[arm][i];
			before[arm][i] = end[i];
		} else {
			row[i] = end[i] - begin[i];
		}
	}
	row[ARM] = (uint64_t)arm;
}

static void put_waits(void)
{
	printf(",\"waits\":[");
	for (int arm = 0; arm < 2; arm++) {
		uint64_t sum[BINS] = { 0 };
		const char *comma = "";

		for (int i = 0; i < readers; i++)
			for (int k = 0; k < BINS; k++)
				sum[k] += threads[i].counts[arm << ARM_SHIFT].wait_bin[k];
		printf("%s{\"low\":[", arm ? "," : "");
		for (int k = 0; k < BINS; k++)
			if (sum[k]) {
				printf("%s%" PRIu64, comma, low_of_bin(k));
				comma = ",";
			}
		printf("],\"count\":[");
		comma = "";
		for (int k = 0; k < BINS; k++)
			if (sum[k]) {
				printf("%s%" PRIu64, comma, sum[k]);
				comma = ",";
			}
		printf("]}");
	}
	printf("]");
}

static void start_threads(uint64_t *state)
{
	threads = aligned_alloc(128, (size_t)(readers + writers) * sizeof(*threads));
	if (!threads)
		die(1, "out of memory for %lld threads", readers + writers);
	memset(threads, 0, (size_t)(readers + writers) * sizeof(*threads));
	for (int i = 0; i < readers + writers; i++) {
		rwsem_task_init(&threads[i].task, (uint32_t)i + 1);
		threads[i].writes = i >= readers;
		threads[i].random = random_next(state);
		threads[i].cpu = -1;
		if (pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]))
			die(1, "thread %d cannot be started", i);
	}
	for (int i = 0; i < readers + writers; i++)
		while (!atomic_load(&threads[i].ready))
			sched_yield();
}

static void measure_arms(void)
{
	uint64_t state = (uint64_t)seed, row[COLUMNS];

	rwsem_init(&load.sem, spin);
	own_cpus = readers + writers <= cpu_count();
	atomic_store(&load.current, SETTLING); /* the warm-up counts for no arm */
	open_idle_files();
	start_threads(&state);
	sleep_until(now_ns() + (uint64_t)warm_up_ms * 1000000);
	rec_open("downgrade", "lock");
	cond_int("number", number);
	cond_int("readers", readers);
	cond_int("writers", writers);
	cond_int("exclusive_ns", (long long)load.exclusive_ns);
	cond_int("shared_ns", (long long)load.shared_ns);
	cond_str("call_law", call_law_name);
	cond_int("read_ns", (long long)load.read_ns);
	cond_str("read_law", read_law_name);
	cond_int("read_think_ns", (long long)load.read_think_ns);
	cond_int("write_think_ns", (long long)load.write_think_ns);
	cond_str("think", think_name);
	cond_bool("spin", spin);
	cond_bool("own_cpus", own_cpus);
	cond_bool("idle_known", idle_file_count > 0);
	cond_bool("delay_known", delay_known());
	cond_int("cpus", cpu_count());
	cond_int("quantum_us", load.quantum_us);
	cond_int("seed", seed);
	cond_int("slice_us", slice_us);
	cond_int("settle_us", settle_us);
	cond_real("loops_per_ns", load.loops_per_ns);
	printf("},\"columns\":[");
	for (int i = 0; i < COLUMNS; i++)
		printf("%s\"%s\"", i ? "," : "", column_names[i]);
	printf("],\"slices\":[");
	for (int pair = 0; pair < pairs; pair++) {
		int first = (int)(random_next(&state) & 1);

		for (int i = 0; i < 2; i++) {
			run_slice(first ^ i, row);
			put_row(row, !pair && !i);
		}
	}
	printf("]");
	put_waits();
	atomic_store(&stop, 1);
	for (int i = 0; i < readers + writers; i++)
		pthread_join(threads[i].thread, NULL);
	rec_int("count_at_end", (long long)rwsem_count(&load.sem));
	rec_int("waiting_at_end", rwsem_waiting(&load.sem));
	rec_close();
	free(threads);
}

/* ---- options ------------------------------------------------------------------------------------------------ */

static const struct option_spec options[] = {
	{ "readers", OPT_INT, &readers, "threads that read (default 1)" },
	{ "writers", OPT_INT, &writers, "threads that call (default 1)" },
	{ "exclusive-ns", OPT_REAL, &load.exclusive_ns, "mean exclusive part of a call (default 10000)" },
	{ "shared-ns", OPT_REAL, &load.shared_ns, "mean part that readers could share (default 10000)" },
	{ "call-law", OPT_STRING, &call_law_name, "of both: constant, exponential, heavy, rare" },
	{ "read-ns", OPT_REAL, &load.read_ns, "mean read section (default 1000)" },
	{ "read-law", OPT_STRING, &read_law_name, "of it (default exponential)" },
	{ "read-think-ns", OPT_REAL, &load.read_think_ns, "mean time between two (default 10000)" },
	{ "write-think-ns", OPT_REAL, &load.write_think_ns, "mean time between calls (default 50000)" },
	{ "think", OPT_STRING, &think_name, "run (on a CPU, the default) or sleep" },
	{ "spin", OPT_FLAG, &spin, "writers spin for the lock before they queue" },
	{ "pairs", OPT_INT, &pairs, "pairs of slices, one of each arm (default 20)" },
	{ "slice-us", OPT_INT, &slice_us, "length of a slice (default 40000)" },
	{ "settle-us", OPT_INT, &settle_us, "after a change, counted for nothing (default 8000)" },
	{ "warm-up-ms", OPT_INT, &warm_up_ms, "before the first slice (default 50)" },
	{ "quantum-us", OPT_INT, &load.quantum_us, "threads give the CPU away after so much work (default 0: never)" },
	{ "loops-per-ns", OPT_REAL, &load.loops_per_ns, "speed of the work loop (default: measured)" },
	{ "seed", OPT_INT, &seed, "of durations and the order of slices (default 1)" },
	{ "number", OPT_INT, &number, "of the configuration, for the record" },
};

int main(int argc, char **argv)
{
	parse_options(argc, argv, "Measures what a downgrade of a read-write lock is worth.", options,
		      (int)(sizeof(options) / sizeof(options[0])));
	load.call_law = law_named("call-law", call_law_name);
	load.read_law = law_named("read-law", read_law_name);
	load.think_asleep = !strcmp(think_name, "sleep");
	if (!load.think_asleep && strcmp(think_name, "run"))
		die(2, "--think: '%s' is neither run nor sleep", think_name);
	if (readers < 1 || writers < 1 || readers + writers > MOST_THREADS)
		die(2, "--readers and --writers must be 1 or more and %d together at most",
		    MOST_THREADS);
	if (pairs < 1 || slice_us < 1000)
		die(2, "--pairs must be 1 or more, --slice-us 1000 or more");
	if (load.loops_per_ns == 0)
		load.loops_per_ns = measure_loops();
	measure_arms();
	return 0;
}
