/*
 * The scenario of the fake driver: a text file named by MLTOP_FAKE_NVML, read again whenever its mtime, size or inode
 * changes. One `key = value` a line, `#` starts a comment, sections in brackets. Without the variable: eight H100.
 * (driver.py, which hands the files of scenarios/ to the tests, also knows `include = NAME`.)
 *
 *   driver = 550.54.15            nvml = 12.550.54.15          cuda = 12040
 *   gpus = 8 h100                 how many, and the template (before any section): h100 a100 l40s t4 rtx4080 rtx4090
 *                                 gb10 gb200
 *   lock = no|process|driver      a call holds a lock while it runs, so a hung call blocks all later ones: of this
 *                                 process, or of every process that uses this scenario file
 *   pids = 123 456                the processes that `@0`, `@1` ... stand for (else 400000 + N)
 *   hide = GLOB ...               functions that this driver does not have (they answer "function not found")
 *   count = N                     what the driver counts, whatever it has
 *   fault = FUNCTION GPUS ACTION [from S] [until S]      may be repeated; S in seconds since the file's mtime
 *
 *   [gpu 3] or [gpu *] or [gpu 0-3,5]      what follows is of these GPUs
 *   [mig 0.1]                              MIG device 1 of GPU 0 (made on first mention)
 *   KEY = VALUE                   a key of KEYS in fake.h, or the texts name uuid serial bus_id vbios part profile
 *   bus_text = TEXT               what the driver calls its bus id, instead of the usual form of `bus_id`
 *   present = no                  the driver does not enumerate this card; later indexes move up
 *   process = PID MEMORY [type C|G|M] [sm VALUE] [mem VALUE] [enc VALUE] [dec VALUE] [gi N] [ci N]      (repeatable)
 *   process = none                forget those listed so far
 *
 * FUNCTION is a shell pattern over the exported names. GPUS: `*` any call; `-` calls without a GPU; `3`, `0-3,5` these
 * GPUs (section numbers) but not their MIG devices; `0.1`, `0.*` MIG devices.
 * ACTION: an error's name (lost, not_supported, no_permission, driver_not_loaded, lib_rm_version_mismatch, unknown ...) or
 * number;
 * `delay 50ms` (us, ms, s); `hang [60s]` (ends when the file no longer says so); `hang_hard` (the same with every signal
 * blocked: only SIGKILL ends the process); `hang_file PATH` (opens and reads PATH: on a hung FUSE mount that is a
 * true D state); `crash` (SIGSEGV); `abort` (SIGABRT); `exit` (ends the process with code 7); `print` (writes to standard
 * output and error); `threads` (starts threads that stay).
 *
 * A text may have `\xNN` (a byte) and end in `\~` (fills the caller's room, without an end); one that has is answered
 * whatever it is, also empty.
 *
 * VALUE: a number with an optional unit (KiB MiB GiB, W mW, MHz, C, %, KB/s MB/s GB/s; bare numbers are in NVML's own
 * unit: mW, bytes, KB/s), yes, no, clock-event reasons joined by `+` (sw-power-cap+hw-slowdown), `na` (NVML's "value not
 * available", all bits set), an error's name (that number's function answers it), or a value that moves, never at
 * random: `wave LOW HIGH PERIOD_S` (a sine, each GPU at its own phase), `walk LOW HIGH PERIOD_S` (a new
 * point each period, the same in every run), `ramp FROM TO SECONDS`. `temperature_margin = auto` and `energy = auto` follow
 * the other values. A key that is not set answers "not supported".
 * `crowd = N`: so many more compute processes, of pid 500000 on.
 * PID: a number, `@N`, `self` (the calling process), `parent`.
 */
#define _GNU_SOURCE
#include "fake.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GIB (1024.0 * 1024 * 1024)

static const char TEMPLATE_COMMON[] =
    "util = 0\nutil_mem = 0\nutil_enc = 0\nutil_dec = 0\nutil_jpg = 0\nutil_ofa = 0\n"
    "reasons = 0\nreasons_supported = 0x1ff\npstate = 0\n"
    "persistence = yes\ncompute_mode = 0\ndisplay_active = no\ndisplay_mode = no\n"
    "temperature_margin = auto\nenergy = auto\nrecovery_action = 0\npcie_rx = 0\npcie_tx = 0\npcie_replay = 0\n"
    "numa = 0\nbus_width = 5120\n";

static const char TEMPLATE_DATACENTER[] =
    "ecc_mode = yes\necc_pending = yes\necc_unc_volatile = 0\necc_unc_aggregate = 0\necc_cor_volatile = 0\n"
    "ecc_cor_aggregate = 0\nremap_cor = 0\nremap_unc = 0\nremap_pending = no\nremap_failed = no\nbrand = 14\n"
    "mig_mode = no\nmig_pending = no\nmig_max = 7\npcie_width = 16\npcie_width_max = 16\n"
    "ecc_cor_sram = 0\nsram_threshold = no\nviolation_thermal = 0\n";

