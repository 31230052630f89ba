/*
 * A fake libnvidia-ml.so.1: NVML's exported functions, with the ABI of nvml.h, answering from a scenario (scenario.c has
 * its format). What is not exported here is "function not found" for the caller, as with a real older driver.
 */
#define _GNU_SOURCE
#include "fake.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <unistd.h>

typedef int nvmlReturn_t;
struct handle {
    short gpu, mig;
};
typedef struct handle *nvmlDevice_t;
typedef unsigned long long u64;

static struct handle handles[MAX_GPUS][MAX_MIGS + 1];
static int init_count;

#define API(name, ...) \
    static struct function F_##name __attribute__((used, section("nvml_functions"))) = {#name, {0}}; \
    __attribute__((visibility("default"))) nvmlReturn_t name(__VA_ARGS__)

/* `return BEGIN(...)` or go on: the prologue of a function, with `c` in scope. */
#define BEGIN(name, gpu, mig) \
    struct call c; \
    int code = begin_ready(&c, &F_##name, gpu, mig); \
    if (code) \
        return call_end(&c, code)
#define BEGIN_DEVICE(name, d) \
    if (!is_handle(d)) \
        return init_count ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_UNINITIALIZED; \
    BEGIN(name, (d)->gpu, (d)->mig)
#define END(code) return call_end(&c, code)

static bool is_handle(nvmlDevice_t d)
{
    return (char *)d >= (char *)handles && (char *)d < (char *)handles + sizeof handles &&
           ((size_t)((char *)d - (char *)handles)) % sizeof(struct handle) == 0;
}

static nvmlDevice_t handle_of(int gpu, int mig)
{
    struct handle *h = &handles[gpu][mig + 1];
    h->gpu = (short)gpu;
    h->mig = (short)mig;
    return h;
}

static int begin_ready(struct call *c, const struct function *f, int gpu, int mig)
{
    int code = call_begin(c, f, gpu, mig);
    return code ? code : init_count ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
}

static int number(const struct call *c, enum key key, double *out)
{
    const struct device *d = c->device;
    double limit = 0, now = 0;
    int code = value_at(&d->values[key], c->t, (unsigned)d->section << 8 | key, out);
    if (code || d->values[key].kind != AUTO)
        return code;
    *out = 0;
    if (key == K_temperature_margin) {
        code = number(c, K_temperature_slowdown, &limit);
        code = code ? code : number(c, K_temperature, &now);
        *out = limit - now;
    } else if (key == K_energy) {
        code = number(c, K_power_limit, &limit);
        *out = floor(limit * fmax(c->t, 0));
    }
    return code;
}

static unsigned narrow(double x)
{
    return isnan(x) ? ~0u : x < 0 ? (unsigned)(int)x : (unsigned)(u64)x;
}

static u64 wide(double x)
{
    return isnan(x) ? ~0ull : x < 0 ? (u64)(long long)x : (u64)x;
}

static int u32(const struct call *c, enum key key, unsigned *out)
{
    double x = 0;
    int code = out ? number(c, key, &x) : NVML_ERROR_INVALID_ARGUMENT;
    if (!code)
        *out = narrow(x);
    return code;
}

static int u64_of(const struct call *c, enum key key, u64 *out)
{
    double x = 0;
    int code = out ? number(c, key, &x) : NVML_ERROR_INVALID_ARGUMENT;
    if (!code)
        *out = wide(x);
    return code;
}

/* Bytes of a text with escapes, not one too many; the rest is ended or, after `\~`, filled. */
static void raw_text(const char *from, char *out, unsigned length)
{
    unsigned at = 0, byte;
    while (*from && at < length) {
        if (!strcmp(from, "\\~")) {
            memset(out + at, 'z', length - at);
            return;
        }
        bool is_byte = sscanf(from, "\\x%2x", &byte) == 1;
        out[at++] = is_byte ? (char)byte : *from;
        from += is_byte ? 4 : 1;
    }
    if (at < length)
        out[at] = 0;
}

static int text(const char *from, char *out, unsigned length)
{
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (strchr(from, '\\')) {
        raw_text(from, out, length);
        return NVML_SUCCESS;
    }
    if (strlen(from) + 1 > length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(out, from);
    return from[0] ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

/* A function that answers one unsigned int, or one unsigned long long. */
#define U32(name, key) \
    API(name, nvmlDevice_t d, unsigned *out) { BEGIN_DEVICE(name, d); END(u32(&c, key, out)); }
#define U64(name, key) \
    API(name, nvmlDevice_t d, u64 *out) { BEGIN_DEVICE(name, d); END(u64_of(&c, key, out)); }
#define PAIR(name, key1, key2) \
    API(name, nvmlDevice_t d, unsigned *one, unsigned *two) \
    { \
        BEGIN_DEVICE(name, d); \
        code = u32(&c, key1, one); \
        END(code ? code : u32(&c, key2, two)); \
    }
#define TEXT(name, field) \
    API(name, nvmlDevice_t d, char *out, unsigned length) \
    { \
        BEGIN_DEVICE(name, d); \
        END(text(c.device->field, out, length)); \
    }
#define UNSUPPORTED(name) \
    API(name, nvmlDevice_t d) { BEGIN_DEVICE(name, d); END(NVML_ERROR_NOT_SUPPORTED); }
#define REFUSED(name) \
    API(name, nvmlDevice_t d) { BEGIN_DEVICE(name, d); END(NVML_ERROR_NO_PERMISSION); }

/* ---- the library ---- */

static int init(const struct function *f)
{
    struct call c;
    int code = call_begin(&c, f, -1, -1);
    if (!code)
        init_count++;
    return call_end(&c, code);
}

API(nvmlInit, void) { return init(&F_nvmlInit); }
API(nvmlInit_v2, void) { return init(&F_nvmlInit_v2); }
API(nvmlInitWithFlags, unsigned flags) { (void)flags; return init(&F_nvmlInitWithFlags); }

API(nvmlShutdown, void)
{
    BEGIN(nvmlShutdown, -1, -1);
    init_count--;
    END(NVML_SUCCESS);
}

__attribute__((visibility("default"))) const char *nvmlErrorString(nvmlReturn_t code) { return error_text(code); }

API(nvmlSystemGetDriverVersion, char *out, unsigned length)
{
    BEGIN(nvmlSystemGetDriverVersion, -1, -1);
    END(text(c.scenario->driver, out, length));
}
API(nvmlSystemGetNVMLVersion, char *out, unsigned length)
{
    struct call c;
    int code = call_begin(&c, &F_nvmlSystemGetNVMLVersion, -1, -1); /* answers before init, as the real one */
    END(code ? code : text(c.scenario->nvml, out, length));
}
API(nvmlSystemGetCudaDriverVersion, int *out)
{
    BEGIN(nvmlSystemGetCudaDriverVersion, -1, -1);
    *out = c.scenario->cuda;
    END(NVML_SUCCESS);
}
API(nvmlSystemGetCudaDriverVersion_v2, int *out)
{
    BEGIN(nvmlSystemGetCudaDriverVersion_v2, -1, -1);
    *out = c.scenario->cuda;
    END(NVML_SUCCESS);
}
API(nvmlSystemGetProcessName, unsigned pid, char *out, unsigned length)
{
    BEGIN(nvmlSystemGetProcessName, -1, -1);
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/%u/comm", pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fgets(name, sizeof name, file))
            name[strcspn(name, "\n")] = 0;
        fclose(file);
    }
    END(name[0] ? text(name, out, length) : NVML_ERROR_NOT_FOUND);
}
API(nvmlUnitGetCount, unsigned *out)
{
    BEGIN(nvmlUnitGetCount, -1, -1);
    *out = 0;
    END(NVML_SUCCESS);
}

/* ---- handles and identity ---- */

static int device_count(const struct function *f, unsigned *out)
{
    struct call c;
    int code = begin_ready(&c, f, -1, -1);
    if (!code)
        *out = c.scenario->count >= 0 ? (unsigned)c.scenario->count : (unsigned)c.scenario->present_count;
    return call_end(&c, code);
}
API(nvmlDeviceGetCount, unsigned *out) { return device_count(&F_nvmlDeviceGetCount, out); }
API(nvmlDeviceGetCount_v2, unsigned *out) { return device_count(&F_nvmlDeviceGetCount_v2, out); }

static int by_index(const struct function *f, unsigned index, nvmlDevice_t *out)
{
    const struct scenario *s = scenario_now();
    struct call c;
    bool is_there = index < (unsigned)s->present_count;
    int gpu = is_there ? s->present[index] : -1;
    int code = begin_ready(&c, f, gpu, -1);
    if (!code && !is_there)
        code = NVML_ERROR_INVALID_ARGUMENT;
    if (!code)
        *out = handle_of(gpu, -1);
    return call_end(&c, code);
}
API(nvmlDeviceGetHandleByIndex, unsigned i, nvmlDevice_t *out) { return by_index(&F_nvmlDeviceGetHandleByIndex, i, out); }
API(nvmlDeviceGetHandleByIndex_v2, unsigned i, nvmlDevice_t *out)
{
    return by_index(&F_nvmlDeviceGetHandleByIndex_v2, i, out);
}

/* The domain, bus, device and function of "00000000:1B:00.0" as one number; -1 when it is none. */
static long long bus_number(const char *bus_id)
{
    unsigned domain, bus, device, function;
    if (sscanf(bus_id, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4)
        return -1;
    return (long long)domain << 24 | bus << 16 | device << 8 | function;
}

/* Finds the GPU or MIG device with this uuid or, with `is_bus`, this bus id. */
static int found(const struct function *f, const char *wanted, bool is_bus, nvmlDevice_t *out)
{
    const struct scenario *s = scenario_now();
    int gpu = -1, mig = -1;
    for (int i = 0; i < s->present_count; i++) {
        const struct device *d = s->gpus[s->present[i]];
        if (is_bus ? bus_number(wanted) == bus_number(d->bus_id) : !strcasecmp(wanted, d->uuid))
            gpu = d->section;
        for (int m = 0; !is_bus && m < MAX_MIGS; m++)
            if (d->migs[m] && !strcasecmp(wanted, d->migs[m]->uuid)) {
                gpu = d->section;
                mig = m;
            }
    }
    struct call c;
    int code = begin_ready(&c, f, gpu, mig);
    if (!code && gpu < 0)
        code = NVML_ERROR_NOT_FOUND;
    if (!code)
        *out = handle_of(gpu, mig);
    return call_end(&c, code);
}
API(nvmlDeviceGetHandleByUUID, const char *uuid, nvmlDevice_t *out)
{
    return found(&F_nvmlDeviceGetHandleByUUID, uuid, false, out);
}
API(nvmlDeviceGetHandleByPciBusId, const char *bus_id, nvmlDevice_t *out)
{
    return found(&F_nvmlDeviceGetHandleByPciBusId, bus_id, true, out);
}
API(nvmlDeviceGetHandleByPciBusId_v2, const char *bus_id, nvmlDevice_t *out)
{
    return found(&F_nvmlDeviceGetHandleByPciBusId_v2, bus_id, true, out);
}

API(nvmlDeviceGetIndex, nvmlDevice_t d, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetIndex, d);
    *out = (unsigned)(c.mig >= 0 ? c.mig : c.device->index);
    END(NVML_SUCCESS);
}

API(nvmlDeviceGetName, nvmlDevice_t d, char *out, unsigned length)
{
    BEGIN_DEVICE(nvmlDeviceGetName, d);
    char name[200];
    if (c.mig >= 0)
        snprintf(name, sizeof name, "%s MIG %s", c.scenario->gpus[c.gpu]->name, c.device->profile);
    else
        snprintf(name, sizeof name, "%s", c.device->name);
    END(text(name, out, length));
}
TEXT(nvmlDeviceGetUUID, uuid)
TEXT(nvmlDeviceGetSerial, serial)
TEXT(nvmlDeviceGetVbiosVersion, vbios)
TEXT(nvmlDeviceGetBoardPartNumber, part)

struct pci_v3 {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};
struct pci_v2 {
    char bus_id[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id, reserved[4];
};

static void fill_pci(const struct call *c, struct pci_v3 *p)
{
    const struct device *d = c->scenario->gpus[c->gpu];
    unsigned domain = 0, bus = 0, device = 0, function = 0;
    memset(p, 0, sizeof *p);
    sscanf(d->bus_id, "%x:%x:%x.%x", &domain, &bus, &device, &function);
    p->domain = domain;
    p->bus = bus;
    p->device = device;
    p->pci_device_id = 0x233010de;
    p->pci_subsystem_id = 0x16c110de;
    snprintf(p->bus_id, sizeof p->bus_id, "%08X:%02X:%02X.0", domain, bus, device);
    snprintf(p->bus_id_legacy, sizeof p->bus_id_legacy, "%04X:%02X:%02X.0", domain & 0xffff, bus & 0xff, device & 0xff);
    if (d->bus_text[0])
        raw_text(d->bus_text, p->bus_id, sizeof p->bus_id);
}
API(nvmlDeviceGetPciInfo_v3, nvmlDevice_t d, struct pci_v3 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetPciInfo_v3, d);
    fill_pci(&c, out);
    END(NVML_SUCCESS);
}
static void fill_pci_v2(const struct call *c, struct pci_v2 *out)
{
    struct pci_v3 p;
    fill_pci(c, &p);
    *out = (struct pci_v2){.domain = p.domain, .bus = p.bus, .device = p.device, .pci_device_id = p.pci_device_id,
                           .pci_subsystem_id = p.pci_subsystem_id};
    memcpy(out->bus_id, p.bus_id_legacy, sizeof out->bus_id);
}
API(nvmlDeviceGetPciInfo_v2, nvmlDevice_t d, struct pci_v2 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetPciInfo_v2, d);
    fill_pci_v2(&c, out);
    END(NVML_SUCCESS);
}
API(nvmlDeviceGetPciInfo, nvmlDevice_t d, struct pci_v2 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetPciInfo, d);
    fill_pci_v2(&c, out);
    END(NVML_SUCCESS);
}

