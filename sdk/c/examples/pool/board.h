/* Which job of the run is where. It only keeps account: who sends and who waits is in boss.c. */

#ifndef POOL_BOARD_H
#define POOL_BOARD_H

#include "protocol.h"

enum { MAX_JOBS = 256, MAX_WORKERS = 16, NOBODY = -1 };

typedef enum { WAITING, RUNNING, DONE } job_state;

typedef struct {
    job_state state;
    unsigned attempts;
    int worker; /* who had it last */
    uint64_t sum;
} placed;

typedef struct {
    nectar_text node;
    unsigned running;
    bool resting;
} worker;

static placed jobs[MAX_JOBS];
static worker workers[MAX_WORKERS];
static unsigned job_count, worker_count, retried;

/* The worker with the least to do; not `last` again if there are others. */
static int free_worker(int last) {
    int best = NOBODY;
    for (int place = 0; place < (int)worker_count; place++) {
        if (workers[place].resting || workers[place].running == MAX_CHILDREN) continue;
        if (place == last && worker_count > 1) continue;
        if (best == NOBODY || workers[place].running < workers[best].running) best = place;
    }
    return best;
}

/* The number of a job to give out, which then counts as running; NOBODY: nothing is to be done, or nobody can do it. */
static int next_job(void) {
    for (unsigned number = 0; number < job_count; number++) {
        placed *job = &jobs[number];
        int worker = job->state == WAITING ? free_worker(job->worker) : NOBODY;
        if (worker == NOBODY) continue;
        if (job->attempts > 0) retried += 1;
        job->state = RUNNING;
        job->attempts += 1;
        job->worker = worker;
        workers[worker].running += 1;
        return (int)number;
    }
    return NOBODY;
}

/* A request has one outcome, so whatever comes back was running. */
static void returned(unsigned number, job_state state) {
    placed *job = &jobs[number];
    if (job->state != RUNNING) nectar_panic("a job has come back twice");
    workers[job->worker].running -= 1;
    job->state = state;
}

/* The worker did not even begin: this was no attempt. */
static void declined(unsigned number) {
    returned(number, WAITING);
    jobs[number].attempts -= 1;
    if (jobs[number].attempts > 0) retried -= 1;
}

static unsigned count_of(job_state state) {
    unsigned found = 0;
    for (unsigned number = 0; number < job_count; number++) found += jobs[number].state == state;
    return found;
}

#endif