static const char TEMPLATE_H100[] =
    "name = NVIDIA H100 80GB HBM3\nvbios = 96.00.74.00.01\npart = 692-2G520-0200-000\narch = 9\ncc_major = 9\ncc_minor = 0\n"
    "cores = 16896\nmemory_total = 81559MiB\nmemory_used = 0MiB\nmemory_reserved = 562MiB\n"
    "bar1_total = 131072MiB\nbar1_used = 4MiB\ntemperature = 32C\ntemperature_memory = 40C\ntemperature_slowdown = 90C\n"
    "temperature_shutdown = 95C\ntemperature_gpu_max = 87C\ntemperature_mem_max = 95C\n"
    "power = 70W\npower_limit = 700W\npower_limit_set = 700W\npower_default = 700W\npower_min = 200W\npower_max = 700W\n"
    "clock_graphics = 1980\nclock_sm = 1980\nclock_mem = 2619\nclock_video = 1545\n"
    "clock_graphics_max = 1980\nclock_sm_max = 1980\nclock_mem_max = 2619\nclock_video_max = 1545\n"
    "pcie_gen = 5\npcie_gen_max = 5\nnvlinks = 18\nnvlinks_active = 18\nnvlink_version = 4\nnvlink_mbps = 26562\n"
    "fabric_state = 3\nfabric_status = 0\nfabric_health = 0\n"
    "slow_sw_thermal = 0\nslow_hw_thermal = 0\nslow_hw_brake = 0\nnvlink_crc = 0\nnvlink_replay = 0\nnvlink_recovery = 0\n";

static const char TEMPLATE_A100[] =
    "name = NVIDIA A100-SXM4-80GB\nvbios = 92.00.45.00.03\npart = 692-2G506-0210-003\narch = 7\ncc_major = 8\ncc_minor = 0\n"
    "cores = 6912\nmemory_total = 81920MiB\nmemory_used = 0MiB\nmemory_reserved = 626MiB\n"
    "bar1_total = 131072MiB\nbar1_used = 1MiB\ntemperature = 30C\ntemperature_memory = 36C\ntemperature_slowdown = 89C\n"
    "temperature_shutdown = 92C\ntemperature_gpu_max = 85C\ntemperature_mem_max = 95C\n"
    "power = 60W\npower_limit = 400W\npower_limit_set = 400W\npower_default = 400W\npower_min = 100W\npower_max = 400W\n"
    "clock_graphics = 1410\nclock_sm = 1410\nclock_mem = 1593\nclock_video = 1275\n"
    "clock_graphics_max = 1410\nclock_sm_max = 1410\nclock_mem_max = 1593\nclock_video_max = 1290\n"
    "pcie_gen = 4\npcie_gen_max = 4\nnvlinks = 12\nnvlinks_active = 12\nnvlink_version = 3\nnvlink_mbps = 25000\n"
    "nvlink_crc = 0\nnvlink_replay = 0\nnvlink_recovery = 0\n"
    "temperature_margin = not_supported\nrecovery_action = not_supported\n";

static const char TEMPLATE_L40S[] =
    "name = NVIDIA L40S\nvbios = 95.02.66.00.02\npart = 900-2G133-0080-000\narch = 8\ncc_major = 8\ncc_minor = 9\n"
    "cores = 18176\nmemory_total = 46068MiB\nmemory_used = 0MiB\nmemory_reserved = 626MiB\nbus_width = 384\n"
    "bar1_total = 65536MiB\nbar1_used = 1MiB\ntemperature = 29C\ntemperature_margin = 58\n"
    "power = 33W\npower_limit = 350W\npower_limit_set = 350W\npower_default = 350W\npower_min = 100W\npower_max = 350W\n"
    "clock_graphics = 210\nclock_sm = 210\nclock_mem = 405\nclock_video = 1185\npstate = 8\n"
    "clock_graphics_max = 2520\nclock_sm_max = 2520\nclock_mem_max = 9001\nclock_video_max = 1965\n"
    "pcie_gen = 4\npcie_gen_max = 4\nmig_mode = not_supported\nmig_pending = not_supported\nmig_max = 0\n"
    "slow_sw_thermal = 0\nslow_hw_thermal = 0\nslow_hw_brake = 0\n";

static const char TEMPLATE_T4[] =
    "name = Tesla T4\nvbios = 90.04.38.00.03\npart = 900-2G183-0000-001\narch = 6\ncc_major = 7\ncc_minor = 5\n"
    "cores = 2560\nmemory_total = 15360MiB\nmemory_used = 0MiB\nmemory_reserved = 454MiB\nbus_width = 256\n"
    "bar1_total = 256MiB\nbar1_used = 2MiB\ntemperature = 36C\ntemperature_slowdown = 93C\ntemperature_shutdown = 96C\n"
    "temperature_gpu_max = 85C\ntemperature_margin = not_supported\n"
    "power = 9W\npower_limit = 70W\npower_limit_set = 70W\npower_default = 70W\npower_min = 60W\npower_max = 70W\n"
    "clock_graphics = 300\nclock_sm = 300\nclock_mem = 405\nclock_video = 540\npstate = 8\n"
    "clock_graphics_max = 1590\nclock_sm_max = 1590\nclock_mem_max = 5001\nclock_video_max = 1470\n"
    "pcie_gen = 1\npcie_gen_max = 3\nretired_sbe = 0\nretired_dbe = 0\nretired_pending = no\n"
    "remap_cor = not_supported\nremap_unc = not_supported\nremap_pending = not_supported\nremap_failed = not_supported\n"
    "mig_mode = not_supported\nmig_pending = not_supported\nmig_max = 0\necc_cor_sram = not_supported\n"
    "sram_threshold = not_supported\nrecovery_action = not_supported\n";

