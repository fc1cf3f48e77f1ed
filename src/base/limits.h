/* limits.h — every bound of the program with a name, in one place. A module refuses what passes its
 * bound with ERROR_TOO_LARGE, ERROR_TOO_COSTLY, ERROR_TOO_MANY or ERROR_BUSY; it never cuts in silence. */
#ifndef SHANHAI_BASE_LIMITS_H
#define SHANHAI_BASE_LIMITS_H

enum {
    LIMIT_ARENA_BLOCK_BYTES = 16 * 1024,
    LIMIT_JSON_DEPTH = 64,                  /* R4 resources nest about 20 deep; deeper input is an attack */
    LIMIT_RESOURCE_BYTES = 8 * 1024 * 1024, /* one resource */
    LIMIT_BUNDLE_BYTES = 64 * 1024 * 1024,  /* one batch or transaction */
    LIMIT_BUNDLE_ENTRIES = 5000,            /* design.md section 3: entries of a change set */
    LIMIT_REQUEST_ARENA_BYTES =
        512 * 1024 * 1024,                /* memory of one request; a resource needs about 3 times its text */
    LIMIT_PATCH_BYTES = 64 * 1024 * 1024, /* of trees that the operations of one patch make */
    LIMIT_URL_BYTES = 16 * 1024,
    LIMIT_HTTP_PAIRS = 256,             /* pairs of a query and a form body together */
    LIMIT_HTTP_FORM_BYTES = 256 * 1024, /* an application/x-www-form-urlencoded body */
    LIMIT_HTTP_PARAMETERS = 8,          /* parameters in one path template */
    /* request line, headers and I/O buffers of a connection; libmicrohttpd clears it at each request */
    LIMIT_HTTP_CONNECTION_BYTES = 32 * 1024,
    LIMIT_HTTP_PIECE_BYTES = 256 * 1024,         /* of a streamed body, handed on at once */
    LIMIT_HTTP_STREAM_QUEUE_BYTES = 256 * 1024,  /* events waiting for a slow reader */
    LIMIT_HTTP_STREAMS_OF_ONE = 32,              /* event streams of one person */
    LIMIT_HTTP_LINGER_BYTES = 256 * 1024 * 1024, /* of a refused body, read and dropped after the answer */
    LIMIT_HTTP_LINGERING = 64,                   /* connections being so drained */
    LIMIT_SEARCH_PARAMETERS = 64,                /* pairs in one query */
    LIMIT_SEARCH_VALUES = 500,                   /* alternatives of one parameter (OR) */
    LIMIT_SEARCH_CRITERIA = 5000,       /* conditions that one query comes to, over all types it reaches */
    LIMIT_SEARCH_COUNT = 1000,          /* _count */
    LIMIT_TERMINOLOGY_CODES = 20000,    /* codes of one expansion */
    LIMIT_TERMINOLOGY_STEPS = 20000000, /* concepts, includes and filters that one request looks at */
    LIMIT_HISTORY_CANDIDATES = 20000,   /* versions one page of a history may look at */
    LIMIT_SEARCH_CANDIDATES = 1000000,  /* rows one search may look at */
    LIMIT_FHIRPATH_BYTES = 16 * 1024,   /* one expression */
    LIMIT_FHIRPATH_DEPTH = 128,
    LIMIT_FHIRPATH_STEPS = 2000000,      /* items visited by one evaluation */
    LIMIT_VIEW_ROWS = 10000,             /* rows of one view for one resource */
    LIMIT_VIEW_PATIENTS = 10000,         /* named by `patient` and `group` of one export of views */
    LIMIT_VIEW_STEPS = 20000000,         /* items visited by all paths of a view for one resource */
    LIMIT_FEED_FOLLOWERS = 256,          /* live connections */
    LIMIT_FEED_RESUME_VERSIONS = 100000, /* further back a client reads anew */
    LIMIT_FEED_WORDS = 32,               /* said in passing, waiting to be told */
    LIMIT_FEED_WORD_BYTES = 1024,        /* one of them */
    LIMIT_SUBSCRIPTIONS = 1000,          /* that are wanted, at a time */
    LIMIT_SUBSCRIPTION_FILTERS = 20,
    LIMIT_SUBSCRIPTION_HEADERS = 20,
    LIMIT_SUBSCRIPTION_EVENTS_KEPT = 100000, /* whose numbers $events knows, of each */
    LIMIT_DICOM_DEPTH = 16,                  /* sequences in sequences */
    LIMIT_DICOM_ELEMENTS = 200000,
    LIMIT_STORE_READERS = 32,        /* snapshots at a time */
    LIMIT_STORE_SNAPSHOT_MS = 5000,  /* design.md section 3: no snapshot lives longer */
    LIMIT_STORE_QUEUE_SETS = 4096,   /* sets waiting for the writer */
    LIMIT_STORE_GROUP_WRITES = 5000, /* versions of one commit, a larger set apart */
    LIMIT_STORE_ROWS = 100000,       /* rows one look-up in a table or view may give */
    LIMIT_STORE_INDEX_ROWS = 4000,   /* index rows of one version */
    LIMIT_STORE_WAITING_ROWS =
        600000,                    /* index rows that wait before they are merged; at most twice as many */
    LIMIT_STORE_WORD_PIECES = 400, /* pieces of text of one version that can be looked into */
    LIMIT_STORE_INDEX_TEXT_BYTES = 128,  /* of one string value in the index */
    LIMIT_STORE_RESERVE_BYTES = 4 << 20, /* the file given up when the disk is full */
    LIMIT_STORE_CLOCK_BACK_MS = 300000,  /* design.md section 11: writing stops beyond it */
    LIMIT_STORE_VIEWS = 256,
    LIMIT_SEARCH_INCLUDES = 5000, /* included resources of one page */
    LIMIT_SEARCH_CHAIN = 10,
    LIMIT_OUTCOME_ISSUES = 50,                      /* told at once; more are only counted */
    LIMIT_PHOTO_BYTES = 16 * 1024 * 1024,           /* a photo of film */
    LIMIT_DICOM_INSTANCE_BYTES = 512 * 1024 * 1024, /* one stored instance */
    LIMIT_DICOM_INFLATED_BYTES = 256 * 1024 * 1024, /* a deflated data set, inflated */
    LIMIT_DICOM_FRAME_BYTES = 128 * 1024 * 1024,    /* one decoded frame */
    LIMIT_DICOM_METADATA_BYTES = 256 * 1024 * 1024, /* DICOM JSON of a series or study */
};

#endif