U32(nvmlDeviceGetMinorNumber, K_minor)
U32(nvmlDeviceGetBoardId, K_board)
U32(nvmlDeviceGetBrand, K_brand)
U32(nvmlDeviceGetArchitecture, K_arch)
U32(nvmlDeviceGetNumGpuCores, K_cores)
U32(nvmlDeviceGetMemoryBusWidth, K_bus_width)
U32(nvmlDeviceGetNumaNodeId, K_numa)
PAIR(nvmlDeviceGetCudaComputeCapability, K_cc_major, K_cc_minor)
API(nvmlDeviceGetMultiGpuBoard, nvmlDevice_t d, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetMultiGpuBoard, d);
    *out = 0;
    END(NVML_SUCCESS);
}

struct two {
    unsigned version, value;
};
API(nvmlDeviceGetAddressingMode, nvmlDevice_t d, struct two *out)
{
    BEGIN_DEVICE(nvmlDeviceGetAddressingMode, d);
    END(u32(&c, K_addressing, &out->value));
}

/* ---- memory ---- */

struct memory_v1 {
    u64 total, free, used;
};
struct memory_v2 {
    unsigned version;
    u64 total, reserved, free, used;
};

static int read_memory(const struct call *c, struct memory_v2 *m)
{
    double total = 0, reserved = 0, used = 0;
    int code = number(c, K_memory_total, &total);
    code = code ? code : number(c, K_memory_used, &used);
    if (!code && number(c, K_memory_reserved, &reserved))
        reserved = 0;
    m->total = wide(total);
    m->used = wide(used);
    m->reserved = wide(reserved);
    m->free = wide(fmax(total - used - reserved, 0));
    return code;
}
/* The first version counts the reserved part as used. */
API(nvmlDeviceGetMemoryInfo, nvmlDevice_t d, struct memory_v1 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetMemoryInfo, d);
    struct memory_v2 m;
    code = read_memory(&c, &m);
    if (!code)
        *out = (struct memory_v1){m.total, m.free, m.used == ~0ull ? m.used : m.used + m.reserved};
    END(code);
}
API(nvmlDeviceGetMemoryInfo_v2, nvmlDevice_t d, struct memory_v2 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetMemoryInfo_v2, d);
    struct memory_v2 m;
    m.version = out->version;
    if (out->version != (sizeof(struct memory_v2) | 2u << 24))
        END(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    code = read_memory(&c, &m);
    if (!code)
        *out = m;
    END(code);
}
API(nvmlDeviceGetBAR1MemoryInfo, nvmlDevice_t d, u64 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetBAR1MemoryInfo, d);
    code = u64_of(&c, K_bar1_total, &out[0]);
    code = code ? code : u64_of(&c, K_bar1_used, &out[2]);
    out[1] = out[0] - out[2];
    END(code);
}

