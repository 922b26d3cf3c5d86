/* Times minor page faults: alone, and while a thread on another CPU works on the address space.
 *
 * One thread faults (or several, each on a CPU and pages of its own), pausing a little between
 * faults. Another repeats one call, thinks, and notes the start and end of each call. Afterwards every fault is put with the call it met:
 *
 *   during   it began inside a call;           overlap   it began before a call and ended in or
 *   setup    it met a call that only restores            after it;
 *            the state (mmap after munmap);    idle      it met no call;
 *   disturbed  it met a call in which the writer was preempted by some other task.
 *
 * munmap gives the lock back to readers part-way (since 4.20), mprotect never does: the same part
 * of a VMA under both is the experiment that the question of a downgrade needs. */
#include "common.h"
#include "region.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW_PAGES 256 /* untouched pages a faulting thread goes through before they are reset */
#define FRESH_VMAS 512	 /* VMAs of one page, made and thrown away in one go */
#define MAX_FAULTERS 16

enum writer { W_NONE, W_MPROTECT, W_MUNMAP, W_UFFD };
enum target { T_SAME, T_OTHER, T_FRESH };
enum label { L_CALL, L_BACK, L_SETUP, L_DISTURBED, LABELS };

static const char *const writer_names[] = { "none", "mprotect", "munmap", "uffd_writeprotect" };
static const char *const target_names[] = { "same_vma", "other_vma", "fresh_vma" };

struct point {
	enum writer writer;
	enum target target;
	enum shape shape; /* edge: the call takes the first part of the VMA; own: all of it */
	size_t pages;
	bool write; /* write faults; else read faults, which map the zero page */
	double duty;
	size_t vmas;  /* of the call's range */
	int faulters; /* threads that fault */
};

struct window {
	uint64_t start, end;
	enum label label;
};

struct fault {
	uint64_t start, took;
};

static struct list only_pages, cross_vmas, cross_duties, cross_faulters;
static const char *only_writers, *only_targets, *only_shapes, *only_faults;
static double point_ms = 150, fault_think_us = 1.5;
static long long passes = 2, seed = 1, keep_pairs = 120;
static bool quick, only_list, cross;
static uint64_t null_ns;

struct faulter {
	pthread_t thread;
	int number;
	struct fault *faults;
	size_t n_faults, room_faults;
	char *target; /* first page to fault on */
	size_t target_pages;
	long lost;   /* preemptions of this thread */
	long minflt; /* faults the kernel counted */
	uint64_t from, to;
};

/* What the threads share. Each array has one writer and is read after all have ended. */
static struct {
	const struct point *point;
	struct region region;
	atomic_bool stop, ready;
	atomic_int faulting;	 /* faulting threads that are on their CPU; the rest are awaited */
	atomic_int hold_off;	 /* faulting threads that want the writer out of the kernel */
	atomic_bool in_call;
	struct window *windows;
	size_t n_windows, room_windows;
	struct faulter faulter[MAX_FAULTERS];
	atomic_int error;
} run;

/* ---- the writer ------------------------------------------------------------------------------ */

static void note(uint64_t start, uint64_t end, enum label label)
{
	run.windows[run.n_windows++] = (struct window){ start, end, label };
}

/* The bytes a call covers: of shape own, the faulting window as well. */
static int writer_call(bool back)
{
	const struct region *r = &run.region;
	int prot = back ? PROT_READ | PROT_WRITE : PROT_READ;

	switch (run.point->writer) {
	case W_MPROTECT:
		return mprotect(r->range, r->range_bytes, prot) ? errno : 0;
	case W_MUNMAP:
		return munmap(r->range, r->range_bytes) ? errno : 0;
	case W_UFFD:
		return uffd_set_protection(r, !back);
	case W_NONE:
		break;
	}
	return 0;
}

