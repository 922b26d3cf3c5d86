/* The piece of address space an operation is measured on, and the operations themselves. */
#ifndef PERFMODEL_BENCH_REGION_H
#define PERFMODEL_BENCH_REGION_H

#include "common.h"

enum shape {
	SHAPE_OWN,    /* the range is exactly one VMA */
	SHAPE_MIDDLE, /* the range lies inside a bigger VMA */
	SHAPE_EDGE,   /* the range is the first part of a bigger VMA */
	SHAPE_MULTI,  /* the range is exactly `vmas` VMAs that cannot merge */
};

const char *shape_name(enum shape shape);

struct region {
	/* What is asked for. */
	enum shape shape;
	size_t pages, vmas;
	bool populated, huge, uffd;
	size_t tail_pages; /* of the bigger VMA, after the range; 0: a few, where the shape has any */

	/* Where it is: the range of the call, and all that is mapped between the two guards. */
	char *range;
	size_t range_bytes;
	char *whole;
	size_t whole_bytes;
	char *reserve; /* guard + slack + whole + guard */
	size_t reserve_bytes;
	int uffd_fd;
};

size_t page_bytes(void);
size_t huge_bytes(void);

/* Reserves the place; region_fill() maps it. Both return 0 or an errno value. */
int region_reserve(struct region *r);
/* Maps (again) everything between the guards, splits it into VMAs as asked, populates the range. */
int region_fill(struct region *r);
/* Writes one distinct value to every page of the range. */
void region_populate(const struct region *r);
void region_release(struct region *r);

/* Share of the range that is mapped by huge pages, from smaps; -1 if it cannot be read. */
double region_huge_fraction(const struct region *r);
/* How many VMAs the range meets now, from /proc/self/maps; -1 if it cannot be read. */
int region_vmas_now(const struct region *r);

/* userfaultfd write-protect of the range; 0 or errno. */
int uffd_set_protection(const struct region *r, bool protect);

/* Threads that spin in user space on other CPUs, each touching a page of its own in this mm. */
struct spinners;
struct spinners *spinners_start(int n);
/* Waits until every spinner is seen running: a preempted one would be sent no TLB flush, and the
 * sample would be of another kind. False if one does not run for a second. */
bool spinners_running(const struct spinners *s);
void spinners_stop(struct spinners *s);

#endif
