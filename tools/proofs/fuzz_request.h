/* An outstanding request out of the fuzzer's bytes, within the encoder's bounds. */
static const uint8_t FUNCTIONS[8] = {1, 2, 3, 4, 5, 6, 15, 16};
static const uint16_t COUNTS[8] = {2000, 2000, 125, 125, 1, 1, 1968, 123};

static Request take_request(Input *input) {
    Request request;
    uint8_t kind = take8(input) % 8;
    memset(&request, 0, sizeof request);
    request.function = FUNCTIONS[kind];
    request.unit = take8(input);
    request.any_unit = take8(input) & 1;
    request.transaction = take16(input);
    request.address = take16(input);
    request.value = take16(input);
    request.count = (uint16_t)(1 + take16(input) % COUNTS[kind]);
    return request;
}

static void must_be_words_of(const uint8_t *data, const Request *request, const uint16_t *words) {
    for (int at = 0; request->function <= 4 && at < request->count; at++)
        MUST(words[at] == (request->function <= 2 ? data[at / 8] >> at % 8 & 1
                                                   : word_at(data + 2 * at)));
}
