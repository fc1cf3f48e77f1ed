/* One GET of a small text from an address that an operator registered (outgoing.h). The name is looked up by us, and
 * what it leads to is judged before anything is sent: an answer of somebody's DNS is no way into the network here. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "http/outgoing.h"

struct fetch {
    struct buf text;
    bool private_too;
    bool refused;
};

static bool v4_is_private(const uint8_t *a)
{
    /* RFC 6890: this host, private, shared, loopback, link-local, protocol assignments, benchmarks, multicast and above */
    return a[0] == 0 || a[0] == 10 || a[0] == 127 || a[0] >= 224 || (a[0] == 100 && (a[1] & 0xC0) == 64) ||
           (a[0] == 169 && a[1] == 254) || (a[0] == 172 && (a[1] & 0xF0) == 16) ||
           (a[0] == 192 && a[1] == 168) || (a[0] == 192 && a[1] == 0 && a[2] == 0) ||
           (a[0] == 198 && (a[1] & 0xFE) == 18);
}

static bool v6_is_private(const uint8_t *a)
{
    static const uint8_t zeros[12] = { 0 };
    static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };
    static const uint8_t translated[12] = { 0x00, 0x64, 0xFF, 0x9B };
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, translated, 12) == 0) {
        return v4_is_private(a + 12);
    }
    /* ::, ::1 and what else begins so; 6to4 and Teredo hide another address; unique local, link-local, multicast */
    return memcmp(a, zeros, 12) == 0 || (a[0] == 0x20 && a[1] == 0x02) ||
           (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0 && a[3] == 0) || (a[0] & 0xFE) == 0xFC ||
           (a[0] == 0xFE && (a[1] & 0x80) == 0x80) || a[0] == 0xFF;
}

bool outgoing_address_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return v4_is_private((const uint8_t *)&in.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return v6_is_private((const uint8_t *)&in.sin6_addr);
    }
    return true;
}

static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch *fetch = data;
    if (purpose != CURLSOCKTYPE_IPCXN ||
        (!fetch->private_too && outgoing_address_is_private(&address->addr))) {
        fetch->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take(char *bytes, size_t size, size_t count, void *data)
{
    struct fetch *fetch = data;
    buf_add(&fetch->text, (struct str){ bytes, size * count });
    return fetch->text.failed ? 0 : size * count;
}

static bool set_up(CURL *easy, const char *url, struct fetch *fetch, struct curl_slist *headers)
{
    return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, fetch->private_too ? "http,https" : "https") ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)OUTGOING_FETCH_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)OUTGOING_FETCH_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch) == CURLE_OK;
}

bool outgoing_fetch(struct arena *arena, struct str url, size_t bytes_max, bool private_too, struct str *text,
                    struct error *error)
{
    struct fetch fetch = { .text = { .bytes_max = bytes_max }, .private_too = private_too };
    char *line = arena_cstr(arena, url);
    struct curl_slist *headers = NULL;
    CURL *easy = NULL;
    long status = 0;
    bool ok = false;
    bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK; /* counted, and safe among threads */
    if (ready) {
        easy = curl_easy_init();
        headers = curl_slist_append(NULL, "Accept: application/json");
    }
    if (line == NULL || easy == NULL || headers == NULL || !set_up(easy, line, &fetch, headers)) {
        (void)FAIL(error, ERROR_BUSY, "out of memory; try again");
        goto done;
    }
    CURLcode code = curl_easy_perform(easy);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (fetch.refused) {
        (void)FAIL(error, ERROR_RULE, "the address leads into a private network");
    } else if (fetch.text.failed) {
        (void)FAIL(error, ERROR_TOO_LARGE, "more than %zu bytes came", bytes_max);
    } else if (code != CURLE_OK || status != 200) {
        (void)FAIL(error, ERROR_BUSY, "the address did not answer with 200");
    } else {
        *text = arena_dup(arena, buf_str(&fetch.text));
        ok = text->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
done:
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    buf_deinit(&fetch.text);
    if (ready) {
        curl_global_cleanup();
    }
    return ok;
}
