#include "dicom/dimse.h"

#include <stdio.h>

#include "base/limits.h"

#define APPLICATION_CONTEXT "1.2.840.10008.3.1.1.1"
#define VERIFICATION_CLASS "1.2.840.10008.1.1"
#define STORAGE_CLASSES "1.2.840.10008.5.1.4.1.1."

/* PS3.8 table 9-26: who aborts and why. */
enum abort_reason {
    ABORT_NOT_SPECIFIED = 0,
    ABORT_UNRECOGNIZED_PDU = 1,
    ABORT_UNEXPECTED_PDU = 2,
    ABORT_INVALID_PARAMETER = 6
};
/* PS3.8 table 9-18: result of a presentation context. */
enum { CONTEXT_ACCEPTED = 0, CONTEXT_NO_CLASS = 3, CONTEXT_NO_SYNTAX = 4 };

enum { COMMAND_STORE = 0x0001, COMMAND_ECHO = 0x0030, COMMAND_CANCEL = 0x0FFF, COMMAND_RESPONSE = 0x8000 };
enum { NO_DATA_SET = 0x0101 };

#define TAG_COMMAND_CLASS 0x00000002u
#define TAG_COMMAND_FIELD 0x00000100u
#define TAG_COMMAND_MESSAGE 0x00000110u
#define TAG_COMMAND_DATA_SET 0x00000800u
#define TAG_COMMAND_INSTANCE 0x00001000u

void dimse_init(struct dimse_association *association, const struct dimse_host *host)
{
    *association = (struct dimse_association){
        .host = host,
        .command = { .bytes_max = DIMSE_COMMAND_BYTES_MAX },
        .data = { .bytes_max = LIMIT_DICOM_INSTANCE_BYTES },
    };
}

void dimse_deinit(struct dimse_association *association)
{
    buf_deinit(&association->command);
    buf_deinit(&association->data);
}

/* ---- writing ---- */

static void put(struct buf *buf, uint32_t value, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0;) {
        buf_add_char(buf, (char)(uint8_t)(value >> (8 * i)));
    }
}

static void put_little(struct buf *buf, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        buf_add_char(buf, (char)(uint8_t)(value >> (8 * i)));
    }
}

static uint32_t get(const char *at, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | (uint8_t)at[i];
    }
    return value;
}

static void put_pdu(struct buf *buf, enum dimse_pdu type, struct str body)
{
    put(buf, (uint32_t)type << 8, 2);
    put(buf, (uint32_t)body.len, 4);
    buf_add(buf, body);
}

static void put_item(struct buf *buf, uint8_t type, struct str body)
{
    put(buf, (uint32_t)type << 8, 2);
    put(buf, (uint32_t)body.len, 2);
    buf_add(buf, body);
}

static void put_abort(struct dimse_association *association, enum abort_reason reason, struct buf *answer)
{
    const char body[4] = { 0, 0, 2, (char)reason }; /* source 2: service provider */
    put_pdu(answer, DIMSE_ABORT, (struct str){ body, sizeof body });
    association->is_over = true;
}

static void put_reject(struct dimse_association *association, enum dimse_verdict verdict, struct buf *answer)
{
    char body[4] = { 0, 1, 1, 1 };
    if (verdict == DIMSE_TOO_MANY) {
        body[1] = 2; /* transient */
        body[2] = 3; /* presentation provider */
        body[3] = 2; /* local limit exceeded */
    } else {
        body[3] = verdict == DIMSE_CALLED_UNKNOWN ? 7 : 3;
    }
    put_pdu(answer, DIMSE_ASSOCIATE_RJ, (struct str){ body, sizeof body });
    association->is_over = true;
}

/* ---- PDU header ---- */

bool dimse_pdu_header(struct dimse_association *association, const char header[DIMSE_PDU_HEADER_BYTES],
                      uint8_t *type, uint32_t *length, struct buf *answer)
{
    *type = (uint8_t)header[0];
    *length = get(header + 2, 4);
    if (*type < DIMSE_ASSOCIATE_RQ || *type > DIMSE_ABORT) {
        put_abort(association, ABORT_UNRECOGNIZED_PDU, answer);
        return false;
    }
    if (*length > DIMSE_PDU_BYTES_MAX + DIMSE_PDU_SLACK_BYTES) {
        put_abort(association, ABORT_INVALID_PARAMETER, answer);
        return false;
    }
    return true;
}

/* ---- association ---- */

/* The next item of PS3.8 9.3.2: type, reserved, length, value. False at the end or when the length lies. */
static bool next_item(struct str *rest, uint8_t *type, struct str *body)
{
    if (rest->len < 4) {
        return false;
    }
    uint32_t length = get(rest->at + 2, 2);
    if (length > rest->len - 4) {
        return false;
    }
    *type = (uint8_t)rest->at[0];
    *body = (struct str){ rest->at + 4, length };
    *rest = str_skip(*rest, 4 + (size_t)length);
    return true;
}

