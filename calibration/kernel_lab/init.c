/* First and only process of the laboratory's guest: runs the slices of /plan and powers off.
 *
 * A line of /plan is one slice; its fields are separated by tabs:
 *     id  cut  ignore_exclusive  ignore_nested  seconds  trace  program  argument ...
 * The three after the id are written to the kernel's parameters before the program is started (and
 * read back), `seconds` is its time limit, trace is 1 if it is to be traced.
 *
 * Results leave through the port as lines of JSON: what the programs write, as they write it, and
 *     {"guest":{"file":"/proc/cpuinfo","text":"..."}}         what the machine is, at the start
 *     {"slice":{"id":3}}                                      all that follows belongs to it
 *     {"said":"..."}                                          a line of its stderr
 *     {"trace":"..."}                                         a line of its trace
 *     {"slice_end":{"id":3,"status":0,"timed_out":false}}     wait status
 *     {"end":{"slices":12}}                                   all were run
 *     {"failed":"..."}                                        the guest cannot go on
 * A run that was cut off has no end line. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT "/dev/vport0p1"
#define INSTANCE "/sys/kernel/tracing/instances/perfmodel"
#define MAX_FIELDS 64
#define FIXED_FIELDS 7

static FILE *port;

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT); /* a machine without ACPI; QEMU is told to end on this, too */
	for (;;)
		pause();
}

/* Runs of plain characters at once: a trace has many, and an emulated CPU is slow. */
static void put_text(const char *text, size_t n)
{
	size_t done = 0;

	fputc('"', port);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c <= 0x7e && c != '"' && c != '\\')
			continue;
		fwrite(text + done, 1, i - done, port);
		done = i + 1;
		fprintf(port, "\\u%04x", c);
	}
	fwrite(text + done, 1, n - done, port);
	fputc('"', port);
}

/* Not flushed: each flush leaves the guest. */
static void put_line(const char *key, const char *text, size_t n)
{
	fprintf(port, "{\"%s\":", key);
	put_text(text, n);
	fputs("}\n", port);
}

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "init: %s\n", text);
	if (port) {
		put_line("failed", text, strlen(text));
		fflush(port);
	}
	power_off();
	abort();
}

static void mount_one(const char *kind, const char *place)
{
	mkdir(place, 0755);
	if (mount(kind, place, kind, 0, NULL) && errno != EBUSY)
		fail("cannot mount %s on %s: %s", kind, place, strerror(errno));
}

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* The port appears when the driver has found the device. */
static void open_port(void)
{
	double limit = seconds_now() + 20;

	while (!port && seconds_now() < limit) {
		port = fopen(PORT, "we");
		if (!port)
			usleep(20000);
	}
	if (!port)
		fail("there is no %s", PORT);
}

static void tell_file(const char *path)
{
	char *text = malloc(65536);
	FILE *f = fopen(path, "re");
	size_t n;

	if (!text || !f)
		return; /* what a kernel does not have is unknown, as on any machine */
	n = fread(text, 1, 65536, f);
	fclose(f);
	fputs("{\"guest\":{\"file\":", port);
	put_text(path, strlen(path));
	fputs(",\"text\":", port);
	put_text(text, n);
	fputs("}}\n", port);
	fflush(port);
	free(text);
}

static bool write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return good;
}

static void set_parameter(const char *path, const char *value)
{
	char now[64] = "";
	FILE *f;

	if (!write_file(path, value))
		fail("cannot write %s to %s: %s (is this the changed kernel?)", value, path,
		     strerror(errno));
	f = fopen(path, "re");
	if (!f || !fgets(now, sizeof(now), f) || strtol(now, NULL, 10) != strtol(value, NULL, 10))
		fail("%s does not hold %s after it was written", path, value);
	fclose(f);
}

/* ---- tracing --------------------------------------------------------------------------------- */

static void trace_file(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", INSTANCE, name);
	if (!write_file(path, value))
		fail("cannot write %s to %s: %s", value, path, strerror(errno));
}

static void trace_start(void)
{
	if (mkdir(INSTANCE, 0755))
		fail("cannot make %s: %s", INSTANCE, strerror(errno));
	trace_file("tracing_on", "0");
	trace_file("trace_clock", "x86-tsc");
	trace_file("buffer_size_kb", "16384");
	trace_file("trace_options", "nohash-ptr");
	trace_file("events/mmap_lock/enable", "1");
	trace_file("tracing_on", "1");
}

/* Header lines, and those of the traced process. */
static void trace_tell(pid_t pid)
{
	char mark[32], *line = NULL;
	size_t room = 0;
	ssize_t n;
	FILE *f;

	trace_file("tracing_on", "0");
	snprintf(mark, sizeof(mark), "-%d ", (int)pid);
	f = fopen(INSTANCE "/trace", "re");
	if (!f)
		fail("cannot read the trace: %s", strerror(errno));
	while ((n = getline(&line, &room, f)) > 0) {
		char *task = strstr(line, mark), *cpu = strchr(line, '[');

		if (line[0] == '#' || !strncmp(line, "CPU:", 4) || (task && cpu && task < cpu))
			put_line("trace", line, (size_t)(n - 1));
	}
	free(line);
	fclose(f);
	rmdir(INSTANCE);
}