/* ---- load, heat, power, clocks ---- */

API(nvmlDeviceGetUtilizationRates, nvmlDevice_t d, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetUtilizationRates, d);
    code = u32(&c, K_util, &out[0]);
    END(code ? code : u32(&c, K_util_mem, &out[1]));
}
#define ENGINE(name, key) \
    API(name, nvmlDevice_t d, unsigned *out, unsigned *period_us) \
    { \
        BEGIN_DEVICE(name, d); \
        *period_us = 167000; \
        END(u32(&c, key, out)); \
    }
ENGINE(nvmlDeviceGetEncoderUtilization, K_util_enc)
ENGINE(nvmlDeviceGetDecoderUtilization, K_util_dec)
ENGINE(nvmlDeviceGetJpgUtilization, K_util_jpg)
ENGINE(nvmlDeviceGetOfaUtilization, K_util_ofa)

API(nvmlDeviceGetTemperature, nvmlDevice_t d, unsigned sensor, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetTemperature, d);
    END(sensor ? NVML_ERROR_INVALID_ARGUMENT : u32(&c, K_temperature, out));
}
struct temperature_v1 {
    unsigned version, sensor;
    int temperature;
};
API(nvmlDeviceGetTemperatureV, nvmlDevice_t d, struct temperature_v1 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetTemperatureV, d);
    if (out->version != (sizeof *out | 1u << 24))
        END(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    END(out->sensor ? NVML_ERROR_INVALID_ARGUMENT : u32(&c, K_temperature, (unsigned *)&out->temperature));
}
API(nvmlDeviceGetMarginTemperature, nvmlDevice_t d, struct two *out)
{
    BEGIN_DEVICE(nvmlDeviceGetMarginTemperature, d);
    if (out->version != (sizeof *out | 1u << 24))
        END(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    END(u32(&c, K_temperature_margin, &out->value));
}
API(nvmlDeviceGetTemperatureThreshold, nvmlDevice_t d, unsigned type, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetTemperatureThreshold, d);
    static const enum key keys[] = {K_temperature_shutdown, K_temperature_slowdown, K_temperature_mem_max,
                                    K_temperature_gpu_max};
    END(type < 4 ? u32(&c, keys[type], out) : NVML_ERROR_NOT_SUPPORTED);
}

