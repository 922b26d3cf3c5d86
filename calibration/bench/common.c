/* See common.h. */
#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *program = "bench";

void die(int status, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

/* ---- time ------------------------------------------------------------------------------ */

void spin_until(uint64_t deadline_ns)
{
	while (now_ns() < deadline_ns)
		cpu_relax();
}

void spin_for(uint64_t ns)
{
	if (ns)
		spin_until(now_ns() + ns);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t measure_null_clock(int pass)
{
	struct samples s;
	uint64_t median;

	samples_init(&s, 4001);
	for (int i = 0; i < 1000; i++) /* warm-up */
		(void)now_ns();
	while (s.count < s.room) {
		uint64_t t0 = now_ns();
		uint64_t t1 = now_ns();

		samples_add(&s, t1 - t0);
	}
	rec_open("null_clock", "clock_gettime");
	cond_int("pass", pass);
	rec_values("latency", &s, KEEP_HISTOGRAM);
	rec_close();
	qsort(s.value, s.count, sizeof(*s.value), compare_u64);
	median = s.value[s.count / 2];
	samples_free(&s);
	return median;
}

/* ---- CPUs ------------------------------------------------------------------------------ */

int allowed_cpus(int *cpus, int max)
{
	/* The mask is read once, before anything is pinned: pinning narrows it. */
	static int known[MAX_CPUS];
	static int count;

	if (!count) {
		cpu_set_t set;

		if (sched_getaffinity(0, sizeof(set), &set))
			die(1, "cannot read the CPU mask: %s", strerror(errno));
		for (int cpu = 0; cpu < CPU_SETSIZE && count < MAX_CPUS; cpu++)
			if (CPU_ISSET(cpu, &set))
				known[count++] = cpu;
	}
	for (int i = 0; cpus && i < count && i < max; i++)
		cpus[i] = known[i];
	return count;
}

int cpu_count(void)
{
	return allowed_cpus(NULL, 0);
}

int cpu_from_end(int n)
{
	int cpus[MAX_CPUS];
	int count = allowed_cpus(cpus, MAX_CPUS);

	if (n < 0 || n >= count)
		die(2, "%d CPUs are needed, this process may use %d", n + 1, count);
	return cpus[count - 1 - n];
}

void pin_to(int cpu)
{
	cpu_set_t set;

	allowed_cpus(NULL, 0);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die(1, "cannot pin to CPU %d: %s", cpu, strerror(errno));
}

void unpin(void)
{
	int cpus[MAX_CPUS];
	int count = allowed_cpus(cpus, MAX_CPUS);
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < count; i++)
		CPU_SET(cpus[i], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die(1, "cannot use all CPUs again: %s", strerror(errno));
}

/* ---- random numbers ---------------------------------------------------------------------- */

uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void shuffle(int *items, int n, uint64_t *state)
{
	for (int i = n - 1; i > 0; i--) {
		int j = (int)(random_next(state) % (uint64_t)(i + 1));
		int swap = items[i];

		items[i] = items[j];
		items[j] = swap;
	}
}

/* ---- sample sets ------------------------------------------------------------------------ */

void samples_init(struct samples *s, size_t room)
{
	s->value = malloc(room * sizeof(*s->value));
	if (!s->value)
		die(1, "out of memory for %zu samples", room);
	memset(s->value, 0xff, room * sizeof(*s->value));
	s->room = room;
	s->count = 0;
}

void samples_free(struct samples *s)
{
	free(s->value);
	s->value = NULL;
	s->count = s->room = 0;
}

/* ---- records ------------------------------------------------------------------------------ */

static bool first_condition;

static void put_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

void rec_open(const char *benchmark, const char *operation)
{
	printf("{\"benchmark\":");
	put_string(benchmark);
	printf(",\"operation\":");
	put_string(operation);
	printf(",\"conditions\":{");
	first_condition = true;
}

static void put_key(const char *key)
{
	if (!first_condition)
		putchar(',');
	first_condition = false;
	put_string(key);
	putchar(':');
}

void cond_str(const char *key, const char *value)
{
	put_key(key);
	put_string(value);
}

void cond_int(const char *key, long long value)
{
	put_key(key);
	printf("%lld", value);
}

void cond_real(const char *key, double value)
{
	char text[32];

	put_key(key);
	snprintf(text, sizeof(text), "%.6g", value);
	printf("%s", text);
	/* %g drops the point of a whole number; keep reals recognisable as reals. */
	if (!strpbrk(text, ".en"))
		printf(".0");
}

void cond_bool(const char *key, bool value)
{
	put_key(key);
	printf(value ? "true" : "false");
}

/* Low edge of the bin of `ns`: exact below 256, the top 8 significant bits above. */
static uint64_t bin_low(uint64_t ns)
{
	int drop;

	if (ns < 256)
		return ns;
	drop = 63 - __builtin_clzll(ns) - 7;
	return ns >> drop << drop;
}

static void put_histogram(const uint64_t *sorted, size_t n)
{
	const char *comma = "";

	printf(",\"histogram\":{\"low\":[");
	for (size_t i = 0; i < n; i++) {
		if (i && bin_low(sorted[i]) == bin_low(sorted[i - 1]))
			continue;
		printf("%s%" PRIu64, comma, bin_low(sorted[i]));
		comma = ",";
	}
	printf("],\"count\":[");
	comma = "";
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && bin_low(sorted[i + run]) == bin_low(sorted[i]);)
			run++;
		printf("%s%zu", comma, run);
		comma = ",";
	}
	printf("]}");
}

