/*
 * `hq log X export --format sqlite`: one database file with a row a run and a row a
 * block of output, for queries and for languages that have no reader of logs. The
 * library is opened with dlopen when it is wanted, so that `hq` itself needs neither it
 * nor the time to load it.
 *
 * The file is written under another name, in one transaction without a journal, and
 * gets its name when it is complete: nobody ever sees a part of it.
 */
#include "cli/log_export.h"

#ifdef HQ_SQLITE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/scratch_file.h"

#define LIBRARY "libsqlite3.so.0"

struct calls {
    int (*open_v2)(const char *, sqlite3 **, int, const char *);
    int (*close)(sqlite3 *);
    int (*exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *,
                char **);
    int (*prepare_v2)(sqlite3 *, const char *, int, sqlite3_stmt **, const char **);
    int (*bind_int64)(sqlite3_stmt *, int, sqlite3_int64);
    int (*bind_text)(sqlite3_stmt *, int, const char *, int, void (*)(void *));
    int (*bind_blob)(sqlite3_stmt *, int, const void *, int, void (*)(void *));
    int (*bind_null)(sqlite3_stmt *, int);
    int (*step)(sqlite3_stmt *);
    int (*reset)(sqlite3_stmt *);
    int (*finalize)(sqlite3_stmt *);
    const char *(*errmsg)(sqlite3 *);
    int (*system_errno)(sqlite3 *);
};

struct export_sqlite {
    void *library;
    struct calls c;
    char *temporary; /* name until it is complete; "": there is no file */
    sqlite3 *db;
    sqlite3_stmt *task, *block;
    sqlite3_int64 n_tasks;
};

static const char schema[] =
    "PRAGMA journal_mode = OFF;"
    "PRAGMA synchronous = OFF;"
    "PRAGMA user_version = 1;"
    "BEGIN;"
    "CREATE TABLE log (name TEXT NOT NULL PRIMARY KEY, value);"
    "CREATE TABLE tasks ("
    " id INTEGER PRIMARY KEY,"
    " job INTEGER NOT NULL, task INTEGER NOT NULL, instance INTEGER NOT NULL,"
    " superseded INTEGER NOT NULL,"
    " state TEXT NOT NULL, cut INTEGER NOT NULL,"
    " exit_code INTEGER, signal INTEGER,"
    " start_us INTEGER, end_us INTEGER,"
    " host TEXT, rank INTEGER, worker INTEGER,"
    " stdout_bytes INTEGER NOT NULL, stderr_bytes INTEGER NOT NULL,"
    " UNIQUE (job, task, instance));"
    "CREATE TABLE blocks ("
    " task_id INTEGER NOT NULL REFERENCES tasks (id),"
    " channel TEXT NOT NULL CHECK (channel IN ('stdout', 'stderr')),"
    " seq INTEGER NOT NULL, time_us INTEGER NOT NULL,"
    " data BLOB NOT NULL);";

static const char insert_task[] =
    "INSERT INTO tasks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
    "?14, ?15, ?16)";
static const char insert_block[] = "INSERT INTO blocks VALUES (?1, ?2, ?3, ?4, ?5)";

/* ---- the library -------------------------------------------------------------------
 */

static int open_library(struct export_sqlite *q, struct error *err)
{
    const struct {
        void *slot;
        const char *name;
    } symbols[] = {
        {&q->c.open_v2, "sqlite3_open_v2"},
        {&q->c.close, "sqlite3_close"},
        {&q->c.exec, "sqlite3_exec"},
        {&q->c.prepare_v2, "sqlite3_prepare_v2"},
        {&q->c.bind_int64, "sqlite3_bind_int64"},
        {&q->c.bind_text, "sqlite3_bind_text"},
        {&q->c.bind_blob, "sqlite3_bind_blob"},
        {&q->c.bind_null, "sqlite3_bind_null"},
        {&q->c.step, "sqlite3_step"},
        {&q->c.reset, "sqlite3_reset"},
        {&q->c.finalize, "sqlite3_finalize"},
        {&q->c.errmsg, "sqlite3_errmsg"},
        {&q->c.system_errno, "sqlite3_system_errno"},
    };
    q->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!q->library)
        return error_set(err, ERR_NOT_FOUND,
                         "--format sqlite needs the SQLite library, which cannot be "
                         "loaded: %s",
                         dlerror());
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        void *address = dlsym(q->library, symbols[i].name);
        if (!address)
            return error_set(err, ERR_NOT_FOUND,
                             "the SQLite library '%s' lacks %s: it is too old", LIBRARY,
                             symbols[i].name);
        memcpy(symbols[i].slot, &address, sizeof address);
    }
    return 0;
}

