/* Arming by the environment happens once a process: a program of its own. */
#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test_main.h"

/* The exit status or, negative, the signal of a child that hits "x" three times. */
static int run_child(const char *armed)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(STDERR_FILENO);
        (void)setenv("HQ_FAULTS", armed, 1);
        for (int i = 1; i <= 3; i++)
            if (FAULT("x"))
                _exit(i);
        _exit(0);
    }
    int status = -1;
    (void)waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_environment(void)
{
    CU_ASSERT_EQUAL(run_child(""), 0);
    CU_ASSERT_EQUAL(run_child("y:1=EIO"), 0);
#ifdef HQ_FAULTS
    CU_ASSERT_EQUAL(run_child("y:1=EIO,x:2=EIO"), 2);
    CU_ASSERT_EQUAL(run_child("x:3=kill"), -SIGKILL);
    CU_ASSERT_EQUAL(run_child("nonsense"), -SIGABRT); /* not silently nothing */
#else
    CU_ASSERT_EQUAL(run_child("x:1=EIO"), 0);
#endif
}

TEST_MAIN("fault_environment", TEST(test_environment))