void rec_values(const char *phase, const struct samples *s, enum keep keep)
{
	size_t n = s->count;
	double scale = keep == KEEP_MILLI ? 1e-3 : 1;
	uint64_t *sorted = malloc((n ? n : 1) * sizeof(*sorted));
	double sum = 0;

	if (!sorted)
		die(1, "out of memory for a record of %zu samples", n);
	for (size_t i = 0; i < n; i++) {
		sorted[i] = s->value[i];
		sum += (double)s->value[i];
	}
	qsort(sorted, n, sizeof(*sorted), compare_u64);

	printf("},\"phase\":");
	put_string(phase);
	printf(",\"unit\":\"ns\",\"count\":%zu", n);
	if (n) {
		double median = ((double)sorted[(n - 1) / 2] + (double)sorted[n / 2]) / 2;

		printf(",\"min\":%.12g,\"max\":%.12g,\"mean\":%.12g,\"median\":%.12g",
		       (double)sorted[0] * scale, (double)sorted[n - 1] * scale,
		       sum / (double)n * scale, median * scale);
	} else {
		printf(",\"min\":null,\"max\":null,\"mean\":null,\"median\":null");
	}
	if (keep == KEEP_HISTOGRAM) {
		put_histogram(sorted, n);
	} else {
		/* In the order they were taken, so that drift inside a record can be seen. */
		printf(",\"samples\":[");
		for (size_t i = 0; i < n; i++)
			printf("%s%.12g", i ? "," : "", (double)s->value[i] * scale);
		printf("]");
	}
	free(sorted);
}

void rec_pairs(const int64_t (*rows)[3], size_t total, size_t keep)
{
	size_t kept = total < keep ? total : keep;

	printf(",\"pairs\":[");
	for (size_t i = 0; i < kept; i++) {
		size_t at = i * total / kept;

		printf("%s[%" PRId64 ",%" PRId64 ",%" PRId64 "]", i ? "," : "", rows[at][0],
		       rows[at][1], rows[at][2]);
	}
	printf("],\"pairs_kept\":%zu,\"pairs_total\":%zu", kept, total);
}

void rec_int(const char *key, long long value)
{
	printf(",");
	put_string(key);
	printf(":%lld", value);
}

void rec_close(void)
{
	printf("}\n");
	/* A reader that went away must stop the run, not be written to for minutes. */
	if (fflush(stdout))
		die(1, "cannot write the records: %s", strerror(errno));
}

void report_problem(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("{\"problem\":");
	put_string(text);
	rec_close();
}

void report_progress(long long done, long long total)
{
	printf("{\"progress\":[%lld,%lld]", done, total);
	rec_close();
}

/* ---- options ------------------------------------------------------------------------------ */

bool list_has(const struct list *l, long long item)
{
	for (int i = 0; i < l->n; i++)
		if (l->item[i] == item)
			return true;
	return false;
}

bool words_have(const char *words, const char *word)
{
	size_t len = strlen(word);

	if (!words)
		return true;
	for (const char *at = words; *at;) {
		size_t span = strcspn(at, ",");

		if (span == len && !memcmp(at, word, len))
			return true;
		at += span + (at[span] == ',');
	}
	return false;
}

static long long parse_int(const char *option, const char *text, char **end)
{
	long long value;

	errno = 0;
	value = strtoll(text, end, 0);
	if (*end == text || errno || value < 0)
		die(2, "--%s: '%s' is not a whole number of 0 or more", option, text);
	return value;
}

static void parse_list(const char *option, const char *text, struct list *l)
{
	const char *at = text;
	char *end;

	l->n = 0;
	while (true) {
		if (l->n == MAX_LIST)
			die(2, "--%s: at most %d values", option, MAX_LIST);
		l->item[l->n++] = parse_int(option, at, &end);
		if (!*end)
			return;
		if (*end != ',')
			die(2, "--%s: '%s' should be whole numbers with commas, like 1,16,512", option,
			    text);
		at = end + 1;
	}
}

static void print_help(const char *about, const struct option_spec *specs, int n)
{
	printf("%s\n\nOptions (records go to stdout, one JSON object a line):\n", about);
	for (int i = 0; i < n; i++)
		printf("  --%-14s %s\n", specs[i].name, specs[i].help);
	exit(0);
}

static void parse_value(const struct option_spec *spec, const char *text)
{
	char *end;

	switch (spec->kind) {
	case OPT_INT:
		*(long long *)spec->target = parse_int(spec->name, text, &end);
		if (*end)
			die(2, "--%s: '%s' is not a whole number", spec->name, text);
		break;
	case OPT_REAL:
		*(double *)spec->target = strtod(text, &end);
		if (end == text || *end || !(*(double *)spec->target >= 0))
			die(2, "--%s: '%s' is not a number of 0 or more", spec->name, text);
		break;
	case OPT_STRING:
		*(const char **)spec->target = text;
		break;
	case OPT_LIST:
		parse_list(spec->name, text, spec->target);
		break;
	case OPT_FLAG:
		break;
	}
}

void parse_options(int argc, char **argv, const char *about, const struct option_spec *specs, int n)
{
	const char *slash = strrchr(argv[0], '/');

	program = slash ? slash + 1 : argv[0];
	allowed_cpus(NULL, 0); /* before anything is pinned */
	for (int i = 1; i < argc; i++) {
		const struct option_spec *spec = NULL;

		if (!strcmp(argv[i], "--help"))
			print_help(about, specs, n);
		for (int k = 0; k < n && !strncmp(argv[i], "--", 2); k++)
			if (!strcmp(argv[i] + 2, specs[k].name))
				spec = &specs[k];
		if (!spec)
			die(2, "'%s' is not an option; --help lists them", argv[i]);
		if (spec->kind == OPT_FLAG) {
			*(bool *)spec->target = true;
			continue;
		}
		if (i + 1 == argc)
			die(2, "--%s needs a value: %s", spec->name, spec->help);
		parse_value(spec, argv[++i]);
	}
}
