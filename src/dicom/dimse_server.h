/* dimse_server.h — the DICOM listener: a thread that accepts, a thread an association, the machine of dimse.h and
 * the archive behind it. Starts on loopback; DIMSE has no sign-in, so other peers come in only by the list
 * (design.md section 5).
 *
 * A C-STORE is answered after its pack file was synced and the index knows it (archive.h). Associations that send
 * at the same time share syncs. TCP_NODELAY, and TCP_QUICKACK again after every read: senders that leave Nagle's
 * algorithm on otherwise wait 40 ms for each instance. */
#ifndef SHANHAI_DICOM_DIMSE_SERVER_H
#define SHANHAI_DICOM_DIMSE_SERVER_H

#include "dicom/archive.h"
#include "dicom/dimse.h"

struct dimse_server;

/* Who may send, and for whom. */
struct dimse_peer {
    const char *ae_title;     /* calling; "*" is any */
    const char *address;      /* "192.0.2.7", "::1"; "*" is any: then the title is all that protects */
    const char *organization; /* id of the Organization that owns what it sends */
};

struct dimse_options {
    const char *bind_address; /* NULL: "127.0.0.1" */
    uint16_t port;            /* 0: the system chooses */
    const char *ae_title;     /* ours; NULL: any called title is fine */
    /* Searched in order. None: every title from this machine itself is let in for `organization`. */
    const struct dimse_peer *peers;
    size_t peers_count;
    const char *organization;
    unsigned associations_max; /* 0: 16; one address gets at most half of them, but 4 in any case */
    unsigned idle_timeout_s;   /* 0: 60, without a byte, and for one PDU from its first byte to its last */
    unsigned
        first_timeout_s; /* 0: 10, from the connection to the whole A-ASSOCIATE-RQ (PS3.8 9.1.5: ARTIM) */
    /* One line when an association ends: never a patient. May be NULL. */
    void (*ended)(void *context, const char *calling, const char *address, uint64_t stored, uint64_t refused);
    void *context;
};

/* Parses "AE@address=Organization/id" (settings); slices are copied into the arena. */
bool dimse_peer_parse(struct arena *arena, struct str text, struct dimse_peer *peer,
                      struct error *error) MUST_CHECK;

/* Listens when it returns true. The texts of options and peers must outlive the server. */
bool dimse_server_start(struct arena *arena, struct archive *archive, const struct dimse_options *options,
                        struct dimse_server **server, struct error *error) MUST_CHECK;
uint16_t dimse_server_port(const struct dimse_server *server);

/* Associations now, and since the start; any thread. */
struct dimse_counts {
    size_t open;
    uint64_t total;
    uint64_t refused; /* no room, or not on the list */
};
void dimse_server_counts(struct dimse_server *server, struct dimse_counts *counts);

/* Closes the listener, cuts associations, joins their threads. NULL is allowed. */
void dimse_server_stop(struct dimse_server *server);

#endif
