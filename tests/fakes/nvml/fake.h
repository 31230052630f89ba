/* What the parts of the fake driver share. The scenario format is described at the top of scenario.c. */
#ifndef MLTOP_FAKE_NVML_H
#define MLTOP_FAKE_NVML_H

#include <stdbool.h>
#include <stddef.h>

enum { MAX_GPUS = 64, MAX_MIGS = 16, MAX_PROCESSES = 64, MAX_FAULTS = 128, MAX_HIDES = 64, TEXT_SIZE = 256 };

/* nvmlReturn_t, as nvml.h numbers it. */
enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,
    NVML_ERROR_INVALID_ARGUMENT = 2,
    NVML_ERROR_NOT_SUPPORTED = 3,
    NVML_ERROR_NO_PERMISSION = 4,
    NVML_ERROR_NOT_FOUND = 6,
    NVML_ERROR_INSUFFICIENT_SIZE = 7,
    NVML_ERROR_DRIVER_NOT_LOADED = 9,
    NVML_ERROR_FUNCTION_NOT_FOUND = 13,
    NVML_ERROR_GPU_IS_LOST = 15,
    NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
    NVML_ERROR_UNKNOWN = 999,
};

/* Every number of a GPU that a scenario can set, in NVML's own unit: mW, MHz, bytes, KB/s, C, percent, ns. */
#define KEYS(X) \
    X(temperature) X(temperature_memory) X(temperature_slowdown) X(temperature_shutdown) X(temperature_mem_max) \
    X(temperature_gpu_max) X(temperature_margin) \
    X(memory_total) X(memory_used) X(memory_reserved) X(bar1_total) X(bar1_used) \
    X(util) X(util_mem) X(util_enc) X(util_dec) X(util_jpg) X(util_ofa) \
    X(power) X(power_limit) X(power_limit_set) X(power_default) X(power_min) X(power_max) X(energy) \
    X(clock_graphics) X(clock_sm) X(clock_mem) X(clock_video) \
    X(clock_graphics_max) X(clock_sm_max) X(clock_mem_max) X(clock_video_max) \
    X(fan) X(fans) X(pstate) X(reasons) X(reasons_supported) \
    X(ecc_mode) X(ecc_pending) X(ecc_unc_volatile) X(ecc_unc_aggregate) X(ecc_cor_volatile) X(ecc_cor_aggregate) \
    X(remap_cor) X(remap_unc) X(remap_pending) X(remap_failed) X(retired_sbe) X(retired_dbe) X(retired_pending) \
    X(pcie_gen) X(pcie_gen_max) X(pcie_width) X(pcie_width_max) X(pcie_rx) X(pcie_tx) X(pcie_replay) \
    X(nvlinks) X(nvlinks_active) X(nvlink_version) X(nvlink_mbps) \
    X(persistence) X(compute_mode) X(display_active) X(display_mode) X(mig_mode) X(mig_pending) X(mig_max) \
    X(brand) X(arch) X(cc_major) X(cc_minor) X(cores) X(bus_width) X(board) X(minor) X(numa) X(recovery_action) \
    X(ecc_cor_sram) X(sram_threshold) X(violation_thermal) X(slow_sw_thermal) X(slow_hw_thermal) X(slow_hw_brake) \
    X(nvlink_crc) X(nvlink_replay) X(nvlink_recovery) \
    X(fabric_state) X(fabric_status) X(fabric_health) X(addressing) \
    X(mig_slices) X(mig_sms) X(gi) X(ci) X(crowd)

#define X(name) K_##name,
enum key { KEYS(X) K_COUNT };
#undef X

/* How a number is made. UNSET answers "not supported". */
enum kind { UNSET, NUMBER, WAVE, WALK, RAMP, FAIL, NOT_AVAILABLE, AUTO };

struct value {
    enum kind kind;
    double a, b, period_s;
    int code;
};

struct process {
    unsigned pid;
    char type; /* C compute, G graphics, M compute under MPS */
    struct value memory, sm, mem, enc, dec;
    unsigned gi, ci;
};

struct device {
    struct value values[K_COUNT];
    char name[TEXT_SIZE], uuid[TEXT_SIZE], serial[TEXT_SIZE], bus_id[TEXT_SIZE], bus_text[TEXT_SIZE], vbios[TEXT_SIZE];
    char part[TEXT_SIZE], profile[TEXT_SIZE];
    bool present;
    int section, mig; /* the section it comes from; mig is -1 for a whole GPU */
    int index;        /* NVML's index among the present GPUs */
    struct process processes[MAX_PROCESSES];
    int process_count;
    struct device *migs[MAX_MIGS];
};

enum action { ACT_FAIL, ACT_DELAY, ACT_HANG, ACT_HANG_HARD, ACT_HANG_FILE, ACT_CRASH, ACT_ABORT, ACT_EXIT,
              ACT_PRINT, ACT_THREADS };

struct fault {
    char function[64], gpus[64], path[256];
    enum action action;
    int code;
    double seconds; /* of a delay, or the longest hang (0: for ever) */
    double from_s, until_s;
};

enum lock { LOCK_NONE, LOCK_PROCESS, LOCK_DRIVER };

struct scenario {
    char driver[96], nvml[96];
    int cuda;
    long long count; /* -1: as many as are present */
    enum lock lock;
    double since; /* CLOCK_REALTIME of the file's last change: the zero of `from`, `until` and moving values */
    unsigned pids[MAX_PROCESSES];
    int pid_count;
    struct device *gpus[MAX_GPUS];
    int gpu_count; /* sections */
    int present[MAX_GPUS], present_count;
    struct fault faults[MAX_FAULTS];
    int fault_count;
    char hides[MAX_HIDES][64];
    int hide_count;
    char error[256]; /* the first fault of the text, with its line; "" when there is none */
};

/* scenario.c */
const struct scenario *scenario_now(void);
struct scenario *scenario_parse(const char *text, double since);
double scenario_clock(const struct scenario *s);
int value_at(const struct value *v, double t, unsigned seed, double *out);
int error_code(const char *name);
const char *error_text(int code);
const char *scenario_path(void);

/* call.c: one call of one exported function. */
struct function {
    const char *name;
    int reserved[6]; /* keeps the section's elements at one size */
} __attribute__((aligned(32)));

struct call {
    const struct function *function;
    const struct scenario *scenario;
    const struct device *device; /* NULL for a call without a GPU */
    int gpu, mig;                /* -1: none */
    double t;
    int lock_fd;
    bool holds_mutex;
};

int call_begin(struct call *c, const struct function *f, int gpu, int mig);
int call_end(struct call *c, int code);

#endif
