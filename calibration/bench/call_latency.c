/* Times single memory-management calls over a grid of conditions: one clock pair a call.
 *
 * Every point runs in a forked child, so that it has an mm of its own: an mm remembers the CPUs
 * it ran on, and a spinner of an earlier point would otherwise still be sent TLB flushes. */
#include "common.h"
#include "region.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A family is a call and, where there is one, the call that undoes it: both are timed. */
enum family { RW_R, RW_NONE, SAME_FLAGS, MUNMAP, DONTNEED, UFFD_WP };

static const struct {
	const char *name; /* as given to --family */
	const char *operation, *back_operation; /* back NULL: nothing to time on the way back */
	const char *transition, *back_transition;
	bool splits; /* does the call cut a VMA it meets only in part? */
} families[] = {
	[RW_R] = { "rw_r", "mprotect", "mprotect", "RW->R", "R->RW", true },
	[RW_NONE] = { "rw_none", "mprotect", "mprotect", "RW->NONE", "NONE->RW", true },
	[SAME_FLAGS] = { "same_flags", "mprotect", NULL, "same-flags", NULL, false },
	[MUNMAP] = { "munmap", "munmap", NULL, "none", NULL, true },
	[DONTNEED] = { "dontneed", "madvise_dontneed", NULL, "none", NULL, false },
	[UFFD_WP] = { "uffd_wp", "uffd_writeprotect", "uffd_unprotect", "none", "none", false },
};
#define FAMILIES ((int)(sizeof(families) / sizeof(families[0])))

struct point {
	enum family family;
	enum shape shape;
	size_t pages, vmas;
	bool populated, huge;
	int spinners;
};

static double budget_ms = 120;
static long long passes = 3, seed = 1, max_samples = 101, min_samples = 11;
static bool quick, only_list;
static const char *only_families, *only_shapes, *only_populated, *only_huge;
static struct list only_pages, only_vmas, only_spinners;
static uint64_t null_ns;

/* ---- the grid ------------------------------------------------------------------------------ */

static struct point *grid;
static int grid_size, grid_room;

static void grid_add(struct point p)
{
	if (!words_have(only_families, families[p.family].name) ||
	    !words_have(only_shapes, shape_name(p.shape)) ||
	    !words_have(only_populated, p.populated ? "1" : "0") ||
	    !words_have(only_huge, p.huge ? "1" : "0") ||
	    (only_pages.n && !list_has(&only_pages, (long long)p.pages)) ||
	    (only_vmas.n && !list_has(&only_vmas, (long long)p.vmas)))
		return;
	if (p.populated && (long)p.pages > sysconf(_SC_AVPHYS_PAGES) / 2) {
		if (!only_list)
			report_problem("%s: %zu pages are more than half of the free memory",
				       families[p.family].name, p.pages);
		return;
	}
	if (grid_size == grid_room) {
		grid_room = grid_room ? 2 * grid_room : 256;
		grid = realloc(grid, (size_t)grid_room * sizeof(*grid));
		if (!grid)
			die(1, "out of memory for the grid");
	}
	grid[grid_size++] = p;
}

/* One series: all page counts of a zero-ended list for one family and shape. */
static void grid_series(struct point p, const size_t *pages)
{
	struct list asked = only_pages;

	/* Page counts given on the command line replace the list of the series. */
	for (int i = 0; i < asked.n; i++) {
		p.pages = (size_t)asked.item[i];
		if (p.pages >= p.vmas && p.pages % p.vmas == 0 && (!p.huge || p.pages >= 512))
			grid_add(p);
	}
	for (; !asked.n && *pages; pages++) {
		p.pages = *pages;
		grid_add(p);
	}
}

static void grid_multi(enum family family, int spinners)
{
	static const size_t vma_counts[] = { 1, 2, 4, 8, 16, 32, 0 };
	static const size_t quick_counts[] = { 2, 8, 0 };
	static const size_t pages_each[] = { 1, 16, 0 };

	for (const size_t *v = quick ? quick_counts : vma_counts; *v; v++) {
		struct point p = { family, SHAPE_MULTI, 0, *v, true, false, spinners };

		for (const size_t *each = pages_each; *each; each++)
			grid_series(p, (size_t[]){ *each * *v, 0 });
		/* The same pages in more and more VMAs: what a VMA costs, apart from its pages. */
		if (!quick && *v != 32) /* 32 of 16 pages are 512 already */
			grid_series(p, (size_t[]){ 512, 0 });
	}
}

