/* Work for a pool of nodes: boss gives out jobs to the workers on them. A job whose worker is gone goes to another.
 *
 *     {"Run": {"jobs": 3, "workers": ["one.nec", "two.nec"], "timeout": 30}}
 *         →  {"Done": {"results": [{"job": 0, "sum": 76127, "worker": "one.nec"}, …], "retried": 0}}
 *     "Status"  →  {"Status": {"jobs": 3, "waiting": 0, "running": 2, "done": 1, "retried": 0}}      at once, meanwhile
 *
 * The kernel tells boss what became of every job: an answer, Offline, or Timeout; exactly one of these. So there is
 * nothing to poll. A worker that was Offline or too slow is left alone for some seconds, then it gets jobs again.
 */

#include "board.h"

enum { MAX_NAME_BYTES = 253, MAX_TIMEOUT = 3600, REST_SECONDS = 5 };

static nectar_address our;
static uint64_t run_number; /* of the run that is under way, or of the last one */
static bool under_way;

/* What was asked for. */
typedef struct {
    uint64_t jobs, below, timeout, attempts, rest;
    nectar_json workers, trap;
} run;

static const nectar_field run_fields[] = {
    NECTAR_FIELD(run, jobs, NECTAR_U64),    NECTAR_FIELD(run, below, NECTAR_U64),   NECTAR_FIELD(run, timeout, NECTAR_U64),
    NECTAR_FIELD(run, attempts, NECTAR_U64), NECTAR_FIELD(run, rest, NECTAR_U64),   NECTAR_FIELD(run, workers, NECTAR_RAW),
    NECTAR_FIELD(run, trap, NECTAR_RAW),    NECTAR_END,
};

static run terms;
static bool traps[MAX_JOBS]; /* by job: whether the child is to trap at the first attempt */

static void refuse(const char *reason) {
    nectar_writer body = {0};
    nectar_put_object(&body, NULL);
    nectar_put_string(&body, "Err", reason);
    nectar_respond(&(nectar_reply){.body = nectar_written(&body)});
}

/* --- giving out --- */

/* What comes back with an outcome: of which run, and of which job or of which worker's rest. */
static void send(nectar_address target, nectar_text body, uint64_t seconds, const char *what, uint64_t number) {
    nectar_writer context = {0};
    nectar_put_object(&context, NULL);
    nectar_put_u64(&context, "run", run_number);
    nectar_put_u64(&context, what, number);
    nectar_send(&(nectar_request){
        .target = target, .body = body, .seconds = seconds, .context = nectar_written(&context)});
}

static void give_out(void) {
    for (int number; (number = next_job()) != NOBODY;) {
        job order = {
            .number = (uint64_t)number,
            .below = terms.below + 100 * (uint64_t)number,
            .rest = terms.rest,
            .trap = traps[number] && jobs[number].attempts == 1,
        };
        nectar_writer body = {0};
        nectar_put_object(&body, NULL);
        nectar_put_object(&body, "Do");
        nectar_put_struct(&body, job_fields, &order);
        nectar_address target = nectar_local("worker:pool:sys");
        target.node = workers[jobs[number].worker].node;
        send(target, nectar_written(&body), terms.timeout, "job", order.number);
    }
}

/* Give the worker nothing for some seconds. */
static void leave_alone(int place) {
    if (workers[place].resting) return;
    workers[place].resting = true;
    nectar_text body = nectar_format("{\"SetTimer\":%d}", REST_SECONDS * 1000);
    send(nectar_local("timer:distro:sys"), body, 2 * REST_SECONDS, "rested", (uint64_t)place);
}

/* --- runs --- */

/* Fill the lists; NULL, or why they cannot be. */
static const char *read_lists(const run *wanted) {
    uint64_t number;
    nectar_text node;
    bool to_trap[MAX_JOBS] = {false};
    nectar_text nodes[MAX_WORKERS];
    unsigned count = 0;
    nectar_items items = nectar_json_items(wanted->workers);
    for (; nectar_json_next(&items); nodes[count++] = node) {
        if (count == MAX_WORKERS) return "a run has 1 to 16 workers";
        bool named = nectar_json_text(items.value, &node) && node.len > 0 && node.len <= MAX_NAME_BYTES;
        if (!named) return "a worker is not a node's name";
    }
    if (count == 0) return "a run has 1 to 16 workers";
    for (items = nectar_json_items(wanted->trap); nectar_json_next(&items); to_trap[number] = true)
        if (!nectar_json_u64(items.value, &number) || number >= wanted->jobs) return "a job that is to trap does not exist";
    for (unsigned place = 0; place < worker_count; place++) nectar_free((void *)workers[place].node.ptr);
    for (unsigned place = 0; place < count; place++) workers[place] = (worker){.node = nectar_keep(nodes[place])};
    worker_count = count;
    nectar_copy(traps, to_trap, sizeof traps);
    return NULL;
}

