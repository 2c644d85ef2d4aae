#include "base/scratch_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test_main.h"

static char path[] = "/tmp/hq-scratch-XXXXXX";

enum how { GUARDED, IGNORED, RELEASED };

static _Noreturn void get_signal(int sig, enum how how)
{
    if (how == IGNORED)
        (void)signal(sig, SIG_IGN);
    scratch_file_guard(path);
    if (how == RELEASED)
        scratch_file_release();
    (void)raise(sig);
    _exit(7);
}

/* Ends a child with a signal; true: the file is still there. */
static bool outlives(int sig, enum how how, int *status)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    (void)close(fd);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0)
        get_signal(sig, how);
    CU_ASSERT_EQUAL(waitpid(pid, status, 0), pid);
    bool there = access(path, F_OK) == 0;
    (void)unlink(path);
    return there;
}

static void test_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGXCPU, SIGXFSZ};
    int fd = mkostemp(path, O_CLOEXEC), status;
    CU_ASSERT_FATAL(fd >= 0);
    (void)close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        CU_ASSERT_FALSE(outlives(signals[i], GUARDED, &status));
        CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        CU_ASSERT(outlives(signals[i], RELEASED, &status));
        CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        CU_ASSERT(outlives(signals[i], IGNORED, &status)); /* as nohup does */
        CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
}

TEST_MAIN("scratch file", TEST(test_signals))