static void grid_build(void)
{
	static const size_t all[] = { 1,  2,   4,   8,	  16,	32,   33,    34,
				      64, 128, 256, 512, 1024, 4096, 16384, 65536, 0 };
	static const size_t few[] = { 1, 16, 128, 1024, 4096, 65536, 0 };
	static const size_t huge[] = { 512, 1024, 4096, 16384, 65536, 0 };
	static const size_t part[] = { 1, 16, 512, 4096, 0 };
	static const size_t quick_all[] = { 1, 16, 512, 4096, 0 };
	static const size_t quick_few[] = { 1, 512, 0 };
	static const size_t quick_huge[] = { 512, 4096, 0 };
	static const size_t quick_part[] = { 1, 0 };

	for (int i = 0; i < only_spinners.n; i++) {
		int spinners = (int)only_spinners.item[i];

		for (int f = 0; f < FAMILIES; f++) {
			struct point p = { (enum family)f, SHAPE_OWN, 0, 1, true, false, spinners };

			grid_series(p, quick ? quick_all : all);
			p.populated = false;
			grid_series(p, quick ? quick_few : few);
			p.populated = p.huge = true;
			grid_series(p, quick ? quick_huge : huge);
			p.huge = false;
			p.shape = SHAPE_MIDDLE;
			grid_series(p, quick ? quick_part : part);
			p.populated = false;
			grid_series(p, quick ? quick_part : part);
			p.populated = true;
			p.shape = SHAPE_EDGE;
			grid_series(p, quick ? quick_part : part);
			grid_multi((enum family)f, spinners);
		}
	}
}

/* ---- one point ------------------------------------------------------------------------------ */

static int call(const struct point *p, const struct region *r, bool back)
{
	int error = 0;

	switch (p->family) {
	case RW_R:
		error = mprotect(r->range, r->range_bytes, back ? PROT_READ | PROT_WRITE : PROT_READ);
		break;
	case RW_NONE:
		error = mprotect(r->range, r->range_bytes, back ? PROT_READ | PROT_WRITE : PROT_NONE);
		break;
	case SAME_FLAGS:
		error = mprotect(r->range, r->range_bytes, PROT_READ | PROT_WRITE);
		break;
	case MUNMAP:
		error = munmap(r->range, r->range_bytes);
		break;
	case DONTNEED:
		error = madvise(r->range, r->range_bytes, MADV_DONTNEED);
		break;
	case UFFD_WP:
		return uffd_set_protection(r, !back);
	}
	return error ? errno : 0;
}

/* What undoes a call that has no timed way back; 0 or errno. */
static int restore(const struct point *p, struct region *r)
{
	if (p->family == MUNMAP)
		return region_fill(r);
	if (p->family == DONTNEED && p->populated)
		region_populate(r);
	return 0;
}

static int sample(const struct point *p, struct region *r, const struct spinners *spinners,
		  struct samples *go, struct samples *back)
{
	uint64_t t0, t1;
	int error;

	if (!spinners_running(spinners))
		return EBUSY;
	t0 = now_ns();
	error = call(p, r, false);
	t1 = now_ns();
	if (error)
		return error;
	samples_add(go, less(t1 - t0, null_ns));
	if (!families[p->family].back_operation)
		return restore(p, r);
	if (!spinners_running(spinners))
		return EBUSY;
	t0 = now_ns();
	error = call(p, r, true);
	t1 = now_ns();
	samples_add(back, less(t1 - t0, null_ns));
	return error;
}