static const char TEMPLATE_RTX4080[] =
    "name = NVIDIA GeForce RTX 4080\nvbios = 95.03.0e.00.11\nbrand = 5\narch = 8\ncc_major = 8\ncc_minor = 9\ncores = 9728\n"
    "bus_width = 256\nmemory_total = 16376MiB\nmemory_used = 411MiB\nmemory_reserved = 342MiB\n"
    "bar1_total = 16384MiB\nbar1_used = 19MiB\ntemperature = 41C\ntemperature_margin = 43\nfan = 0%\nfans = 3\n"
    "power = 14W\npower_limit = 320W\npower_limit_set = 320W\npower_default = 320W\npower_min = 150W\npower_max = 370W\n"
    "clock_graphics = 210\nclock_sm = 210\nclock_mem = 405\nclock_video = 1185\npstate = 8\n"
    "clock_graphics_max = 3105\nclock_sm_max = 3105\nclock_mem_max = 11201\nclock_video_max = 2415\n"
    "pcie_gen = 1\npcie_gen_max = 4\npcie_width = 16\npcie_width_max = 16\nviolation_thermal = 0\n"
    "display_mode = yes\ndisplay_active = yes\npersistence = no\nreasons = gpu-idle\n";

static const char TEMPLATE_GB200[] =
    "name = NVIDIA GB200\nvbios = 97.00.87.00.0f\npart = 692-2G548-0200-000\narch = 10\ncc_major = 10\ncc_minor = 0\n"
    "cores = 18944\nmemory_total = 189471MiB\nmemory_used = 0MiB\nmemory_reserved = 812MiB\nbus_width = 8192\n"
    "bar1_total = 262144MiB\nbar1_used = 1MiB\ntemperature = 34C\ntemperature_memory = 33C\ntemperature_margin = 51\n"
    "power = 170W\npower_limit = 1200W\npower_limit_set = 1200W\npower_default = 1200W\npower_min = 200W\npower_max = 1200W\n"
    "clock_graphics = 120\nclock_sm = 120\nclock_mem = 3996\nclock_video = 600\naddressing = 2\n"
    "clock_graphics_max = 2062\nclock_sm_max = 2062\nclock_mem_max = 3996\nclock_video_max = 1732\n"
    "pcie_gen = 6\npcie_gen_max = 6\nnvlinks = 18\nnvlinks_active = 18\nnvlink_version = 7\nnvlink_mbps = 50000\n"
    "fabric_state = 3\nfabric_status = 0\nfabric_health = 0x1aa\n"
    "slow_sw_thermal = 0\nslow_hw_thermal = 0\nslow_hw_brake = 0\n";

static const char TEMPLATE_RTX4090[] =
    "name = NVIDIA GeForce RTX 4090\nvbios = 95.02.18.80.5f\nbrand = 5\narch = 8\ncc_major = 8\ncc_minor = 9\ncores = 16384\n"
    "bus_width = 384\nmemory_total = 24564MiB\nmemory_used = 300MiB\nmemory_reserved = 346MiB\n"
    "bar1_total = 32768MiB\nbar1_used = 24MiB\ntemperature = 40C\ntemperature_slowdown = 97C\ntemperature_shutdown = 100C\n"
    "temperature_gpu_max = 90C\ntemperature_margin = not_supported\nfan = 0%\nfans = 2\n"
    "power = 20W\npower_limit = 450W\npower_limit_set = 450W\npower_default = 450W\npower_min = 150W\npower_max = 600W\n"
    "clock_graphics = 2520\nclock_sm = 2520\nclock_mem = 10501\nclock_video = 2010\n"
    "clock_graphics_max = 3105\nclock_sm_max = 3105\nclock_mem_max = 10501\nclock_video_max = 2415\n"
    "ecc_mode = no\necc_pending = no\npcie_gen = 4\npcie_gen_max = 4\npcie_width = 16\npcie_width_max = 16\n"
    "display_mode = yes\ndisplay_active = yes\npersistence = no\nrecovery_action = not_supported\n";

