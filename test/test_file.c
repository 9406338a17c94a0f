/* Files: read whole within a limit, from pipes too; replaced so that nothing is left half done. */
#include "persist/file.h"
#include "test/check.h"

#include "proto/mem.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char path[96]; /* of the file that most of them use */

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_file.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	sprintf(path, "%s/file", directory);
	return 0;
}

/* How many files there are, whatever their names. */
static uint32_t count_files(void)
{
	DIR *dir = opendir(directory);
	uint32_t n = 0;

	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void write_plain(const char *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

/* Bytes of which none is at its neighbour's place; zeros among them. */
static char *some_bytes(size_t len)
{
	char *bytes = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	return bytes;
}

static void check_content(const char *bytes, size_t len)
{
	char *read;
	size_t read_len;

	assert_int_equal(file_read(path, 1 << 20, &read, &read_len), 0);
	assert_int_equal(read_len, len);
	assert_memory_equal(read, bytes, len);
	mem_free_unsized(read);
}

/* --- reading --- */

static const struct {
	const char *label;
	size_t len, max;
	int result;
} read_rows[] = {
	{"empty", 0, 100, 0},
	{"empty, and nothing else allowed", 0, 0, 0},
	{"one byte", 1, 100, 0},
	{"one byte too many", 1, 0, -EFBIG},
	{"as much as is allowed", 100, 100, 0},
	{"one more than that", 101, 100, -EFBIG},
	{"a page", 4096, 1 << 20, 0},
	{"as much as is read at first", 8192, 1 << 20, 0},
	{"one more", 8193, 1 << 20, 0},
	{"twice that", 16384, 1 << 20, 0},
	{"large", 300001, 1 << 20, 0},
	{"large, as much as is allowed", 300001, 300001, 0},
	{"large, one more than that", 300001, 300000, -EFBIG},
};

static void check_read(const char *label, const char *from, const char *bytes, size_t len,
		       size_t max, int expected)
{
	char *read = NULL;
	size_t read_len;
	int result = file_read(from, max, &read, &read_len);

	if (result != expected)
		fail_msg("%s: %d", label, result);
	if (result)
		return;
	if (read_len != len || memcmp(read, bytes, len) != 0)
		fail_msg("%s: other bytes, %zu of them", label, read_len);
	assert_int_equal(read[len], 0);
	mem_free_unsized(read);
}

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(read_rows); i++) {
		char *bytes = some_bytes(read_rows[i].len);
		write_plain(bytes, read_rows[i].len);
		check_read(read_rows[i].label, path, bytes, read_rows[i].len, read_rows[i].max,
			   read_rows[i].result);
		free(bytes);
	}
}

struct feeder {
	int fd;
	const char *bytes;
	size_t len;
};

/* Writes until all is written or nobody reads any more. */
static void *feeder_run(void *arg)
{
	struct feeder *feeder = arg;
	size_t at = 0;

	while (at < feeder->len) {
		size_t piece = feeder->len - at < 3000 ? feeder->len - at : 3000;
		ssize_t n = write(feeder->fd, feeder->bytes + at, piece);
		if (n < 0)
			break;
		at += (size_t)n;
	}
	close(feeder->fd);
	return NULL;
}

/* What can't be read from its start again. */
static void test_read_pipe(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(read_rows); i++) {
		int ends[2];
		char name[32];
		pthread_t thread;
		assert_int_equal(pipe(ends), 0);
		sprintf(name, "/dev/fd/%d", ends[0]);
		char *bytes = some_bytes(read_rows[i].len);
		struct feeder feeder = {ends[1], bytes, read_rows[i].len};
		assert_int_equal(pthread_create(&thread, NULL, feeder_run, &feeder), 0);
		check_read(read_rows[i].label, name, bytes, read_rows[i].len, read_rows[i].max,
			   read_rows[i].result);
		close(ends[0]);
		pthread_join(thread, NULL);
		free(bytes);
	}
}