static void put_record(const struct point *p, bool back, int pass, double huge_fraction,
		       const struct samples *s, long preemptions)
{
	int cuts = p->shape == SHAPE_MIDDLE ? 2 : p->shape == SHAPE_EDGE ? 1 : 0;
	const char *shape = shape_name(p->shape);

	if (!families[p->family].splits)
		cuts = 0;
	/* The way back joins what the call cut: another shape of call, named so. */
	if (back && cuts)
		shape = "merge";
	rec_open("call_latency",
		 back ? families[p->family].back_operation : families[p->family].operation);
	cond_str("transition",
		 back ? families[p->family].back_transition : families[p->family].transition);
	cond_str("shape", shape);
	cond_int("pages", (long long)p->pages);
	cond_int("vmas", (long long)p->vmas);
	cond_int("splits", back ? 0 : cuts);
	cond_int("merges", back ? cuts : 0);
	cond_real("populated", p->populated ? 1 : 0);
	cond_bool("huge", p->huge);
	cond_real("huge_fraction", huge_fraction);
	cond_int("spinners", p->spinners);
	cond_int("pass", pass);
	rec_values("call", s, KEEP_HISTOGRAM);
	rec_int("preemptions", preemptions);
	rec_close();
}

/* Runs in the child. Returns its exit status; a reason goes out as a problem line. */
static int measure_point(const struct point *p, int pass)
{
	struct region r = { .shape = p->shape,
			    .pages = p->pages,
			    .vmas = p->vmas,
			    .populated = p->populated,
			    .huge = p->huge,
			    .uffd = p->family == UFFD_WP };
	const char *name = families[p->family].name;
	struct samples go, back;
	struct rusage before, after;
	struct spinners *spinners;
	double huge_fraction;
	uint64_t deadline;
	int error, met;

	samples_init(&go, (size_t)max_samples);
	samples_init(&back, (size_t)max_samples);
	error = region_reserve(&r);
	if (!error)
		error = region_fill(&r);
	if (error) {
		report_problem("%s, %zu pages: the range cannot be set up: %s", name, p->pages,
			       strerror(error));
		return 0;
	}
	met = region_vmas_now(&r);
	if (met >= 0 && (size_t)met != p->vmas) {
		report_problem("%s %s: the range should be %zu VMAs and is %d", name,
			       shape_name(p->shape), p->vmas, met);
		return 0;
	}
	huge_fraction = p->populated ? region_huge_fraction(&r) : 0;
	spinners = spinners_start(p->spinners);

	/* Warm-up: two calls for the big ranges, some more for those where they cost nothing. */
	for (int i = 0; !error && i < (p->pages > 1024 ? 2 : 10); i++)
		error = sample(p, &r, spinners, &go, &back);
	go.count = back.count = 0;
	getrusage(RUSAGE_THREAD, &before);
	deadline = now_ns() + (uint64_t)(budget_ms * 1e6);
	while (!error && go.count < go.room &&
	       (go.count < (size_t)min_samples || now_ns() < deadline))
		error = sample(p, &r, spinners, &go, &back);
	getrusage(RUSAGE_THREAD, &after);
	spinners_stop(spinners);
	if (error == EBUSY) {
		report_problem("%s %s, %zu pages: a spinner did not run for a second, another task "
			       "had its CPU; %zu samples were taken",
			       name, shape_name(p->shape), p->pages, go.count);
		error = go.count < (size_t)min_samples ? EBUSY : 0;
	}
	if (error == EBUSY)
		return 0;
	if (error) {
		report_problem("%s %s, %zu pages, %zu VMAs: %s", name, shape_name(p->shape),
			       p->pages, p->vmas, strerror(error));
		return 0;
	}
	put_record(p, false, pass, huge_fraction, &go, after.ru_nivcsw - before.ru_nivcsw);
	if (back.count)
		put_record(p, true, pass, huge_fraction, &back, after.ru_nivcsw - before.ru_nivcsw);
	return 0;
}

static void run_point(const struct point *p, int pass)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		die(1, "cannot fork: %s", strerror(errno));
	if (!child)
		exit(measure_point(p, pass));
	if (waitpid(child, &status, 0) != child || status)
		report_problem("%s %s, %zu pages: the child ended with wait status 0x%x",
			       families[p->family].name, shape_name(p->shape), p->pages, status);
}

