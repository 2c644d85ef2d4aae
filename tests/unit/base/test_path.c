#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "alloc_torture.h"
#include "test_main.h"

static char root[64];

static void make_root(void)
{
    (void)snprintf(root, sizeof root, "/tmp/hq-test-path-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
}

static void drop_root(void)
{
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(path_remove_tree(root, &err), 0);
    CU_ASSERT_EQUAL(access(root, F_OK), -1);
}

static char *in_root(const char *name)
{
    char *path = path_join(root, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(path);
    return path;
}

static void test_join(void)
{
    static const struct {
        const char *a, *b, *want;
    } cases[] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"a", "/b", "/b"},
        {"", "b", "b"},    {"a", "", "a/"},    {"a/", "", "a/"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *path = path_join(cases[i].a, cases[i].b);
        CU_ASSERT_STRING_EQUAL(path, cases[i].want);
        free(path);
    }
    CU_ASSERT_STRING_EQUAL(path_base("a/b"), "b");
    CU_ASSERT_STRING_EQUAL(path_base("b"), "b");
    CU_ASSERT_STRING_EQUAL(path_base("a/"), "");
    char *cwd = path_cwd();
    CU_ASSERT(cwd && cwd[0] == '/');
    free(cwd);
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void test_mkdirs(void)
{
    struct error err = ERROR_INIT;
    make_root();
    char *deep = in_root("a//b/c");
    CU_ASSERT_EQUAL(path_mkdirs(deep, 0755, &err), 0);
    CU_ASSERT(is_dir(deep));
    CU_ASSERT_EQUAL(path_mkdirs(deep, 0755, &err), 0);
    char *slash = in_root("a/d/");
    CU_ASSERT_EQUAL(path_mkdirs(slash, 0755, &err), 0);
    CU_ASSERT(is_dir(slash));
    char *file = in_root("e/f/file");
    CU_ASSERT_EQUAL(path_mkparents(file, 0700, &err), 0);
    CU_ASSERT_EQUAL(access(file, F_OK), -1);
    CU_ASSERT_EQUAL(path_write_new(file, "x", 1, 0600, &err), 0);
    CU_ASSERT_EQUAL(path_mkdirs(file, 0755, &err), ERR_SYSTEM);
    CU_ASSERT_EQUAL(err.sys, EEXIST);
    char *below = in_root("e/f/file/g");
    CU_ASSERT_EQUAL(path_mkdirs(below, 0755, &err), ERR_SYSTEM);
    CU_ASSERT_EQUAL(path_mkparents("name-only", 0755, &err), 0);
    CU_ASSERT_EQUAL(path_mkdirs("", 0755, &err), ERR_SYSTEM);
    CU_ASSERT_EQUAL(path_mkdirs("/", 0755, &err), 0);
    char *link = in_root("link"), *through = in_root("link/x/y");
    CU_ASSERT_EQUAL(symlink("a", link), 0);
    CU_ASSERT_EQUAL(path_mkdirs(link, 0755, &err), 0);
    CU_ASSERT_EQUAL(path_mkdirs(through, 0755, &err), 0);
    free(through);
    free(link);
    free(below);
    free(file);
    free(slash);
    free(deep);
    drop_root();
}

static void *make_same(void *arg)
{
    return path_mkdirs(arg, 0755, NULL) == 0 ? NULL : arg;
}

static void test_mkdirs_at_the_same_time(void)
{
    for (int round = 0; round < 50; round++) {
        pthread_t threads[4];
        make_root();
        char *deep = in_root("a/b/c/d/e/f");
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
            CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, make_same, deep), 0);
        for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
            void *failed;
            CU_ASSERT_EQUAL(pthread_join(threads[i], &failed), 0);
            CU_ASSERT_PTR_NULL(failed);
        }
        free(deep);
        drop_root();
    }
}

