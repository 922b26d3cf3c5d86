/* See region.h. */
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Pages of the bigger VMA on either side of the range, for shapes middle and edge. */
#define MARGIN_PAGES 16

#ifndef UFFD_USER_MODE_ONLY /* headers before 5.11 */
#define UFFD_USER_MODE_ONLY 1
#endif

const char *shape_name(enum shape shape)
{
	static const char *const names[] = { "own", "middle", "edge", "multi" };

	return names[shape];
}

size_t page_bytes(void)
{
	static size_t size;

	if (!size)
		size = (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

/* One PMD: a page of 8-byte page-table entries, each mapping a page. */
size_t huge_bytes(void)
{
	return page_bytes() / 8 * page_bytes();
}

int region_reserve(struct region *r)
{
	size_t page = page_bytes(), huge = huge_bytes();
	size_t before = r->shape == SHAPE_MIDDLE ? MARGIN_PAGES * page : 0;
	size_t tail = r->tail_pages ? r->tail_pages : MARGIN_PAGES;
	size_t after = r->shape == SHAPE_MIDDLE || r->shape == SHAPE_EDGE ? tail * page : 0;
	uintptr_t start;

	r->uffd_fd = -1;
	r->range_bytes = r->pages * page;
	r->whole_bytes = before + r->range_bytes + after;
	r->reserve_bytes = r->whole_bytes + 2 * huge + 2 * page;
	/* The guards are shared mappings: a private anonymous VMA never merges with one, whatever
	 * its protection, and nothing else can be placed beside the range. */
	r->reserve = mmap(NULL, r->reserve_bytes, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	if (r->reserve == MAP_FAILED)
		return errno;
	/* The range begins on a PMD boundary: it then meets the same number of page tables every
	 * time, and may be huge. */
	start = (uintptr_t)r->reserve + page + before;
	start = (start + huge - 1) / huge * huge;
	r->range = (char *)start;
	r->whole = r->range - before;
	return 0;
}

static int uffd_register(struct region *r)
{
	struct uffdio_register reg = {
		/* All of it, so that registering does not cut the VMA of shapes middle and edge. */
		.range = { .start = (uintptr_t)r->whole, .len = r->whole_bytes },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	if (r->uffd_fd < 0) {
		struct uffdio_api api = { .api = UFFD_API,
					  .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };

		r->uffd_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
		if (r->uffd_fd < 0 && errno == EINVAL) /* a kernel before 5.11 */
			r->uffd_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (r->uffd_fd < 0)
			return errno;
		if (ioctl(r->uffd_fd, UFFDIO_API, &api))
			return errno;
	}
	return ioctl(r->uffd_fd, UFFDIO_REGISTER, &reg) ? errno : 0;
}

int region_fill(struct region *r)
{
	size_t part = r->range_bytes / r->vmas;

	if (mmap(r->whole, r->whole_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return errno;
	if (madvise(r->whole, r->whole_bytes, r->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
	    errno != EINVAL) /* EINVAL: a kernel without THP, base pages are all it has */
		return errno;
	/* Every second VMA is marked "not inherited over fork": unlike neighbours do not merge, and
	 * the mark survives mprotect. */
	for (size_t i = 1; r->shape == SHAPE_MULTI && i < r->vmas; i += 2)
		if (madvise(r->range + i * part, part, MADV_DONTFORK))
			return errno;
	if (r->uffd) {
		int error = uffd_register(r);

		if (error)
			return error;
	}
	if (r->populated)
		region_populate(r);
	return 0;
}

void region_populate(const struct region *r)
{
	size_t page = page_bytes();

	for (size_t i = 0; i < r->pages; i++)
		*(volatile uint64_t *)(r->range + i * page) = i + 1;
}

void region_release(struct region *r)
{
	if (r->uffd_fd >= 0)
		close(r->uffd_fd);
	munmap(r->reserve, r->reserve_bytes);
	r->uffd_fd = -1;
}

double region_huge_fraction(const struct region *r)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	uintptr_t low = (uintptr_t)r->range, high = low + r->range_bytes;
	unsigned long start, end, kib, total = 0;
	bool inside = false;
	char line[512];

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < high && end > low;
		else if (inside && sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
			total += kib;
	}
	fclose(f);
	return (double)total * 1024 / (double)r->range_bytes;
}

int region_vmas_now(const struct region *r)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uintptr_t low = (uintptr_t)r->range, high = low + r->range_bytes;
	unsigned long start, end;
	char line[512];
	int n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && start < high && end > low)
			n++;
	fclose(f);
	return n;
}

int uffd_set_protection(const struct region *r, bool protect)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)r->range, .len = r->range_bytes },
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(r->uffd_fd, UFFDIO_WRITEPROTECT, &wp) ? errno : 0;
}

/* ---- spinners ------------------------------------------------------------------------------ */

struct spinner {
	pthread_t thread;
	struct spinners *all;
	_Atomic uint64_t *turns; /* alone on a page of its own */
	int cpu;
};

struct spinners {
	atomic_int running;
	atomic_bool stop;
	int n;
	struct spinner one[];
};

static void *spin(void *arg)
{
	struct spinner *me = arg;
	uint64_t turn = 0;

	pin_to(me->cpu);
	atomic_store(me->turns, ++turn);
	atomic_fetch_add(&me->all->running, 1);
	/* The page is touched on every turn, so its translation is live in this CPU's TLB and the
	 * kernel has to count this CPU among those that may hold stale ones. */
	while (!atomic_load_explicit(&me->all->stop, memory_order_relaxed)) {
		atomic_store_explicit(me->turns, ++turn, memory_order_relaxed);
		cpu_relax();
	}
	return NULL;
}

struct spinners *spinners_start(int n)
{
	struct spinners *s = calloc(1, sizeof(*s) + (size_t)n * sizeof(s->one[0]));

	if (!s)
		die(1, "out of memory for %d spinners", n);
	s->n = n;
	for (int i = 0; i < n; i++) {
		struct spinner *one = &s->one[i];

		one->all = s;
		one->cpu = cpu_from_end(1 + i);
		one->turns = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (one->turns == MAP_FAILED || pthread_create(&one->thread, NULL, spin, one))
			die(1, "cannot start spinner %d: %s", i, strerror(errno));
	}
	while (atomic_load(&s->running) < n)
		sched_yield();
	return s;
}

bool spinners_running(const struct spinners *s)
{
	for (int i = 0; i < s->n; i++) {
		_Atomic uint64_t *turns = s->one[i].turns;
		uint64_t seen = atomic_load_explicit(turns, memory_order_relaxed);
		uint64_t deadline = 0;

		/* Two more turns: the first may have been on its way already. */
		while (atomic_load_explicit(turns, memory_order_relaxed) < seen + 2) {
			uint64_t now = now_ns();

			if (!deadline)
				deadline = now + 1000000000;
			if (now > deadline)
				return false;
			cpu_relax();
		}
	}
	return true;
}

void spinners_stop(struct spinners *s)
{
	atomic_store(&s->stop, true);
	for (int i = 0; i < s->n; i++) {
		pthread_join(s->one[i].thread, NULL);
		munmap(s->one[i].turns, page_bytes());
	}
	free(s);
}