/* A system call that does nothing: what every call pays to enter and leave the kernel. */
static void measure_null_syscall(int pass)
{
	struct samples s;

	samples_init(&s, 2000);
	for (int i = 0; i < 2200; i++) {
		uint64_t t0 = now_ns(), t1;

		syscall(SYS_getppid);
		t1 = now_ns();
		if (i >= 200) /* the first are warm-up */
			samples_add(&s, less(t1 - t0, null_ns));
	}
	rec_open("call_latency", "null_syscall");
	cond_int("pass", pass);
	rec_values("call", &s, KEEP_HISTOGRAM);
	rec_close();
	samples_free(&s);
}

/* ---- the run ------------------------------------------------------------------------------ */

static const struct option_spec options[] = {
	{ "quick", OPT_FLAG, &quick, "a small grid instead of the full one" },
	{ "family", OPT_STRING, &only_families,
	  "only these: rw_r,rw_none,same_flags,munmap,dontneed,uffd_wp" },
	{ "shape", OPT_STRING, &only_shapes, "only these: own,middle,edge,multi" },
	{ "pages", OPT_LIST, &only_pages, "these page counts in place of the grid's" },
	{ "vmas", OPT_LIST, &only_vmas, "only these VMA counts" },
	{ "populated", OPT_STRING, &only_populated, "only these: 0,1" },
	{ "huge", OPT_STRING, &only_huge, "only these: 0,1" },
	{ "spinners", OPT_LIST, &only_spinners, "CPUs spinning in the same mm (default 0,1)" },
	{ "passes", OPT_INT, &passes, "times the shuffled grid is walked (default 3)" },
	{ "max-samples", OPT_INT, &max_samples, "samples of a point and pass, at most" },
	{ "min-samples", OPT_INT, &min_samples, "samples of a point and pass, at least" },
	{ "budget-ms", OPT_REAL, &budget_ms, "time for a point, once it has the least samples" },
	{ "seed", OPT_INT, &seed, "of the order of the points" },
	{ "list", OPT_FLAG, &only_list, "print the points and end" },
};

static void list_points(void)
{
	for (int i = 0; i < grid_size; i++)
		printf("%s %s pages=%zu vmas=%zu populated=%d huge=%d spinners=%d\n",
		       families[grid[i].family].name, shape_name(grid[i].shape), grid[i].pages,
		       grid[i].vmas, grid[i].populated, grid[i].huge, grid[i].spinners);
}

int main(int argc, char **argv)
{
	uint64_t state;
	int *order;

	parse_options(argc, argv, "Times single mprotect, munmap, madvise and uffd calls.", options,
		      (int)(sizeof(options) / sizeof(options[0])));
	if (!only_spinners.n)
		only_spinners = cpu_count() > 1 ? (struct list){ 2, { 0, 1 } } :
						  (struct list){ 1, { 0 } };
	for (int i = 0; i < only_spinners.n; i++)
		if (only_spinners.item[i] >= cpu_count())
			die(2, "--spinners %lld: with one CPU for the caller, this machine has %d left",
			    only_spinners.item[i], cpu_count() - 1);
	if (!max_samples || min_samples > max_samples)
		die(2, "--min-samples %lld, --max-samples %lld: at least one, and min <= max",
		    min_samples, max_samples);
	grid_build();
	if (!grid_size)
		die(2, "the options leave no point to measure; --list shows the grid");
	if (only_list) {
		list_points();
		return 0;
	}
	order = malloc((size_t)grid_size * sizeof(*order));
	if (!order)
		die(1, "out of memory");
	for (int i = 0; i < grid_size; i++)
		order[i] = i;
	state = (uint64_t)seed;
	pin_to(cpu_from_end(0));
	for (int pass = 0; pass < passes; pass++) {
		null_ns = measure_null_clock(pass);
		measure_null_syscall(pass);
		shuffle(order, grid_size, &state);
		for (int i = 0; i < grid_size; i++) {
			run_point(&grid[order[i]], pass);
			report_progress(pass * grid_size + i + 1, passes * grid_size);
		}
	}
	free(order);
	free(grid);
	return 0;
}