/* ---- a slice ----------------------------------------------------------------------------------- */

struct stream {
	int fd;
	const char *key; /* NULL: lines go out as they are */
	char *text;
	size_t n, room;
};

/* Passes whole lines on; false at the end of the stream. What has no line end is not passed on. */
static bool stream_take(struct stream *s)
{
	ssize_t got;
	char *end;

	if (s->room - s->n < 65536) {
		s->room = s->room ? 2 * s->room : 262144;
		s->text = realloc(s->text, s->room);
		if (!s->text)
			fail("out of memory for a line of %zu bytes", s->n);
	}
	got = read(s->fd, s->text + s->n, 65536);
	if (got <= 0)
		return got < 0 && errno == EINTR;
	s->n += (size_t)got;
	while ((end = memchr(s->text, '\n', s->n))) {
		size_t length = (size_t)(end - s->text);

		if (s->key)
			put_line(s->key, s->text, length);
		else
			fwrite(s->text, 1, length + 1, port);
		s->n -= length + 1;
		memmove(s->text, end + 1, s->n);
	}
	fflush(port);
	return true;
}

static pid_t start(char **argv, struct stream *out, struct stream *err)
{
	int a[2], b[2];
	pid_t child;

	if (pipe2(a, O_CLOEXEC) || pipe2(b, O_CLOEXEC))
		fail("cannot make a pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		fail("cannot fork: %s", strerror(errno));
	if (!child) {
		setpgid(0, 0);
		dup2(a[1], 1);
		dup2(b[1], 2);
		execv(argv[0], argv);
		dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(a[1]);
	close(b[1]);
	out->fd = a[0];
	err->fd = b[0];
	return child;
}

static void run_program(const char *id, double limit, bool trace, char **argv)
{
	struct stream out = { 0 }, err = { .key = "said" };
	double deadline = seconds_now() + limit;
	bool timed_out = false;
	int status = 0;
	pid_t child;

	child = start(argv, &out, &err);
	while (out.fd >= 0 || err.fd >= 0) {
		struct pollfd fds[2] = { { .fd = out.fd, .events = POLLIN },
					 { .fd = err.fd, .events = POLLIN } };
		double left = deadline - seconds_now();

		if (left <= 0) {
			timed_out = true;
			break;
		}
		if (poll(fds, 2, (int)(left * 1000) + 1) <= 0)
			continue;
		if (fds[0].revents && !stream_take(&out)) {
			close(out.fd);
			out.fd = -1;
		}
		if (fds[1].revents && !stream_take(&err)) {
			close(err.fd);
			err.fd = -1;
		}
	}
	kill(-child, SIGKILL); /* children of a program that ended, too */
	waitpid(child, &status, 0);
	if (out.fd >= 0)
		close(out.fd);
	if (err.fd >= 0)
		close(err.fd);
	free(out.text);
	free(err.text);
	if (trace)
		trace_tell(child);
	fprintf(port, "{\"slice_end\":{\"id\":%s,\"status\":%d,\"timed_out\":%s}}\n", id, status,
		timed_out ? "true" : "false");
	fflush(port);
}

static bool run_line(char *line)
{
	char *field[MAX_FIELDS + 5], path[256];
	bool trace;
	int n = 0;

	line[strcspn(line, "\n")] = 0;
	for (char *at = line; at && n < MAX_FIELDS; n++)
		field[n] = strsep(&at, "\t");
	if (n < FIXED_FIELDS)
		return false;
	trace = !strcmp(field[5], "1");
	set_parameter("/sys/module/mprotect/parameters/cut", field[1]);
	set_parameter("/sys/module/memory/parameters/ignore_exclusive", field[2]);
	set_parameter("/sys/module/mmu_gather/parameters/ignore_nested", field[3]);
	fprintf(port, "{\"slice\":{\"id\":%s}}\n", field[0]);
	fflush(port);
	snprintf(path, sizeof(path), "/bin/%s", field[6]);
	field[6] = path;
	if (trace) {
		trace_start();
		field[n++] = "--instance";
		field[n++] = INSTANCE;
		field[n++] = "--clock";
		field[n++] = "x86-tsc";
	}
	field[n] = NULL;
	run_program(field[0], strtod(field[4], NULL), trace, field + 6);
	return true;
}

int main(void)
{
	static const char *const told[] = {
		"/proc/version", "/proc/cmdline", "/proc/cpuinfo", "/proc/meminfo", "/proc/loadavg",
		"/sys/devices/system/clocksource/clocksource0/current_clocksource",
		"/sys/kernel/mm/transparent_hugepage/enabled",
	};
	size_t room = 0, slices = 0;
	char *line = NULL;
	FILE *plan;

	mount_one("proc", "/proc");
	mount_one("sysfs", "/sys");
	mount_one("devtmpfs", "/dev");
	mount_one("tracefs", "/sys/kernel/tracing");
	open_port();
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		tell_file(told[i]);
	plan = fopen("/plan", "re");
	if (!plan)
		fail("there is no /plan");
	while (getline(&line, &room, plan) > 0) {
		if (!run_line(line))
			fail("line %zu of the plan has too few fields", slices + 1);
		slices++;
	}
	fprintf(port, "{\"end\":{\"slices\":%zu}}\n", slices);
	fclose(port);
	power_off();
}
