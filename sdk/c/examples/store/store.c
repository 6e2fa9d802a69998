/* A small key-value store on two nodes: the primary takes what is put, and keeps a replica equal to itself.
 *
 *     {"Lead": {"replica": "two.nec"}}      →  "Ok"      on one.nec, the primary
 *     {"Follow": {"primary": "one.nec"}}    →  "Ok"      on two.nec, the replica
 *     {"Put": {"key": "a", "value": "x"}}   →  {"Put": {"version": 1, "replicated": true}}      on the primary
 *     {"Get": {"key": "a"}}                 →  {"Value": {"value": "x", "version": 1}} or "Missing"      on either
 *     "Dump"                                →  {"Dump": {"version": 1, "entries": [{"key": "a", …}]}}
 *
 * A Put is answered when it is durable here and the replica has made it durable (`replicated`), or when it is known that
 * the replica could not be reached, or did not answer in time. Then it is the primary that has to remember: it sends what
 * is missing with the next Put, and every few seconds until there has been an answer. The replica says in every answer
 * which version it has: so it does not matter which message was lost, or came late.
 */

#define NECTAR_IMPLEMENTATION
#include "nectar.h"
#include "table.h"

enum {
    MAX_NAME_BYTES = 253,
    PATIENCE = 30,   /* seconds for a Copy: long enough to learn that the replica is Offline */
    WATCH_EVERY = 5, /* seconds between attempts while the replica is behind */
};

static nectar_address our;

typedef enum { NONE, PRIMARY, REPLICA } role_kind;

static role_kind role;
static nectar_text other; /* the replica of a primary, and the other way round */

/* What the replica said it has; and up to what everything is on its way to it. Neither is known at first. */
static uint64_t confirmed, sent;
static bool has_confirmed, has_sent, watching;

/* Why a Copy was sent: so that the replica has the version `wanted`; with `put` somebody waits to hear of it. `again`: it
 * goes on from where the replica said it was. A `watch` is no Copy, but the timer. */
typedef struct {
    uint64_t wanted;
    bool put, again, watch;
} reason;

static const nectar_field reason_fields[] = {
    NECTAR_FIELD(reason, wanted, NECTAR_U64), NECTAR_FIELD(reason, put, NECTAR_BOOL),
    NECTAR_FIELD(reason, again, NECTAR_BOOL), NECTAR_FIELD(reason, watch, NECTAR_BOOL),
    NECTAR_END,
};

/* --- answers --- */

static nectar_writer answer(const char *name) {
    nectar_writer out = {0};
    nectar_put_object(&out, NULL);
    nectar_put_object(&out, name);
    return out;
}

static void respond(nectar_text body) { nectar_respond(&(nectar_reply){.body = body}); }

static void respond_written(nectar_writer *out) { respond(nectar_written(out)); }

static void refuse(nectar_text why) {
    nectar_writer out = {0};
    nectar_put_object(&out, NULL);
    nectar_put_text(&out, "Err", why);
    respond_written(&out);
}

/* --- what is kept --- */

/* Make durable what there is. If the disk cannot, this process ends here, and nothing has been promised. */
static void save(void) {
    nectar_writer out = {0};
    nectar_put_object(&out, NULL);
    if (role == NONE) {
        nectar_put_string(&out, "role", "None");
    } else {
        nectar_put_object(&out, "role");
        nectar_put_text(&out, role == PRIMARY ? "Primary" : "Replica", other);
        nectar_put_end(&out);
    }
    put_entries(&out, 0);
    nectar_set_state(nectar_written(&out));
}

static bool restore(void) {
    nectar_text saved, kind, node;
    nectar_json state, payload;
    if (!nectar_get_state(&saved)) return true;
    if (nectar_json_parse(saved, &state) != NECTAR_OK) return false;
    if (!nectar_json_variant(nectar_json_field(state, "role"), &kind, &payload)) return false;
    if (nectar_json_text(payload, &node)) {
        role = nectar_is(kind, "Primary") ? PRIMARY : REPLICA;
        other = nectar_keep(node);
    }
    for (nectar_items items = nectar_json_items(nectar_json_field(state, "entries")); nectar_json_next(&items);) {
        entry found = {0};
        if (!nectar_read_struct(items.value, entry_fields, &found)) return false;
        table_put(found.key, found.value, found.version);
    }
    return true;
}

