/* `shanhai serve`: opens the folder, listens, and waits for a signal. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/server.h"
#include "cli/settings.h"
#include "dicom/archive.h"
#include "dicom/dimse_server.h"
#include "http/http.h"
#include "imaging/imaging.h"

enum {
    SETTINGS_BYTES = 4 * 1024 * 1024,
    STOP_GRACE_MS = 10000,
    PEERS_MAX = OPTION_LIST_MAX,
    CLOCK_AHEAD_MINUTES_MAX = 366 * 24 * 60,
    JOBS_KEPT_DAYS_MAX = 3650,
    STOW_REST_MS_MAX = 60000
};

struct serve_options {
    struct arena arena; /* texts of the settings */
    struct server_options server;
    const char *config;
    bool only_tell; /* `shanhai config`: print the settings */
    const char *address;
    const char *timezone;
    const char *log_format;
    const char *dicom_organization;
    const char *dicom_address;
    const char *dicom_title;
    struct option_list dicom_peers;
    struct option_list endpoints;
    struct str endpoint_texts[OPTION_LIST_MAX];
    struct option_list origins;
    struct str origin_texts[OPTION_LIST_MAX];
    long port;
    long dicom_port;
    long clock_ahead_minutes;
    bool quiet;
};

/* "+08:00" as minutes. */
static bool timezone_minutes(const char *text, int *minutes)
{
    int64_t hours = 0;
    int64_t rest = 0;
    struct str zone = str_from_cstr(text);
    bool shaped = zone.len == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':';
    if (!shaped || !parse_int64(str_slice(zone, 1, 3), 0, 14, &hours) ||
        !parse_int64(str_slice(zone, 4, 6), 0, 59, &rest)) {
        (void)fprintf(stderr, "--timezone wants a form like +08:00\n");
        return false;
    }
    *minutes = (int)(hours * 60 + rest) * (text[0] == '-' ? -1 : 1);
    return true;
}