U32(nvmlDeviceGetPowerUsage, K_power)
U32(nvmlDeviceGetEnforcedPowerLimit, K_power_limit)
U32(nvmlDeviceGetPowerManagementLimit, K_power_limit_set)
U32(nvmlDeviceGetPowerManagementDefaultLimit, K_power_default)
PAIR(nvmlDeviceGetPowerManagementLimitConstraints, K_power_min, K_power_max)
U64(nvmlDeviceGetTotalEnergyConsumption, K_energy)
API(nvmlDeviceGetPowerManagementMode, nvmlDevice_t d, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetPowerManagementMode, d);
    *out = 1;
    END(NVML_SUCCESS);
}
U32(nvmlDeviceGetPerformanceState, K_pstate)
U32(nvmlDeviceGetPowerState, K_pstate)

static const enum key CLOCKS[] = {K_clock_graphics, K_clock_sm, K_clock_mem, K_clock_video};
static const enum key MAX_CLOCKS[] = {K_clock_graphics_max, K_clock_sm_max, K_clock_mem_max, K_clock_video_max};
#define CLOCK(name, keys) \
    API(name, nvmlDevice_t d, unsigned type, unsigned *out) \
    { \
        BEGIN_DEVICE(name, d); \
        END(type < 4 ? u32(&c, keys[type], out) : NVML_ERROR_INVALID_ARGUMENT); \
    }
CLOCK(nvmlDeviceGetClockInfo, CLOCKS)
CLOCK(nvmlDeviceGetMaxClockInfo, MAX_CLOCKS)
CLOCK(nvmlDeviceGetApplicationsClock, MAX_CLOCKS)
CLOCK(nvmlDeviceGetDefaultApplicationsClock, MAX_CLOCKS)
CLOCK(nvmlDeviceGetMaxCustomerBoostClock, MAX_CLOCKS)
API(nvmlDeviceGetClock, nvmlDevice_t d, unsigned type, unsigned id, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetClock, d);
    END(type < 4 ? u32(&c, id == 0 ? CLOCKS[type] : MAX_CLOCKS[type], out) : NVML_ERROR_INVALID_ARGUMENT);
}

U32(nvmlDeviceGetFanSpeed, K_fan)
U32(nvmlDeviceGetNumFans, K_fans)
API(nvmlDeviceGetFanSpeed_v2, nvmlDevice_t d, unsigned fan, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetFanSpeed_v2, d);
    unsigned fans = 0;
    code = u32(&c, K_fans, &fans);
    END(code ? code : fan >= fans ? NVML_ERROR_INVALID_ARGUMENT : u32(&c, K_fan, out));
}

U64(nvmlDeviceGetCurrentClocksEventReasons, K_reasons)
U64(nvmlDeviceGetCurrentClocksThrottleReasons, K_reasons)
U64(nvmlDeviceGetSupportedClocksEventReasons, K_reasons_supported)
U64(nvmlDeviceGetSupportedClocksThrottleReasons, K_reasons_supported)

/* The time in a policy's violation; of the policies only the thermal one (1) has any. */
API(nvmlDeviceGetViolationStatus, nvmlDevice_t d, unsigned policy, u64 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetViolationStatus, d);
    struct timeval now;
    gettimeofday(&now, NULL);
    out[0] = (u64)now.tv_sec * 1000000 + (u64)now.tv_usec;
    code = policy > 11 ? NVML_ERROR_INVALID_ARGUMENT : u64_of(&c, K_violation_thermal, &out[1]);
    if (policy != 1)
        out[1] = 0;
    END(code);
}

/* ---- modes ---- */

U32(nvmlDeviceGetPersistenceMode, K_persistence)
U32(nvmlDeviceGetComputeMode, K_compute_mode)
U32(nvmlDeviceGetDisplayActive, K_display_active)
U32(nvmlDeviceGetDisplayMode, K_display_mode)
PAIR(nvmlDeviceGetEccMode, K_ecc_mode, K_ecc_pending)
U32(nvmlDeviceGetDefaultEccMode, K_ecc_mode)
PAIR(nvmlDeviceGetMigMode, K_mig_mode, K_mig_pending)

/* ---- errors of the memory ---- */

