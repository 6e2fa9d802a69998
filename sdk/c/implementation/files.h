/* Files. */

nectar_code nectar_ask(nectar_address target, nectar_text body, uint64_t seconds, const nectar_blob *blob,
                       nectar_json *answer, nectar_text *got) {
    nectar_event response;
    nectar_json value, reason;
    nectar_text name;
    nectar_request request = {.target = target, .body = body, .seconds = seconds, .blob = blob};
    nectar_code code = nectar_await(&request, &response);
    if (code != NECTAR_OK) return code;
    if (nectar_json_parse(response.body, &value) != NECTAR_OK) return NECTAR_BAD_JSON;
    if (nectar_json_variant(value, &name, &reason) && nectar_is(name, "Err")) {
        nectar__reason = reason.ptr == NULL ? name : reason;
        nectar_json_text(reason, &nectar__reason);
        bool missing = nectar_contains(nectar__reason, "NotFound") || nectar_contains(nectar__reason, "No such file");
        return missing ? NECTAR_NOT_FOUND : NECTAR_REFUSED;
    }
    if (answer != NULL) *answer = value;
    if (got != NULL) {
        nectar_blob back = {{NULL, 0}, {"", 0}};
        nectar_get_blob(&back);
        *got = back.bytes;
    }
    return NECTAR_OK;
}

enum { NECTAR__SECONDS = 60, NECTAR__PAGE_ENTRIES = 1000 };

nectar_text nectar_drive(const char *name) {
    return nectar_format("/%.*s:%.*s/%s", NECTAR_ARG(nectar__our.process.package),
                         NECTAR_ARG(nectar__our.process.publisher), name);
}

nectar_code nectar_vfs(nectar_text path, nectar_json action, const nectar_text *data, nectar_json *answer,
                       nectar_text *got) {
    nectar_writer writer = {0};
    nectar_blob blob = {{NULL, 0}, data == NULL ? (nectar_text){NULL, 0} : *data};
    nectar_put_object(&writer, NULL);
    nectar_put_text(&writer, "path", path);
    nectar_put_json(&writer, "action", action);
    return nectar_ask(nectar_local("vfs:distro:sys"), nectar_written(&writer), NECTAR__SECONDS,
                      data == NULL ? NULL : &blob, answer, got);
}

static nectar_code nectar__vfs_do(nectar_text path, const char *action, const nectar_text *data) {
    return nectar_vfs(path, nectar_format("\"%s\"", action), data, NULL, NULL);
}

static nectar_code nectar__vfs_to(nectar_text path, const char *action, nectar_text new_path) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, action);
    nectar_put_text(&writer, "new_path", new_path);
    return nectar_vfs(path, nectar_written(&writer), NULL, NULL, NULL);
}

static nectar_json nectar__at(const char *action, uint64_t offset, uint64_t length) {
    return nectar_format("{\"%s\":{\"offset\":%llu,\"length\":%llu}}", action, (unsigned long long)offset,
                         (unsigned long long)length);
}

nectar_code nectar_create_drive(nectar_text path) { return nectar__vfs_do(path, "CreateDrive", NULL); }

nectar_code nectar_create_dir(nectar_text path) { return nectar__vfs_do(path, "CreateDirAll", NULL); }

nectar_code nectar_read_file(nectar_text path, nectar_text *data) {
    return nectar_vfs(path, nectar_string("\"Read\""), NULL, NULL, data);
}

nectar_code nectar_read_at(nectar_text path, uint64_t offset, uint64_t length, nectar_text *data) {
    return nectar_vfs(path, nectar__at("ReadAt", offset, length), NULL, NULL, data);
}

nectar_code nectar_write_file(nectar_text path, nectar_text data) { return nectar__vfs_do(path, "Write", &data); }

nectar_code nectar_write_at(nectar_text path, uint64_t offset, nectar_text data) {
    return nectar_vfs(path, nectar__at("WriteAt", offset, data.len), &data, NULL, NULL);
}

nectar_code nectar_append(nectar_text path, nectar_text data) { return nectar__vfs_do(path, "Append", &data); }

nectar_code nectar_create_file(nectar_text path) { return nectar__vfs_do(path, "CreateFile", NULL); }

nectar_code nectar_set_length(nectar_text path, uint64_t length) {
    nectar_json action = nectar_format("{\"SetLen\":%llu}", (unsigned long long)length);
    return nectar_vfs(path, action, NULL, NULL, NULL);
}

nectar_code nectar_sync(nectar_text path) { return nectar__vfs_do(path, "SyncAll", NULL); }

nectar_code nectar_rename(nectar_text path, nectar_text new_path) { return nectar__vfs_to(path, "Rename", new_path); }

nectar_code nectar_copy_file(nectar_text path, nectar_text new_path) {
    return nectar__vfs_to(path, "CopyFile", new_path);
}