static void test_files(void)
{
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT(10);
    struct stat st;
    make_root();
    char *file = in_root("file");
    CU_ASSERT_EQUAL(path_read_file(file, &b, &err), ERR_SYSTEM);
    CU_ASSERT_EQUAL(err.sys, ENOENT);
    CU_ASSERT_EQUAL(path_write_new(file, "0123456789", 10, 0600, &err), 0);
    CU_ASSERT_EQUAL(stat(file, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    CU_ASSERT_EQUAL(path_write_new(file, "other", 5, 0600, &err), ERR_EXISTS);
    CU_ASSERT_EQUAL(path_read_file(file, &b, &err), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "0123456789");
    buf_release(&b);
    b.max = 9;
    CU_ASSERT_EQUAL(path_read_file(file, &b, &err), ERR_TOO_BIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "larger than 9 bytes"));
    buf_clear(&b);
    CU_ASSERT_EQUAL(path_read_file(root, &b, &err), ERR_SYSTEM);
    CU_ASSERT_EQUAL(err.sys, EISDIR);
    buf_release(&b);
    free(file);
    drop_root();
}

static void test_write_new_leaves_nothing(void)
{
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(write_all(-1, "", 0), 0);
    CU_ASSERT_EQUAL(write_all(-1, "x", 1), -1);
    CU_ASSERT_EQUAL(errno, EBADF);
    CU_ASSERT_EQUAL(path_write_new("/nonexistent/dir/f", "x", 1, 0600, &err),
                    ERR_SYSTEM);
    CU_ASSERT_EQUAL(err.sys, ENOENT);
    /* A file that cannot be written in full disappears again. */
    static char data[5000];
    struct rlimit old, small;
    make_root();
    char *file = in_root("file");
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1000;
    (void)signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = path_write_new(file, data, sizeof data, 0600, &err);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &old), 0);
    CU_ASSERT_EQUAL(rc, ERR_SYSTEM);
    CU_ASSERT_EQUAL(err.sys, EFBIG);
    CU_ASSERT_EQUAL(access(file, F_OK), -1);
    free(file);
    drop_root();
}

/* A tree with everything in it; what links point to stays. */
static void test_remove_tree(void)
{
    struct error err = ERROR_INIT;
    make_root();
    char *outside = in_root("outside"), *kept = in_root("outside/kept");
    char *tree = in_root("tree"), *deep = in_root("tree/a/b");
    char *link_dir = in_root("tree/a/link"), *broken = in_root("tree/broken");
    char *file = in_root("tree/a/file");
    CU_ASSERT_EQUAL(path_mkdirs(outside, 0755, &err), 0);
    CU_ASSERT_EQUAL(path_write_new(kept, "k", 1, 0600, &err), 0);
    CU_ASSERT_EQUAL(path_mkdirs(deep, 0755, &err), 0);
    CU_ASSERT_EQUAL(path_write_new(file, "k", 1, 0400, &err), 0);
    CU_ASSERT_EQUAL(symlink(outside, link_dir), 0);
    CU_ASSERT_EQUAL(symlink("nowhere", broken), 0);
    CU_ASSERT_EQUAL(path_remove_tree(tree, &err), 0);
    CU_ASSERT_EQUAL(access(tree, F_OK), -1);
    CU_ASSERT_EQUAL(access(kept, F_OK), 0);
    CU_ASSERT_EQUAL(path_remove_tree(tree, &err), ERR_SYSTEM);
    CU_ASSERT_EQUAL(err.sys, ENOENT);
    CU_ASSERT_EQUAL(symlink(outside, tree), 0); /* a link is removed, not followed */
    CU_ASSERT_EQUAL(path_remove_tree(tree, &err), 0);
    CU_ASSERT_EQUAL(access(kept, F_OK), 0);
    CU_ASSERT_EQUAL(path_remove_tree(kept, &err), 0); /* a plain file */
    free(file);
    free(broken);
    free(link_dir);
    free(deep);
    free(tree);
    free(kept);
    free(outside);
    drop_root();
}

struct drain {
    int fd;
    size_t n;
};

static void *drain_pipe(void *arg)
{
    struct drain *d = arg;
    char bytes[4096];
    ssize_t n;
    while ((n = read(d->fd, bytes, sizeof bytes)) > 0)
        d->n += (size_t)n;
    return NULL;
}

/* A descriptor that somebody made non-blocking still takes everything. */
static void test_write_all_non_blocking(void)
{
    static char data[1 << 20];
    int fds[2];
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    CU_ASSERT_EQUAL(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    struct drain d = {fds[0], 0};
    CU_ASSERT_EQUAL(pthread_create(&thread, NULL, drain_pipe, &d), 0);
    CU_ASSERT_EQUAL(write_all(fds[1], data, sizeof data), 0);
    (void)close(fds[1]);
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(d.n, sizeof data);
    (void)close(fds[0]);
}

static void test_out_of_memory(void)
{
    if (!alloc_torture_works())
        return;
    struct error err = ERROR_INIT;
    alloc_fail_at(1);
    CU_ASSERT_PTR_NULL(path_join("a", "b"));
    CU_ASSERT(alloc_failed());
    alloc_fail_at(1);
    CU_ASSERT_PTR_NULL(path_join("a", "/b"));
    CU_ASSERT(alloc_failed());
    alloc_fail_at(1);
    int rc = path_mkparents("/tmp/x", 0755, &err);
    CU_ASSERT(alloc_failed());
    CU_ASSERT_EQUAL(rc, ERR_NOMEM);
}

TEST_MAIN("path", TEST(test_join), TEST(test_mkdirs),
          TEST(test_mkdirs_at_the_same_time), TEST(test_files),
          TEST(test_write_new_leaves_nothing), TEST(test_remove_tree),
          TEST(test_write_all_non_blocking), TEST(test_out_of_memory))