static bool read_options(struct serve_options *options, int argc, char **argv, bool *help)
{
    const struct option table[] = {
        { "config", OPTION_TEXT, &options->config, 0, 0,
          "FILE of settings, a line each: name = value (also SHANHAI_CONFIG; each setting also as "
          "SHANHAI_NAME)" },
        { "data", OPTION_TEXT, &options->server.data_folder, 0, 0, "FOLDER of all data (default: data)" },
        { "store", OPTION_TEXT, &options->server.store, 0, 0,
          "URL of a PostgreSQL database, postgresql://… (else a file in the folder; kept there once said)" },
        { "port", OPTION_NUMBER, &options->port, 0, 65535,
          "PORT of the screens and interfaces (8080; 0: any free one)" },
        { "address", OPTION_TEXT, &options->address, 0, 0, "ADDRESS to listen on (127.0.0.1)" },
        { "base-url", OPTION_TEXT, &options->server.base_url, 0, 0, "URL of /fhir as the world sees it" },
        { "behind-tls", OPTION_FLAG, &options->server.tls, 0, 0, "a trusted proxy in front speaks TLS" },
        { "timezone", OPTION_TEXT, &options->timezone, 0, 0, "OFFSET of the site's day (+08:00)" },
        { "definitions", OPTION_TEXT, &options->server.definitions_folder, 0, 0,
          "FOLDER with rule files of your own" },
        { "dicom-port", OPTION_NUMBER, &options->dicom_port, -1, 65535,
          "PORT of the DICOM listener (11112; 0: any; -1: none)" },
        { "dicom-address", OPTION_TEXT, &options->dicom_address, 0, 0,
          "ADDRESS of the DICOM listener (127.0.0.1)" },
        { "dicom-title", OPTION_TEXT, &options->dicom_title, 0, 0,
          "TITLE: our AE title (any called one is fine without)" },
        { "dicom-peer", OPTION_LIST, &options->dicom_peers, 0, 0,
          "AE@ADDRESS=Organization/ID who may send, for whom (repeats)" },
        { "subscription-endpoint", OPTION_LIST, &options->endpoints, 0, 0,
          "URL that subscriptions may call, with what is below it (repeats; none: no rest-hook)" },
        { "cors-origin", OPTION_LIST, &options->origins, 0, 0,
          "ORIGIN (https://app.example) whose pages may ask /fhir with a token (repeats; none: no page)" },
        { "key-sets-private", OPTION_FLAG, &options->server.key_sets_private, 0, 0,
          "key sets of apps (app add --keys-url) may lie in a private network or on this machine" },
        { "check-references", OPTION_FLAG, &options->server.check_references, 0, 0,
          "a reference must lead to a resource, and what others refer to is not deleted" },
        { "validate-full", OPTION_FLAG, &options->server.validate_full, 0, 0,
          "every write is checked against R4's invariants, not only what claims a profile" },
        { "jobs-kept", OPTION_NUMBER, &options->server.jobs_kept_days, 1, JOBS_KEPT_DAYS_MAX,
          "DAYS that finished jobs are listed (90); failed ones stay" },
        { "stow-rest", OPTION_NUMBER, &options->server.stow_rest_ms, 0, STOW_REST_MS_MAX,
          "MILLISECONDS without a further STOW request after which a study is taken as whole (2500)" },
        { "clock-ahead", OPTION_NUMBER, &options->clock_ahead_minutes, 0, CLOCK_AHEAD_MINUTES_MAX,
          "MINUTES: trial runs only; everything is recorded as if it were that much later" },
        { "log-format", OPTION_TEXT, &options->log_format, 0, 0,
          "text or json: a line each for people, or an object each for machines (text)" },
        { "quiet", OPTION_FLAG, &options->quiet, 0, 0, "no line a request" },
    };
    int minutes = 0;
    enum setting_source sources[SETTINGS_MAX] = { SETTING_DEFAULT };
    size_t count = sizeof table / sizeof *table;
    if (!settings_read(&options->arena, table, count, argc, argv, sources, help)) {
        return false;
    }
    if (options->only_tell && !*help) {
        settings_print(table, count, sources);
    }
    if (!timezone_minutes(options->timezone, &minutes)) {
        return false;
    }
    if (strcmp(options->log_format, "json") != 0 && strcmp(options->log_format, "text") != 0) {
        (void)fprintf(stderr, "--log-format wants text or json\n");
        return false;
    }
    log_set_format(strcmp(options->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT);
    options->server.offset_minutes = minutes;
    for (size_t i = 0; i < options->endpoints.count; i++) {
        options->endpoint_texts[i] = str_from_cstr(options->endpoints.values[i]);
    }
    options->server.endpoints = options->endpoint_texts;
    options->server.endpoints_count = options->endpoints.count;
    for (size_t i = 0; i < options->origins.count; i++) {
        options->origin_texts[i] = str_from_cstr(options->origins.values[i]);
        if (!http_cors_origin_acceptable(options->origin_texts[i])) {
            (void)fprintf(stderr, "--cors-origin wants scheme, host and port, such as https://app.example\n");
            return false;
        }
    }
    options->server.origins = options->origin_texts;
    options->server.origins_count = options->origins.count;
    return true;
}

static void association_ended(void *context, const char *calling, const char *address, uint64_t stored,
                              uint64_t refused)
{
    (void)context;
    (void)calling; /* a title may name a person's device */
    LOG_INFO("dicom %s stored %llu refused %llu", address, (unsigned long long)stored,
             (unsigned long long)refused);
}

static bool start_dicom(struct server *server, const struct serve_options *options,
                        struct dimse_server **dimse, struct error *error)
{
    struct dimse_peer *peers = ARENA_ARRAY(&server->arena, struct dimse_peer, PEERS_MAX);
    *dimse = NULL;
    if (options->dicom_port < 0) {
        return true;
    }
    for (size_t i = 0; peers != NULL && i < options->dicom_peers.count; i++) {
        if (!dimse_peer_parse(&server->arena, str_from_cstr(options->dicom_peers.values[i]), &peers[i],
                              error)) {
            return false;
        }
    }
    const struct dimse_options dimse_options = {
        .bind_address = options->dicom_address,
        .port = (uint16_t)options->dicom_port,
        .ae_title = options->dicom_title,
        .peers = peers,
        .peers_count = peers == NULL ? 0 : options->dicom_peers.count,
        .ended = association_ended,
    };
    return dimse_server_start(&server->arena, imaging_archive(server->imaging), &dimse_options, dimse, error);
}

static bool start_http(struct server *server, const struct serve_options *options, struct http_server **http,
                       struct error *error)
{
    /* Not the session, the administrator's rows or the events of the screens: those are for cookies. */
    static const char *const paths[] = { "/fhir",       "/auth/token", "/auth/introspect",     "/auth/revoke",
                                         "/auth/jwks",  "/bulk",       "/dicom-web",           "/photos",
                                         "/indicators", "/reports",    "/subscription-topics", NULL };
    static const char *const open_paths[] = { "/fhir/metadata", "/fhir/.well-known", "/auth/jwks", NULL };
    struct http_options http_options = {
        .bind_address = options->address,
        .port = (uint16_t)options->port,
        .access_log = !options->quiet,
        .on_error = api_on_error,
        .context = &server->api,
        .cors = { .origins = options->server.origins,
                  .origins_count = options->server.origins_count,
                  .paths = paths,
                  .open_paths = open_paths },
    };
    http_options.routes = api_routes(&http_options.routes_count);
    return http_server_start(&server->arena, &http_options, http, error);
}

/* The signals are blocked in every thread and taken here: no handler runs anywhere. */
static void wait_for_signal(void)
{
    sigset_t signals;
    int number = 0;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    while (sigwait(&signals, &number) != 0) {}
    LOG_INFO("stopping");
}

static void block_signals(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

/* In the writer thread: the main thread, which waits for a signal, stops everything in order. */
static void store_lost(void *data, const char *text)
{
    atomic_bool *lost = data;
    LOG_ERROR("%s", text);
    atomic_store(lost, true);
    (void)kill(getpid(), SIGTERM);
}

static void tell_damage(const struct server *server)
{
    const char *first = NULL;
    size_t count = archive_damaged(imaging_archive(server->imaging), &first);
    if (count > 0) {
        LOG_ERROR("%zu pack files of images are missing or have lost their end, among them %s: stop the "
                  "server, run "
                  "`shanhai check` and restore them from a backup; their series take no images until then",
                  count, first);
    }
}

static int run(struct serve_options *options)
{
    atomic_bool lost = false;
    options->server.lost = store_lost;
    options->server.lost_data = &lost;
    struct server *server = calloc(1, sizeof *server);
    struct http_server *http = NULL;
    struct dimse_server *dimse = NULL;
    struct error error = { .text = "no memory to start" };
    block_signals();
    if (options->clock_ahead_minutes > 0) {
        clock_set_ahead((int64_t)options->clock_ahead_minutes * 60 * 1000);
        LOG_WARNING("the clock is put %ld minutes ahead: for trial runs, never for patients",
                    options->clock_ahead_minutes);
    }
    bool ok = server != NULL && server_open(&options->server, server, &error);
    bool opened = ok;
    if (ok) {
        tell_damage(server);
    }
    ok = ok && start_dicom(server, options, &dimse, &error);
    if (ok) {
        server->api.dimse = dimse;
        ok = start_http(server, options, &http, &error);
    }
    if (ok) {
        /* Programs that start us read this line. */
        (void)printf("ready http://%s:%u dicom %d\n", options->address, http_server_port(http),
                     dimse == NULL ? -1 : (int)dimse_server_port(dimse));
        (void)fflush(stdout);
        wait_for_signal();
    } else {
        (void)fprintf(stderr, "shanhai serve: %s\n", error.text);
    }
    bool clean = http_server_stop(http, STOP_GRACE_MS);
    dimse_server_stop(dimse);
    if (!clean) {
        LOG_ERROR("requests did not end in time; the data is safe, the process ends now");
        _exit(1);
    }
    if (opened) {
        server_close(server);
    }
    free(server);
    return ok && !atomic_load(&lost) ? 0 : 1;
}

static struct serve_options defaults(void)
{
    return (struct serve_options){
        .arena = { .bytes_max = SETTINGS_BYTES },
        .server = { .data_folder = "data", .jobs_kept_days = 90, .stow_rest_ms = 2500 },
        .address = "127.0.0.1",
        .timezone = "+08:00",
        .log_format = "text",
        .dicom_address = "127.0.0.1",
        .port = 8080,
        .dicom_port = 11112
    };
}

int cli_serve(int argc, char **argv)
{
    struct serve_options options = defaults();
    bool help = false;
    if (arena_alloc(&options.arena, 1) == NULL) { /* the block that all settings lie in */
        (void)fprintf(stderr, "shanhai serve: no memory to start\n");
        return 1;
    }
    int status = read_options(&options, argc, argv, &help) ? 0 : 2;
    if (status == 0 && !help) {
        status = run(&options);
    }
    arena_deinit(&options.arena);
    return status;
}

int cli_config(int argc, char **argv)
{
    struct serve_options options = defaults();
    bool help = false;
    options.only_tell = true;
    int status = read_options(&options, argc, argv, &help) ? 0 : 2;
    arena_deinit(&options.arena);
    return status;
}