static const char TEMPLATE_GB10[] =
    "name = NVIDIA GB10\nvbios = 9A.0B.11.00.00\nbrand = 14\narch = 10\ncc_major = 12\ncc_minor = 1\ncores = 6144\n"
    "temperature = 45C\ntemperature_margin = 45\npower = 12W\nclock_graphics = 2418\nclock_sm = 2418\nclock_video = 2000\n"
    "clock_graphics_max = 3003\nclock_sm_max = 3003\nclock_video_max = 3003\naddressing = 2\n"
    "pcie_gen = 1\npcie_gen_max = 5\npcie_width = 1\npcie_width_max = 16\n"
    "pcie_rx = not_supported\npcie_tx = not_supported\nbus_width = not_supported\nenergy = not_supported\n"
    "power_limit = not_supported\nmemory_total = not_supported\n";

static const struct {
    const char *name, *base, *own;
} TEMPLATES[] = {
    {"h100", TEMPLATE_DATACENTER, TEMPLATE_H100},
    {"a100", TEMPLATE_DATACENTER, TEMPLATE_A100},
    {"rtx4090", "", TEMPLATE_RTX4090},
    {"gb10", "", TEMPLATE_GB10},
    {"l40s", TEMPLATE_DATACENTER, TEMPLATE_L40S},
    {"t4", TEMPLATE_DATACENTER, TEMPLATE_T4},
    {"rtx4080", "", TEMPLATE_RTX4080},
    {"gb200", TEMPLATE_DATACENTER, TEMPLATE_GB200},
};

/* The bus ids of an HGX board, then made-up ones. */
static const unsigned BUSES[] = {0x1b, 0x43, 0x52, 0x61, 0x9d, 0xc3, 0xd1, 0xdf};

#define X(name) #name,
static const char *const KEY_NAMES[] = {KEYS(X)};
#undef X

static const struct {
    const char *name;
    int code;
    const char *text;
} ERRORS[] = {
    {"success", 0, "Success"},
    {"uninitialized", 1, "Uninitialized"},
    {"invalid_argument", 2, "Invalid Argument"},
    {"not_supported", 3, "Not Supported"},
    {"no_permission", 4, "Insufficient Permissions"},
    {"already_initialized", 5, "Already Initialized"},
    {"not_found", 6, "Not Found"},
    {"insufficient_size", 7, "Insufficient Size"},
    {"insufficient_power", 8, "Insufficient External Power"},
    {"driver_not_loaded", 9, "Driver Not Loaded"},
    {"timeout", 10, "Timeout"},
    {"irq_issue", 11, "Interrupt Request Issue"},
    {"library_not_found", 12, "NVML Shared Library Not Found"},
    {"function_not_found", 13, "Function Not Found"},
    {"corrupted_inforom", 14, "Corrupted infoROM"},
    {"lost", 15, "GPU is lost"},
    {"reset_required", 16, "GPU requires restart"},
    {"operating_system", 17, "The operating system has blocked the request."},
    {"lib_rm_version_mismatch", 18, "RM has detected an NVML/RM version mismatch."},
    {"in_use", 19, "In use by another client"},
    {"memory", 20, "Insufficient Memory"},
    {"no_data", 21, "No data"},
    {"insufficient_resources", 23, "Insufficient Resources"},
    {"argument_version_mismatch", 25, "Argument version mismatch"},
    {"not_ready", 27, "System is not ready"},
    {"gpu_not_found", 28, "GPU not found"},
    {"invalid_state", 29, "Invalid state"},
    {"unknown", 999, "Unknown Error"},
};

static const struct {
    const char *name;
    unsigned bit;
} REASONS[] = {
    {"gpu-idle", 1},
    {"applications-clocks-setting", 2},
    {"sw-power-cap", 4},
    {"hw-slowdown", 8},
    {"sync-boost", 0x10},
    {"sw-thermal-slowdown", 0x20},
    {"hw-thermal-slowdown", 0x40},
    {"hw-power-brake-slowdown", 0x80},
    {"display-clock-setting", 0x100},
};