static void copy_title(char to[DIMSE_AE_BYTES], const char *from)
{
    struct str title = str_trim((struct str){ from, 16 });
    size_t len = 0;
    for (size_t i = 0; i < title.len; i++) {
        /* AE is printable ASCII without backslash (PS3.5 table 6.2-1). */
        bool is_good = title.at[i] >= ' ' && title.at[i] <= '~' && title.at[i] != '\\';
        to[len++] = is_good ? title.at[i] : '?';
    }
    to[len] = '\0';
}

/* Takes the first syntax of the peer's list that we know; the order is the peer's preference. */
static bool take_context(struct dimse_association *association, struct str item, struct buf *accepted)
{
    uint8_t type;
    struct str body;
    struct str class_uid = STR_NONE;
    const struct dicom_syntax *syntax = NULL;
    if (item.len < 4 || (item.at[0] & 1) == 0) {
        return false;
    }
    uint8_t id = (uint8_t)item.at[0];
    struct str rest = str_skip(item, 4);
    while (next_item(&rest, &type, &body)) {
        if (type == 0x30) {
            class_uid = dicom_uid_trim(body);
        } else if (type == 0x40 && syntax == NULL) {
            syntax = dicom_syntax_find(body);
        }
    }
    if (rest.len > 0 || !dicom_uid_is_valid(class_uid)) {
        return false;
    }
    struct dimse_context *context = &association->contexts[id / 2];
    bool is_verification = str_equal(class_uid, STR(VERIFICATION_CLASS));
    bool is_known = is_verification || str_starts_with(class_uid, STR(STORAGE_CLASSES));
    uint8_t result = !is_known ? CONTEXT_NO_CLASS : syntax == NULL ? CONTEXT_NO_SYNTAX : CONTEXT_ACCEPTED;
    *context = (struct dimse_context){ .is_verification = is_verification };
    context->syntax = result == CONTEXT_ACCEPTED ? syntax : NULL;
    memcpy(context->class_uid, class_uid.at, class_uid.len);
    struct buf part = { .bytes_max = 128 };
    const char head[4] = { (char)id, 0, (char)result, 0 };
    buf_add(&part, (struct str){ head, sizeof head });
    /* The syntax is not significant in a refusal, but must be there. */
    put_item(&part, 0x40, str_from_cstr(syntax == NULL ? DICOM_IMPLICIT_LE : syntax->uid));
    put_item(accepted, 0x21, buf_str(&part));
    buf_deinit(&part);
    return true;
}

static bool take_user_information(struct dimse_association *association, struct str item)
{
    uint8_t type;
    struct str body;
    while (next_item(&item, &type, &body)) {
        if (type == 0x51 && body.len == 4) {
            association->peer_pdu_bytes_max = get(body.at, 4);
        }
    }
    return item.len == 0;
}

