/* Starts the bundled Python beside this file, whatever the node has or lacks.
 *
 * kubelet runs this as <plugin dir>/pure~flex/flex. It finds itself, makes the environment harmless to the bundled
 * loader and to the tools the driver will run, and becomes the interpreter: no fork, so that kubelet's signals reach it.
 * RUNTIME is compiled in: one rename of this file switches launcher and runtime together.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;

/* kubelet reads one JSON object, also when nothing else works. */
static int give_up(const char *what, const char *path)
{
	dprintf(1, "{\"status\": \"Failure\", \"message\": \"%s %s: %s; "
		"the pure-flex DaemonSet pod of this node puts it back\"}\n", what, path, strerror(errno));
	return 0;
}

static int harmful(const char *variable)
{
	return !strncmp(variable, "LD_", 3) || !strncmp(variable, "PYTHON", 6) || !strncmp(variable, "LC_", 3)
		|| !strncmp(variable, "LANG=", 5) || !strncmp(variable, "LANGUAGE=", 9)
		|| !strncmp(variable, "GLIBC_TUNABLES=", 15) || !strncmp(variable, "MALLOC_", 7);
}

/* English output of mount, iscsiadm and multipath for our parsers; no foreign library for the bundled loader. */
static void clean_environment(void)
{
	char **keep = environ;

	for (char **each = environ; *each; each++)
		if (!harmful(*each))
			*keep++ = *each;
	*keep = NULL;
}

int main(int argc, char **argv)
{
	static char own[PATH_MAX], ld[PATH_MAX], so[PATH_MAX], python[PATH_MAX], script[PATH_MAX];
	char *options[] = {ld, "--inhibit-cache", "--library-path", so, python,
		"-I", "-S", "-B", "-X", "utf8=1", script};
	enum { OPTIONS = sizeof options / sizeof *options };
	char *command[OPTIONS + argc + 1];
	char *environment[1024];
	int count = 0;

	for (int fd = 0; fd < 3; fd++)		/* a closed stream would be given to the first file opened */
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd ? O_WRONLY : O_RDONLY);

	ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
	if (length <= 0) {			/* no /proc */
		const char *named = (const char *)getauxval(AT_EXECFN);
		if (!named || !(length = (ssize_t)strlen(named)) || length >= (ssize_t)sizeof own)
			return give_up("cannot find the driver's own path from", named ? named : "the kernel");
		memcpy(own, named, (size_t)length + 1);
	}
	own[length] = 0;
	char *slash = strrchr(own, '/');
	int folder = slash ? (int)(slash - own) : 1;
	const char *base = slash ? own : ".";

	snprintf(ld, sizeof ld, "%.*s/" RUNTIME "/ld.so", folder, base);
	snprintf(so, sizeof so, "%.*s/" RUNTIME "/so", folder, base);
	snprintf(python, sizeof python, "%.*s/" RUNTIME "/bin/python3.11", folder, base);
	snprintf(script, sizeof script, "%.*s/" RUNTIME "/main.pyc", folder, base);

	memcpy(command, options, sizeof options);
	for (int i = 1; i < argc; i++)
		command[OPTIONS + i - 1] = argv[i];
	command[OPTIONS + (argc ? argc : 1) - 1] = NULL;

	clean_environment();
	for (char **each = environ; *each && count < 1022; each++)
		environment[count++] = *each;
	environment[count++] = "LC_ALL=C";
	environment[count] = NULL;

	execve(ld, command, environment);
	return give_up("cannot start", ld);
}
