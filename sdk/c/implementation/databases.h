/* Databases. */

static nectar_code nectar__database(const char *server, const char *db, nectar_json action, const nectar_text *data,
                                    nectar_json *answer, nectar_text *got) {
    nectar_writer writer = {0};
    nectar_blob blob = {{NULL, 0}, data == NULL ? (nectar_text){NULL, 0} : *data};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "package_id");
    nectar_put_text(&writer, "package_name", nectar__our.process.package);
    nectar_put_text(&writer, "publisher_node", nectar__our.process.publisher);
    nectar_put_end(&writer);
    nectar_put_string(&writer, "db", db);
    nectar_put_json(&writer, "action", action);
    return nectar_ask(nectar_local(server), nectar_written(&writer), NECTAR__SECONDS, data == NULL ? NULL : &blob,
                      answer, got);
}

static nectar_code nectar__database_do(const char *server, const char *db, const char *action) {
    return nectar__database(server, db, nectar_format("\"%s\"", action), NULL, NULL, NULL);
}

static nectar_code nectar__begin(const char *server, const char *db, uint64_t *transaction) {
    nectar_json answer;
    nectar_code code = nectar__database(server, db, nectar_string("\"BeginTx\""), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    nectar_json begun = nectar_json_field(nectar_json_field(answer, "BeginTx"), "tx_id");
    return nectar_json_u64(begun, transaction) ? NECTAR_OK : NECTAR_BAD_JSON;
}

static nectar_code nectar__commit(const char *server, const char *db, uint64_t transaction) {
    nectar_json action = nectar_format("{\"Commit\":{\"tx_id\":%llu}}", (unsigned long long)transaction);
    return nectar__database(server, db, action, NULL, NULL, NULL);
}

static void nectar__put_transaction(nectar_writer *writer, uint64_t transaction) {
    if (transaction == 0) nectar_put_null(writer, "tx_id");
    else nectar_put_u64(writer, "tx_id", transaction);
}

/* {"Get":{"key":[97,98]}}, and with a transaction unless that is NULL. */
static nectar_json nectar__key_action(const char *action, nectar_text key, const uint64_t *transaction) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, action);
    nectar_put_array(&writer, "key");
    for (size_t i = 0; i < key.len; i++) nectar_put_u64(&writer, NULL, (unsigned char)key.ptr[i]);
    nectar_put_end(&writer);
    if (transaction != NULL) nectar__put_transaction(&writer, *transaction);
    return nectar_written(&writer);
}

#define NECTAR__KV "kv:distro:sys"
#define NECTAR__SQLITE "sqlite:distro:sys"

nectar_code nectar_kv_open(const char *db) { return nectar__database_do(NECTAR__KV, db, "Open"); }

nectar_code nectar_kv_remove(const char *db) { return nectar__database_do(NECTAR__KV, db, "RemoveDb"); }

nectar_code nectar_kv_get(const char *db, nectar_text key, nectar_text *value) {
    return nectar__database(NECTAR__KV, db, nectar__key_action("Get", key, NULL), NULL, NULL, value);
}

nectar_code nectar_kv_set(const char *db, nectar_text key, nectar_text value, uint64_t transaction) {
    return nectar__database(NECTAR__KV, db, nectar__key_action("Set", key, &transaction), &value, NULL, NULL);
}

nectar_code nectar_kv_delete(const char *db, nectar_text key, uint64_t transaction) {
    return nectar__database(NECTAR__KV, db, nectar__key_action("Delete", key, &transaction), NULL, NULL, NULL);
}

nectar_code nectar_kv_begin(const char *db, uint64_t *transaction) { return nectar__begin(NECTAR__KV, db, transaction); }

nectar_code nectar_kv_commit(const char *db, uint64_t transaction) { return nectar__commit(NECTAR__KV, db, transaction); }

nectar_code nectar_sqlite_open(const char *db) { return nectar__database_do(NECTAR__SQLITE, db, "Open"); }

nectar_code nectar_sqlite_remove(const char *db) { return nectar__database_do(NECTAR__SQLITE, db, "RemoveDb"); }

nectar_code nectar_sqlite_read(const char *db, const char *query, nectar_json parameters, nectar_json *rows) {
    nectar_writer writer = {0};
    nectar_text got;
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "Read");
    nectar_put_string(&writer, "query", query);
    nectar_code code = nectar__database(NECTAR__SQLITE, db, nectar_written(&writer),
                                        parameters.ptr == NULL ? NULL : &parameters, NULL, &got);
    if (code != NECTAR_OK) return code;
    return nectar_json_parse(got.len == 0 ? nectar_string("[]") : got, rows);
}

nectar_code nectar_sqlite_write(const char *db, const char *statement, nectar_json parameters, uint64_t transaction) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "Write");
    nectar_put_string(&writer, "statement", statement);
    nectar__put_transaction(&writer, transaction);
    return nectar__database(NECTAR__SQLITE, db, nectar_written(&writer), parameters.ptr == NULL ? NULL : &parameters,
                            NULL, NULL);
}

nectar_code nectar_sqlite_begin(const char *db, uint64_t *transaction) {
    return nectar__begin(NECTAR__SQLITE, db, transaction);
}

nectar_code nectar_sqlite_commit(const char *db, uint64_t transaction) {
    return nectar__commit(NECTAR__SQLITE, db, transaction);
}
