#include "base/scratch_file.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static char guarded[PATH_MAX];
static volatile sig_atomic_t is_guarded;

static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGXCPU, SIGXFSZ};
static struct sigaction before[ARRAY_SIZE(signals)];

/* SA_RESETHAND: raised again, the signal does what it would have done. */
static void on_signal(int sig)
{
    if (is_guarded)
        (void)unlink(guarded);
    (void)raise(sig);
}

void scratch_file_guard(const char *path)
{
    size_t n = strlen(path);
    if (n >= sizeof guarded)
        return;
    HQ_ASSERT(!is_guarded);
    memcpy(guarded, path, n + 1);
    is_guarded = 1;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        (void)sigaction(signals[i], NULL, &before[i]);
        if (before[i].sa_handler == SIG_DFL)
            (void)sigaction(signals[i], &action, NULL);
    }
}

void scratch_file_release(void)
{
    if (!is_guarded)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        (void)sigaction(signals[i], &before[i], NULL);
    is_guarded = 0;
}