/* What the last call failed with: the system's words where it was the system. */
static int fail(const struct exporter *x, struct error *err)
{
    struct export_sqlite *q = x->sqlite;
    int sys = q->db ? q->c.system_errno(q->db) : 0;
    const char *why = sys     ? strerror(sys)
                      : q->db ? q->c.errmsg(q->db)
                              : "out of memory";
    error_set(err, ERR_SYSTEM, "cannot write '%s': %s", x->to, why);
    return ERR_SYSTEM;
}

static int run_sql(const struct exporter *x, const char *sql, struct error *err)
{
    struct export_sqlite *q = x->sqlite;
    return q->c.exec(q->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(x, err);
}

/* ---- begin ------------------------------------------------------------------------
 */

static int make_temporary(struct exporter *x, struct error *err)
{
    struct export_sqlite *q = x->sqlite;
    struct stat st;
    if (lstat(x->to, &st) == 0)
        return error_set(err, ERR_EXISTS, "'%s' exists already", x->to);
    buf_clear(&x->path);
    buf_printf(&x->path, "%s.XXXXXX", x->to);
    q->temporary = buf_steal(&x->path);
    if (!q->temporary)
        return error_nomem(err);
    int fd = mkostemp(q->temporary, O_CLOEXEC);
    if (fd < 0) {
        q->temporary[0] = 0;
        return error_sys(err, "cannot create '%s'", x->to);
    }
    scratch_file_guard(q->temporary);
    mode_t mask = umask(0); /* as any new file */
    (void)umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
    (void)close(fd);
    return 0;
}

static int put_about(struct exporter *x, const char *name, const char *text,
                     sqlite3_int64 number, struct error *err)
{
    struct export_sqlite *q = x->sqlite;
    sqlite3_stmt *s = NULL;
    bool ok = q->c.prepare_v2(q->db, "INSERT INTO log VALUES (?1, ?2)", -1, &s, NULL) ==
                  SQLITE_OK &&
              q->c.bind_text(s, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
              (text ? q->c.bind_text(s, 2, text, -1, SQLITE_STATIC)
                    : q->c.bind_int64(s, 2, number)) == SQLITE_OK &&
              q->c.step(s) == SQLITE_DONE;
    int rc = ok ? 0 : fail(x, err);
    (void)q->c.finalize(s);
    return rc;
}

static int begin_database(struct exporter *x, struct error *err)
{
    struct export_sqlite *q = x->sqlite;
    /* Nobody else knows the file: no locks, which some file systems do not have. */
    int rc = 0;
    if (q->c.open_v2(q->temporary, &q->db, SQLITE_OPEN_READWRITE, "unix-none") !=
        SQLITE_OK)
        rc = fail(x, err);
    if (rc == 0)
        rc = run_sql(x, schema, err);
    if (rc == 0)
        rc = put_about(x, "path", x->s.shown, 0, err);
    if (rc == 0)
        rc = put_about(x, "exported_by", "hq " HQ_VERSION, 0, err);
    if (rc == 0)
        rc = put_about(x, "exported_us", NULL, (sqlite3_int64)clock_real_us(), err);
    if (rc == 0 &&
        (q->c.prepare_v2(q->db, insert_task, -1, &q->task, NULL) != SQLITE_OK ||
         q->c.prepare_v2(q->db, insert_block, -1, &q->block, NULL) != SQLITE_OK))
        rc = fail(x, err);
    return rc;
}

static int begin(struct exporter *x, struct error *err)
{
    x->sqlite = calloc(1, sizeof *x->sqlite);
    if (!x->sqlite)
        return error_nomem(err);
    int rc = open_library(x->sqlite, err);
    if (rc == 0)
        rc = make_temporary(x, err);
    return rc < 0 ? rc : begin_database(x, err);
}

/* ---- rows -------------------------------------------------------------------------
 */

static void put_row(struct exporter *x, sqlite3_stmt *s)
{
    struct export_sqlite *q = x->sqlite;
    if (q->c.step(s) != SQLITE_DONE)
        export_fail(x, fail(x, x->err));
    (void)q->c.reset(s);
}

static void bind(struct export_sqlite *q, int column, bool known, sqlite3_int64 value)
{
    if (known)
        (void)q->c.bind_int64(q->task, column, value);
    else
        (void)q->c.bind_null(q->task, column);
}

static void bind_origin(struct export_sqlite *q, const struct export_run *run)
{
    const struct outlog_origin *o = &run->origin;
    if (run->has_origin)
        (void)q->c.bind_text(q->task, 12, o->host, -1, SQLITE_TRANSIENT);
    else
        (void)q->c.bind_null(q->task, 12);
    bind(q, 13, run->has_origin && o->rank >= 0, o->rank);
    bind(q, 14, run->has_origin, o->worker);
}

static void begin_run(struct exporter *x, const struct export_run *run)
{
    struct export_sqlite *q = x->sqlite;
    const struct outlog_end *end = &x->end;
    bool ended = end->state != OUTLOG_UNFINISHED;
    bind(q, 1, true, ++q->n_tasks);
    bind(q, 2, true, run->job);
    bind(q, 3, true, run->task);
    bind(q, 4, true, run->instance);
    bind(q, 5, true, !run->newest);
    (void)q->c.bind_text(q->task, 6, log_state_word(run->finished, run->state), -1,
                         SQLITE_STATIC);
    bind(q, 7, true, run->cut);
    bind(q, 8, ended && !end->signal, end->exit_code);
    bind(q, 9, ended && end->signal, end->signal);
    bind(q, 10, end->start_us > 0, (sqlite3_int64)end->start_us);
    bind(q, 11, end->end_us > 0, (sqlite3_int64)end->end_us);
    bind_origin(q, run);
    bind(q, 15, true, (sqlite3_int64)run->bytes[OUTLOG_STDOUT]);
    bind(q, 16, true, (sqlite3_int64)run->bytes[OUTLOG_STDERR]);
    put_row(x, q->task);
}

static void begin_channel(struct exporter *x UNUSED,
                          const struct export_run *run UNUSED,
                          enum outlog_channel channel UNUSED)
{
}

static void put_data(struct exporter *x, const struct outlog_entry *e, const uint8_t *p,
                     size_t n)
{
    struct export_sqlite *q = x->sqlite;
    const char *channel = e->type == OUTLOG_BLOCK_STDERR ? "stderr" : "stdout";
    (void)q->c.bind_int64(q->block, 1, q->n_tasks);
    (void)q->c.bind_text(q->block, 2, channel, -1, SQLITE_STATIC);
    (void)q->c.bind_int64(q->block, 3, e->key.seq);
    (void)q->c.bind_int64(q->block, 4, (sqlite3_int64)e->time_us);
    if (q->c.bind_blob(q->block, 5, p, (int)n, SQLITE_STATIC) != SQLITE_OK)
        export_fail(x, fail(x, x->err));
    else
        put_row(x, q->block);
}

static void end_nothing(struct exporter *x UNUSED)
{
}

/* ---- end --------------------------------------------------------------------------
 */

static int close_database(struct exporter *x, struct error *err)
{
    struct export_sqlite *q = x->sqlite;
    (void)q->c.finalize(q->task);
    (void)q->c.finalize(q->block);
    q->task = q->block = NULL;
    if (q->c.close(q->db) != SQLITE_OK)
        return fail(x, err);
    q->db = NULL;
    int fd = open(q->temporary, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "cannot write '%s'", x->to);
    int rc = fsync(fd) == 0 ? 0 : error_sys(err, "cannot write '%s'", x->to);
    (void)close(fd);
    return rc;
}

/* Never over a file that came meanwhile, where the file system can do that. */
static int give_name(struct exporter *x, struct error *err)
{
    struct export_sqlite *q = x->sqlite;
    if (link(q->temporary, x->to) == 0)
        return 0; /* the other name goes with the rest */
    if (errno == EEXIST)
        return error_set(err, ERR_EXISTS, "'%s' exists already", x->to);
    if (rename(q->temporary, x->to) != 0)
        return error_sys(err, "cannot create '%s'", x->to);
    q->temporary[0] = 0;
    return 0;
}

static int finish(struct exporter *x, struct error *err)
{
    int rc = run_sql(x,
                     "CREATE INDEX blocks_by_task ON blocks (task_id, channel, seq);"
                     "COMMIT;",
                     err);
    if (rc == 0)
        rc = close_database(x, err);
    return rc < 0 ? rc : give_name(x, err);
}

static void release(struct exporter *x)
{
    struct export_sqlite *q = x->sqlite;
    if (!q)
        return;
    if (q->db) {
        (void)q->c.finalize(q->task);
        (void)q->c.finalize(q->block);
        (void)q->c.close(q->db);
    }
    if (q->temporary && q->temporary[0])
        (void)unlink(q->temporary);
    scratch_file_release();
    if (q->library)
        (void)dlclose(q->library);
    free(q->temporary);
    free(q);
    x->sqlite = NULL;
}

const struct export_ops export_sqlite = {
    .whole_runs = true,
    .begin = begin,
    .begin_run = begin_run,
    .begin_channel = begin_channel,
    .put_data = put_data,
    .end_channel = end_nothing,
    .end_run = end_nothing,
    .finish = finish,
    .release = release,
};

#else

static int begin(struct exporter *x UNUSED, struct error *err)
{
    return error_set(err, ERR_INVALID,
                     "this hq was built without --format sqlite, since the header of "
                     "SQLite was missing (package libsqlite3-dev)");
}

const struct export_ops export_sqlite = {.begin = begin};

#endif
