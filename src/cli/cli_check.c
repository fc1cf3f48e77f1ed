/* `shanhai check`: the store, the audit chain and the images, each finding a line. Exit 1 when there is any. */
#include <stdio.h>
#include <stdlib.h>

#include "access/audit_mark.h"
#include "access/audit_read.h"
#include "access/store_side.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/server.h"
#include "dicom/archive.h"
#include "imaging/imaging.h"
#include "store/store.h"

enum { CHECK_SAMPLE = 1000 };

static void print_finding(void *data, const char *text)
{
    (void)printf("%s: %s\n", (const char *)data, text);
}

/* On standard error, a line each hundredth: the findings are the output. */
static void print_progress(void *data, uint64_t done, uint64_t all)
{
    static const char form[] = "shanhai check: %s: index %u %%\n";
    (void)fprintf(stderr, form, (const char *)data, all == 0 ? 100u : (unsigned)(done * 100 / all));
}

static bool check_store(struct server *server, bool whole_index, uint64_t *findings, struct error *error)
{
    struct store_check_report report = { .finding = print_finding,
                                         .data = (char[]){ "store" },
                                         .sample_count = CHECK_SAMPLE,
                                         .whole_index = whole_index,
                                         .progress = print_progress };
    if (!store_check(server->store, &report, error)) {
        return false;
    }
    *findings += report.findings_count;
    (void)printf("store: %llu resources, %llu versions, %llu findings\n",
                 (unsigned long long)report.resources_count, (unsigned long long)report.versions_count,
                 (unsigned long long)report.findings_count);
    return true;
}

static bool check_audit(struct server *server, uint64_t *findings, struct error *error)
{
    const char *folder = server->options.data_folder;
    const struct access_rows rows = access_rows_of_store(server->store);
    struct audit_mark_report report = { .finding = print_finding, .data = (char[]){ "audit" } };
    struct audit_verdict verdict = { 0 };
    if (!audit_verify(folder, &verdict, error) || !audit_mark_verify(folder, &rows, &report, error)) {
        return false;
    }
    *findings += !verdict.intact + report.findings_count;
    (void)printf("audit: %llu records in %llu sealed groups%s%s\n", (unsigned long long)verdict.records,
                 (unsigned long long)verdict.seals, verdict.intact ? "" : ": BROKEN, ", verdict.finding);
    return true;
}

static bool check_images(struct server *server, bool forget_lost, uint64_t *findings, struct error *error)
{
    struct archive *archive = NULL;
    const struct archive_options options = {
        .folder = arena_printf(&server->arena, "%s/images", server->options.data_folder).at,
        .forget_lost = forget_lost,
    };
    struct archive_check_report report = { .finding = print_finding, .data = (char[]){ "images" } };
    if (!archive_open(&server->arena, &options, &archive, error)) {
        return false;
    }
    bool ok = archive_check(archive, &report, error);
    archive_close(archive);
    *findings += report.findings_count;
    (void)printf("images: %llu instances, %llu bytes, %llu findings\n",
                 (unsigned long long)report.instances_count, (unsigned long long)report.bytes_count,
                 (unsigned long long)report.findings_count);
    return ok;
}

static bool check_photos(struct server *server, uint64_t *findings, struct error *error)
{
    struct imaging_photos_report report = { .finding = print_finding, .data = (char[]){ "photos" } };
    struct str folder = arena_printf(&server->arena, "%s/photos", server->options.data_folder);
    if (folder.at == NULL || !imaging_photos_check(folder.at, &report, error)) {
        return false;
    }
    *findings += report.findings_count;
    (void)printf("photos: %llu, %llu findings\n", (unsigned long long)report.photos_count,
                 (unsigned long long)report.findings_count);
    return true;
}

int cli_check(int argc, char **argv)
{
    struct server_options options = { .data_folder = "data", .offset_minutes = 480, .offline = true };
    bool forget_lost = false;
    bool whole_index = false;
    const struct option table[] = {
        { "data", OPTION_TEXT, &options.data_folder, 0, 0,
          "FOLDER of all data (default: data); no server may have it open" },
        { "store", OPTION_TEXT, &options.store, 0, 0,
          "URL of a PostgreSQL database, postgresql://… (else a file in the folder; kept there once said)" },
        { "whole-index", OPTION_FLAG, &whole_index, 0, 0,
          "compute all index rows again and compare (minutes for a million resources); progress on standard "
          "error" },
        { "accept-lost-changes", OPTION_FLAG, &options.accept_lost, 0, 0,
          "go on although the store has lost changes that the audit log knows" },
        { "forget-lost-images", OPTION_FLAG, &forget_lost, 0, 0,
          "images whose pack file has lost them are forgotten, so that they can be sent again" },
    };
    size_t count = sizeof table / sizeof *table;
    bool help = false;
    if (!options_read(table, count, argc, argv, NULL, &help)) {
        return 2;
    }
    if (help) {
        return 0;
    }
    struct server *server = calloc(1, sizeof *server);
    struct error error = { .text = "no memory to start" };
    uint64_t findings = 0;
    bool ok = server != NULL && server_open(&options, server, &error);
    if (ok) {
        ok = check_store(server, whole_index, &findings, &error) &&
             check_images(server, forget_lost, &findings, &error) &&
             check_photos(server, &findings, &error) && check_audit(server, &findings, &error);
        server_close(server);
    }
    if (!ok) {
        (void)fprintf(stderr, "shanhai check: %s\n", error.text);
    }
    free(server);
    return ok && findings == 0 ? 0 : 1;
}