static const struct {
    const char *suffix;
    double factor;
} UNITS[] = {
    {"KiB", 1024.0}, {"MiB", 1024.0 * 1024}, {"GiB", GIB}, {"W", 1000}, {"mW", 1}, {"MHz", 1}, {"C", 1},
    {"%", 1},        {"KB/s", 1},            {"MB/s", 1000}, {"GB/s", 1e6}, {"B", 1},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int error_code(const char *name)
{
    if (*name && strspn(name, "0123456789") == strlen(name))
        return atoi(name);
    for (int i = 0; i < COUNT(ERRORS); i++)
        if (!strcmp(name, ERRORS[i].name))
            return ERRORS[i].code;
    return -1;
}

const char *error_text(int code)
{
    for (int i = 0; i < COUNT(ERRORS); i++)
        if (code == ERRORS[i].code)
            return ERRORS[i].text;
    return "Unknown Error";
}

/* ---- values ---- */

static double noise(unsigned seed, long step)
{
    unsigned long x = (unsigned long)step * 0x9e3779b97f4a7c15ul + seed * 0xbf58476d1ce4e5b9ul + 1;
    x ^= x >> 31;
    x *= 0x94d049bb133111ebul;
    x ^= x >> 29;
    return (double)(x & 0xffffff) / (double)0xffffff;
}

/* The number at t seconds; `seed` sets GPUs and keys apart. Returns NVML's code. */
int value_at(const struct value *v, double t, unsigned seed, double *out)
{
    double share;
    long step;
    switch (v->kind) {
    case NUMBER:
        *out = v->a;
        return NVML_SUCCESS;
    case WAVE:
        *out = round(v->a + (v->b - v->a) * (0.5 + 0.5 * sin(2 * M_PI * t / v->period_s + 0.7 * (seed >> 8))));
        return NVML_SUCCESS;
    case WALK:
        step = (long)floor(t / v->period_s);
        share = t / v->period_s - (double)step;
        *out = round(v->a + (v->b - v->a) * (noise(seed, step) * (1 - share) + noise(seed, step + 1) * share));
        return NVML_SUCCESS;
    case RAMP:
        share = v->period_s > 0 ? fmin(fmax(t / v->period_s, 0), 1) : 1;
        *out = round(v->a + (v->b - v->a) * share);
        return NVML_SUCCESS;
    case FAIL:
        return v->code;
    case NOT_AVAILABLE:
    case AUTO:
        *out = NAN;
        return NVML_SUCCESS;
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

static bool parse_number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text)
        return false;
    if (!*end)
        return true;
    for (int i = 0; i < COUNT(UNITS); i++)
        if (!strcmp(end, UNITS[i].suffix)) {
            *out *= UNITS[i].factor;
            return true;
        }
    return false;
}

static bool parse_reasons(const char *text, double *out)
{
    char copy[256];
    unsigned bits = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *save, *word = strtok_r(copy, "+", &save); word; word = strtok_r(NULL, "+", &save)) {
        int i = 0;
        while (i < COUNT(REASONS) && strcmp(word, REASONS[i].name))
            i++;
        if (i == COUNT(REASONS))
            return false;
        bits |= REASONS[i].bit;
    }
    *out = bits;
    return bits != 0;
}

static enum kind moving_kind(const char *word)
{
    return !strcmp(word, "wave") ? WAVE : !strcmp(word, "walk") ? WALK : !strcmp(word, "ramp") ? RAMP : UNSET;
}

/* Reads a value from words[0...]; returns how many words it took, 0 when it is none. */
static int parse_value(char **words, int count, struct value *v)
{
    if (!count)
        return 0;
    memset(v, 0, sizeof *v);
    v->kind = moving_kind(words[0]);
    if (v->kind != UNSET)
        return count >= 4 && parse_number(words[1], &v->a) && parse_number(words[2], &v->b) &&
                       parse_number(words[3], &v->period_s) && v->period_s > 0
                   ? 4
                   : 0;
    if (!strcmp(words[0], "na") || !strcmp(words[0], "auto")) {
        v->kind = words[0][0] == 'n' ? NOT_AVAILABLE : AUTO;
        return 1;
    }
    v->kind = NUMBER;
    if (parse_number(words[0], &v->a) || parse_reasons(words[0], &v->a))
        return 1;
    if (!strcmp(words[0], "yes") || !strcmp(words[0], "no")) {
        v->a = words[0][0] == 'y';
        return 1;
    }
    v->code = error_code(words[0]);
    v->kind = FAIL;
    return v->code > 0 ? 1 : 0;
}

/* ---- the text ---- */

struct parser {
    struct scenario *s;
    int line;
    struct device *targets[MAX_GPUS];
    int target_count;
};

static bool complain(struct parser *p, const char *what, const char *text)
{
    if (!p->s->error[0])
        snprintf(p->s->error, sizeof p->s->error, "line %d: %s: %.120s", p->line, what, text);
    return false;
}

static int split(char *text, char **words, int most)
{
    int count = 0;
    for (char *save, *word = strtok_r(text, " \t", &save); word && count < most; word = strtok_r(NULL, " \t", &save))
        words[count++] = word;
    return count;
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    for (char *end = text + strlen(text); end > text && isspace((unsigned char)end[-1]);)
        *--end = 0;
    return text;
}

static char *text_of(struct device *d, const char *key)
{
    return !strcmp(key, "name")     ? d->name
           : !strcmp(key, "uuid")   ? d->uuid
           : !strcmp(key, "serial") ? d->serial
           : !strcmp(key, "bus_id") ? d->bus_id
           : !strcmp(key, "bus_text") ? d->bus_text
           : !strcmp(key, "vbios")  ? d->vbios
           : !strcmp(key, "part")   ? d->part
           : !strcmp(key, "profile") ? d->profile
                                     : NULL;
}

static bool parse_pid(struct parser *p, const char *word, unsigned *pid)
{
    char *end;
    if (!strcmp(word, "self") || !strcmp(word, "parent")) {
        *pid = (unsigned)(word[0] == 's' ? getpid() : getppid());
        return true;
    }
    unsigned long n = strtoul(word + (word[0] == '@'), &end, 10);
    if (*end || end == word)
        return complain(p, "no pid", word);
    *pid = word[0] != '@' ? (unsigned)n : n < (unsigned long)p->s->pid_count ? p->s->pids[n] : 400000 + (unsigned)n;
    return true;
}

