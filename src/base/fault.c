#include "base/fault.h"

#ifdef HQ_FAULTS

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAULTS_MAX 32
#define NAME_MAX_BYTES 64
#define ERRNO_MAX 4095

enum action { ACTION_ERRNO, ACTION_KILL, ACTION_DELAY };

struct fault {
    char name[NAME_MAX_BYTES];
    unsigned long call; /* counted from 1 */
    bool and_later;
    enum action action;
    int value; /* errno or milliseconds */
    atomic_ulong calls;
};

static struct fault faults[FAULTS_MAX];
static size_t n_faults;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool parse_errno(const char *text, int *value)
{
    for (int n = 1; n < ERRNO_MAX; n++) {
        const char *name = strerrorname_np(n);
        if (name && strcmp(name, text) == 0) {
            *value = n;
            return true;
        }
    }
    return false;
}

/* "<name>:<n>[+]=<action>" */
static bool parse_one(char *text, struct fault *f)
{
    char *colon = strchr(text, ':');
    if (!colon || colon == text || (size_t)(colon - text) >= sizeof f->name)
        return false;
    *colon = '\0';
    (void)snprintf(f->name, sizeof f->name, "%s", text);
    char *rest;
    errno = 0;
    f->call = strtoul(colon + 1, &rest, 10);
    if (errno || rest == colon + 1 || f->call == 0)
        return false;
    f->and_later = *rest == '+';
    rest += f->and_later;
    if (*rest++ != '=')
        return false;
    if (strcmp(rest, "kill") == 0) {
        f->action = ACTION_KILL;
        return true;
    }
    if (strncmp(rest, "delay:", 6) == 0) {
        char *end;
        long ms = strtol(rest + 6, &end, 10);
        f->action = ACTION_DELAY;
        f->value = (int)ms;
        return end != rest + 6 && !*end && ms >= 0 && ms <= 3600 * 1000;
    }
    f->action = ACTION_ERRNO;
    return parse_errno(rest, &f->value);
}

bool fault_arm(const char *list)
{
    char *copy = strdup(list);
    char *rest = copy;
    bool fine = copy != NULL;
    n_faults = 0;
    for (char *one; fine && (one = strsep(&rest, ",")) != NULL;) {
        if (!*one)
            continue;
        memset(&faults[n_faults % FAULTS_MAX], 0, sizeof faults[0]);
        fine = n_faults < FAULTS_MAX && parse_one(one, &faults[n_faults]);
        n_faults += fine;
    }
    if (!fine)
        n_faults = 0;
    free(copy);
    return fine;
}

static void arm_from_environment(void)
{
    const char *list = getenv("HQ_FAULTS");
    if (n_faults || !list)
        return;
    if (!fault_arm(list)) {
        (void)fprintf(stderr, "HQ_FAULTS is malformed: '%s'\n", list);
        abort(); /* a test that injects nothing would pass for the wrong reason */
    }
}

bool fault_hit(const char *name)
{
    bool hit = false;
    int saved = errno;
    (void)pthread_once(&once, arm_from_environment);
    for (size_t i = 0; i < n_faults; i++) {
        struct fault *f = &faults[i];
        if (strcmp(f->name, name) != 0)
            continue;
        unsigned long call = atomic_fetch_add(&f->calls, 1) + 1;
        if (call != f->call && !(f->and_later && call > f->call))
            continue;
        if (f->action == ACTION_KILL) {
            (void)kill(getpid(), SIGKILL);
        } else if (f->action == ACTION_DELAY) {
            struct timespec left = {f->value / 1000, f->value % 1000 * 1000000L};
            while (nanosleep(&left, &left) != 0 && errno == EINTR)
                ;
        } else {
            saved = f->value;
            hit = true;
        }
    }
    errno = saved;
    return hit;
}

#endif