static enum key ecc_key(unsigned type, unsigned counter)
{
    static const enum key keys[] = {K_ecc_cor_volatile, K_ecc_cor_aggregate, K_ecc_unc_volatile, K_ecc_unc_aggregate};
    return keys[(type & 1) * 2 + (counter & 1)];
}
API(nvmlDeviceGetTotalEccErrors, nvmlDevice_t d, unsigned type, unsigned counter, u64 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetTotalEccErrors, d);
    END(type > 1 || counter > 1 ? NVML_ERROR_INVALID_ARGUMENT : u64_of(&c, ecc_key(type, counter), out));
}
/* All errors are in the device's memory (location 2), but for the corrected ones of the SRAM (7). */
API(nvmlDeviceGetMemoryErrorCounter, nvmlDevice_t d, unsigned type, unsigned counter, unsigned location, u64 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetMemoryErrorCounter, d);
    if (type > 1 || counter > 1 || location > 7)
        END(NVML_ERROR_INVALID_ARGUMENT);
    code = u64_of(&c, ecc_key(type, counter), out);
    if (!code && location != 2)
        *out = 0;
    END(code || location != 7 || type ? code : u64_of(&c, K_ecc_cor_sram, out));
}
struct sram_v1 {
    unsigned version;
    u64 counts[11];
    unsigned is_above_threshold;
};
API(nvmlDeviceGetSramEccErrorStatus, nvmlDevice_t d, struct sram_v1 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetSramEccErrorStatus, d);
    if (out->version != (sizeof *out | 1u << 24))
        END(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    memset(out->counts, 0, sizeof out->counts);
    END(u32(&c, K_sram_threshold, &out->is_above_threshold));
}
API(nvmlDeviceGetDetailedEccErrors, nvmlDevice_t d, unsigned type, unsigned counter, u64 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetDetailedEccErrors, d);
    out[0] = out[1] = out[3] = 0;
    END(type > 1 || counter > 1 ? NVML_ERROR_INVALID_ARGUMENT : u64_of(&c, ecc_key(type, counter), &out[2]));
}
API(nvmlDeviceGetRemappedRows, nvmlDevice_t d, unsigned *cor, unsigned *unc, unsigned *pending, unsigned *failed)
{
    BEGIN_DEVICE(nvmlDeviceGetRemappedRows, d);
    code = u32(&c, K_remap_cor, cor);
    code = code ? code : u32(&c, K_remap_unc, unc);
    code = code ? code : u32(&c, K_remap_pending, pending);
    END(code ? code : u32(&c, K_remap_failed, failed));
}
API(nvmlDeviceGetRowRemapperHistogram, nvmlDevice_t d, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetRowRemapperHistogram, d);
    unsigned failed = 0;
    code = u32(&c, K_remap_failed, &failed);
    out[0] = 640 - failed;
    out[1] = out[2] = out[3] = 0;
    out[4] = failed;
    END(code);
}
static int retired_pages(const struct call *c, unsigned cause, unsigned *count, u64 *addresses)
{
    unsigned pages = 0, room = *count;
    int code = u32(c, cause ? K_retired_dbe : K_retired_sbe, &pages);
    if (code)
        return code;
    *count = pages;
    if (pages > room || (pages && !addresses))
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < pages; i++)
        addresses[i] = 0x1000ull * (i + 1);
    return NVML_SUCCESS;
}
API(nvmlDeviceGetRetiredPages, nvmlDevice_t d, unsigned cause, unsigned *count, u64 *addresses)
{
    BEGIN_DEVICE(nvmlDeviceGetRetiredPages, d);
    END(retired_pages(&c, cause, count, addresses));
}
API(nvmlDeviceGetRetiredPages_v2, nvmlDevice_t d, unsigned cause, unsigned *count, u64 *addresses, u64 *times)
{
    BEGIN_DEVICE(nvmlDeviceGetRetiredPages_v2, d);
    code = retired_pages(&c, cause, count, addresses);
    for (unsigned i = 0; !code && times && i < *count; i++)
        times[i] = 1700000000ull * 1000000;
    END(code);
}
U32(nvmlDeviceGetRetiredPagesPendingStatus, K_retired_pending)

/* ---- links ---- */

U32(nvmlDeviceGetCurrPcieLinkGeneration, K_pcie_gen)
U32(nvmlDeviceGetMaxPcieLinkGeneration, K_pcie_gen_max)
U32(nvmlDeviceGetGpuMaxPcieLinkGeneration, K_pcie_gen_max)
U32(nvmlDeviceGetCurrPcieLinkWidth, K_pcie_width)
U32(nvmlDeviceGetMaxPcieLinkWidth, K_pcie_width_max)
U32(nvmlDeviceGetPcieReplayCounter, K_pcie_replay)
API(nvmlDeviceGetPcieThroughput, nvmlDevice_t d, unsigned counter, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetPcieThroughput, d);
    END(counter > 1 ? NVML_ERROR_INVALID_ARGUMENT : u32(&c, counter ? K_pcie_rx : K_pcie_tx, out));
}
/* MB/s of the link as it is. */
API(nvmlDeviceGetPcieSpeed, nvmlDevice_t d, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetPcieSpeed, d);
    static const unsigned speeds[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};
    unsigned gen = 0;
    code = u32(&c, K_pcie_gen, &gen);
    *out = speeds[gen < 7 ? gen : 0];
    END(code);
}
static int nvlink(const struct call *c, unsigned link, unsigned *is_active)
{
    unsigned links = 0, active = 0;
    int code = u32(c, K_nvlinks, &links);
    code = code ? code : u32(c, K_nvlinks_active, &active);
    *is_active = link < active;
    return code ? code : link < links ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}
API(nvmlDeviceGetNvLinkState, nvmlDevice_t d, unsigned link, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetNvLinkState, d);
    END(nvlink(&c, link, out));
}
API(nvmlDeviceGetNvLinkVersion, nvmlDevice_t d, unsigned link, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetNvLinkVersion, d);
    unsigned active;
    code = nvlink(&c, link, &active);
    END(code ? code : u32(&c, K_nvlink_version, out));
}
API(nvmlDeviceGetNvLinkCapability, nvmlDevice_t d, unsigned link, unsigned capability, unsigned *out)
{
    (void)capability;
    BEGIN_DEVICE(nvmlDeviceGetNvLinkCapability, d);
    END(nvlink(&c, link, out));
}
API(nvmlDeviceGetNvLinkErrorCounter, nvmlDevice_t d, unsigned link, unsigned counter, u64 *out)
{
    (void)counter;
    BEGIN_DEVICE(nvmlDeviceGetNvLinkErrorCounter, d);
    unsigned active;
    *out = 0;
    END(nvlink(&c, link, &active));
}
API(nvmlDeviceGetNvLinkRemoteDeviceType, nvmlDevice_t d, unsigned link, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceGetNvLinkRemoteDeviceType, d);
    unsigned active;
    *out = 2; /* a switch */
    END(nvlink(&c, link, &active));
}