static bool process_option(struct process *q, char **words, int count, int *used)
{
    struct value *v = !strcmp(words[0], "sm") ? &q->sm
                      : !strcmp(words[0], "mem") ? &q->mem
                      : !strcmp(words[0], "enc") ? &q->enc
                      : !strcmp(words[0], "dec") ? &q->dec
                                                 : NULL;
    *used = 2;
    if (count < 2)
        return false;
    if (v) {
        int taken = parse_value(words + 1, count - 1, v);
        *used = 1 + taken;
        return taken > 0;
    }
    if (!strcmp(words[0], "type"))
        q->type = words[1][0];
    else if (!strcmp(words[0], "gi"))
        q->gi = (unsigned)atoi(words[1]);
    else if (!strcmp(words[0], "ci"))
        q->ci = (unsigned)atoi(words[1]);
    else
        return false;
    return true;
}

static bool parse_process(struct parser *p, struct device *d, char *text)
{
    char *words[32];
    int count = split(text, words, 32), at;
    if (count == 1 && !strcmp(words[0], "none")) {
        d->process_count = 0;
        return true;
    }
    struct process q = {.type = 'C', .gi = ~0u, .ci = ~0u};
    if (d->mig >= 0) {
        q.gi = (unsigned)d->values[K_gi].a;
        q.ci = (unsigned)d->values[K_ci].a;
    }
    if (count < 2 || !parse_pid(p, words[0], &q.pid) || !(at = parse_value(words + 1, count - 1, &q.memory)))
        return complain(p, "process = PID MEMORY ...", text);
    for (int used, i = 1 + at; i < count; i += used)
        if (!process_option(&q, words + i, count - i, &used))
            return complain(p, "bad option of a process", words[i]);
    if (d->process_count == MAX_PROCESSES)
        return complain(p, "too many processes", text);
    d->processes[d->process_count++] = q;
    return true;
}

static bool device_key(struct parser *p, struct device *d, const char *key, const char *text)
{
    char copy[512], *words[32], *string = text_of(d, key);
    snprintf(copy, sizeof copy, "%s", text);
    if (string) {
        snprintf(string, TEXT_SIZE, "%s", text);
        return true;
    }
    if (!strcmp(key, "process"))
        return parse_process(p, d, copy);
    if (!strcmp(key, "present")) {
        d->present = strcmp(text, "no") != 0;
        return true;
    }
    for (int k = 0; k < K_COUNT; k++)
        if (!strcmp(key, KEY_NAMES[k])) {
            int count = split(copy, words, 32);
            if (count && parse_value(words, count, &d->values[k]) == count)
                return true;
            return complain(p, "bad value", text);
        }
    return complain(p, "unknown key of a GPU", key);
}

static void apply_template(struct parser *p, struct device *d, const char *text)
{
    char line[256];
    while (*text) {
        size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        char *equals = strchr(line, '=');
        *equals = 0;
        device_key(p, d, trim(line), trim(equals + 1));
        text += length + 1;
    }
}

static struct device *make_gpu(struct parser *p, int i, const char *template)
{
    struct device *d = calloc(1, sizeof *d);
    unsigned bus = i < COUNT(BUSES) ? BUSES[i] : 0xe0u + (unsigned)(i % 16);
    unsigned domain = i < COUNT(BUSES) ? 0 : (unsigned)i / 16 + 1;
    d->section = i;
    d->mig = -1;
    d->present = true;
    snprintf(d->uuid, sizeof d->uuid, "GPU-%08x-5a1e-4b1d-9c0e-%012x", 0xa1b20000u + (unsigned)i, 0xfa4e00u + (unsigned)i);
    snprintf(d->serial, sizeof d->serial, "165202300%04d", i);
    snprintf(d->bus_id, sizeof d->bus_id, "%08X:%02X:00.0", domain, bus);
    apply_template(p, d, TEMPLATE_COMMON);
    for (int t = 0; t < COUNT(TEMPLATES); t++)
        if (!strcmp(template, TEMPLATES[t].name)) {
            apply_template(p, d, TEMPLATES[t].base);
            apply_template(p, d, TEMPLATES[t].own);
        }
    d->values[K_minor] = (struct value){.kind = NUMBER, .a = i};
    d->values[K_board] = (struct value){.kind = NUMBER, .a = (double)bus * 256};
    return d;
}

static bool make_gpus(struct parser *p, char *text)
{
    char *words[4];
    int count = split(text, words, 4), n = count ? atoi(words[0]) : -1, t = 0;
    const char *template = count > 1 ? words[1] : "h100";
    while (t < COUNT(TEMPLATES) && strcmp(template, TEMPLATES[t].name))
        t++;
    if (n < 0 || n > MAX_GPUS || t == COUNT(TEMPLATES))
        return complain(p, "gpus = COUNT TEMPLATE", text);
    for (int i = 0; i < n; i++)
        p->s->gpus[i] = make_gpu(p, i, template);
    p->s->gpu_count = n;
    return true;
}