static void test_read_fails(void **state)
{
	char *read;
	size_t len;

	(void)state;
	assert_int_equal(file_read("/no/such/file", 100, &read, &len), -ENOENT);
	assert_int_equal(file_read(directory, 100, &read, &len), -EISDIR);
}

/* --- replacing --- */

static void test_replace(void **state)
{
	static const size_t lengths[] = {10, 0, 300001, 5};

	(void)state;
	unlink(path);
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		char *bytes = some_bytes(lengths[i]);
		assert_int_equal(file_replace(path, bytes, lengths[i]), 0);
		check_content(bytes, lengths[i]);
		assert_int_equal(count_files(), 1);
		free(bytes);
	}
}

static void test_replace_permissions(void **state)
{
	static const struct {
		const char *label;
		mode_t old; /* 0: there is no file yet */
		mode_t mask;
		mode_t expected;
	} rows[] = {
		{"new", 0, 022, 0644},
		{"new, nothing for others", 0, 077, 0600},
		{"kept", 0600, 022, 0600},
		{"kept, whatever the mask", 0664, 022, 0664},
		{"for reading only", 0444, 022, 0444},
		{"for everybody", 0777, 077, 0777},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct stat now;
		unlink(path);
		if (rows[i].old) {
			write_plain("old", 3);
			chmod(path, rows[i].old);
		}
		mode_t mask = umask(rows[i].mask);
		assert_int_equal(file_replace(path, "new", 3), 0);
		umask(mask);
		assert_int_equal(stat(path, &now), 0);
		if ((now.st_mode & 07777) != rows[i].expected)
			fail_msg("%s: %o", rows[i].label, now.st_mode & 07777);
		check_content("new", 3);
	}
}

/* Who reads it meanwhile has the old file, whole. */
static void test_replace_owner(void **state)
{
	const uid_t uid = 1234;
	const gid_t gid = 4321;
	struct stat now;

	(void)state;
	if (geteuid() != 0)
		skip();
	unlink(path);
	write_plain("old", 3);
	assert_int_equal(chown(path, uid, gid), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(file_replace(path, "new", 3), 0);
	assert_int_equal(stat(path, &now), 0);
	assert_int_equal(now.st_uid, uid);
	assert_int_equal(now.st_gid, gid);
	assert_int_equal(now.st_mode & 07777, 0640);
	unlink(path);
}

static void test_replace_leaves_readers(void **state)
{
	char text[4] = {0};

	(void)state;
	write_plain("old", 3);
	FILE *reader = fopen(path, "r");
	assert_int_equal(file_replace(path, "new", 3), 0);
	assert_int_equal(fread(text, 1, 3, reader), 3);
	assert_string_equal(text, "old");
	fclose(reader);
}

/* What fails leaves the old one, and nothing else. */
static void test_replace_fails(void **state)
{
	char inside[128];
	char *long_path = malloc(5001);

	(void)state;
	write_plain("old", 3);
	memset(long_path, 'x', 5000);
	long_path[5000] = 0;
	assert_int_equal(file_replace(long_path, "new", 3), -ENAMETOOLONG);
	assert_int_equal(file_replace("/no/such/directory/file", "new", 3), -ENOENT);
	sprintf(inside, "%s/below", directory);
	assert_int_equal(mkdir(inside, 0755), 0);
	assert_int_equal(file_replace(inside, "new", 3), -EISDIR);
	assert_int_equal(count_files(), 2);
	rmdir(inside);
	check_content("old", 3);
	free(long_path);
}

/* A name without a directory is one in this directory. */
static void test_replace_here(void **state)
{
	char before[4096];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(file_replace("file", "here", 4), 0);
	assert_int_equal(chdir(before), 0);
	check_content("here", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_pipe),
		cmocka_unit_test(test_read_fails),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_permissions),
		cmocka_unit_test(test_replace_owner),
		cmocka_unit_test(test_replace_leaves_readers),
		cmocka_unit_test(test_replace_fails),
		cmocka_unit_test(test_replace_here),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