nectar_code nectar_remove_file(nectar_text path) { return nectar__vfs_do(path, "RemoveFile", NULL); }

nectar_code nectar_remove_dir(nectar_text path) { return nectar__vfs_do(path, "RemoveDirAll", NULL); }

nectar_code nectar_metadata_of(nectar_text path, nectar_metadata *found) {
    static const nectar_field fields[] = {
        NECTAR_FIELD(nectar_metadata, file_type, NECTAR_STR),
        NECTAR_FIELD(nectar_metadata, len, NECTAR_U64),
        NECTAR_FIELD(nectar_metadata, modified, NECTAR_I64),
        NECTAR_END,
    };
    nectar_json answer;
    nectar_code code = nectar_vfs(path, nectar_string("\"Metadata\""), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    *found = (nectar_metadata){{"", 0}, 0, 0};
    return nectar_read_struct(nectar_json_field(answer, "Metadata"), fields, found) ? NECTAR_OK : NECTAR_BAD_JSON;
}

nectar_code nectar_free_space(nectar_text path, uint64_t *bytes) {
    nectar_json answer;
    nectar_code code = nectar_vfs(path, nectar_string("\"FreeSpace\""), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    return nectar_json_u64(nectar_json_field(answer, "FreeSpace"), bytes) ? NECTAR_OK : NECTAR_BAD_JSON;
}

nectar_code nectar_read_dir(nectar_text path, nectar_text after, const nectar_entry **entries, size_t *count) {
    nectar_json answer;
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "ReadDir");
    nectar_put_text(&writer, "after", after);
    nectar_put_u64(&writer, "limit", NECTAR__PAGE_ENTRIES);
    nectar_code code = nectar_vfs(path, nectar_written(&writer), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    nectar_entry *list = nectar_arena(NECTAR__PAGE_ENTRIES * sizeof *list);
    size_t found = 0;
    nectar_items items = nectar_json_items(nectar_json_field(answer, "ReadDir"));
    while (found < NECTAR__PAGE_ENTRIES && nectar_json_next(&items)) {
        nectar_entry *entry = &list[found++];
        *entry = (nectar_entry){0};
        nectar_json_text(nectar_json_field(items.value, "path"), &entry->path);
        nectar_json_text(nectar_json_field(items.value, "file_type"), &entry->file_type);
        size_t begin = entry->path.len;
        while (begin > 0 && entry->path.ptr[begin - 1] != '/') begin--;
        entry->name = (nectar_text){entry->path.ptr + begin, entry->path.len - begin};
    }
    *entries = list;
    *count = found;
    return NECTAR_OK;
}

nectar_code nectar_hash(nectar_text path, uint8_t hash[32]) {
    nectar_json answer;
    nectar_code code = nectar_vfs(path, nectar_string("\"Hash\""), NULL, &answer, NULL);
    if (code != NECTAR_OK) return code;
    nectar_items items = nectar_json_items(nectar_json_field(answer, "Hash"));
    for (size_t i = 0; i < 32; i++) {
        uint64_t byte;
        if (!nectar_json_next(&items) || !nectar_json_u64(items.value, &byte) || byte > 255) return NECTAR_BAD_JSON;
        hash[i] = (uint8_t)byte;
    }
    return NECTAR_OK;
}

nectar_code nectar_watch(nectar_text path) { return nectar__vfs_do(path, "Watch", NULL); }

nectar_code nectar_unwatch(nectar_text path) { return nectar__vfs_do(path, "Unwatch", NULL); }

/* Whether a request is of a system process of our own node. Another node can call any of its processes so. */
static bool nectar__is_from(const nectar_event *event, const char *process) {
    if (event->kind != NECTAR_REQUEST || !nectar_same(event->source.node, nectar__our.node)) return false;
    const nectar_process_id *source = &event->source.process;
    return nectar_is(source->package, "distro") && nectar_is(source->publisher, "sys") &&
           nectar_is(source->process, process);
}

bool nectar_change_parse(const nectar_event *event, nectar_change *change) {
    static const nectar_field fields[] = {
        NECTAR_FIELD(nectar_change, path, NECTAR_STR),
        NECTAR_FIELD(nectar_change, more, NECTAR_BOOL),
        NECTAR_FIELD(nectar_change, changes, NECTAR_RAW),
        NECTAR_END,
    };
    nectar_json value, told;
    nectar_text name;
    if (!nectar__is_from(event, "vfs") || nectar_json_parse(event->body, &value) != NECTAR_OK) return false;
    if (!nectar_json_variant(value, &name, &told)) return false;
    *change = (nectar_change){.ended = nectar_is(name, "Unwatched"), .changes = nectar_string("[]")};
    return (change->ended || nectar_is(name, "Changed")) && nectar_read_struct(told, fields, change);
}
