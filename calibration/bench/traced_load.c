/* A scripted load to be traced: one call at a time, labelled in the trace by marker lines.
 *
 * The program is given the folder of a trace instance whose mmap_lock events are enabled. It
 * writes, through trace_marker,
 *     perfmodel clock tick_ns=0.384615               one tick of the trace clock, if it is the TSC
 *     perfmodel label operation=munmap pages=512 vmas=1 transition=none        before a call
 *     perfmodel label operation=none                                           after it
 * The range is mapped and populated before the label, so a labelled stretch holds nothing but the
 * call it names. A null loop (mprotect to the same flags) is timed by the program
 * itself with the events off, muted (tracing_on 0) and on: the difference is what an event costs. */
#include "common.h"
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_BATCH 64
#define BATCH_PAGES 65536 /* pages of all calls of a batch, at most: bounds the run time */

static const char *instance, *clock_name = "mono";
static long long repeats = 3, null_calls = 300, null_rounds = 6;
static struct list only_pages;
static bool quick;
static int marker_fd = -1;
static uint64_t null_ns;

/* ---- the instance's files ---------------------------------------------------------------------- */

static int open_control(const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", instance, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die(1, "%s: %s (--instance must be a folder under tracefs/instances)", path,
		    strerror(errno));
	return fd;
}

static void control(const char *name, const char *value)
{
	int fd = open_control(name);

	if (write(fd, value, strlen(value)) < 0)
		die(1, "cannot write %s to %s/%s: %s", value, instance, name, strerror(errno));
	close(fd);
}

static void mark(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void mark(const char *format, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(marker_fd, line, (size_t)n) != n)
		die(1, "cannot write a marker to %s/trace_marker: %s", instance, strerror(errno));
}

static void mark_start(const char *operation, size_t pages, const char *transition)
{
	mark("perfmodel label operation=%s pages=%zu vmas=1 transition=%s\n", operation, pages,
	     transition);
}

static void mark_end(void)
{
	mark("perfmodel label operation=none\n");
}

/* ---- the clock of the trace ---------------------------------------------------------------------- */