struct fabric {
    unsigned char cluster[16];
    unsigned status, clique, state;
};
struct fabric_v {
    unsigned version;
    unsigned char cluster[16];
    unsigned status, clique, state, health;
};
API(nvmlDeviceGetGpuFabricInfo, nvmlDevice_t d, struct fabric *out)
{
    BEGIN_DEVICE(nvmlDeviceGetGpuFabricInfo, d);
    memset(out, 0, sizeof *out);
    code = u32(&c, K_fabric_state, &out->state);
    END(code ? code : u32(&c, K_fabric_status, &out->status));
}
API(nvmlDeviceGetGpuFabricInfoV, nvmlDevice_t d, struct fabric_v *out)
{
    BEGIN_DEVICE(nvmlDeviceGetGpuFabricInfoV, d);
    if (out->version != (sizeof *out | 2u << 24) && out->version != (40u | 3u << 24))
        END(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    out->clique = 0;
    memset(out->cluster, 0, sizeof out->cluster);
    code = u32(&c, K_fabric_state, &out->state);
    code = code ? code : u32(&c, K_fabric_status, &out->status);
    END(code ? code : u32(&c, K_fabric_health, &out->health));
}

/* ---- field values ---- */

enum { TYPE_DOUBLE, TYPE_UINT, TYPE_ULONG, TYPE_ULONGLONG, TYPE_LONGLONG, TYPE_INT };

struct field_value {
    unsigned field, scope;
    long long timestamp, latency_us;
    unsigned type, code;
    union {
        double d;
        unsigned u;
        u64 ull;
        int i;
    } value;
};

static const struct {
    unsigned field;
    enum key key;
    unsigned type;
} FIELDS[] = {
    {1, K_ecc_mode, TYPE_UINT},
    {2, K_ecc_pending, TYPE_UINT},
    {3, K_ecc_cor_volatile, TYPE_ULONGLONG},
    {4, K_ecc_unc_volatile, TYPE_ULONGLONG},
    {5, K_ecc_cor_aggregate, TYPE_ULONGLONG},
    {6, K_ecc_unc_aggregate, TYPE_ULONGLONG},
    {29, K_retired_sbe, TYPE_ULONGLONG},
    {30, K_retired_dbe, TYPE_ULONGLONG},
    {31, K_retired_pending, TYPE_ULONGLONG},
    {82, K_temperature_memory, TYPE_UINT},
    {83, K_energy, TYPE_ULONGLONG},
    {90, K_nvlink_mbps, TYPE_UINT},
    {91, K_nvlinks, TYPE_UINT},
    {94, K_pcie_replay, TYPE_UINT},
    {142, K_remap_cor, TYPE_UINT},
    {143, K_remap_unc, TYPE_UINT},
    {144, K_remap_pending, TYPE_UINT},
    {145, K_remap_failed, TYPE_UINT},
    {185, K_power, TYPE_UINT},
    {186, K_power, TYPE_UINT},
    {187, K_power_min, TYPE_UINT},
    {188, K_power_max, TYPE_UINT},
    {189, K_power_default, TYPE_UINT},
    {190, K_power_limit, TYPE_UINT},
    {192, K_power_limit_set, TYPE_UINT},
    {230, K_recovery_action, TYPE_UINT},
    {269, K_slow_sw_thermal, TYPE_ULONGLONG},
    {270, K_slow_hw_thermal, TYPE_ULONGLONG},
    {271, K_slow_hw_brake, TYPE_ULONGLONG},
};

/* Errors of the links: before Hopper their total, from Hopper on each link's; link 0 has all of them. */
static const struct {
    unsigned total, each;
    enum key key;
} LINK_ERRORS[] = {{38, 163, K_nvlink_crc}, {52, 161, K_nvlink_replay}, {59, 162, K_nvlink_recovery}};
enum { ARCH_HOPPER = 9, FIELD_CRC_DATA_TOTAL = 45 };

static int link_errors(const struct call *c, enum key key, bool is_each, unsigned link, u64 *out)
{
    unsigned arch = 0, active = 0;
    int code = u32(c, K_arch, &arch);
    code = code ? code : nvlink(c, is_each ? link : 0, &active);
    code = code ? code : is_each == (arch >= ARCH_HOPPER) ? u64_of(c, key, out) : NVML_ERROR_NOT_SUPPORTED;
    if (!code && is_each && link)
        *out = 0;
    return code;
}

enum { FIELD_NVLINK_SPEED = 164, FIELD_NVLINK_STATE = 165 };

static int field(const struct call *c, struct field_value *f)
{
    unsigned active = 0;
    f->type = TYPE_UINT;
    f->value.ull = 0;
    if (f->field == FIELD_NVLINK_STATE || f->field == FIELD_NVLINK_SPEED) {
        int code = nvlink(c, f->scope, &active);
        f->value.u = active;
        return code || f->field == FIELD_NVLINK_STATE || !active ? code : u32(c, K_nvlink_mbps, &f->value.u);
    }
    f->type = TYPE_ULONGLONG;
    if (f->field == FIELD_CRC_DATA_TOTAL) {
        int code = link_errors(c, K_nvlink_crc, false, 0, &f->value.ull);
        f->value.ull = 0; /* all are flow control's */
        return code;
    }
    for (size_t i = 0; i < sizeof LINK_ERRORS / sizeof *LINK_ERRORS; i++)
        if (f->field == LINK_ERRORS[i].total || f->field == LINK_ERRORS[i].each)
            return link_errors(c, LINK_ERRORS[i].key, f->field == LINK_ERRORS[i].each, f->scope, &f->value.ull);
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
        if (FIELDS[i].field == f->field) {
            f->type = FIELDS[i].type;
            return f->type == TYPE_UINT ? u32(c, FIELDS[i].key, &f->value.u) : u64_of(c, FIELDS[i].key, &f->value.ull);
        }
    f->type = TYPE_UINT;
    return NVML_ERROR_NOT_SUPPORTED;
}
API(nvmlDeviceGetFieldValues, nvmlDevice_t d, int count, struct field_value *values)
{
    BEGIN_DEVICE(nvmlDeviceGetFieldValues, d);
    struct timeval now;
    gettimeofday(&now, NULL);
    for (int i = 0; i < count; i++) {
        values[i].timestamp = (long long)now.tv_sec * 1000000 + now.tv_usec;
        values[i].latency_us = 0;
        values[i].code = (unsigned)field(&c, &values[i]);
    }
    END(count > 0 && values ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

/* ---- processes ---- */

struct process_v1 {
    unsigned pid;
    u64 memory;
};
struct process_v2 {
    unsigned pid;
    u64 memory;
    unsigned gi, ci;
};

static u64 process_memory(const struct call *c, const struct process *p)
{
    double bytes = 0;
    return value_at(&p->memory, c->t, (unsigned)c->gpu << 8 | (p->pid & 0xff), &bytes) ? ~0ull : wide(bytes);
}

/* The n-th process of this type, of a GPU those of its MIG devices included; NULL at the end. */
static const struct process *process_of(const struct call *c, char type, unsigned n)
{
    const struct device *d = c->device;
    for (int i = 0; i < d->process_count; i++)
        if ((type == '*' || d->processes[i].type == type) && n-- == 0)
            return &d->processes[i];
    for (int m = 0; c->mig < 0 && m < MAX_MIGS; m++)
        for (int i = 0; d->migs[m] && i < d->migs[m]->process_count; i++)
            if ((type == '*' || d->migs[m]->processes[i].type == type) && n-- == 0)
                return &d->migs[m]->processes[i];
    return NULL;
}

static unsigned process_total(const struct call *c, char type)
{
    unsigned count = 0;
    while (process_of(c, type, count))
        count++;
    return count;
}

static int processes(const struct function *f, nvmlDevice_t d, char type, int version, unsigned *count, void *out)
{
    struct call c;
    if (!is_handle(d) || !count)
        return init_count ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_UNINITIALIZED;
    int code = begin_ready(&c, f, d->gpu, d->mig);
    if (code)
        return call_end(&c, code);
    unsigned listed = process_total(&c, type), crowd = 0, room = *count;
    if (type == 'C' && u32(&c, K_crowd, &crowd))
        crowd = 0;
    unsigned total = listed + crowd;
    *count = total;
    if (total > room || (total && !out))
        return call_end(&c, NVML_ERROR_INSUFFICIENT_SIZE);
    for (unsigned i = 0; i < total; i++) {
        struct process one = {.pid = 500000 + i - listed, .memory = {.kind = NUMBER, .a = 1 << 20}, .gi = ~0u, .ci = ~0u};
        const struct process *p = i < listed ? process_of(&c, type, i) : &one;
        if (version == 1)
            ((struct process_v1 *)out)[i] = (struct process_v1){p->pid, process_memory(&c, p)};
        else
            ((struct process_v2 *)out)[i] = (struct process_v2){p->pid, process_memory(&c, p), p->gi, p->ci};
    }
    return call_end(&c, NVML_SUCCESS);
}
#define PROCESSES(name, type, version) \
    API(name, nvmlDevice_t d, unsigned *count, void *out) { return processes(&F_##name, d, type, version, count, out); }
PROCESSES(nvmlDeviceGetComputeRunningProcesses, 'C', 1)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, 'C', 2)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, 'C', 2)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, 'G', 1)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, 'G', 2)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, 'G', 2)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses, 'M', 1)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v2, 'M', 2)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, 'M', 2)

