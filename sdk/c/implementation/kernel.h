/* What the kernel keeps for a process. */

bool nectar_get_state(nectar_text *state) {
    nectar__text_option result;
    NECTAR__CALL(nectar__get_state(&result));
    if (result.some) *state = nectar__text_of(result);
    return result.some;
}

void nectar_set_state(nectar_text state) { nectar__set_state(state.ptr, state.len); }

void nectar_clear_state(void) { nectar__clear_state(); }

static nectar__on_exit nectar__on_exit_of(const nectar_on_exit *on_exit) {
    size_t count = on_exit->kind == NECTAR_EXIT_REQUESTS ? on_exit->count : 0;
    nectar__on_exit_request *list = nectar_arena(count * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const nectar_request *from = &on_exit->requests[i];
        nectar_request request = {.body = from->body, .inherit = from->inherit};
        list[i] = (nectar__on_exit_request){from->target, nectar__request_of(&request), nectar__some_blob(from->blob)};
    }
    return (nectar__on_exit){(uint8_t)on_exit->kind, list, count};
}

void nectar_set_on_exit(const nectar_on_exit *on_exit) {
    nectar__on_exit value = nectar__on_exit_of(on_exit);
    nectar__set_on_exit(value.tag, value.ptr, value.len);
}

void nectar_get_on_exit(nectar_on_exit *on_exit) {
    nectar__on_exit result;
    NECTAR__CALL(nectar__get_on_exit(&result));
    size_t count = result.tag == NECTAR_EXIT_REQUESTS ? result.len : 0;
    nectar_request *requests = nectar_arena(count * sizeof *requests);
    for (size_t i = 0; i < count; i++) {
        const nectar__on_exit_request *from = &result.ptr[i];
        nectar_blob *blob = from->blob.some ? nectar_arena(sizeof *blob) : NULL;
        if (blob != NULL) nectar__blob_of(&from->blob, blob);
        requests[i] = (nectar_request){
            .target = from->target, .body = from->request.body, .inherit = from->request.inherit, .blob = blob};
    }
    *on_exit = (nectar_on_exit){(nectar_on_exit_kind)result.tag, requests, count};
}

nectar_code nectar_spawn(const nectar_child *child, nectar_process_id *started) {
    nectar__on_exit on_exit = nectar__on_exit_of(&child->on_exit);
    nectar__spawned result;
    NECTAR__CALL(nectar__spawn(child->name.ptr != NULL, child->name.ptr, child->name.len, child->wasm_path,
                               nectar__length(child->wasm_path), on_exit.tag, on_exit.ptr, on_exit.len,
                               child->request_capabilities.ptr, child->request_capabilities.len,
                               child->grant_capabilities, child->grant_count, child->is_public, &result));
    if (result.tag != 0) return result.of.err == 0 ? NECTAR_NAME_TAKEN : NECTAR_NO_FILE;
    *started = result.of.ok;
    return NECTAR_OK;
}

nectar_capabilities nectar_our_capabilities(void) {
    nectar_capabilities result;
    NECTAR__CALL(nectar__our_capabilities(&result));
    return result;
}

void nectar_save_capabilities(nectar_capabilities list) { nectar__save_capabilities(list.ptr, list.len); }

void nectar_drop_capabilities(nectar_capabilities list) { nectar__drop_capabilities(list.ptr, list.len); }
