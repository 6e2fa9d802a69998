/* Servers of the internet. */

nectar_code nectar_fetch(const nectar_fetch_request *request, nectar_fetched *fetched) {
    nectar_writer writer = {0};
    nectar_blob blob = {{NULL, 0}, request->body};
    nectar_json answer;
    nectar_put_object(&writer, NULL);
    nectar_put_object(&writer, "Http");
    nectar_put_string(&writer, "method", request->method == NULL ? "GET" : request->method);
    nectar_put_null(&writer, "version");
    nectar_put_text(&writer, "url", request->url);
    nectar_put_json(&writer, "headers", request->headers.ptr == NULL ? nectar_string("{}") : request->headers);
    nectar_code code = nectar_ask(nectar_local("http_client:distro:sys"), nectar_written(&writer),
                                  request->seconds == 0 ? 30 : request->seconds,
                                  request->body.ptr == NULL ? NULL : &blob, &answer, &fetched->body);
    if (code != NECTAR_OK) return code;
    nectar_json told = nectar_json_field(nectar_json_field(answer, "Ok"), "Http");
    fetched->headers = nectar_json_field(told, "headers");
    return nectar_json_u64(nectar_json_field(told, "status"), &fetched->status) ? NECTAR_OK : NECTAR_BAD_JSON;
}