struct sample {
    unsigned pid;
    u64 time_us;
    unsigned sm, mem, enc, dec;
};
struct sample_v1 {
    u64 time_us;
    unsigned pid, sm, mem, enc, dec, jpg, ofa;
};
struct samples_v1 {
    unsigned version, count;
    u64 last_seen_us;
    struct sample_v1 *samples;
};

/* A new sample of every process each quarter of a second. */
static u64 sample_time_us(void)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    return ((u64)now.tv_sec * 1000000 + (u64)now.tv_usec) / 250000 * 250000;
}

static unsigned share(const struct call *c, const struct process *p, const struct value *v)
{
    double x = 0;
    return value_at(v, c->t, (unsigned)c->gpu << 8 | (p->pid & 0xff), &x) ? 0 : narrow(x);
}

static struct sample sample_of(const struct call *c, const struct process *p)
{
    return (struct sample){p->pid, sample_time_us(), share(c, p, &p->sm), share(c, p, &p->mem), share(c, p, &p->enc),
                           share(c, p, &p->dec)};
}

/* How many samples there are since `last_seen_us`; not supported on a GPU in MIG mode. */
static int samples_since(const struct call *c, u64 last_seen_us, unsigned *total)
{
    unsigned mig = 0;
    if (c->mig >= 0 || (u32(c, K_mig_mode, &mig) == 0 && mig))
        return NVML_ERROR_NOT_SUPPORTED;
    *total = process_total(c, '*');
    return *total && sample_time_us() > last_seen_us ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}