static const char *refusal(const run *wanted) {
    if (under_way) return "a run is under way";
    if (wanted->jobs == 0 || wanted->jobs > MAX_JOBS) return "a run has 1 to 256 jobs";
    if (wanted->below > MAX_BELOW - 100 * wanted->jobs) return "a job goes up to 1,000,000 at most";
    if (wanted->timeout == 0 || wanted->timeout > MAX_TIMEOUT) return "a job's timeout is 1 to 3600 seconds";
    if (wanted->attempts == 0) return "a job needs one attempt at least";
    return read_lists(wanted);
}

static void begin(const run *wanted) {
    const char *reason = refusal(wanted);
    if (reason != NULL) return refuse(reason);
    terms = *wanted;
    job_count = (unsigned)wanted->jobs;
    for (unsigned number = 0; number < job_count; number++) jobs[number] = (placed){.worker = NOBODY};
    retried = 0;
    run_number += 1;
    under_way = true;
    give_out();
}

static void end(nectar_writer *answer) {
    under_way = false;
    nectar_respond(&(nectar_reply){.body = nectar_written(answer)});
}

static void tell_results(void) {
    nectar_writer answer = {0};
    nectar_put_object(&answer, NULL);
    nectar_put_object(&answer, "Done");
    nectar_put_u64(&answer, "retried", retried);
    nectar_put_array(&answer, "results");
    for (unsigned number = 0; number < job_count; number++) {
        nectar_put_object(&answer, NULL);
        nectar_put_u64(&answer, "job", number);
        nectar_put_u64(&answer, "sum", jobs[number].sum);
        nectar_put_text(&answer, "worker", workers[jobs[number].worker].node);
        nectar_put_end(&answer);
    }
    end(&answer);
}

static void tell_status(void) {
    nectar_writer answer = {0};
    nectar_put_object(&answer, NULL);
    nectar_put_object(&answer, "Status");
    nectar_put_u64(&answer, "jobs", job_count);
    nectar_put_u64(&answer, "waiting", count_of(WAITING));
    nectar_put_u64(&answer, "running", count_of(RUNNING));
    nectar_put_u64(&answer, "done", count_of(DONE));
    nectar_put_u64(&answer, "retried", retried);
    nectar_respond(&(nectar_reply){.body = nectar_written(&answer)});
}

/* What came of a job; `body` has no `ptr` if there was an error. */
static void settle(unsigned number, nectar_text body) {
    nectar_json value, payload = {NULL, 0};
    nectar_text kind = {NULL, 0};
    uint64_t did, sum;
    int place = jobs[number].worker;
    bool said = body.ptr != NULL && nectar_json_parse(body, &value) == NECTAR_OK && nectar_json_variant(value, &kind, &payload);
    if (said && nectar_is(kind, "Busy")) {
        declined(number);
        return leave_alone(place);
    }
    if (said && nectar_is(kind, "Did") && nectar_json_u64(nectar_json_field(payload, "job"), &did) && did == number &&
        nectar_json_u64(nectar_json_field(payload, "sum"), &sum)) {
        returned(number, DONE);
        jobs[number].sum = sum;
        return;
    }
    if (body.ptr == NULL) leave_alone(place);
    returned(number, WAITING);
    if (jobs[number].attempts < terms.attempts) return;
    nectar_writer answer = {0};
    nectar_put_object(&answer, NULL);
    nectar_put_object(&answer, "Failed");
    nectar_put_u64(&answer, "job", number);
    nectar_put_u64(&answer, "attempts", jobs[number].attempts);
    end(&answer);
}

/* An outcome puts back the prompt under which the job was given out. That was the Run's, or an outcome in turn: it is
 * always the Run that is answered here. */
static void outcome(nectar_text text, nectar_text body) {
    nectar_json context;
    uint64_t run = 0, number;
    if (nectar_json_parse(text, &context) != NECTAR_OK) nectar_panic("a context is not what was written");
    nectar_json_u64(nectar_json_field(context, "run"), &run);
    if (!under_way || run != run_number) return;
    if (nectar_json_u64(nectar_json_field(context, "job"), &number)) settle((unsigned)number, body);
    else if (nectar_json_u64(nectar_json_field(context, "rested"), &number)) workers[number].resting = false;
    if (!under_way) return;
    if (count_of(DONE) == job_count) tell_results();
    else give_out();
}

static void handle(const nectar_event *event) {
    nectar_json asked, payload;
    nectar_text kind;
    run wanted = {.below = 1000, .attempts = 20};
    if (!nectar_same(event->source.node, our.node)) return refuse("only processes of this node may ask this");
    bool known = nectar_json_parse(event->body, &asked) == NECTAR_OK && nectar_json_variant(asked, &kind, &payload);
    if (known && nectar_is(kind, "Status") && payload.ptr == NULL) return tell_status();
    if (known && nectar_is(kind, "Run") && nectar_read_struct(payload, run_fields, &wanted)) return begin(&wanted);
    refuse("expected {\"Run\":{\"jobs\":N,\"workers\":[NODE,…],\"timeout\":SECONDS}} or \"Status\"");
}

void nectar_main(nectar_address address) {
    our = address;
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (nectar_wants_answer(&event)) handle(&event);
        else if (event.kind == NECTAR_RESPONSE) outcome(event.context, event.body);
        else if (event.kind == NECTAR_SEND_ERROR && event.of_request) outcome(event.context, (nectar_text){NULL, 0});
    }
}
