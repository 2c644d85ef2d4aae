/* Workflows that are accepted, and what becomes of them. */
#ifndef HQ_TEST_WORKFLOW_GOOD_H
#define HQ_TEST_WORKFLOW_GOOD_H

#define ONE " {cpus: 1 compact}\n"

static const struct {
    const char *text;
    const char *dump; /* see submit_dump.h */
} good_cases[] = {
    /* ---- commands ---- */
    {"tasks:\n  a: {run: echo x}\n", "0: a ids=0 [sh|-c|echo x] body=0\n"
                                     "body 0: shell" ONE},
    {"tasks:\n  a: {run: [echo, 1, 0x10, 1.50, true, '']}\n",
     "0: a ids=0 [echo|1|0x10|1.50|true|] body=0\nbody 0:" ONE},
    {"tasks:\n  a:\n    run: |\n      one\n      two\n",
     "0: a ids=0 [sh|-c|one\ntwo\n] body=0\nbody 0: shell" ONE},
    {"tasks:\n  a: {command: [x, '%{TASK_ID}']}\n",
     "0: a ids=0 [x|%{TASK_ID}] body=0\nbody 0: expand" ONE},
    {"task:\n  1: {run: true}\n", "0: 1 ids=0 [sh|-c|true] body=0\nbody 0: shell" ONE},

    /* ---- ids and axes ---- */
    {"tasks:\n"
     "  a: {run: [a], matrix: {T: [1.50, x y], s: {range: 1-3}}}\n"
     "  b: {run: [b]}\n"
     "  c: {run: [c], array: '5-9:2'}\n",
     "0: a ids=0-5 [a] body=0 axes=T(1.50,x y),s(1,2,3)\n"
     "1: b ids=6 [b] body=0\n"
     "2: c ids=7-9 [c] body=0 axes=array(5,7,9)\n"
     "body 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: [1.5, 1.8, 0.1]}}}\n",
     "0: a ids=0-3 [a] body=0 axes=T(1.5,1.6,1.7,1.8)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: [1, 2.5, 0.50]}}}\n",
     "0: a ids=0-3 [a] body=0 axes=T(1.00,1.50,2.00,2.50)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: [1, -1, -0.75]}}}\n",
     "0: a ids=0-2 [a] body=0 axes=T(1.00,0.25,-0.50)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: [1e-3, 3e-3, 1e-3]}}}\n",
     "0: a ids=0-2 [a] body=0 axes=T(0.001,0.002,0.003)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: [3, 10, 3]}, u: {range: [7, 7]}}}\n",
     "0: a ids=0-2 [a] body=0 axes=T(3,6,9),u(7)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: [2, 4294967294, 4294967293]}}}\n",
     "0: a ids=0 [a] body=0 axes=T(2)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: [-2, 0]}}}\n",
     "0: a ids=0-2 [a] body=0 axes=T(-2,-1,0)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: '9,1-2'}}}\n",
     "0: a ids=0-2 [a] body=0 axes=T(9,1,2)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], matrix: {T: {range: 5}}}\n",
     "0: a ids=0 [a] body=0 axes=T(5)\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], entries: [x, 2]}\n",
     "0: a ids=0-1 [a] body=0 entries=x|2\nbody 0:" ONE},
    {"tasks:\n  a: {run: [a], entries: [x, y], ids: '7,3'}\n",
     "0: a ids=0-1 [a] body=0 axes=array(7,3) entries=x|y\nbody 0:" ONE},

    /* ---- needs ---- */
    {"tasks:\n"
     "  a: {run: [a], needs: d}\n"
     "  b: {run: [b], array: 1-2, needs: [a, {c: each}, {d: all}]}\n"
     "  c: {run: [c], array: 8-9, needs: {d: all}}\n"
     "  d: {run: [d], deps: []}\n",
     "0: a ids=0 [a] body=0 needs=3\n"
     "1: b ids=1-2 [b] body=0 needs=0,each:2,3 axes=array(1,2)\n"
     "2: c ids=3-4 [c] body=0 needs=3 axes=array(8,9)\n"
     "3: d ids=5 [d] body=0\n"
     "body 0:" ONE},

    /* ---- keys of a task ---- */
    {"tasks:\n  a: {run: [a], stdin: {base64: YWIKYw==}}\n",
     "0: a ids=0 [a] body=0\nbody 0: stdin=ab\nc" ONE},
    {"tasks:\n"
     "  a:\n"
     "    run: [a]\n"
     "    env: {B: 2, A: '1'}\n"
     "    cwd: sub\n"
     "    stdin: text\n"
     "    stdout: 'out-%{TASK_ID}:rm-if-finished'\n"
     "    stderr: none\n"
     "    task-dir: true\n"
     "    time-limit: 1h 30m\n"
     "    priority: -3\n"
     "    crash-limit: 7\n"
     "    pin: omp\n"
     "    membind: strict\n"
     "    cpus: 2 compact!\n"
     "    resources: {gpus: 0.5, mem: 1 GiB, x: all}\n"
     "    weight: 2.5\n"
     "    time-request: '10:00'\n",
     "0: a ids=0 [a] body=0\n"
     "body 0: A=1 B=2 cwd=sub stdout=file:out-%{TASK_ID}(rm) stderr=none stdin=text "
     "task-dir omp membind=strict priority=-3 crash-limit=7 time-limit=1h 30m "
     "{cpus: 2 compact!, gpus: 0.5 compact, mem: 1024 compact, x: all weight=25000 "
     "time=10m}\n"},
    {"tasks:\n"
     "  a: {run: [a], time_limit: 0, stdout: {path: o, on_close: rm-if-finished}}\n"
     "  b: {run: [b], crash-limit: unlimited, stderr: ':rm-if-finished', n_nodes: 2}\n"
     "  c: {run: [c], log: f.hqlog, log-replace: true}\n"
     "  d: {run: [d], stream: dir, time-limit: 90, max-output: 1 MiB:tail, "
     "max-job-output: 2MB}\n",
     "0: a ids=0 [a] body=0\n1: b ids=1 [b] body=1\n"
     "2: c ids=2 [c] body=2\n3: d ids=3 [d] body=3\n"
     "body 0: stdout=file:o(rm) time-limit=1ns" ONE
     "body 1: stderr=default(rm) crash-limit=4294967295 {cpus: 1 compact nodes=2}\n"
     "body 2: log=f.hqlog log-replace" ONE
     "body 3: stream=dir max-output=1048576:tail max-job-output=2000000 time-limit=1m "
     "30s" ONE},
    {"tasks:\n"
     "  a: {run: [a], request: [{cpus: 4, nodes: 0}, {resources: {cpus: 1, gpus: 2 "
     "scatter}, weight: 0.5, time-request: 1m}, {}]}\n"
     "  b: {run: [b], request: {nodes: 3}}\n",
     "0: a ids=0 [a] body=0\n1: b ids=1 [b] body=1\n"
     "body 0: {cpus: 4 compact} or {cpus: 1 compact, gpus: 2 scatter weight=5000 "
     "time=1m} or {}\n"
     "body 1: { nodes=3}\n"},
    {"tasks:\n  a: {run: [a], resources: {mem: 1.5 GB tight!, disk: 100 kB}}\n",
     "0: a ids=0 [a] body=0\n"
     "body 0: {cpus: 1 compact, mem: 1430.5115 tight!, disk: 0.0954 compact}\n"},

    /* ---- defaults ---- */
    {"log: all.hqlog\n"
     "defaults: {cpus: 2, resources: {gpus: 1, mem: 5}, env: {A: 1, B: 2}, priority: "
     "4}\n"
     "tasks:\n"
     "  a: {run: [a]}\n"
     "  b: {run: [b], resources: {cpus: 3, mem: 6}, env: {B: 3}}\n"
     "  c: {run: [c], cpus: 1, priority: 0, stream: d}\n"
     "  d: {run: [d], request: [{cpus: 9}]}\n"
     "  e: {run: [e], nodes: 2}\n"
     "  f: {run: [f], env: }\n",
     "0: a ids=0 [a] body=0\n1: b ids=1 [b] body=1\n2: c ids=2 [c] body=2\n"
     "3: d ids=3 [d] body=3\n4: e ids=4 [e] body=4\n5: f ids=5 [f] body=0\n"
     "body 0: A=1 B=2 log=all.hqlog priority=4 {cpus: 2 compact, gpus: 1 compact, mem: "
     "5 "
     "compact}\n"
     "body 1: A=1 B=3 log=all.hqlog priority=4 {cpus: 3 compact, gpus: 1 compact, mem: "
     "6 "
     "compact}\n"
     "body 2: A=1 B=2 stream=d {cpus: 1 compact, gpus: 1 compact, mem: 5 compact}\n"
     "body 3: A=1 B=2 log=all.hqlog priority=4 {cpus: 9 compact}\n"
     "body 4: A=1 B=2 log=all.hqlog priority=4 {cpus: 1 compact, gpus: 1 compact, mem: "
     "5 "
     "compact nodes=2}\n"},
    {"defaults: {nodes: 2, pin: none}\n"
     "tasks:\n  a: {run: [a]}\n  b: {run: [b], cpus: 2}\n  c: {run: [c], pin: omp}\n",
     "0: a ids=0 [a] body=0\n1: b ids=1 [b] body=1\n2: c ids=2 [c] body=2\n"
     "body 0: {cpus: 1 compact nodes=2}\nbody 1: unpinned {cpus: 2 compact}\n"
     "body 2: omp" ONE},
    {"defaults: {pin: omp, request: [{cpus: 1}, {cpus: 2}]}\n"
     "tasks:\n  a: {run: [a]}\n  b: {run: [b], weight: 2}\n  c: {run: [c], nodes: 2}\n",
     "0: a ids=0 [a] body=0\n1: b ids=1 [b] body=1\n2: c ids=2 [c] body=2\n"
     "body 0: omp {cpus: 1 compact} or {cpus: 2 compact}\n"
     "body 1: omp {cpus: 1 compact weight=20000}\n"
     "body 2: {cpus: 1 compact nodes=2}\n"},
    {"log: a\ndefaults: {stream: b}\ntasks:\n  a: {run: [a]}\n  b: {run: [b], log: "
     "c}\n",
     "0: a ids=0 [a] body=0\n1: b ids=1 [b] body=1\n"
     "body 0: stream=b" ONE "body 1: log=c" ONE},

    /* ---- anchors, merge keys, keys for anchors ---- */
    {"x-common: &c {cpus: 2, env: &e {A: 1}}\n"
     "tasks:\n"
     "  a: {<<: *c, run: [a]}\n"
     "  b: {<<: *c, run: [b], cpus: 3}\n"
     "  c: {run: [c], cpus: 2, env: {<<: *e}}\n",
     "0: a ids=0 [a] body=0\n1: b ids=1 [b] body=1\n2: c ids=2 [c] body=0\n"
     "body 0: A=1 {cpus: 2 compact}\nbody 1: A=1 {cpus: 3 compact}\n"},

    /* ---- the keys of a job file, in YAML ---- */
    {"name: j\ntask:\n- {id: 4, command: [b], deps: [2]}\n- {id: 2, command: [a]}\n",
     "0: ids=2 [a] body=0\n1: ids=4 [b] body=0 needs=task:2\nbody 0:" ONE},
    {"array: {ids: 3-4, command: [a], time_limit: 1m}\n",
     "0: ids=3-4 [a] body=0\nbody 0: time-limit=1m" ONE},
};

#endif