static uint64_t read_tsc(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

/* Ticks of the TSC against CLOCK_MONOTONIC over a tenth of a second, ns a tick. */
static double measure_tick(void)
{
	uint64_t t0 = now_ns(), c0 = read_tsc(), t1, c1;

	spin_for(100000000);
	t1 = now_ns();
	c1 = read_tsc();
	return c1 > c0 ? (double)(t1 - t0) / (double)(c1 - c0) : 0;
}

static void tell_clock(void)
{
	double tick = strcmp(clock_name, "x86-tsc") ? 0 : measure_tick();

	if (tick > 0) {
		mark("perfmodel clock tick_ns=%.9f\n", tick);
		printf("{\"trace_clock\":{\"name\":\"%s\",\"tick_ns\":%.9f}}\n", clock_name, tick);
	} else {
		mark("perfmodel clock name=%s\n", clock_name);
		printf("{\"trace_clock\":{\"name\":\"%s\",\"tick_ns\":null}}\n", clock_name);
	}
}

/* ---- the null loop ------------------------------------------------------------------------------- */

static void null_loop(char *page, struct samples *s)
{
	for (long long i = 0; i < null_calls; i++) {
		uint64_t t0 = now_ns();
		int error = mprotect(page, page_bytes(), PROT_READ | PROT_WRITE);
		uint64_t t1 = now_ns();

		if (error)
			die(1, "mprotect to the same flags: %s", strerror(errno));
		if (i >= null_calls / 10) /* the first tenth is warm-up */
			samples_add(s, less(t1 - t0, null_ns));
	}
}

static void measure_null_tracer(void)
{
	static const char *const states[] = { "off", "muted", "on" };
	struct samples s[3];
	char *page = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		die(1, "cannot map a page: %s", strerror(errno));
	*(volatile char *)page = 1;
	for (int i = 0; i < 3; i++)
		samples_init(&s[i], (size_t)(null_calls * null_rounds));
	for (long long round = 0; round < null_rounds; round++) {
		control("events/mmap_lock/enable", "0");
		null_loop(page, &s[0]);
		control("events/mmap_lock/enable", "1");
		control("tracing_on", "0");
		null_loop(page, &s[1]);
		control("tracing_on", "1");
		mark_start("mprotect", 1, "same-flags");
		null_loop(page, &s[2]);
		mark_end();
	}
	for (int i = 0; i < 3; i++) {
		rec_open("null_tracer", "mprotect");
		cond_str("transition", "same-flags");
		cond_str("tracing", states[i]);
		cond_str("trace_clock", clock_name);
		cond_int("events_per_call", i == 2 ? 3 : 0);
		cond_int("pages", 1);
		cond_int("vmas", 1);
		rec_values("call", &s[i], KEEP_HISTOGRAM);
		rec_close();
		samples_free(&s[i]);
	}
	munmap(page, page_bytes());
}

/* ---- the batches --------------------------------------------------------------------------------- */

struct batch {
	const char *operation, *transition;
	bool uffd;	/* on ranges registered with userfaultfd */
	bool leaves_it; /* does the range stay mapped and populated? */
};

static const struct batch script[] = {
	{ "mprotect", "RW->R", false, true },
	{ "mprotect", "R->RW", false, true },
	{ "madvise_dontneed", "none", false, false },
	{ "munmap", "none", false, false },
	{ "uffd_writeprotect", "none", true, true },
	{ "uffd_unprotect", "none", true, true },
};

static int call(const struct batch *b, const struct region *r)
{
	if (b->uffd)
		return uffd_set_protection(r, !strcmp(b->operation, "uffd_writeprotect"));
	if (!strcmp(b->operation, "munmap"))
		return munmap(r->range, r->range_bytes) ? errno : 0;
	if (!strcmp(b->operation, "madvise_dontneed"))
		return madvise(r->range, r->range_bytes, MADV_DONTNEED) ? errno : 0;
	return mprotect(r->range, r->range_bytes,
			strcmp(b->transition, "RW->R") ? PROT_READ | PROT_WRITE : PROT_READ)
		       ? errno
		       : 0;
}

/* Runs the script over and over on one range, so that its caches are as warm as those of
 * call_latency; a kind of range that cannot be set up is told and left out. */
static void run_batches(size_t pages, bool uffd)
{
	struct region r = { .shape = SHAPE_OWN, .pages = pages, .vmas = 1, .populated = true,
			    .uffd = uffd };
	int n = (int)(BATCH_PAGES / pages);
	int error = region_reserve(&r);

	n = n > MAX_BATCH ? MAX_BATCH : n < 1 ? 1 : n;
	if (!error)
		error = region_fill(&r);
	if (error) {
		report_problem("a range of %zu pages%s: %s", pages,
			       uffd ? " with userfaultfd" : "", strerror(error));
		return;
	}
	for (int i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(script) / sizeof(script[0]); k++) {
			if (script[k].uffd != uffd)
				continue;
			mark_start(script[k].operation, pages, script[k].transition);
			error = call(&script[k], &r);
			mark_end();
			if (!error && !script[k].leaves_it)
				error = region_fill(&r);
			if (error)
				die(1, "%s of %zu pages: %s", script[k].operation, pages,
				    strerror(error));
		}
	}
	region_release(&r);
}

static const struct option_spec options[] = {
	{ "instance", OPT_STRING, &instance, "folder of the trace instance (needed)" },
	{ "clock", OPT_STRING, &clock_name, "its trace_clock: x86-tsc or mono" },
	{ "pages", OPT_LIST, &only_pages, "page counts (default 1,16,512,4096)" },
	{ "repeats", OPT_INT, &repeats, "times the script is run (default 3)" },
	{ "null-calls", OPT_INT, &null_calls, "calls of a null loop" },
	{ "quick", OPT_FLAG, &quick, "one run of the script" },
};

int main(int argc, char **argv)
{
	parse_options(argc, argv, "A load to be traced, labelled by trace markers.", options,
		      (int)(sizeof(options) / sizeof(options[0])));
	if (!instance)
		die(2, "--instance is needed: the folder of a trace instance");
	if (!only_pages.n)
		only_pages = (struct list){ 4, { 1, 16, 512, 4096 } };
	for (int i = 0; i < only_pages.n; i++)
		if (only_pages.item[i] < 1 || only_pages.item[i] > BATCH_PAGES)
			die(2, "--pages %lld: 1 to %d", only_pages.item[i], BATCH_PAGES);
	if (quick)
		repeats = 1;
	pin_to(cpu_from_end(0));
	null_ns = measure_null_clock(0);
	marker_fd = open_control("trace_marker");
	tell_clock();
	measure_null_tracer();
	for (long long repeat = 0; repeat < repeats; repeat++) {
		for (int i = 0; i < only_pages.n; i++) {
			run_batches((size_t)only_pages.item[i], false);
			run_batches((size_t)only_pages.item[i], true);
		}
	}
	close(marker_fd);
	return 0;
}