static struct device *mig_device(struct device *parent, int index)
{
    if (parent->migs[index])
        return parent->migs[index];
    struct device *d = calloc(1, sizeof *d);
    d->section = parent->section;
    d->mig = index;
    d->present = true;
    snprintf(d->uuid, sizeof d->uuid, "MIG-%08x-7c2e-5d3f-8a1b-%012x", 0xb0000000u + (unsigned)parent->section * 16 + (unsigned)index,
             0xfa4e00u + (unsigned)parent->section);
    d->values[K_gi] = (struct value){.kind = NUMBER, .a = index + 1};
    d->values[K_ci] = (struct value){.kind = NUMBER, .a = 0};
    d->values[K_memory_reserved] = (struct value){.kind = NUMBER, .a = 0};
    d->values[K_bar1_total] = (struct value){.kind = NUMBER, .a = 32 * GIB};
    d->values[K_bar1_used] = (struct value){.kind = NUMBER, .a = 0};
    return parent->migs[index] = d;
}

/* Whether `spec` ("*", "3", "0-3,5") names n. */
static bool in_list(const char *spec, int n)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%s", spec);
    for (char *save, *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        int low, high;
        if (!strcmp(item, "*"))
            return true;
        int got = sscanf(item, "%d-%d", &low, &high);
        if ((got == 1 && n == low) || (got == 2 && n >= low && n <= high))
            return true;
    }
    return false;
}

static bool parse_section(struct parser *p, char *text)
{
    char *words[4], *close = strchr(text, ']');
    int gpu, mig;
    if (!close)
        return complain(p, "no closing bracket", text);
    *close = 0;
    p->target_count = 0;
    if (split(text + 1, words, 4) != 2)
        return complain(p, "bad section", text);
    if (!strcmp(words[0], "mig") && sscanf(words[1], "%d.%d", &gpu, &mig) == 2 && gpu >= 0 && gpu < p->s->gpu_count &&
        mig >= 0 && mig < MAX_MIGS) {
        p->targets[p->target_count++] = mig_device(p->s->gpus[gpu], mig);
        return true;
    }
    for (int i = 0; !strcmp(words[0], "gpu") && i < p->s->gpu_count; i++)
        if (in_list(words[1], i))
            p->targets[p->target_count++] = p->s->gpus[i];
    return p->target_count > 0 || complain(p, "no such GPU", words[1]);
}

static bool parse_duration(const char *text, double *seconds)
{
    char *end;
    *seconds = strtod(text, &end);
    double factor = !strcmp(end, "us") ? 1e-6 : !strcmp(end, "ms") ? 1e-3 : !strcmp(end, "s") || !*end ? 1 : 0;
    *seconds *= factor;
    return end != text && factor > 0;
}

static bool parse_action(struct fault *f, char **words, int count, int *used)
{
    *used = 1;
    f->action = ACT_FAIL;
    f->code = error_code(words[0]);
    if (f->code >= 0)
        return true;
    f->action = !strcmp(words[0], "delay")       ? ACT_DELAY
                : !strcmp(words[0], "hang")      ? ACT_HANG
                : !strcmp(words[0], "hang_hard") ? ACT_HANG_HARD
                : !strcmp(words[0], "hang_file") ? ACT_HANG_FILE
                : !strcmp(words[0], "crash")     ? ACT_CRASH
                : !strcmp(words[0], "abort")     ? ACT_ABORT
                : !strcmp(words[0], "exit")      ? ACT_EXIT
                : !strcmp(words[0], "print")     ? ACT_PRINT
                : !strcmp(words[0], "threads")   ? ACT_THREADS
                                                 : ACT_FAIL;
    if (f->action == ACT_FAIL)
        return false;
    bool has_more = count > 1 && strcmp(words[1], "from") && strcmp(words[1], "until");
    if (f->action == ACT_HANG_FILE && has_more)
        snprintf(f->path, sizeof f->path, "%s", words[1]);
    else if (has_more && !parse_duration(words[1], &f->seconds))
        return false;
    *used += has_more;
    return has_more || (f->action != ACT_DELAY && f->action != ACT_HANG_FILE);
}

static bool parse_fault(struct parser *p, char *text)
{
    char *words[16];
    int count = split(text, words, 16), used;
    if (count < 3 || p->s->fault_count == MAX_FAULTS)
        return complain(p, "fault = FUNCTION GPUS ACTION", text);
    struct fault *f = &p->s->faults[p->s->fault_count];
    f->until_s = INFINITY;
    f->from_s = -INFINITY;
    snprintf(f->function, sizeof f->function, "%s", words[0]);
    snprintf(f->gpus, sizeof f->gpus, "%s", words[1]);
    if (!parse_action(f, words + 2, count - 2, &used))
        return complain(p, "bad action of a fault", words[2]);
    for (int i = 2 + used; i < count; i += 2) {
        double *bound = !strcmp(words[i], "from") ? &f->from_s : !strcmp(words[i], "until") ? &f->until_s : NULL;
        if (!bound || i + 1 >= count || !parse_duration(words[i + 1], bound))
            return complain(p, "bad window of a fault", words[i]);
    }
    p->s->fault_count++;
    return true;
}

