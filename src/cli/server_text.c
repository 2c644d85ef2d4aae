#include "cli/server_text.h"

#include "base/clock.h"
#include "base/table.h"
#include "cli/session.h"

static void print_json(struct output *o, const struct server_info *i, const char *dir)
{
    struct json *j = output_json(o);
    json_begin_object(j);
    json_kstr(j, "client_host", i->client_host);
    json_kuint(j, "client_port", i->client_port);
    json_kstr(j, "journal_path", i->journal_path);
    json_kuint(j, "pid", i->pid);
    json_kstr(j, "server_dir", dir);
    json_kstr(j, "server_uid", i->uid);
    json_time(j, "start_date", i->started_us);
    json_kstr(j, "version", i->version);
    json_kstr(j, "worker_host", i->worker_host);
    json_kuint(j, "worker_port", i->worker_port);
    json_end_object(j);
    output_end_json(o);
}

static int print_table(struct output *o, const struct server_info *i, const char *dir,
                       struct error *err)
{
    struct table t;
    struct buf date = BUF_INIT(256);
    time_print_utc(i->started_us, &date);
    table_init(&t, TABLE_VERTICAL, 2, o->colour);
    if (dir)
        table_pair(&t, "Server directory", dir);
    table_pair(&t, "Server UID", i->uid);
    table_pair(&t, "Client host", i->client_host);
    table_pairf(&t, "Client port", "%u", i->client_port);
    table_pair(&t, "Worker host", i->worker_host);
    table_pairf(&t, "Worker port", "%u", i->worker_port);
    table_pair(&t, "Version", i->version);
    table_pairf(&t, "Pid", "%u", i->pid);
    table_pair(&t, "Start date", buf_cstr(&date));
    table_pair(&t, "Journal path", i->journal_path);
    buf_release(&date);
    return output_table(o, &t, err);
}

int server_text_info(struct output *o, const struct server_info *info,
                     const char *server_dir, struct error *err)
{
    switch (o->mode) {
    case OUTPUT_JSON:
        print_json(o, info, server_dir);
        break;
    case OUTPUT_QUIET:
        if (server_dir)
            output_printf(o, "%s\n", server_dir);
        break;
    case OUTPUT_CLI:
        return print_table(o, info, server_dir, err);
    }
    return 0;
}