API(nvmlDeviceGetProcessUtilization, nvmlDevice_t d, struct sample *out, unsigned *count, u64 last_seen_us)
{
    BEGIN_DEVICE(nvmlDeviceGetProcessUtilization, d);
    unsigned total = 0, room = *count;
    code = samples_since(&c, last_seen_us, &total);
    if (code)
        END(code);
    *count = total;
    if (!out || total > room) {
        *count = 100; /* the real driver asks for room for its whole buffer */
        END(NVML_ERROR_INSUFFICIENT_SIZE);
    }
    for (unsigned i = 0; i < total; i++)
        out[i] = sample_of(&c, process_of(&c, '*', i));
    END(NVML_SUCCESS);
}
API(nvmlDeviceGetProcessesUtilizationInfo, nvmlDevice_t d, struct samples_v1 *out)
{
    BEGIN_DEVICE(nvmlDeviceGetProcessesUtilizationInfo, d);
    unsigned total = 0, room = out->count;
    if (out->version != (sizeof *out | 1u << 24))
        END(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    code = samples_since(&c, out->last_seen_us, &total);
    if (code)
        END(code);
    out->count = total;
    if (!out->samples || total > room)
        END(NVML_ERROR_INSUFFICIENT_SIZE);
    for (unsigned i = 0; i < total; i++) {
        struct sample s = sample_of(&c, process_of(&c, '*', i));
        out->samples[i] = (struct sample_v1){s.time_us, s.pid, s.sm, s.mem, s.enc, s.dec, 0, 0};
    }
    END(NVML_SUCCESS);
}

/* ---- MIG ---- */

U32(nvmlDeviceGetMaxMigDeviceCount, K_mig_max)
U32(nvmlDeviceGetGpuInstanceId, K_gi)
U32(nvmlDeviceGetComputeInstanceId, K_ci)
API(nvmlDeviceIsMigDeviceHandle, nvmlDevice_t d, unsigned *out)
{
    BEGIN_DEVICE(nvmlDeviceIsMigDeviceHandle, d);
    *out = c.mig >= 0;
    END(NVML_SUCCESS);
}
API(nvmlDeviceGetMigDeviceHandleByIndex, nvmlDevice_t d, unsigned index, nvmlDevice_t *out)
{
    BEGIN_DEVICE(nvmlDeviceGetMigDeviceHandleByIndex, d);
    if (c.mig >= 0 || index >= MAX_MIGS)
        END(NVML_ERROR_INVALID_ARGUMENT);
    if (!c.device->migs[index])
        END(NVML_ERROR_NOT_FOUND);
    *out = handle_of(c.gpu, (int)index);
    END(NVML_SUCCESS);
}
API(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, nvmlDevice_t d, nvmlDevice_t *out)
{
    BEGIN_DEVICE(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, d);
    if (c.mig < 0)
        END(NVML_ERROR_INVALID_ARGUMENT);
    *out = handle_of(c.gpu, -1);
    END(NVML_SUCCESS);
}
struct attributes {
    unsigned multiprocessors, copy_engines, decoders, encoders, jpegs, ofas, gpu_slices, compute_slices;
    u64 memory_mb;
};
API(nvmlDeviceGetAttributes_v2, nvmlDevice_t d, struct attributes *out)
{
    BEGIN_DEVICE(nvmlDeviceGetAttributes_v2, d);
    memset(out, 0, sizeof *out);
    u64 bytes = 0;
    code = c.mig < 0 ? NVML_ERROR_NOT_SUPPORTED : u32(&c, K_mig_slices, &out->gpu_slices);
    code = code ? code : u32(&c, K_mig_sms, &out->multiprocessors);
    code = code ? code : u64_of(&c, K_memory_total, &bytes);
    out->compute_slices = out->gpu_slices;
    out->memory_mb = bytes >> 20;
    END(code);
}

/* ---- what no template supports, and what changes the device: refused ---- */

UNSUPPORTED(nvmlDeviceGetAccountingMode)
UNSUPPORTED(nvmlDeviceGetAccountingPids)
UNSUPPORTED(nvmlDeviceGetAccountingStats)
UNSUPPORTED(nvmlDeviceGetAutoBoostedClocksEnabled)
UNSUPPORTED(nvmlDeviceGetBridgeChipInfo)
UNSUPPORTED(nvmlDeviceGetConfComputeMemSizeInfo)
UNSUPPORTED(nvmlDeviceGetDriverModel)
UNSUPPORTED(nvmlDeviceGetDriverModel_v2)
UNSUPPORTED(nvmlDeviceGetDynamicPstatesInfo)
UNSUPPORTED(nvmlDeviceGetEncoderSessions)
UNSUPPORTED(nvmlDeviceGetEncoderStats)
UNSUPPORTED(nvmlDeviceGetFanSpeedRPM)
UNSUPPORTED(nvmlDeviceGetGpuOperationMode)
UNSUPPORTED(nvmlDeviceGetInforomImageVersion)
UNSUPPORTED(nvmlDeviceGetRunningProcessDetailList)
UNSUPPORTED(nvmlDeviceGetSamples)
UNSUPPORTED(nvmlDeviceGetSupportedEventTypes)
UNSUPPORTED(nvmlDeviceGetSupportedGraphicsClocks)
UNSUPPORTED(nvmlDeviceGetSupportedMemoryClocks)
UNSUPPORTED(nvmlDeviceGetThermalSettings)
UNSUPPORTED(nvmlDeviceGetVirtualizationMode)
UNSUPPORTED(nvmlDeviceRegisterEvents)
REFUSED(nvmlDeviceClearEccErrorCounts)
REFUSED(nvmlDeviceSetComputeMode)
REFUSED(nvmlDeviceSetEccMode)
REFUSED(nvmlDeviceSetGpuLockedClocks)
REFUSED(nvmlDeviceSetMigMode)
REFUSED(nvmlDeviceSetPersistenceMode)
REFUSED(nvmlDeviceSetPowerManagementLimit)
API(nvmlEventSetCreate, void **out)
{
    BEGIN(nvmlEventSetCreate, -1, -1);
    *out = NULL;
    END(NVML_ERROR_NOT_SUPPORTED);
}
API(nvmlEventSetFree, void *set)
{
    (void)set;
    BEGIN(nvmlEventSetFree, -1, -1);
    END(NVML_ERROR_NOT_SUPPORTED);
}
API(nvmlEventSetWait_v2, void *set, void *out, unsigned timeout_ms)
{
    (void)set, (void)out, (void)timeout_ms;
    BEGIN(nvmlEventSetWait_v2, -1, -1);
    END(NVML_ERROR_NOT_SUPPORTED);
}
