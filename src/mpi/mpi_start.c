#include "mpi/mpi_start.h"

#include <mpi.h>
#include <stdlib.h>
#include "base/launcher_env.h"
#include "base/log.h"
#include "base/path.h"
#include "base/xmem.h"

extern char **environ;

static void scrub(void)
{
    for (char **e = environ; e && *e;) {
        const char *equals = strchr(*e, '=');
        if (!equals || !launcher_env_is_rank(*e)) {
            e++;
            continue;
        }
        char *name = strndup(*e, (size_t)(equals - *e));
        if (!name)
            return;
        (void)unsetenv(name); /* moves the rest down: stay here */
        free(name);
    }
}

/*
 * Worlds of one have the same name, and Open MPI makes and removes directories of that
 * name: of two ranks on a node the one that ends would take away what the other, which
 * just starts, is about to use. Without a directory of its own a rank shares them.
 */
static char *session_dir_make(void)
{
    char *dir = xasprintf("%s/hq-mpiXXXXXX", path_temporary_dir());
    if (mkdtemp(dir) && setenv("OMPI_MCA_orte_tmpdir_base", dir, 1) == 0)
        return dir;
    free(dir);
    return NULL;
}

void mpi_environment_prepare(struct mpi_start *m)
{
    /*
     * OMPIO: no semaphore keyed by the file's name, no locks on NFS. Our writers never
     * overlap. Its short counts are checked in mpi_io.c.
     */
    (void)setenv("OMPI_MCA_io", "ompio", 0);
    (void)setenv("OMPI_MCA_sharedfp", "individual", 0);
    (void)setenv("OMPI_MCA_fs_ufs_lock_algorithm", "1", 0);
    if (m->world)
        return;
    scrub();
    /* A world of one needs no wire; looking for it costs 300 ms. */
    (void)setenv("OMPI_MCA_pml", "ob1", 0);
    (void)setenv("OMPI_MCA_btl", "self", 0);
    (void)setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    m->session_dir = session_dir_make();
}

void mpi_environment_release(struct mpi_start *m)
{
    struct error err = ERROR_INIT;
    if (m->session_dir && path_remove_tree(m->session_dir, &err) != 0)
        log_warn("%s", err.text);
    free(m->session_dir);
    m->session_dir = NULL;
}

void mpi_error_text(int code, struct buf *out)
{
    char text[MPI_MAX_ERROR_STRING + 1];
    int len = 0;
    if (MPI_Error_string(code, text, &len) == MPI_SUCCESS && len > 0)
        buf_append(out, text, (size_t)len);
    else
        buf_printf(out, "MPI error %d", code);
}

static int mpi_failed(struct error *err, int code, const char *call)
{
    struct buf text = BUF_INIT(4096);
    mpi_error_text(code, &text);
    error_set(err, ERR_SYSTEM, "%s: %s", call, buf_cstr(&text));
    buf_release(&text);
    return ERR_SYSTEM;
}

static int local_identity(struct mpi_identity *id, struct error *err)
{
    MPI_Comm node;
    int rc = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, id->rank,
                                 MPI_INFO_NULL, &node);
    if (rc != MPI_SUCCESS)
        return mpi_failed(err, rc, "MPI_Comm_split_type");
    rc = MPI_Comm_rank(node, &id->local_rank);
    if (rc == MPI_SUCCESS)
        rc = MPI_Comm_size(node, &id->local_size);
    (void)MPI_Comm_free(&node);
    return rc == MPI_SUCCESS ? 0 : mpi_failed(err, rc, "MPI_Comm_rank");
}

#define BLOB_MAX (1u << 20)

/*
 * Rank 0's blob to everybody. When rank 0 has none the reason travels instead, so that
 * all ranks end with the same message and none waits for ever.
 */
static int share_blob(struct mpi_start *m, struct error *err)
{
    struct error why = ERROR_INIT;
    int failed = 0;
    if (m->id.rank == 0 && m->read_blob(m->arg, &m->blob, &why) < 0) {
        failed = 1;
        buf_clear(&m->blob);
        buf_puts(&m->blob, why.text);
    }
    uint64_t head[2] = {m->blob.len, (uint64_t)failed};
    int rc = MPI_Bcast(head, 2, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    if (rc != MPI_SUCCESS)
        return mpi_failed(err, rc, "MPI_Bcast");
    if (head[0] > BLOB_MAX)
        return error_set(err, ERR_TOO_BIG, "start record of %llu bytes",
                         (unsigned long long)head[0]);
    if (m->id.rank != 0) {
        buf_clear(&m->blob);
        if (!buf_extend(&m->blob, (size_t)head[0]) && head[0])
            return error_nomem(err);
    }
    rc = MPI_Bcast(m->blob.data, (int)head[0], MPI_BYTE, 0, MPI_COMM_WORLD);
    if (rc != MPI_SUCCESS)
        return mpi_failed(err, rc, "MPI_Bcast");
    if (head[1])
        return error_set(err, ERR_NOT_FOUND, "%s", buf_cstr(&m->blob));
    return 0;
}

static int connect_world(struct mpi_start *m, struct error *err)
{
    int rc = MPI_Comm_rank(MPI_COMM_WORLD, &m->id.rank);
    if (rc == MPI_SUCCESS)
        rc = MPI_Comm_size(MPI_COMM_WORLD, &m->id.size);
    if (rc != MPI_SUCCESS)
        return mpi_failed(err, rc, "MPI_Comm_rank");
    rc = local_identity(&m->id, err);
    if (rc < 0 || !m->read_blob)
        return rc;
    return share_blob(m, err);
}

int mpi_world_start(struct mpi_start *m, struct error *err)
{
    int provided = MPI_THREAD_SINGLE;
    m->id = (struct mpi_identity){0, 1, 0, 1};
    buf_init(&m->blob, BLOB_MAX);
    int rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
    if (rc != MPI_SUCCESS)
        return mpi_failed(err, rc, "MPI_Init_thread");
    m->running = true;
    if (provided < MPI_THREAD_FUNNELED)
        return error_set(err, ERR_UNSUPPORTED,
                         "this MPI library gives no MPI_THREAD_FUNNELED");
    m->any_thread = provided >= MPI_THREAD_MULTIPLE;
    (void)MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    (void)MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    return m->world ? connect_world(m, err) : 0;
}

void mpi_world_stop(struct mpi_start *m)
{
    if (m->running)
        (void)MPI_Finalize();
    m->running = false;
}
