/* Structs as JSON, and state with a version. */

static bool nectar__read_field(nectar_json found, const nectar_field *field, void *at) {
    switch (field->kind) {
    case NECTAR_U64: return nectar_json_u64(found, at);
    case NECTAR_I64: return nectar_json_i64(found, at);
    case NECTAR_DOUBLE: return nectar_json_double(found, at);
    case NECTAR_BOOL: return nectar_json_bool(found, at);
    case NECTAR_STR: return nectar_json_text(found, at);
    case NECTAR_RAW: *(nectar_json *)at = found; return true;
    }
    return false;
}

bool nectar_read_struct(nectar_json object, const nectar_field *fields, void *value) {
    if (nectar_json_kind_of(object) != NECTAR_JSON_OBJECT) return false;
    for (; fields->name != NULL; fields++) {
        nectar_json found = nectar_json_field(object, fields->name);
        if (found.ptr != NULL && !nectar__read_field(found, fields, (char *)value + fields->offset)) return false;
    }
    return true;
}

void nectar_put_struct(nectar_writer *writer, const nectar_field *fields, const void *value) {
    for (; fields->name != NULL; fields++) {
        const void *at = (const char *)value + fields->offset;
        switch (fields->kind) {
        case NECTAR_U64: nectar_put_u64(writer, fields->name, *(const uint64_t *)at); break;
        case NECTAR_I64: nectar_put_i64(writer, fields->name, *(const int64_t *)at); break;
        case NECTAR_DOUBLE: nectar_put_double(writer, fields->name, *(const double *)at); break;
        case NECTAR_BOOL: nectar_put_bool(writer, fields->name, *(const bool *)at); break;
        case NECTAR_STR: nectar_put_text(writer, fields->name, *(const nectar_text *)at); break;
        case NECTAR_RAW: {
            nectar_json raw = *(const nectar_json *)at;
            nectar_put_json(writer, fields->name, raw.ptr == NULL ? nectar_string("null") : raw);
            break;
        }
        }
    }
}

static nectar_code nectar__bad_state(nectar_text reason) {
    nectar__reason = reason;
    return NECTAR_BAD_STATE;
}

nectar_code nectar_load(const nectar_state *state, void *value) {
    nectar_text saved;
    nectar_json object = {NULL, 0};
    uint64_t from = 1;
    if (!nectar_get_state(&saved)) return NECTAR_OK;
    if (nectar_json_parse(saved, &object) == NECTAR_OK) nectar_json_u64(nectar_json_field(object, "version"), &from);
    if (from > state->version)
        return nectar__bad_state(nectar_format("the saved state is of version %llu, and this process knows %llu",
                                               (unsigned long long)from, (unsigned long long)state->version));
    if (from == state->version)
        return nectar_read_struct(object, state->fields, value)
                   ? NECTAR_OK
                   : nectar__bad_state(nectar_string("the saved state is none of this process"));
    if (state->migrate == NULL || !state->migrate(from, saved, value))
        return nectar__bad_state(nectar_format("the saved state of version %llu cannot be migrated", (unsigned long long)from));
    nectar_save(state, value);
    return NECTAR_OK;
}

void nectar_save(const nectar_state *state, const void *value) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_u64(&writer, "version", state->version);
    nectar_put_struct(&writer, state->fields, value);
    nectar_set_state(nectar_written(&writer));
}