static bool take_items(struct dimse_association *association, struct str rest, struct buf *accepted)
{
    uint8_t type;
    struct str body;
    size_t contexts_count = 0;
    bool has_context_name = false;
    while (next_item(&rest, &type, &body)) {
        bool ok = true;
        switch (type) {
        case 0x10:
            has_context_name = str_equal(dicom_uid_trim(body), STR(APPLICATION_CONTEXT));
            break;
        case 0x20:
            contexts_count++;
            ok = contexts_count <= DIMSE_CONTEXTS_MAX && take_context(association, body, accepted);
            break;
        case 0x50:
            ok = take_user_information(association, body);
            break;
        default: /* PS3.8 9.3.1: unknown items are ignored */
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return rest.len == 0 && has_context_name && contexts_count > 0;
}

static void put_accept(struct str request, struct str accepted, struct buf *answer)
{
    struct buf body = { .bytes_max = DIMSE_PDU_BYTES_MAX };
    struct buf user = { .bytes_max = 256 };
    put(&body, 1, 2); /* protocol version */
    put(&body, 0, 2);
    buf_add(&body, str_slice(request, 4, 36)); /* titles as they came, PS3.8 table 9-17 */
    buf_add(&body, str_slice(request, 36, 68));
    put_item(&body, 0x10, STR(APPLICATION_CONTEXT));
    buf_add(&body, accepted);
    put(&user, 0x5100, 2);
    put(&user, 4, 2);
    put(&user, DIMSE_PDU_BYTES_MAX, 4);
    put_item(&user, 0x52, STR(DICOM_IMPLEMENTATION_UID));
    put_item(&user, 0x55, STR(DICOM_IMPLEMENTATION_NAME));
    put_item(&body, 0x50, buf_str(&user));
    put_pdu(answer, DIMSE_ASSOCIATE_AC, buf_str(&body));
    buf_deinit(&user);
    buf_deinit(&body);
}

static void take_associate(struct dimse_association *association, struct str body, struct buf *answer)
{
    struct buf accepted = { .bytes_max = DIMSE_PDU_BYTES_MAX };
    if (association->is_open) {
        put_abort(association, ABORT_UNEXPECTED_PDU, answer);
        return;
    }
    if (body.len < 68 || (get(body.at, 2) & 1) == 0) {
        put_abort(association, ABORT_INVALID_PARAMETER, answer);
        return;
    }
    copy_title(association->called, body.at + 4);
    copy_title(association->calling, body.at + 20);
    enum dimse_verdict verdict =
        association->host->greet(association->host->context, association->calling, association->called);
    if (verdict != DIMSE_WELCOME) {
        put_reject(association, verdict, answer);
    } else if (!take_items(association, str_skip(body, 68), &accepted) || accepted.failed) {
        put_abort(association, ABORT_INVALID_PARAMETER, answer);
    } else {
        put_accept(body, buf_str(&accepted), answer);
        association->is_open = true;
    }
    buf_deinit(&accepted);
}

/* ---- messages ---- */

static void put_command_text(struct buf *buf, uint16_t element, struct str text, char padding)
{
    put_little(buf, 0, 2);
    put_little(buf, element, 2);
    put_little(buf, (uint32_t)(text.len + text.len % 2), 4);
    buf_add(buf, text);
    if (text.len % 2 == 1) {
        buf_add_char(buf, padding);
    }
}

static void put_command_number(struct buf *buf, uint16_t element, uint16_t number)
{
    put_little(buf, 0, 2);
    put_little(buf, element, 2);
    put_little(buf, 2, 4);
    put_little(buf, number, 2);
}

struct response {
    uint16_t field;
    uint16_t message;
    uint16_t status;
    struct str class_uid;
    struct str sop;
    const char *comment;
};

/* PS3.7 9.3.1.2 and 9.3.5.2: the command set in implicit little endian, in one PDV. A command is far below any
 * peer's PDU limit (PS3.8 D.1 lets none be so small that this would not fit). */
static void put_response(struct dimse_association *association, const struct response *response,
                         struct buf *answer)
{
    struct buf elements = { .bytes_max = 1024 };
    struct buf body = { .bytes_max = 1024 };
    if (response->class_uid.len > 0) {
        put_command_text(&elements, 0x0002, response->class_uid, '\0');
    }
    put_command_number(&elements, 0x0100, response->field | COMMAND_RESPONSE);
    put_command_number(&elements, 0x0120, response->message);
    put_command_number(&elements, 0x0800, NO_DATA_SET);
    put_command_number(&elements, 0x0900, response->status);
    if (response->comment != NULL && response->comment[0] != '\0') {
        put_command_text(&elements, 0x0902, str_from_cstr(response->comment), ' ');
    }
    if (response->sop.len > 0) {
        put_command_text(&elements, 0x1000, response->sop, '\0');
    }
    put(&body, (uint32_t)elements.len + 12 + 2, 4);
    put(&body, association->message_context << 8 | 3u, 2); /* command, last */
    put_little(&body, 0, 4);
    put_little(&body, 4, 4);
    put_little(&body, (uint32_t)elements.len, 4);
    buf_add(&body, buf_str(&elements));
    put_pdu(answer, DIMSE_DATA, buf_str(&body));
    buf_deinit(&elements);
    buf_deinit(&body);
}

static void store(struct dimse_association *association, const struct dimse_context *context,
                  struct response *response, struct buf *answer)
{
    char comment[DIMSE_COMMENT_BYTES] = { 0 };
    const struct dimse_store request = { .class_uid = response->class_uid,
                                         .sop = response->sop,
                                         .bytes = buf_str(&association->data),
                                         .syntax = context->syntax };
    if (context->is_verification || !str_equal_cstr(response->class_uid, context->class_uid)) {
        response->status = DIMSE_CLASS_NOT_SUPPORTED;
    } else if (!dicom_uid_is_valid(response->sop)) {
        response->status = DIMSE_CANNOT_UNDERSTAND;
        response->sop = STR_NONE;
    } else if (association->data_is_lost) {
        response->status = DIMSE_OUT_OF_RESOURCES;
        (void)snprintf(comment, sizeof comment, "the instance is too large to be taken now");
    } else {
        response->status = association->host->store(association->host->context, &request, comment);
        association->stored_count += response->status == DIMSE_SUCCESS ? 1 : 0;
    }
    response->comment = comment;
    put_response(association, response, answer);
}

/* A whole message is there. False: what came is no command. */
static bool answer_message(struct dimse_association *association, const struct dicom_dataset *command,
                           struct buf *answer)
{
    const struct dimse_context *context = &association->contexts[association->message_context / 2];
    struct response response = { .class_uid = dicom_uid(command, TAG_COMMAND_CLASS),
                                 .sop = dicom_uid(command, TAG_COMMAND_INSTANCE) };
    if (!dicom_us(command, TAG_COMMAND_FIELD, &response.field)) {
        return false;
    }
    if (response.field == COMMAND_CANCEL) {
        return true; /* nothing here takes long enough to be cancelled */
    }
    if (!dicom_us(command, TAG_COMMAND_MESSAGE, &response.message) ||
        (response.field & COMMAND_RESPONSE) != 0) {
        return false;
    }
    if (response.field == COMMAND_STORE) {
        store(association, context, &response, answer);
        return true;
    }
    bool is_echo = response.field == COMMAND_ECHO && context->is_verification;
    response.status = is_echo ? DIMSE_SUCCESS : DIMSE_UNRECOGNIZED_OPERATION;
    response.sop = STR_NONE;
    put_response(association, &response, answer);
    return true;
}

/* Reads the command; *has_data tells whether a data set follows. */
static bool read_command(struct dimse_association *association, struct arena *arena,
                         struct dicom_dataset *command, bool *has_data)
{
    struct error ignored = { 0 };
    uint16_t data_set = NO_DATA_SET;
    if (!dicom_read_dataset(arena, buf_str(&association->command), dicom_syntax_find(STR(DICOM_IMPLICIT_LE)),
                            NULL, command, &ignored) ||
        !dicom_us(command, TAG_COMMAND_DATA_SET, &data_set)) {
        return false;
    }
    *has_data = data_set != NO_DATA_SET;
    return true;
}

static bool end_of_part(struct dimse_association *association, bool is_command, struct buf *answer)
{
    struct arena arena = { .bytes_max = 1 << 20 };
    struct dicom_dataset command = { 0 };
    bool has_data = false;
    bool ok = read_command(association, &arena, &command, &has_data);
    association->command_is_whole = true;
    bool is_whole = !is_command || !has_data;
    if (ok && is_whole) {
        ok = answer_message(association, &command, answer);
        association->message_context = 0;
        association->command_is_whole = false;
        association->data_is_lost = false;
        buf_clear(&association->command);
        buf_clear(&association->data);
    }
    arena_deinit(&arena);
    return ok;
}

/* PS3.8 annex E: a presentation data value with its message control header. */
static bool take_value(struct dimse_association *association, struct str value, struct buf *answer)
{
    if (value.len < 2 || (value.at[0] & 1) == 0) {
        return false;
    }
    unsigned id = (uint8_t)value.at[0];
    bool is_command = (value.at[1] & 1) != 0;
    bool is_last = (value.at[1] & 2) != 0;
    bool is_first = association->message_context == 0;
    if (association->contexts[id / 2].syntax == NULL || (!is_first && id != association->message_context) ||
        is_command == association->command_is_whole) {
        return false;
    }
    association->message_context = id;
    if (is_command || !association->data_is_lost) {
        buf_add(is_command ? &association->command : &association->data, str_skip(value, 2));
    }
    if (association->command.failed) {
        return false;
    }
    if (association->data.failed) {
        association->data_is_lost = true;
        buf_deinit(&association->data);
    }
    return !is_last || end_of_part(association, is_command, answer);
}

static void take_data(struct dimse_association *association, struct str body, struct buf *answer)
{
    bool ok = association->is_open;
    while (ok && body.len > 0) {
        uint32_t length = body.len < 4 ? UINT32_MAX : get(body.at, 4);
        ok =
            length <= body.len - 4 && take_value(association, str_slice(body, 4, 4 + (size_t)length), answer);
        body = ok ? str_skip(body, 4 + (size_t)length) : STR_NONE;
    }
    if (!ok) {
        put_abort(association, association->is_open ? ABORT_INVALID_PARAMETER : ABORT_UNEXPECTED_PDU, answer);
    }
}

void dimse_take_pdu(struct dimse_association *association, uint8_t type, struct str body, struct buf *answer)
{
    static const char nothing[4] = { 0 };
    assert(!association->is_over);
    switch (type) {
    case DIMSE_ASSOCIATE_RQ:
        take_associate(association, body, answer);
        break;
    case DIMSE_DATA:
        take_data(association, body, answer);
        break;
    case DIMSE_RELEASE_RQ:
        put_pdu(answer, DIMSE_RELEASE_RP, (struct str){ nothing, sizeof nothing });
        association->is_over = true;
        break;
    case DIMSE_ABORT:
        association->is_over = true;
        break;
    default:
        put_abort(association, ABORT_UNEXPECTED_PDU, answer);
        break;
    }
    assert(!answer->failed);
}
