/*
 * Runs every file of the given directories, or the given files, through the fuzz target
 * this is linked with. Exit status 1 when a path is missing, cannot be read, or when
 * there was nothing to run; a crash of the target is the other way to fail.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool run_file(const char *path)
{
    struct buf input = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    if (path_read_file(path, &input, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        buf_release(&input);
        return false;
    }
    /* An exact copy, so that a sanitizer sees a read beyond the end. */
    uint8_t *exact = malloc(input.len ? input.len : 1);
    if (!exact) {
        buf_release(&input);
        return false;
    }
    if (input.len)
        memcpy(exact, input.data, input.len);
    (void)LLVMFuzzerTestOneInput(exact, input.len);
    free(exact);
    buf_release(&input);
    return true;
}

static bool run_directory(const char *path, size_t *n_run)
{
    DIR *dir = opendir(path);
    bool fine = true;
    if (!dir) {
        perror(path);
        return false;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        char *file = path_join(path, e->d_name);
        if (!file || !run_file(file))
            fine = false;
        else
            ++*n_run;
        free(file);
    }
    (void)closedir(dir);
    return fine;
}

int main(int argc, char **argv)
{
    size_t n_run = 0;
    bool fine = argc > 1;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            fine = false;
        } else if (S_ISDIR(st.st_mode)) {
            fine = run_directory(argv[i], &n_run) && fine;
        } else {
            bool ran = run_file(argv[i]);
            n_run += ran;
            fine = fine && ran;
        }
    }
    if (n_run == 0)
        (void)fprintf(stderr, "no input was run\n");
    else
        (void)printf("%zu inputs\n", n_run);
    return fine && n_run ? 0 : 1;
}