/* --- the primary's part --- */

/* Send all that changed after the version `after`. */
static void copy(uint64_t after, reason why) {
    nectar_writer body = answer("Copy"), context = {0};
    sent = table_version();
    has_sent = true;
    nectar_put_u64(&body, "after", after);
    put_entries(&body, after);
    nectar_put_object(&context, NULL);
    nectar_put_struct(&context, reason_fields, &why);
    nectar_send(&(nectar_request){
        .target = nectar_on(other, our.process),
        .body = nectar_written(&body),
        .seconds = PATIENCE,
        .context = nectar_written(&context),
    });
}

static void put(nectar_json wanted) {
    nectar_text key, value;
    if (!nectar_json_text(nectar_json_field(wanted, "key"), &key) ||
        !nectar_json_text(nectar_json_field(wanted, "value"), &value))
        return refuse(nectar_string("expected {\"Put\":{\"key\":TEXT,\"value\":TEXT}}"));
    if (role == NONE) return refuse(nectar_string("this node has no role yet: ask it to Lead or to Follow"));
    if (role == REPLICA) return refuse(nectar_format("this is the replica: put to %.*s", NECTAR_ARG(other)));
    const char *why_not = table_refusal(key, value);
    if (why_not != NULL) return refuse(nectar_string(why_not));
    uint64_t before = table_version();
    table_put(key, value, before + 1);
    save();
    copy(has_sent ? sent : has_confirmed ? confirmed : before, (reason){.wanted = before + 1, .put = true});
}

static void told(reason why, bool replicated) {
    if (!why.put) return;
    nectar_writer out = answer("Put");
    nectar_put_u64(&out, "version", why.wanted);
    nectar_put_bool(&out, "replicated", replicated);
    respond_written(&out);
}

static void failed(reason why) {
    nectar_writer context = {0};
    has_sent = false;
    told(why, false);
    if (watching) return;
    watching = true;
    nectar_put_object(&context, NULL);
    nectar_put_bool(&context, "watch", true);
    nectar_timer(WATCH_EVERY * 1000, nectar_written(&context));
}

/* The version that the replica says it has; false: it says none. */
static bool copied(nectar_text body, uint64_t *version) {
    nectar_json value, payload;
    nectar_text kind, why;
    if (body.ptr == NULL || nectar_json_parse(body, &value) != NECTAR_OK) return false;
    if (!nectar_json_variant(value, &kind, &payload)) return false;
    if (nectar_is(kind, "Copied") && nectar_json_u64(nectar_json_field(payload, "version"), version)) {
        if (*version <= table_version()) return true;
        nectar_log(NECTAR_ERROR, "%.*s has changes that are not ours: it is left alone", NECTAR_ARG(other));
    } else if (nectar_json_text(payload, &why)) {
        nectar_log(NECTAR_INFO, "%.*s takes no copy: %.*s", NECTAR_ARG(other), NECTAR_ARG(why));
    }
    return false;
}

/* What came of a Copy or of the timer; `body` has no `ptr` if there was an error. An outcome puts back the prompt of the
 * Put that caused the Copy, so that is what is answered. */
static void outcome(nectar_text context, nectar_text body) {
    nectar_json value;
    reason why = {0};
    uint64_t version;
    if (nectar_json_parse(context, &value) != NECTAR_OK || !nectar_read_struct(value, reason_fields, &why))
        nectar_panic("a context is not what was written");
    if (why.watch) {
        watching = false;
        version = table_version();
        if (!has_confirmed || confirmed != version) copy(has_confirmed ? confirmed : version, (reason){.wanted = version});
        return;
    }
    if (!copied(body, &version)) return failed(why);
    confirmed = version;
    has_confirmed = true;
    if (version >= why.wanted) return told(why, true);
    /* It lacks more than we thought: an earlier Copy never arrived. */
    if (why.again) return failed(why);
    copy(version, (reason){.wanted = why.wanted, .put = why.put, .again = true});
}

/* --- the replica's part --- */