static bool scenario_key(struct parser *p, const char *key, char *text)
{
    struct scenario *s = p->s;
    char *words[MAX_PROCESSES];
    if (!strcmp(key, "driver"))
        snprintf(s->driver, sizeof s->driver, "%s", text);
    else if (!strcmp(key, "nvml"))
        snprintf(s->nvml, sizeof s->nvml, "%s", text);
    else if (!strcmp(key, "cuda"))
        s->cuda = atoi(text);
    else if (!strcmp(key, "count"))
        s->count = atoll(text);
    else if (!strcmp(key, "lock"))
        s->lock = !strcmp(text, "process") ? LOCK_PROCESS : !strcmp(text, "driver") ? LOCK_DRIVER : LOCK_NONE;
    else if (!strcmp(key, "gpus")) {
        p->target_count = 0;
        return make_gpus(p, text);
    }
    else if (!strcmp(key, "fault"))
        return parse_fault(p, text);
    else if (!strcmp(key, "pids")) {
        s->pid_count = split(text, words, MAX_PROCESSES);
        for (int i = 0; i < s->pid_count; i++)
            s->pids[i] = (unsigned)strtoul(words[i], NULL, 10);
    } else if (!strcmp(key, "hide")) {
        int count = split(text, words, MAX_PROCESSES);
        for (int i = 0; i < count && s->hide_count < MAX_HIDES; i++)
            snprintf(s->hides[s->hide_count++], sizeof s->hides[0], "%s", words[i]);
    } else
        return complain(p, "unknown key", key);
    return true;
}

static void parse_line(struct parser *p, char *line)
{
    char *hash = strchr(line, '#');
    if (hash)
        *hash = 0;
    line = trim(line);
    if (!*line)
        return;
    if (*line == '[') {
        parse_section(p, line);
        return;
    }
    char *equals = strchr(line, '=');
    if (!equals) {
        complain(p, "no `=`", line);
        return;
    }
    *equals = 0;
    char *key = trim(line), *text = trim(equals + 1);
    char padded[64];
    snprintf(padded, sizeof padded, " %s ", key);
    bool is_general = !p->target_count || strstr(" driver nvml cuda count gpus lock pids hide fault ", padded);
    if (is_general)
        scenario_key(p, key, text);
    for (int i = 0; !is_general && i < p->target_count; i++)
        device_key(p, p->targets[i], key, text);
}

struct scenario *scenario_parse(const char *text, double since)
{
    struct scenario *s = calloc(1, sizeof *s);
    struct parser p = {.s = s};
    char line[1024];
    s->since = since;
    s->cuda = 12040;
    s->count = -1;
    strcpy(s->driver, "550.54.15");
    strcpy(s->nvml, "12.550.54.15");
    while (*text) {
        size_t length = strcspn(text, "\n");
        p.line++;
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        parse_line(&p, line);
        text += length + (text[length] == '\n');
    }
    for (int i = 0; i < s->gpu_count; i++)
        if (s->gpus[i]->present) {
            s->gpus[i]->index = s->present_count;
            s->present[s->present_count++] = i;
        }
    return s;
}

/* ---- the file ---- */

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + now.tv_nsec / 1e9;
}

double scenario_clock(const struct scenario *s)
{
    return now_s() - s->since;
}

const char *scenario_path(void)
{
    return getenv("MLTOP_FAKE_NVML");
}

static struct scenario *load(const char *path, const struct stat *st)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *text = calloc(1, (size_t)st->st_size + 1);
    size_t got = fread(text, 1, (size_t)st->st_size, file);
    fclose(file);
    text[got] = 0;
    struct scenario *s = scenario_parse(text, (double)st->st_mtim.tv_sec + st->st_mtim.tv_nsec / 1e9);
    free(text);
    if (s->error[0])
        fprintf(stderr, "fake NVML: %s: %s\n", path, s->error);
    return s;
}

/* The scenario as the file has it now; an older one is kept (calls in other threads may still use it). */
const struct scenario *scenario_now(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct scenario *current;
    static struct stat seen;
    const char *path = scenario_path();
    struct stat st = {0};
    bool is_there = path && stat(path, &st) == 0;
    pthread_mutex_lock(&mutex);
    bool is_new = is_there && (st.st_mtim.tv_sec != seen.st_mtim.tv_sec || st.st_mtim.tv_nsec != seen.st_mtim.tv_nsec ||
                               st.st_size != seen.st_size || st.st_ino != seen.st_ino);
    if (is_new) {
        struct scenario *fresh = load(path, &st);
        if (fresh) {
            seen = st;
            current = fresh;
        }
    }
    if (!current)
        current = scenario_parse("gpus = 8 h100\n", now_s());
    struct scenario *result = current;
    pthread_mutex_unlock(&mutex);
    return result;
}

/* For the tests: what is wrong with a scenario's text, "" when nothing is. */
__attribute__((visibility("default"))) const char *mltop_fake_nvml_check(const char *text)
{
    return scenario_parse(text, 0)->error;
}
