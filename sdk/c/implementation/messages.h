/* Messages: from what the kernel writes to events, and back. */

static nectar__text_option nectar__some(nectar_text text) { return (nectar__text_option){text.ptr != NULL, text}; }

static nectar_text nectar__text_of(nectar__text_option option) {
    if (!option.some) return (nectar_text){NULL, 0};
    return option.value.ptr == NULL ? (nectar_text){"", 0} : option.value;
}

static nectar__blob_option nectar__some_blob(const nectar_blob *blob) {
    if (blob == NULL) return (nectar__blob_option){0};
    return (nectar__blob_option){1, {nectar__some(blob->mime), blob->bytes}};
}

static bool nectar__blob_of(const nectar__blob_option *option, nectar_blob *blob) {
    if (option->some) *blob = (nectar_blob){nectar__text_of(option->value.mime), option->value.bytes};
    return option->some;
}

static nectar__request nectar__request_of(const nectar_request *request) {
    return (nectar__request){
        request->inherit,
        {request->expects_response || request->seconds > 0, request->seconds},
        request->body,
        nectar__some(request->metadata),
        request->capabilities,
    };
}

static nectar__send nectar__send_of(const nectar_request *request) {
    return (nectar__send){
        request->target,
        nectar__request_of(request),
        nectar__some(request->context),
        nectar__some_blob(request->blob),
    };
}

static void nectar__fill(nectar_event *event, const nectar__message *message) {
    if (message->tag == 0) {
        const nectar__request *request = &message->of.request;
        event->inherit = request->inherit;
        event->expects_response = request->seconds.some;
        event->seconds = request->seconds.some ? request->seconds.value : 0;
        event->body = request->body;
        event->metadata = nectar__text_of(request->metadata);
        event->capabilities = request->capabilities;
    } else {
        const nectar__response *response = &message->of.response;
        event->inherit = response->inherit;
        event->body = response->body;
        event->metadata = nectar__text_of(response->metadata);
        event->capabilities = response->capabilities;
        event->context = nectar__text_of(response->context);
    }
}

static void nectar__arrived(nectar_event *event, const nectar__arrival *arrival) {
    *event = (nectar_event){.kind = arrival->message.tag == 0 ? NECTAR_REQUEST : NECTAR_RESPONSE};
    event->source = arrival->source;
    nectar__fill(event, &arrival->message);
}

static void nectar__failed(nectar_event *event, const nectar__send_error *error, nectar_text context) {
    *event = (nectar_event){.kind = NECTAR_SEND_ERROR};
    nectar__fill(event, &error->message);
    event->of_request = error->message.tag == 0;
    event->context = context;
    event->error = error->kind == 0 ? NECTAR_OFFLINE : NECTAR_TIMEOUT;
    event->has_blob = nectar__blob_of(&error->blob, &event->blob);
}

void nectar_receive(nectar_event *event) {
    nectar_reset();
    nectar__received result;
    NECTAR__CALL(nectar__receive(&result));
    if (result.tag == 0) nectar__arrived(event, &result.of.ok);
    else nectar__failed(event, &result.of.err.error, nectar__text_of(result.of.err.context));
}

bool nectar_wants_answer(const nectar_event *event) {
    return event->kind == NECTAR_REQUEST && (event->expects_response || event->inherit);
}

void nectar_send(const nectar_request *request) {
    nectar__send params = nectar__send_of(request);
    nectar__send_request(&params);
}

void nectar_send_all(const nectar_request *requests, size_t count) {
    nectar__send *params = nectar_arena(count * sizeof *params);
    for (size_t i = 0; i < count; i++) params[i] = nectar__send_of(&requests[i]);
    nectar__send_requests(params, count);
}

nectar_code nectar_await(const nectar_request *request, nectar_event *response) {
    nectar__send_and_await params = {request->target, nectar__request_of(request), nectar__some_blob(request->blob)};
    nectar__awaited result;
    nectar_event unwanted;
    if (response == NULL) response = &unwanted;
    NECTAR__CALL(nectar__send_and_await_response(&params, &result));
    if (result.tag == 0) {
        nectar__arrived(response, &result.of.ok);
        return NECTAR_OK;
    }
    nectar__failed(response, &result.of.err, (nectar_text){NULL, 0});
    return response->error;
}

void nectar_respond(const nectar_reply *reply) {
    const nectar_blob none = {{NULL, 0}, {NULL, 0}};
    const nectar_blob *blob = reply->blob == NULL ? &none : reply->blob;
    nectar__send_response(reply->inherit, reply->body.ptr, reply->body.len, reply->metadata.ptr != NULL,
                          reply->metadata.ptr, reply->metadata.len, reply->capabilities.ptr, reply->capabilities.len,
                          reply->blob != NULL, blob->mime.ptr != NULL, blob->mime.ptr, blob->mime.len, blob->bytes.ptr,
                          blob->bytes.len);
}

bool nectar_get_blob(nectar_blob *blob) {
    nectar__blob_option result;
    NECTAR__CALL(nectar__get_blob(&result));
    return nectar__blob_of(&result, blob);
}