/* Take over what is new to us, unless something is missing before it, and say how far we are. */
static void apply(nectar_json given) {
    uint64_t before = table_version(), after;
    if (!nectar_json_u64(nectar_json_field(given, "after"), &after))
        return refuse(nectar_string("expected {\"Copy\":{\"after\":VERSION,\"entries\":[ENTRY,…]}}"));
    nectar_items items = nectar_json_items(nectar_json_field(given, "entries"));
    while (after <= before && nectar_json_next(&items)) {
        entry found = {0};
        if (!nectar_read_struct(items.value, entry_fields, &found)) break;
        if (found.version <= table_version()) continue; /* it has come before */
        if (table_refusal(found.key, found.value) != NULL) break; /* the primary would not have taken it either */
        table_put(found.key, found.value, found.version);
    }
    if (table_version() > before) save();
    nectar_writer out = answer("Copied");
    nectar_put_u64(&out, "version", table_version());
    respond_written(&out);
}

/* --- requests --- */

/* A role is for good: two stores that have each gone their own way could not be made equal without a loss. */
static void take(role_kind wanted, nectar_json name) {
    nectar_text node;
    if (!nectar_json_text(name, &node) || node.len == 0 || node.len > MAX_NAME_BYTES)
        return refuse(nectar_string("that is not a node's name"));
    if (nectar_same(node, our.node)) return refuse(nectar_string("the two must be different nodes"));
    if (role == NONE) {
        role = wanted;
        other = nectar_keep(node);
        save();
    } else if (role != wanted || !nectar_same(other, node)) {
        return refuse(nectar_format("this is the %s of %.*s already", role == PRIMARY ? "primary" : "replica", NECTAR_ARG(other)));
    }
    respond(nectar_string("\"Ok\""));
}

static void get(nectar_json wanted) {
    nectar_text key;
    if (!nectar_json_text(nectar_json_field(wanted, "key"), &key))
        return refuse(nectar_string("expected {\"Get\":{\"key\":TEXT}}"));
    int place = place_of(key);
    if (place == NOWHERE) return respond(nectar_string("\"Missing\""));
    nectar_writer out = answer("Value");
    nectar_put_text(&out, "value", entries[place].value);
    nectar_put_u64(&out, "version", entries[place].version);
    respond_written(&out);
}

static void dump(void) {
    nectar_writer out = answer("Dump");
    nectar_put_u64(&out, "version", table_version());
    put_entries(&out, 0);
    respond_written(&out);
}

static void handle(const nectar_event *event) {
    nectar_json asked, payload;
    nectar_text kind, node = event->source.node;
    bool known = nectar_json_parse(event->body, &asked) == NECTAR_OK && nectar_json_variant(asked, &kind, &payload);
    if (!known) kind = payload = (nectar_text){NULL, 0};
    if (nectar_is(kind, "Copy")) {
        if (role == REPLICA && nectar_same(other, node)) return apply(payload);
        return refuse(nectar_string("we do not follow you"));
    }
    if (!nectar_same(node, our.node)) return refuse(nectar_string("only processes of this node may ask this"));
    if (nectar_is(kind, "Lead")) return take(PRIMARY, nectar_json_field(payload, "replica"));
    if (nectar_is(kind, "Follow")) return take(REPLICA, nectar_json_field(payload, "primary"));
    if (nectar_is(kind, "Put")) return put(payload);
    if (nectar_is(kind, "Get")) return get(payload);
    if (nectar_is(kind, "Dump")) return dump();
    refuse(nectar_string("expected {\"Lead\":{\"replica\":NODE}}, {\"Follow\":{\"primary\":NODE}}, "
                         "{\"Put\":{\"key\":TEXT,\"value\":TEXT}}, {\"Get\":{\"key\":TEXT}} or \"Dump\""));
}

void nectar_main(nectar_address address) {
    our = address;
    if (!restore()) nectar_panic("the saved store cannot be read");
    /* An empty Copy is answered with what the replica has. */
    if (role == PRIMARY) copy(table_version(), (reason){.wanted = table_version()});
    for (;;) {
        nectar_event event;
        nectar_receive(&event);
        if (nectar_wants_answer(&event)) handle(&event);
        else if (event.kind == NECTAR_RESPONSE) outcome(event.context, event.body);
        else if (event.kind == NECTAR_SEND_ERROR && event.of_request) outcome(event.context, (nectar_text){NULL, 0});
    }
}