/* After munmap: the range again, part of the same VMA as the rest, and populated. */
static int writer_setup(void)
{
	const struct region *r = &run.region;

	if (mmap(r->range, r->range_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return errno;
	if (madvise(r->range, r->range_bytes, MADV_NOHUGEPAGE) && errno != EINVAL)
		return errno;
	for (size_t i = 1, part = r->range_bytes / r->vmas; i < r->vmas; i += 2)
		if (madvise(r->range + i * part, part, MADV_DONTFORK))
			return errno;
	region_populate(r);
	return 0;
}

/* Times this thread lost its CPU to another task. Waiting for a lock is not counted. */
static long preemptions(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

/* Out of the kernel while the faulting thread makes its VMAs anew; true when the run is over. */
static bool writer_enter(void)
{
	while (!atomic_load(&run.stop)) {
		atomic_store(&run.in_call, true);
		if (!atomic_load(&run.hold_off))
			return false;
		atomic_store(&run.in_call, false);
		cpu_relax();
	}
	return true;
}

static void *writer_main(void *arg)
{
	double mean = 1000; /* running mean of the call, ns */
	uint64_t state = (uint64_t)seed, setup = 0;
	bool back = false;

	(void)arg;
	pin_to(cpu_from_end(1));
	atomic_store(&run.ready, true);
	while (!run.error && run.n_windows + 2 <= run.room_windows && !writer_enter()) {
		long lost = preemptions();
		uint64_t t0 = now_ns(), t1;
		enum label label = back ? L_BACK : L_CALL;
		double think;

		run.error = writer_call(back);
		t1 = now_ns();
		/* Then the window is long for a reason that is none of the call's. */
		note(t0, t1, preemptions() == lost ? label : L_DISTURBED);
		mean += 0.1 * ((double)(t1 - t0) - mean);
		if (run.point->writer == W_MUNMAP && !run.error) {
			run.error = writer_setup();
			setup = now_ns() - t1;
			note(t1, t1 + setup, L_SETUP);
		} else {
			back = !back;
		}
		atomic_store(&run.in_call, false);
		/* A mean pause that gives the duty asked for, spread over 0.5..1.5 of itself: an
		 * even pause would fall into step with the faulting thread. */
		think = mean * (1 - run.point->duty) / run.point->duty - (double)setup;
		if (think > 2e7)
			think = 2e7;
		if (think > 0)
			spin_for((uint64_t)(think * (0.5 + (double)(random_next(&state) >> 11) * 0x1p-53)));
	}
	return NULL;
}

/* ---- the faulting thread ---------------------------------------------------------------------- */

static int fresh_vmas_make(char *target)
{
	size_t page = page_bytes();

	if (mmap(target, FRESH_VMAS * page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return errno;
	/* Every second page another kind of VMA: none merges, none lends its anon_vma to the next. */
	for (size_t i = 1; i < FRESH_VMAS; i += 2)
		if (madvise(target + i * page, page, MADV_DONTFORK))
			return errno;
	/* The page table of the batch, so that no timed fault has to allocate it. */
	*(volatile char *)target = 1;
	return 0;
}

static int target_reset(const struct faulter *f)
{
	int error;

	if (run.point->target != T_FRESH)
		return madvise(f->target, f->target_pages * page_bytes(), MADV_DONTNEED) ? errno : 0;
	atomic_fetch_add(&run.hold_off, 1);
	while (atomic_load(&run.in_call))
		cpu_relax();
	error = fresh_vmas_make(f->target);
	atomic_fetch_sub(&run.hold_off, 1);
	return error;
}

static void fault_loop(struct faulter *f, uint64_t deadline)
{
	size_t page = page_bytes(), first = run.point->target == T_FRESH ? 1 : 0;
	uint64_t think = (uint64_t)(fault_think_us * 1000);
	uint64_t state = ~(uint64_t)seed + (uint64_t)f->number;
	bool write = run.point->write;

	while (!run.error && now_ns() < deadline) {
		int error = target_reset(f);

		if (error) {
			run.error = error;
			return;
		}
		for (size_t i = first; i < f->target_pages; i++) {
			volatile char *at = f->target + i * page;
			uint64_t t0, t1;

			if (f->n_faults == f->room_faults)
				return;
			spin_for(think / 2 + random_next(&state) % (think + 1));
			t0 = now_ns();
			if (write)
				*at = 1;
			else
				(void)*at;
			t1 = now_ns();
			f->faults[f->n_faults++] = (struct fault){ t0, less(t1 - t0, null_ns) };
		}
	}
}

/* The measured stretch of one faulting thread. */
static void fault_watch(struct faulter *f)
{
	struct rusage before, after;

	f->n_faults = 0;
	getrusage(RUSAGE_THREAD, &before);
	f->from = now_ns();
	fault_loop(f, f->from + (uint64_t)(point_ms * 1e6));
	f->to = now_ns();
	getrusage(RUSAGE_THREAD, &after);
	f->lost = after.ru_nivcsw - before.ru_nivcsw;
	f->minflt = after.ru_minflt - before.ru_minflt;
}

/* Faulting threads but the first, which is the measuring thread itself. */
static void *faulter_main(void *arg)
{
	struct faulter *f = arg;

	pin_to(cpu_from_end(f->number + 1));
	fault_loop(f, now_ns() + 2000000); /* warm-up */
	atomic_fetch_add(&run.faulting, 1);
	while (!atomic_load(&run.ready))
		cpu_relax();
	fault_watch(f);
	return NULL;
}

/* ---- sorting the faults --------------------------------------------------------------------- */

enum phase { P_DURING, P_DURING_BACK, P_OVERLAP, P_SETUP, P_DISTURBED, P_IDLE, PHASES };

struct sorted {
	struct samples s[PHASES];
	int64_t (*pairs[PHASES])[3];
	struct samples calls[LABELS];
	uint64_t in_calls, from, to;
	uint64_t watched; /* of all faulting threads together, ns */
	long lost;
};

static enum phase phase_of(const struct fault *f, size_t *at, const struct window **met)
{
	const struct window *w;

	while (*at < run.n_windows && run.windows[*at].end <= f->start)
		++*at;
	if (*at == run.n_windows)
		return P_IDLE;
	*met = w = &run.windows[*at];
	if (w->start > f->start + f->took)
		return P_IDLE;
	if (w->label == L_SETUP)
		return P_SETUP;
	if (w->label == L_DISTURBED)
		return P_DISTURBED;
	if (w->start > f->start)
		return P_OVERLAP;
	return w->label == L_BACK ? P_DURING_BACK : P_DURING;
}

static void sort_faults_of(const struct faulter *one, struct sorted *out)
{
	size_t at = 0;

	for (size_t i = 0; i < one->n_faults; i++) {
		const struct fault *f = &one->faults[i];
		const struct window *met = NULL;
		enum phase phase = phase_of(f, &at, &met);
		int64_t *row = out->pairs[phase][out->s[phase].count];

		row[0] = met ? (int64_t)(f->start - met->start) : 0;
		row[1] = met ? (int64_t)(met->end - met->start) : 0;
		row[2] = (int64_t)f->took;
		samples_add(&out->s[phase], f->took);
	}
	out->lost += one->lost;
	out->watched += one->to - one->from;
}

static void sort_faults(struct sorted *out)
{
	int faulters = run.point->faulters;
	size_t total = 0;

	for (int i = 0; i < faulters; i++)
		total += run.faulter[i].n_faults;
	for (int i = 0; i < PHASES; i++) {
		samples_init(&out->s[i], total + 1);
		out->pairs[i] = calloc(total + 1, sizeof(*out->pairs[i]));
		if (!out->pairs[i])
			die(1, "out of memory for %zu faults", total);
	}
	for (int i = 0; i < LABELS; i++)
		samples_init(&out->calls[i], run.n_windows + 1);
	for (size_t i = 0; i < run.n_windows; i++) {
		const struct window *w = &run.windows[i];

		samples_add(&out->calls[w->label], less(w->end - w->start, null_ns));
		if (w->label == L_CALL || w->label == L_BACK)
			out->in_calls += w->end - w->start;
	}
	if (run.n_windows) {
		out->from = run.windows[0].start;
		out->to = run.windows[run.n_windows - 1].end;
	}
	for (int i = 0; i < faulters; i++)
		sort_faults_of(&run.faulter[i], out);
}

/* ---- records ------------------------------------------------------------------------------- */

static void put_conditions(const struct point *p, const struct sorted *d, bool back, int pass)
{
	bool cuts = p->shape == SHAPE_EDGE && (p->writer == W_MPROTECT || p->writer == W_MUNMAP);
	double span = (double)(d->to - d->from);

	cond_str("writer", writer_names[p->writer]);
	cond_str("transition", p->writer != W_MPROTECT ? "none" : back ? "R->RW" : "RW->R");
	cond_str("direction", p->writer == W_NONE ? "none" : back ? "back" : "forth");
	cond_str("shape", back && cuts ? "merge" : shape_name(p->shape));
	cond_int("pages", (long long)p->pages);
	cond_int("vmas", (long long)p->vmas);
	cond_int("splits", cuts && !back);
	cond_int("merges", cuts && back);
	cond_real("populated", 1);
	cond_bool("huge", false);
	cond_str("target", target_names[p->target]);
	cond_real("duty_asked", p->writer == W_NONE ? 0 : p->duty);
	cond_real("duty", span > 0 ? (double)d->in_calls / span : 0);
	cond_real("fault_think_us", fault_think_us);
	cond_int("window_pages", p->target == T_FRESH ? FRESH_VMAS : WINDOW_PAGES);
	cond_int("faulters", p->faulters);
	cond_real("watched_ms", (double)d->watched / p->faulters * 1e-6);
	cond_int("pass", pass);
}

static void put_faults(const struct point *p, const struct sorted *d, enum phase phase, int pass)
{
	static const char *const names[] = { "during", "during",    "overlap",
					     "setup",  "disturbed", "idle" };
	const struct samples *s = &d->s[phase];

	if (!s->count)
		return;
	rec_open("fault_latency", p->write ? "fault_write" : "fault_read");
	put_conditions(p, d, phase == P_DURING_BACK, pass);
	rec_values(names[phase], s, KEEP_HISTOGRAM);
	if (phase == P_DURING || phase == P_DURING_BACK || phase == P_OVERLAP)
		rec_pairs((const int64_t (*)[3])d->pairs[phase], s->count,
			  (size_t)(phase == P_OVERLAP ? keep_pairs / 4 : keep_pairs));
	rec_int("preemptions", d->lost);
	rec_close();
}

static void put_point(const struct point *p, int pass)
{
	struct sorted d = { 0 };

	sort_faults(&d);
	for (int i = 0; i < PHASES; i++)
		put_faults(p, &d, (enum phase)i, pass);
	/* The calls themselves, as slow as the faults beside them made them. */
	for (int i = 0; i < L_SETUP; i++) {
		bool back = i == L_BACK;

		if (!d.calls[i].count)
			continue;
		rec_open("fault_latency", back && p->writer == W_UFFD ? "uffd_unprotect" :
							    writer_names[p->writer]);
		put_conditions(p, &d, back, pass);
		rec_values("call", &d.calls[i], KEEP_HISTOGRAM);
		rec_int("preemptions", d.lost);
		rec_close();
	}
}

/* ---- one point ------------------------------------------------------------------------------ */

/* The window of a faulting thread: after the range, or in a mapping of its own. */
static int set_up_target(const struct point *p, struct faulter *f)
{
	const struct region *r = &run.region;
	size_t page = page_bytes();

	f->target_pages = WINDOW_PAGES;
	f->target = r->range + (p->pages + (size_t)f->number * WINDOW_PAGES) * page;
	if (p->target == T_SAME)
		return 0;
	/* Another mapping, between guards of its own: one VMA, or the place of the fresh ones. */
	f->target_pages = p->target == T_FRESH ? FRESH_VMAS : WINDOW_PAGES;
	f->target = mmap(NULL, (f->target_pages + 3) * page, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	if (f->target == MAP_FAILED)
		return errno;
	f->target += page;
	if (p->target == T_FRESH)
		return 0;
	if (mmap(f->target, (f->target_pages + 1) * page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return errno;
	if (madvise(f->target, (f->target_pages + 1) * page, MADV_NOHUGEPAGE) && errno != EINVAL)
		return errno;
	/* One written page gives the VMA its anon_vma; it is not among those faulted on. */
	*(volatile char *)f->target = 1;
	f->target += page;
	return 0;
}

static int set_up(const struct point *p)
{
	struct region *r = &run.region;
	size_t page = page_bytes(), windows = (size_t)p->faulters * WINDOW_PAGES;
	/* The call takes the windows as well, which stay untouched. */
	bool takes_windows = p->shape == SHAPE_OWN && p->target == T_SAME;
	int error;

	*r = (struct region){ .shape = p->shape, .pages = p->pages, .vmas = p->vmas,
			      .populated = true, .uffd = p->writer == W_UFFD,
			      .tail_pages = windows };
	if (takes_windows) {
		r->pages += windows;
		r->populated = false;
	}
	error = region_reserve(r);
	if (!error)
		error = region_fill(r);
	if (error)
		return error;
	for (size_t i = 0; takes_windows && i < p->pages; i++)
		*(volatile uint64_t *)(r->range + i * page) = i + 1;
	for (int i = 0; !error && i < p->faulters; i++)
		error = set_up_target(p, &run.faulter[i]);
	return error;
}

static void make_room(int faulters)
{
	run.room_windows = 400000;
	run.windows = calloc(run.room_windows, sizeof(*run.windows));
	if (!run.windows)
		die(1, "out of memory for the samples");
	/* calloc may hand out untouched memory: storing a sample must not fault. */
	memset(run.windows, 0xff, run.room_windows * sizeof(*run.windows));
	for (int i = 0; i < faulters; i++) {
		struct faulter *f = &run.faulter[i];

		f->number = i;
		f->room_faults = 200000;
		f->faults = calloc(f->room_faults, sizeof(*f->faults));
		if (!f->faults)
			die(1, "out of memory for the samples");
		memset(f->faults, 0xff, f->room_faults * sizeof(*f->faults));
	}
}

static int measure_point(const struct point *p, int pass)
{
	int faulters = p->faulters, error;
	pthread_t writer;

	memset(&run, 0, sizeof(run));
	run.point = p;
	make_room(faulters);
	error = set_up(p);
	if (error) {
		report_problem("%s, %zu pages, %s: cannot be set up: %s", writer_names[p->writer],
			       p->pages, target_names[p->target], strerror(error));
		return 0;
	}
	for (int i = 1; i < faulters; i++)
		if (pthread_create(&run.faulter[i].thread, NULL, faulter_main, &run.faulter[i]))
			die(1, "cannot start a faulting thread");
	fault_loop(&run.faulter[0], now_ns() + 2000000); /* warm-up */
	while (atomic_load(&run.faulting) < faulters - 1)
		cpu_relax();
	if (p->writer != W_NONE) {
		if (pthread_create(&writer, NULL, writer_main, NULL))
			die(1, "cannot start the writer thread");
		while (!atomic_load(&run.ready))
			cpu_relax();
	}
	atomic_store(&run.ready, true); /* without a writer nobody else says so */
	fault_watch(&run.faulter[0]);
	for (int i = 1; i < faulters; i++)
		pthread_join(run.faulter[i].thread, NULL);
	atomic_store(&run.stop, true);
	if (p->writer != W_NONE)
		pthread_join(writer, NULL);
	if (run.error) {
		report_problem("%s, %zu pages, %s: %s", writer_names[p->writer], p->pages,
			       target_names[p->target], strerror(run.error));
		return 0;
	}
	/* If the kernel counted fewer faults than were timed, some touches met a mapped page. */
	for (int i = 0; i < faulters; i++) {
		const struct faulter *f = &run.faulter[i];

		if ((size_t)f->minflt >= f->n_faults)
			continue;
		report_problem("%s, %zu pages, %s: %zu touches, but only %ld faults",
			       writer_names[p->writer], p->pages, target_names[p->target],
			       f->n_faults, f->minflt);
		return 0;
	}
	put_point(p, pass);
	return 0;
}

/* ---- the grid and the run --------------------------------------------------------------------- */

static struct point grid[4096];
static int grid_size;

static void grid_add(struct point p)
{
	if (!words_have(only_writers, writer_names[p.writer]) ||
	    !words_have(only_targets, target_names[p.target]) ||
	    (only_pages.n && p.writer != W_NONE && !list_has(&only_pages, (long long)p.pages)))
		return;
	if (grid_size < (int)(sizeof(grid) / sizeof(grid[0])))
		grid[grid_size++] = p;
}

static void grid_pages(struct point p, bool control)
{
	static const size_t pages[] = { 1, 16, 512, 4096, 16384, 0 };
	static const size_t control_pages[] = { 1, 512, 16384, 0 };
	static const size_t quick_pages[] = { 1, 4096, 0 };

	for (const size_t *n = quick ? quick_pages : control ? control_pages : pages; *n; n++) {
		p.pages = *n;
		p.duty = 0.5;
		grid_add(p);
		p.duty = 0.1;
		if (!quick && *n == 4096)
			grid_add(p);
	}
}

/* Every combination of what the options name, in place of the grid. */
static void cross_shapes(struct point p)
{
	static const enum shape shapes[] = { SHAPE_OWN, SHAPE_EDGE };

	if (p.vmas > 1) {
		/* userfaultfd of 6.1 takes one VMA, and no window lies inside several. */
		p.shape = SHAPE_MULTI;
		if (p.target != T_SAME && p.writer != W_UFFD && p.pages % p.vmas == 0)
			grid_add(p);
		return;
	}
	for (int i = 0; i < 2; i++) {
		p.shape = shapes[i];
		/* munmap of all of a VMA takes the windows in it away. */
		if (p.writer != W_MPROTECT && p.shape == SHAPE_OWN && p.target == T_SAME)
			continue;
		if (words_have(only_shapes, shape_name(p.shape)))
			grid_add(p);
	}
}

static void cross_build(void)
{
	static const struct list one = { 1, { 1 } }, half = { 1, { 50 } };
	const struct list *pages = only_pages.n ? &only_pages : &one;
	const struct list *vmas = cross_vmas.n ? &cross_vmas : &one;
	const struct list *duties = cross_duties.n ? &cross_duties : &half;
	const struct list *faulters = cross_faulters.n ? &cross_faulters : &one;
	struct point p = { .pages = 1, .shape = SHAPE_EDGE, .vmas = 1 };

	for (int w = W_NONE; w <= W_UFFD; w++)
	for (int t = T_SAME; t <= T_FRESH; t++)
	for (int write = 0; write < 2; write++)
	for (int f = 0; f < faulters->n; f++) {
		p.writer = (enum writer)w;
		p.target = (enum target)t;
		p.write = write;
		p.faulters = (int)faulters->item[f];
		p.vmas = 1;
		p.duty = 0;
		if (!words_have(only_faults, write ? "write" : "read"))
			continue;
		if (w == W_NONE) {
			p.pages = 1;
			p.shape = SHAPE_EDGE;
			grid_add(p);
			continue;
		}
		for (int d = 0; d < duties->n; d++)
		for (int v = 0; v < vmas->n; v++)
		for (int n = 0; n < pages->n; n++) {
			p.duty = (double)duties->item[d] / 100;
			p.vmas = (size_t)vmas->item[v];
			p.pages = (size_t)pages->item[n];
			cross_shapes(p);
		}
	}
}

static void cross_check(void)
{
	for (int i = 0; i < cross_faulters.n; i++)
		if (cross_faulters.item[i] < 1 || cross_faulters.item[i] > MAX_FAULTERS ||
		    cross_faulters.item[i] >= cpu_count())
			die(2, "--faulters %lld: 1 to %d, each on a CPU of its own beside the writer's; "
			       "this process may use %d CPUs",
			    cross_faulters.item[i], MAX_FAULTERS, cpu_count());
	for (int i = 0; i < cross_duties.n; i++)
		if (cross_duties.item[i] < 1 || cross_duties.item[i] > 100)
			die(2, "--duty-percent %lld: 1 to 100", cross_duties.item[i]);
	for (int i = 0; i < cross_vmas.n; i++)
		if (cross_vmas.item[i] < 1 || cross_vmas.item[i] > 1024)
			die(2, "--vmas %lld: 1 to 1024", cross_vmas.item[i]);
	if (!cross && (cross_vmas.n || cross_duties.n || cross_faulters.n || only_shapes || only_faults))
		die(2, "--vmas, --duty-percent, --faulters, --shape and --faults need --cross");
}

static void grid_build(void)
{
	if (cross) {
		cross_build();
		return;
	}
	/* Alone: read and write in a VMA that has its anon_vma, and the first write of a VMA. */
	grid_add((struct point){ W_NONE, T_SAME, SHAPE_EDGE, 1, false, 0, 1, 1 });
	grid_add((struct point){ W_NONE, T_SAME, SHAPE_EDGE, 1, true, 0, 1, 1 });
	grid_add((struct point){ W_NONE, T_FRESH, SHAPE_EDGE, 1, true, 0, 1, 1 });
	if (cpu_count() < 2)
		return;
	/* userfaultfd and other_vma are the controls, expected to wait for nobody: fewer points. */
	for (int w = W_MPROTECT; w <= W_UFFD; w++)
		for (int t = T_SAME; t <= T_FRESH; t++)
			grid_pages((struct point){ (enum writer)w, (enum target)t, SHAPE_EDGE, 0,
						   t == T_FRESH, 0, 1, 1 },
				   w == W_UFFD || t == T_OTHER);
	grid_pages((struct point){ W_MPROTECT, T_SAME, SHAPE_OWN, 0, false, 0, 1, 1 }, false);
}

static const struct option_spec options[] = {
	{ "quick", OPT_FLAG, &quick, "a small grid instead of the full one" },
	{ "writer", OPT_STRING, &only_writers, "only: none,mprotect,munmap,uffd_writeprotect" },
	{ "target", OPT_STRING, &only_targets, "only: same_vma,other_vma,fresh_vma" },
	{ "pages", OPT_LIST, &only_pages, "only these page counts of the grid" },
	{ "cross", OPT_FLAG, &cross, "all combinations of the options, in place of the grid" },
	{ "vmas", OPT_LIST, &cross_vmas, "with --cross: VMAs of the call's range" },
	{ "duty-percent", OPT_LIST, &cross_duties, "with --cross: time the writer is in calls" },
	{ "faulters", OPT_LIST, &cross_faulters, "with --cross: threads that fault" },
	{ "shape", OPT_STRING, &only_shapes, "with --cross, of one VMA: own,edge" },
	{ "faults", OPT_STRING, &only_faults, "with --cross: read,write" },
	{ "point-ms", OPT_REAL, &point_ms, "time for a point" },
	{ "fault-think-us", OPT_REAL, &fault_think_us, "mean pause between two faults" },
	{ "keep-pairs", OPT_INT, &keep_pairs, "raw rows kept of a record" },
	{ "passes", OPT_INT, &passes, "times the shuffled grid is walked (default 2)" },
	{ "seed", OPT_INT, &seed, "of the order of the points" },
	{ "list", OPT_FLAG, &only_list, "print the points and end" },
};

static void run_point(const struct point *p, int pass)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		die(1, "cannot fork: %s", strerror(errno));
	if (!child)
		exit(measure_point(p, pass));
	if (waitpid(child, &status, 0) != child || status)
		report_problem("%s, %zu pages, %s: the child ended with wait status 0x%x",
			       writer_names[p->writer], p->pages, target_names[p->target], status);
}

int main(int argc, char **argv)
{
	int order[sizeof(grid) / sizeof(grid[0])];
	uint64_t state;

	parse_options(argc, argv, "Times minor faults, alone and beside a writer of the address space.",
		      options, (int)(sizeof(options) / sizeof(options[0])));
	cross_check();
	grid_build();
	if (!grid_size)
		die(2, "the options leave no point to measure; --list shows the grid");
	for (int i = 0; i < grid_size; i++) {
		order[i] = i;
		if (only_list)
			printf("%s %s %s pages=%zu vmas=%zu write=%d duty=%g faulters=%d\n",
			       writer_names[grid[i].writer], target_names[grid[i].target],
			       shape_name(grid[i].shape), grid[i].pages, grid[i].vmas,
			       grid[i].write, grid[i].duty, grid[i].faulters);
	}
	if (only_list)
		return 0;
	if (cpu_count() < 2)
		report_problem("faults beside a writer need 2 CPUs, this process may use 1");
	state = (uint64_t)seed;
	pin_to(cpu_from_end(0));
	for (int pass = 0; pass < passes; pass++) {
		null_ns = measure_null_clock(pass);
		shuffle(order, grid_size, &state);
		for (int i = 0; i < grid_size; i++) {
			run_point(&grid[order[i]], pass);
			report_progress(pass * grid_size + i + 1, passes * grid_size);
		}
	}
	return 0;
}
