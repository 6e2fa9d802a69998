/* Pages and WebSockets. */

#define NECTAR__HTTP "http-server:distro:sys"

static nectar_writer nectar__binding(const char *kind, const char *path, bool authenticated) {
    nectar_writer writer = {0};
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, kind);
    nectar_put_string(&writer, "path", path);
    nectar_put_bool(&writer, "authenticated", authenticated);
    return writer;
}

static nectar_code nectar__bind(nectar_writer *writer, const nectar_blob *blob) {
    return nectar_ask(nectar_local(NECTAR__HTTP), nectar_written(writer), NECTAR__SECONDS, blob, NULL, NULL);
}

static nectar_writer nectar__page_binding(const char *path, nectar_http_options options, bool cache) {
    nectar_writer writer = nectar__binding("Bind", path, options.authenticated);
    nectar_put_bool(&writer, "local_only", options.local_only);
    nectar_put_bool(&writer, "cache", cache);
    return writer;
}

nectar_code nectar_http_bind(const char *path, nectar_http_options options) {
    nectar_writer writer = nectar__page_binding(path, options, false);
    return nectar__bind(&writer, NULL);
}

nectar_code nectar_http_serve(const char *path, const char *mime, nectar_text page, nectar_http_options options) {
    nectar_blob blob = {nectar_string(mime), page};
    nectar_writer writer = nectar__page_binding(path, options, true);
    return nectar__bind(&writer, &blob);
}

static nectar_code nectar__serve_from(const char *path, const char *what, nectar_text place, nectar_http_options options) {
    nectar_writer writer = nectar__page_binding(path, options, false);
    nectar_put_text(&writer, what, place);
    return nectar__bind(&writer, NULL);
}

nectar_code nectar_http_serve_file(const char *path, nectar_text file, nectar_http_options options) {
    return nectar__serve_from(path, "file", file, options);
}

nectar_code nectar_http_serve_folder(const char *path, nectar_text folder, nectar_http_options options) {
    return nectar__serve_from(path, "folder", folder, options);
}

nectar_code nectar_http_receive_files(const char *path, nectar_text folder, uint64_t limit, nectar_http_options options) {
    nectar_writer writer = nectar__page_binding(path, options, false);
    nectar_put_text(&writer, "body_to", folder);
    if (limit > 0) nectar_put_u64(&writer, "body_limit", limit);
    return nectar__bind(&writer, NULL);
}

nectar_code nectar_http_bind_socket(const char *path, nectar_http_options options) {
    nectar_writer writer = nectar__binding("WebSocketBind", path, options.authenticated);
    nectar_put_bool(&writer, "extension", options.extension);
    return nectar__bind(&writer, NULL);
}

bool nectar_http_parse(const nectar_event *event, nectar_http_event *parsed) {
    static const nectar_field page_fields[] = {
        NECTAR_FIELD(nectar_http_event, method, NECTAR_STR),       NECTAR_FIELD(nectar_http_event, url, NECTAR_STR),
        NECTAR_FIELD(nectar_http_event, bound_path, NECTAR_STR),   NECTAR_FIELD(nectar_http_event, headers, NECTAR_RAW),
        NECTAR_FIELD(nectar_http_event, url_params, NECTAR_RAW),   NECTAR_FIELD(nectar_http_event, query_params, NECTAR_RAW),
        NECTAR_END,
    };
    static const nectar_field file_fields[] = {
        NECTAR_FIELD(nectar_body_file, path, NECTAR_STR),
        NECTAR_FIELD(nectar_body_file, length, NECTAR_U64),
        NECTAR_FIELD(nectar_body_file, hash, NECTAR_STR),
        NECTAR_END,
    };
    static const nectar_field socket_fields[] = {
        NECTAR_FIELD(nectar_http_event, path, NECTAR_STR),
        NECTAR_FIELD(nectar_http_event, message_type, NECTAR_STR),
        NECTAR_END,
    };
    nectar_json value, said;
    nectar_text name;
    uint64_t channel = 0;
    if (!nectar__is_from(event, "http-server")) return false;
    if (nectar_json_parse(event->body, &value) != NECTAR_OK || !nectar_json_variant(value, &name, &said)) return false;
    *parsed = (nectar_http_event){.kind = NECTAR_PAGE};
    if (nectar_is(name, "Http")) {
        nectar_json file = nectar_json_field(said, "body_file");
        bool has_file = nectar_json_kind_of(file) == NECTAR_JSON_OBJECT;
        if (has_file && !nectar_read_struct(file, file_fields, &parsed->body_file)) return false;
        return nectar_read_struct(said, page_fields, parsed);
    }
    bool closes = nectar_is(name, "WebSocketClose");
    if (closes) parsed->kind = NECTAR_SOCKET_CLOSE;
    else if (nectar_is(name, "WebSocketOpen")) parsed->kind = NECTAR_SOCKET_OPEN;
    else if (nectar_is(name, "WebSocketPush")) parsed->kind = NECTAR_SOCKET_MESSAGE;
    else return false;
    if (!nectar_json_u64(closes ? said : nectar_json_field(said, "channel_id"), &channel)) return false;
    parsed->channel = (uint32_t)channel;
    return closes || nectar_read_struct(said, socket_fields, parsed);
}

void nectar_http_reply(const nectar_http_answer *answer) {
    nectar_writer writer = {0};
    nectar_blob blob = {nectar_string(answer->mime), answer->body};
    nectar_put_object(&writer, NULL);
    nectar_put_u64(&writer, "status", answer->status == 0 ? 200 : answer->status);
    nectar_put_json(&writer, "headers", answer->headers.ptr == NULL ? nectar_string("{}") : answer->headers);
    if (answer->file.ptr != NULL) nectar_put_text(&writer, "file", answer->file);
    nectar_respond(&(nectar_reply){.body = nectar_written(&writer), .blob = answer->file.ptr == NULL ? &blob : NULL});
}

void nectar_http_respond(unsigned status, const char *mime, nectar_text body) {
    nectar_http_reply(&(nectar_http_answer){.status = status, .mime = mime, .body = body});
}

void nectar_http_respond_file(unsigned status, nectar_text path) {
    nectar_http_reply(&(nectar_http_answer){.status = status, .file = path});
}

static void nectar__push(uint32_t channel, const char *type, nectar_text bytes) {
    nectar_blob blob = {{NULL, 0}, bytes};
    nectar_text body = nectar_format("{\"WebSocketPush\":{\"channel_id\":%u,\"message_type\":\"%s\"}}", channel, type);
    nectar_send(&(nectar_request){.target = nectar_local(NECTAR__HTTP), .body = body, .blob = &blob});
}

void nectar_http_push(uint32_t channel, nectar_text text) { nectar__push(channel, "Text", text); }

void nectar_http_push_bytes(uint32_t channel, nectar_text bytes) { nectar__push(channel, "Binary", bytes); }

void nectar_http_close(uint32_t channel) {
    nectar_text body = nectar_format("{\"WebSocketClose\":%u}", channel);
    nectar_send(&(nectar_request){.target = nectar_local(NECTAR__HTTP), .body = body});
}
