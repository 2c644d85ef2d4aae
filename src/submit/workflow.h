/*
 * Files that describe a whole job: workflows in YAML (docs/workflow.md) and job files
 * in TOML. Both become a struct submit; nothing is sent here.
 *
 * A workflow is one job. Each of its tasks becomes one group, in the order of the file,
 * with ids from 0 on that run through all groups. A job file becomes one group for each
 * [[task]], in an order in which nothing comes before what it needs, or the groups of
 * its [array].
 *
 * Errors of the contents tell file, line, column and the line itself.
 */
#ifndef HQ_SUBMIT_WORKFLOW_H
#define HQ_SUBMIT_WORKFLOW_H

#include "args/notices.h"
#include "args/output.h"
#include "model/spec.h"

/* What the command line says about a workflow; everything is borrowed. */
struct workflow_options {
    const char *submit_dir; /* NULL: the current directory; relative paths start here */
    uint32_t job; /* 0: a new job; else an open one: ids are left to the server,
                     name and max-fails of the file are passed over */
    const char *const *sets; /* "KEY=VALUE" */
    size_t n_sets;
    /* Options that win over the file; NULL where not given. */
    const char *name;
    const char *max_fails;
    const char *stream, *log; /* at most one of them */
    bool log_replace;
    struct notices *notices; /* NULL: remarks are dropped */
};

/*
 * Reads the workflow at `path`, "-" for standard input. *out is initialised here and on
 * success belongs to the caller; on failure it holds nothing.
 */
int workflow_load(const char *path, const struct workflow_options *options,
                  struct submit *out, struct error *err) MUST_CHECK;
/* The same for a text in memory; `name` is what errors call it. */
int workflow_parse(const char *name, const void *text, size_t n,
                   const struct workflow_options *options, struct submit *out,
                   struct error *err) MUST_CHECK;

/*
 * Reads a job file: TOML, or the same keys in YAML when the name ends in ".yml" or
 * ".yaml" (there a workflow is fine as well). `job` and *out as above.
 */
int jobfile_load(const char *path, const char *submit_dir, uint32_t job,
                 struct submit *out, struct error *err) MUST_CHECK;
int jobfile_parse(const char *name, const void *text, size_t n, const char *submit_dir,
                  uint32_t job, struct submit *out, struct error *err) MUST_CHECK;

#endif
