/* The commands and their bodies: one table file a group (cmd_*.c), bodies beside it. */
#ifndef HQ_CLI_CMDS_H
#define HQ_CLI_CMDS_H

#include "args/cmd.h"

/* The tree of `hq` (tree.c). */
extern const struct cmd cmd_root;
/* `hq-mpi-worker`, built from the options of `hq worker start` (cmd_mpi_worker.c). */
extern const struct cmd cmd_mpi_worker;

extern const struct cmd cmd_server;
extern const struct cmd cmd_job;
extern const struct cmd cmd_task;
extern const struct cmd cmd_submit;
extern const struct cmd cmd_job_submit;
extern const struct cmd cmd_job_submit_file;
extern const struct cmd cmd_worker;
extern const struct cmd cmd_alloc;
extern const struct cmd cmd_log;
extern const struct cmd cmd_output_log;
extern const struct cmd cmd_journal;
extern const struct cmd cmd_dashboard;
extern const struct cmd cmd_doc;
extern const struct cmd cmd_generate_completion;
extern const struct cmd cmd_generate_docs;
extern const struct cmd cmd_retired_jobs;
extern const struct cmd cmd_retired_wait;
extern const struct cmd cmd_retired_progress;
extern const struct cmd cmd_retired_cancel;
extern const struct cmd cmd_retired_job_tasks;
extern const struct cmd cmd_retired_resubmit;

/* Options that several commands share. */
extern const struct opt_group global_options;        /* tree.c */
extern const struct opt_group worker_shared_options; /* also for allocations */
extern const struct opt_group worker_start_options;
extern const char *const task_state_choices[];
extern const char *const channel_choices[];

int submit_run(struct run *r, struct error *err);
int submit_file_run(struct run *r, struct error *err);

int job_list_run(struct run *r, struct error *err);
int job_summary_run(struct run *r, struct error *err);
int job_info_run(struct run *r, struct error *err);
int job_cancel_run(struct run *r, struct error *err);
int job_forget_run(struct run *r, struct error *err);
int job_cat_run(struct run *r, struct error *err);
int job_wait_run(struct run *r, struct error *err);
int job_progress_run(struct run *r, struct error *err);
int job_task_ids_run(struct run *r, struct error *err);
int job_open_run(struct run *r, struct error *err);
int job_close_run(struct run *r, struct error *err);
int job_resubmit_run(struct run *r, struct error *err);

int task_list_run(struct run *r, struct error *err);
int task_info_run(struct run *r, struct error *err);
int task_explain_run(struct run *r, struct error *err);
int task_notify_run(struct run *r, struct error *err);

int server_start_run(struct run *r, struct error *err);
int server_stop_run(struct run *r, struct error *err);
int server_info_run(struct run *r, struct error *err);
int server_generate_access_run(struct run *r, struct error *err);
int server_debug_dump_run(struct run *r, struct error *err);
int server_wait_run(struct run *r, struct error *err);

int worker_start_run(struct run *r, struct error *err);
int worker_stop_run(struct run *r, struct error *err);
int worker_list_run(struct run *r, struct error *err);
int worker_hwdetect_run(struct run *r, struct error *err);
int worker_info_run(struct run *r, struct error *err);
int worker_address_run(struct run *r, struct error *err);
int worker_wait_run(struct run *r, struct error *err);
int worker_deploy_ssh_run(struct run *r, struct error *err);

int journal_export_run(struct run *r, struct error *err);
int journal_flush_run(struct run *r, struct error *err);
int journal_report_run(struct run *r, struct error *err);
int journal_prune_run(struct run *r, struct error *err);
int journal_replay_run(struct run *r, struct error *err);
int journal_stream_run(struct run *r, struct error *err);

int alloc_add_run(struct run *r, struct error *err);
int alloc_dry_run_run(struct run *r, struct error *err);
int alloc_list_run(struct run *r, struct error *err);
int alloc_info_run(struct run *r, struct error *err);
int alloc_log_run(struct run *r, struct error *err);
int alloc_pause_run(struct run *r, struct error *err);
int alloc_resume_run(struct run *r, struct error *err);
int alloc_remove_run(struct run *r, struct error *err);

int dashboard_stream_run(struct run *r, struct error *err);
int dashboard_replay_run(struct run *r, struct error *err);

int doc_run(struct run *r, struct error *err);
int generate_completion_run(struct run *r, struct error *err);
int generate_docs_run(struct run *r, struct error *err);

#endif
